"""The arithmetic: what was found of what was there, how exactly in time, and what was made up."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.time.contenders import ANY_CLASS, Found, Outcome
from benchmarks.time.pictures import Box
from benchmarks.time.truth import TrueAppearance, Truth
from detector.appearances import iou

FOUND_IOU = 0.3
"""Overlap with the visible part of the labelled box from which a detection is one of that weapon."""
ABOUT_IOU = 0.1
"""Overlap from which a detection is about a labelled weapon at all, if perhaps of the wrong class: not made up."""
SAME_FRAME_SECONDS = 0.002
BUCKET_EDGES_SECONDS = (0.5, 1.0, 2.0, 5.0, 15.0)
BUCKETS = ("<0.5 s", "0.5-1 s", "1-2 s", "2-5 s", "5-15 s", ">=15 s")
ROUNDING_SECONDS = 1e-6


@dataclass(frozen=True, slots=True)
class Sighting:
    """The first and the last frame (numbers) on which a contender reported a true appearance."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Errors:
    """Absolute errors over `count` appearances; None where there are none.

    `p95_seconds` is the smallest error that at least 95 % of them do not exceed.
    """

    count: int
    median_seconds: float | None
    p95_seconds: float | None
    median_frames: float | None
    p95_frames: float | None

    @classmethod
    def of(cls, seconds: Sequence[float], frames: Sequence[int]) -> Errors:
        if not seconds:
            return cls(0, None, None, None, None)
        return cls(
            len(seconds),
            float(np.median(np.abs(seconds))),
            percentile_95(seconds),
            float(np.median(np.abs(frames))),
            percentile_95(frames),
        )


def percentile_95(values: Sequence[float]) -> float:
    """The smallest of the absolute values that at least 95 % of them do not exceed."""
    return float(np.percentile(np.abs(values), 95, method="inverted_cdf"))


def bucket(seconds: float) -> str:
    """The duration bucket of an appearance; each starts at its lower edge."""
    return BUCKETS[sum(seconds >= edge - ROUNDING_SECONDS for edge in BUCKET_EDGES_SECONDS)]


def frame_at(truth: Truth, pts_seconds: float) -> int | None:
    """The number of the frame with this PTS, None if there is none within 2 ms."""
    pts = truth.pts_seconds
    after = bisect_left(pts, pts_seconds)
    near = min((n for n in (after - 1, after) if 0 <= n < len(pts)), key=lambda n: abs(pts[n] - pts_seconds))
    return near if abs(pts[near] - pts_seconds) <= SAME_FRAME_SECONDS else None


def sightings(truth: Truth, found: Iterable[Found]) -> dict[str, Sighting]:
    """Which true appearances were found, by id.

    One is found when an appearance of its class has a detection that overlaps its visible part on the same frame.
    A find without boxes counts by its time alone, one of ANY_CLASS for every class.
    """
    located = [(each.class_name, list(_located(truth, each))) for each in found]
    seen = {}
    for true in truth.appearances:
        frames = [
            frame
            for class_name, detections in located
            if class_name in (true.class_name, ANY_CLASS)
            for frame, box in detections
            if _shows(true, frame, box, FOUND_IOU)
        ]
        if frames:
            seen[true.id] = Sighting(min(frames), max(frames))
    return seen


def made_up(truth: Truth, found: Iterable[Found]) -> int:
    """How many reported appearances have no detection on any labelled weapon, of whatever class."""
    things = (*truth.appearances, *truth.glimpses)
    return sum(
        not any(_shows(true, frame, box, ABOUT_IOU) for frame, box in _located(truth, each) for true in things)
        for each in found
    )


def wrongly_named(truth: Truth, found: Iterable[Found]) -> int:
    """How many reported appearances are of a labelled weapon, but of none of the class that they say."""
    count = 0
    for each in found:
        named = {
            true.class_name
            for frame, box in _located(truth, each)
            for true in (*truth.appearances, *truth.glimpses)
            if _shows(true, frame, box, ABOUT_IOU)
        }
        count += bool(named) and each.class_name not in (*named, ANY_CLASS)
    return count


def lasting(truth: Truth, at_least_seconds: float) -> list[TrueAppearance]:
    """The true appearances that last at least so long."""
    return [each for each in truth.appearances if truth.seconds(each) >= at_least_seconds - ROUNDING_SECONDS]


def sampled(appearance: TrueAppearance, frames: Iterable[int]) -> bool:
    """Whether one of the frames (numbers) that the model was shown has the weapon in view."""
    return any(appearance.is_in_view(frame) for frame in frames)


@dataclass(frozen=True, slots=True)
class ClipScore:
    """What one contender made of one clip, ready to be added up with others; sightings by the appearance's id."""

    truth: Truth
    outcome: Outcome
    expected: Mapping[str, Sighting]
    seen: Mapping[str, Sighting]

    def errors(self, end: str, *, own_clock: bool = False) -> list[tuple[float, int]]:
        """(seconds, frames) of `first` or `last` against what was expected, later being positive.

        Only what was both expected and seen counts. `own_clock` takes the times that the contender itself would say.
        """
        pts, own = self.truth.pts_seconds, self.outcome.own_times if own_clock else {}
        errors = []
        for key in self.expected.keys() & self.seen.keys():
            said, right = getattr(self.seen[key], end), getattr(self.expected[key], end)
            errors.append((own.get(pts[said], pts[said]) - pts[right], said - right))
        return sorted(errors)


def score_clip(truth: Truth, outcome: Outcome, expected: Mapping[str, Sighting]) -> ClipScore:
    """Score one clip; `expected` is what the reference saw of it, or the truth itself for the oracle."""
    return ClipScore(truth, outcome, expected, sightings(truth, outcome.found))


def true_sightings(truth: Truth) -> dict[str, Sighting]:
    """What a perfect tool reports."""
    return {each.id: Sighting(each.first, each.last) for each in truth.appearances}


def recall_by_bucket(scores: Iterable[ClipScore]) -> dict[str, tuple[int, int]]:
    """For each duration bucket, how many of the expected appearances were found, and how many were expected."""
    counts = {name: [0, 0] for name in BUCKETS}
    for each in scores:
        for true in each.truth.appearances:
            if true.id in each.expected:
                count = counts[bucket(each.truth.seconds(true))]
                count[0] += true.id in each.seen
                count[1] += 1
    return {name: (found, expected) for name, (found, expected) in counts.items()}


def errors_of(scores: Iterable[ClipScore], end: str, *, own_clock: bool = False) -> Errors:
    """The errors of `first` or `last` over several clips."""
    pairs = [pair for each in scores for pair in each.errors(end, own_clock=own_clock)]
    return Errors.of([seconds for seconds, _ in pairs], [frames for _, frames in pairs])


def _located(truth: Truth, found: Found) -> Iterable[tuple[int, Box | None]]:
    for pts, box in found.detections:
        frame = frame_at(truth, pts)
        if frame is not None:
            yield frame, box


def _shows(true: TrueAppearance, frame: int, box: Box | None, least_iou: float) -> bool:
    if box is None:
        return true.is_in_view(frame)
    shown = true.box(frame)
    return shown is not None and iou(shown, box) >= least_iou
