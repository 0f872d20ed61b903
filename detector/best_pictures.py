"""Frames that the report will probably show, kept so that they need not be decoded once more."""

from __future__ import annotations

from collections.abc import Sequence

from detector.appearances.track import quality
from detector.frame import Detection, Frame

SPAN_SECONDS = 2.0
"""Of each class the best frame in each span of the clip is kept: an appearance's best one is the best of its spans."""


class BestPictures:
    """Keeps `room` frames at the most, those on which something shows best."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._kept: dict[tuple[str, int], tuple[float, Frame]] = {}

    def add(self, frame: Frame, detections: Sequence[Detection]) -> None:
        """Consider a frame for what was found on it; a find whose sharpness was not measured will not be shown."""
        for each in detections:
            if each.sharpness is None:
                continue
            span, worth = (each.class_name, int(each.pts_seconds // SPAN_SECONDS)), quality(each)
            if span in self._kept and self._kept[span][0] >= worth:
                continue
            self._kept[span] = worth, frame.without_image()
            if len(self._kept) > self._room:
                del self._kept[min(self._kept, key=lambda other: self._kept[other][0])]

    def at(self, pts_seconds: float) -> Frame | None:
        """The frame with exactly this time, if it was kept."""
        return next((frame for _, frame in self._kept.values() if frame.pts_seconds == pts_seconds), None)
