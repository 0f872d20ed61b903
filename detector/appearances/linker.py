"""Links detections on successive samples into appearances.

A plain linker, not a tracker from a library: those (ByteTrack, BoT-SORT, SORT) expect the full frame rate, while
samples lie from one frame to many seconds apart within one clip. Boxes are matched by overlap with where the object
was, or is expected from how it moved, or failing that by nearness at a similar size; the best match first. A global
assignment would differ only where several objects compete for the same boxes, and there overlap decides alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from detector.appearances.boxes import affinity, iou
from detector.appearances.track import Sighting, Track, appearance_of
from detector.frame import Appearance, Detection

LINK_GAP_SECONDS = 2.0
"""A track that was not seen for longer than this ends, unless the samples lie further apart themselves."""
LINK_SAMPLES = 2.5
"""…in which case it ends after this many times the distance between the last two samples."""
NEAR_DISTANCE = 0.6
"""Distance of the centres, in mean box diagonals, up to which boxes NEAR_SECONDS apart can be one object."""
NEAR_SECONDS = 0.5
FARTHEST = 3.0
"""Samples further apart let an object move further, up to so many times NEAR_DISTANCE."""
DUPLICATE_IOU = 0.5
"""Overlap from which two boxes on one sample are one object: the better one of a class stays, two classes are two
opinions. Objects that pass so close behind each other are told apart again when they part (see Track.expected)."""
OTHER_LABEL = 0.9
"""What the match with a box of another class than the track's is worth, compared with one of its own."""
UNCERTAIN = 0.8
"""What the match with a track that has not reached its threshold is worth, compared with one that has."""
UNEXPECTED = 0.5
"""What the match with the last place is worth where the object should have moved on."""
CONTINUE_FACTOR = 0.5
"""A track goes on with boxes down to this share of the threshold that it takes to report it."""
SCENES_REMEMBERED = 64
"""Scenes whose last tracks are kept, for when the picture cuts back to them."""


class Linker:
    """Turns the detections of ascending samples into appearances.

    `thresholds` gives, for each class, the score that at least one detection must reach for the appearance to be
    reported; `calibrate` maps a class and a score to a probability.
    """

    def __init__(self, thresholds: Mapping[str, float], calibrate: Callable[[str, float], float]) -> None:
        self._thresholds = thresholds
        self._calibrate = calibrate
        self._open: list[Track] = []
        self._away: list[Track] = []
        self._left: dict[int, list[Track]] = {}
        self._back: list[Track] = []
        self._scene: int | None = None
        self._shot_start = 0.0
        self._started = 0
        self._closed = 0
        self._last_sample: float | None = None
        self._just_seen: list[Sighting] = []

    @property
    def finds(self) -> int:
        """Appearances so far: those that have ended, and those still open that have reached their threshold."""
        return self._closed + sum(track.certain for track in (*self._open, *self._away))

    def add(
        self, pts_seconds: float, detections: Sequence[Detection], *, new_shot: bool, scene: int | None = None
    ) -> tuple[Appearance, ...]:
        """Take the detections of the next sample; returns the appearances that ended before it.

        `scene` names what the camera shows, the same for two shots of the same view (see Scenes). An object that
        is there again after a cut away and back goes on as the same appearance after LINK_GAP_SECONDS at most, else
        as a new one that `continues` the earlier one. None: nothing is known, a cut ends every track.
        """
        spacing = pts_seconds - self._last_sample if self._last_sample is not None else 0.0
        self._last_sample = pts_seconds
        for sighting in self._just_seen:
            sighting.after = spacing
        self._just_seen = []
        over = self._open if new_shot and scene is None else []
        if new_shot:
            self._cut_to(scene, pts_seconds)
        self._scene = scene
        patience = max(LINK_GAP_SECONDS, LINK_SAMPLES * spacing)
        ended = self._close(
            [
                *over,
                *(track for track in self._open if pts_seconds - track.last.pts_seconds > patience),
                *(track for track in self._away if pts_seconds - track.last.pts_seconds > LINK_GAP_SECONDS),
            ]
        )
        reach = NEAR_DISTANCE * min(max(spacing / NEAR_SECONDS, 1.0), FARTHEST)
        for track, opinions in self._match(self._objects(detections), pts_seconds, reach):
            sighting = Sighting(opinions, spacing)
            self._just_seen.append(sighting)
            (track or self._start_or_return(opinions[0])).take(sighting, self._thresholds)
        return ended

    def finish(self) -> tuple[Appearance, ...]:
        """The appearances that are still open when the clip ends."""
        return self._close([*self._open, *self._away])

    def _cut_to(self, scene: int | None, pts_seconds: float) -> None:
        if self._scene is not None:
            self._left.pop(self._scene, None)
            self._left[self._scene] = self._open
            if len(self._left) > SCENES_REMEMBERED:
                del self._left[next(iter(self._left))]
        self._away += self._open
        self._open = []
        self._back = self._left.pop(scene, []) if scene is not None else []
        self._shot_start = pts_seconds

    def _close(self, tracks: Sequence[Track]) -> tuple[Appearance, ...]:
        gone = {track.number: track for track in tracks}
        self._open = [track for track in self._open if track.number not in gone]
        self._away = [track for track in self._away if track.number not in gone]
        appearances = tuple(
            appearance_of(track, self._thresholds, self._calibrate) for track in gone.values() if track.certain
        )
        self._closed += len(appearances)
        return appearances

    def _start_or_return(self, found: Detection) -> Track:
        """A track for an object that no open track accounts for: one that has come back, or a new one."""
        if found.pts_seconds - self._shot_start > LINK_GAP_SECONDS:
            self._back = []
        worth, earlier = max(
            ((affinity(track.last.box, found.box, NEAR_DISTANCE), track) for track in self._back),
            key=lambda pair: pair[0],
            default=(0.0, None),
        )
        if earlier is not None and worth > 0:
            self._back.remove(earlier)
            if earlier in self._away:
                self._away.remove(earlier)
                self._open.append(earlier)
                return earlier
        else:
            earlier = None
        self._started += 1
        track = Track(self._started)
        if earlier:
            track.continues = earlier.number if earlier.certain else earlier.continues
        self._open.append(track)
        return track

    def _objects(self, detections: Iterable[Detection]) -> list[tuple[Detection, ...]]:
        """The objects on one sample, each with what the model called it, surest first."""
        objects: list[list[Detection]] = []
        for found in sorted(detections, key=lambda detection: -detection.score):
            if found.score < CONTINUE_FACTOR * self._thresholds[found.class_name]:
                continue
            for opinions in objects:
                if iou(opinions[0].box, found.box) >= DUPLICATE_IOU:
                    if all(found.class_name != other.class_name for other in opinions):
                        opinions.append(found)
                    break
            else:
                objects.append([found])
        return [tuple(opinions) for opinions in objects]

    def _match(
        self, objects: Sequence[tuple[Detection, ...]], pts_seconds: float, reach: float
    ) -> list[tuple[Track | None, tuple[Detection, ...]]]:
        expected = [track.expected(pts_seconds) for track in self._open]
        pairs = []
        for position, opinions in enumerate(objects):
            found = opinions[0]
            for track, place in zip(self._open, expected, strict=True):
                worth = affinity(track.last.box, found.box, reach)
                if place is not None:
                    worth = max(UNEXPECTED * worth, affinity(place, found.box, reach))
                if worth > 0:
                    known = any(each.class_name == track.label for each in opinions)
                    worth *= (1.0 if known else OTHER_LABEL) * (1.0 if track.certain else UNCERTAIN)
                    pairs.append((worth, position, track))
        pairs.sort(key=lambda pair: -pair[0])
        taken: dict[int, Track] = {}
        used: set[int] = set()
        for _, position, track in pairs:
            if position not in taken and track.number not in used:
                taken[position] = track
                used.add(track.number)
        return [(taken.get(position), opinions) for position, opinions in enumerate(objects)]


def numbered(appearances: Iterable[Appearance]) -> list[Appearance]:
    """In order of first sight, with the ids a0001, a0002 … in that order, and `continues` with them."""
    ordered = sorted(appearances, key=lambda each: (each.first_seen_seconds, each.id))
    names = {each.id: f"a{number:04d}" for number, each in enumerate(ordered, start=1)}
    return [
        replace(each, id=names[each.id], continues=names.get(each.continues) if each.continues else None)
        for each in ordered
    ]
