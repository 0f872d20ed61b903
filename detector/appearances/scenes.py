"""Which shot a sample belongs to, and whether the camera has shown the same view before."""

from __future__ import annotations

from dataclasses import dataclass

from detector.appearances.shots import Look, is_cut, is_same_view

SCENES_KEPT = 64
"""Views that are remembered, the latest ones."""


@dataclass(frozen=True, slots=True)
class Place:
    """`shot` counts the shots from 0; `scene` is the same number for two shots that show the same view."""

    shot: int
    scene: int
    new_shot: bool


class Scenes:
    """Tells shots and views apart from the looks of ascending samples; memory does not grow with the clip."""

    def __init__(self) -> None:
        self._before: Look | None = None
        self._views: dict[int, Look] = {}
        self._place = Place(0, 0, new_shot=False)
        self._scenes = 1

    def add(self, look: Look, *, cut: bool | None = None) -> Place:
        """Where the next sample belongs. `cut` says whether a cut precedes it; None: judge by the looks."""
        before, self._before = self._before, look
        if before is None:
            return self._place
        if not (is_cut(before, look) if cut is None else cut):
            self._place = Place(self._place.shot, self._place.scene, new_shot=False)
            return self._place
        self._views.pop(self._place.scene, None)
        self._views[self._place.scene] = before
        if len(self._views) > SCENES_KEPT:
            del self._views[next(iter(self._views))]
        scene = next((number for number, view in reversed(self._views.items()) if is_same_view(view, look)), None)
        if scene is None:
            scene = self._scenes
            self._scenes += 1
        self._place = Place(self._place.shot + 1, scene, new_shot=True)
        return self._place
