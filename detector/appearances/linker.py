"""Links detections on successive samples into appearances.

A plain linker on overlap, not a tracker from a library: those (ByteTrack, BoT-SORT, SORT) predict motion from
frame to frame and expect the full frame rate. Samples lie half a second apart, where such a prediction is noise,
so boxes are matched by overlap or, failing that, by nearness at a similar size, and never across a cut.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from detector.frame import Appearance, Detection

LINK_GAP_SECONDS = 2.0
"""A track that was not seen for longer than this ends, unless the samples lie further apart themselves."""
LINK_SAMPLES = 2.5
"""…in which case it ends after this many times the distance between the last two samples."""
SAME_OBJECT_IOU = 0.2
NEAR_DISTANCE = 0.6
"""Distance of the centres, in mean box diagonals, up to which two boxes of a similar size are one object."""
SIMILAR_SIZE = 2.0
"""Ratio of the areas up to which two boxes have a similar size."""
DUPLICATE_IOU = 0.7
"""Overlap from which two boxes on one sample are two opinions on one object; the better one stays."""
CONTINUE_FACTOR = 0.5
"""A track goes on with boxes down to this share of the threshold that it takes to report it."""

Box = tuple[float, float, float, float]


@dataclass(slots=True, eq=False)
class Track:
    """An appearance in the making: its detections so far, the best of them, and the votes for each class."""

    number: int
    detections: list[Detection]
    best: Detection
    votes: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def class_name(self) -> str:
        return max(self.votes, key=lambda name: self.votes[name])

    def take(self, found: Detection) -> None:
        """Add the next detection."""
        self.detections.append(found)
        self.votes[found.class_name] += found.score
        if _quality(found) > _quality(self.best):
            self.best = found


class Linker:
    """Turns the detections of ascending samples into appearances.

    `thresholds` gives, for each class, the score that at least one detection must reach for the appearance to be
    reported; `calibrate` maps a class and a score to a probability.
    """

    def __init__(self, thresholds: Mapping[str, float], calibrate: Callable[[str, float], float]) -> None:
        self._thresholds = thresholds
        self._calibrate = calibrate
        self._open: list[Track] = []
        self._started = 0
        self._closed = 0
        self._last_sample: float | None = None

    @property
    def finds(self) -> int:
        """Appearances so far: those that have ended, and those still open that have reached their threshold."""
        return self._closed + sum(self._is_find(track) for track in self._open)

    def add(self, pts_seconds: float, detections: Sequence[Detection], *, new_shot: bool) -> tuple[Appearance, ...]:
        """Take the detections of the next sample; returns the appearances that ended before it."""
        spacing = pts_seconds - self._last_sample if self._last_sample is not None else 0.0
        self._last_sample = pts_seconds
        patience = max(LINK_GAP_SECONDS, LINK_SAMPLES * spacing)
        over = [track for track in self._open if new_shot or pts_seconds - track.detections[-1].pts_seconds > patience]
        ended = self._close(over)
        candidates = [
            found
            for found in _without_duplicates(detections)
            if found.score >= CONTINUE_FACTOR * self._thresholds[found.class_name]
        ]
        for track, found in self._match(candidates):
            if track is None:
                self._started += 1
                track = Track(self._started, [], found)
                self._open.append(track)
            track.take(found)
        return ended

    def finish(self) -> tuple[Appearance, ...]:
        """The appearances that are still open when the clip ends."""
        return self._close(list(self._open))

    def _close(self, tracks: Sequence[Track]) -> tuple[Appearance, ...]:
        self._open = [track for track in self._open if track not in tracks]
        appearances = tuple(self._appearance(track) for track in tracks if self._is_find(track))
        self._closed += len(appearances)
        return appearances

    def _is_find(self, track: Track) -> bool:
        name = track.class_name
        return any(found.class_name == name for found in self._certain(track))

    def _certain(self, track: Track) -> list[Detection]:
        return [found for found in track.detections if found.score >= self._thresholds[found.class_name]]

    def _appearance(self, track: Track) -> Appearance:
        confidence = median(self._calibrate(found.class_name, found.score) for found in self._certain(track))
        return Appearance(f"a{track.number:04d}", track.class_name, confidence, tuple(track.detections), track.best)

    def _match(self, candidates: Sequence[Detection]) -> list[tuple[Track | None, Detection]]:
        pairs = sorted(
            (
                (affinity, position, track)
                for position, found in enumerate(candidates)
                for track in self._open
                if (affinity := _affinity(track.detections[-1].box, found.box)) > 0
            ),
            key=lambda pair: -pair[0],
        )
        taken: dict[int, Track] = {}
        used: set[int] = set()
        for _, position, track in pairs:
            if position not in taken and track.number not in used:
                taken[position] = track
                used.add(track.number)
        return [(taken.get(position), found) for position, found in enumerate(candidates)]


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes (x1, y1, x2, y2)."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (_area(a) + _area(b) - shared)


def _affinity(a: Box, b: Box) -> float:
    """1 + IoU where the boxes overlap enough, nearness in 0..1 where they are close and alike, else 0."""
    overlap = iou(a, b)
    if overlap >= SAME_OBJECT_IOU:
        return 1 + overlap
    areas = sorted((_area(a), _area(b)))
    if areas[0] <= 0 or areas[1] / areas[0] > SIMILAR_SIZE:
        return 0.0
    distance = math.hypot((a[0] + a[2] - b[0] - b[2]) / 2, (a[1] + a[3] - b[1] - b[3]) / 2)
    diagonal = (math.hypot(a[2] - a[0], a[3] - a[1]) + math.hypot(b[2] - b[0], b[3] - b[1])) / 2
    return max(0.0, 1 - distance / (diagonal * NEAR_DISTANCE))


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _quality(found: Detection) -> float:
    """How well a frame shows the object: its score first, its size as a tie-break between similar scores."""
    return found.score * math.pow(_area(found.box), 0.125)


def _without_duplicates(detections: Sequence[Detection]) -> list[Detection]:
    kept: list[Detection] = []
    for found in sorted(detections, key=lambda detection: -detection.score):
        if all(iou(found.box, other.box) < DUPLICATE_IOU for other in kept):
            kept.append(found)
    return kept
