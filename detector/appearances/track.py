"""One object followed through samples: what it is, how surely, and on which sample it shows best."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from detector.appearances.boxes import Box, area, moved
from detector.frame import Appearance, Detection

MOTION_SECONDS = 1.0
"""So far back reaches the motion from which a track's next place is predicted."""
SHARPNESS_POWER = 0.25
SIZE_POWER = 0.125
"""The best frame is that of the largest score * sharpness**SHARPNESS_POWER * area**SIZE_POWER. Within a track scores
differ by a factor of two or three, variances of the Laplacian by a hundred and areas by ten: the powers bring the
three to a similar weight. They were chosen, not fitted."""


@dataclass(slots=True, eq=False)
class Sighting:
    """A track on one sample: what the model called the object, surest first.

    `before` and `after` are the seconds to the previous and the next sample of the clip, whether the object was
    seen on them or not; None while unknown.
    """

    opinions: tuple[Detection, ...]
    before: float | None
    after: float | None = None

    @property
    def surest(self) -> Detection:
        return self.opinions[0]


@dataclass(slots=True, eq=False)
class Track:
    """An appearance in the making. `certain` tells whether any of its scores reached the threshold."""

    number: int
    continues: int | None = None
    certain: bool = False
    sightings: list[Sighting] = field(default_factory=list)
    _scores: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def last(self) -> Detection:
        return self.sightings[-1].surest

    @property
    def label(self) -> str:
        """The class that it has been called most so far."""
        return max(self._scores, key=lambda name: self._scores[name])

    def take(self, sighting: Sighting, thresholds: Mapping[str, float]) -> None:
        """Add what the next sample shows of it."""
        self.sightings.append(sighting)
        for each in sighting.opinions:
            self._scores[each.class_name] += each.score
            self.certain = self.certain or each.score >= thresholds[each.class_name]

    def expected(self, pts_seconds: float) -> Box | None:
        """Where steady motion brings it by then; None where its motion was not watched for as long."""
        last = self.last
        start = last
        for sighting in reversed(self.sightings):
            if last.pts_seconds - sighting.surest.pts_seconds > MOTION_SECONDS:
                break
            start = sighting.surest
        watched, ahead = last.pts_seconds - start.pts_seconds, pts_seconds - last.pts_seconds
        if watched <= 0 or ahead > watched:
            return None
        (x0, y0), (x1, y1) = _centre(start.box), _centre(last.box)
        return moved(last.box, (x1 - x0) * ahead / watched, (y1 - y0) * ahead / watched)


def appearance_of(
    track: Track, thresholds: Mapping[str, float], calibrate: Callable[[str, float], float]
) -> Appearance:
    """What a certain track amounts to.

    Its class is the one, among those that reached their threshold, with the most calibrated probability over
    time: every sample votes with the time that it stands for, so a densely sampled second does not outvote a
    sparsely sampled minute. Its confidence is the time-weighted median of the calibrated probabilities of that
    class where it reached its threshold: more samples of the same scores leave it where it is. (It is as well
    calibrated as the single scores are; the median of many is not calibrated again.)
    """
    times = stands_for(track.sightings)
    votes: dict[str, float] = defaultdict(float)
    reached: set[str] = set()
    for sighting, seconds in zip(track.sightings, times, strict=True):
        for each in sighting.opinions:
            votes[each.class_name] += seconds * calibrate(each.class_name, each.score)
            if each.score >= thresholds[each.class_name]:
                reached.add(each.class_name)
    name = max(sorted(reached), key=lambda candidate: votes[candidate])
    shown = [next((d for d in s.opinions if d.class_name == name), s.surest) for s in track.sightings]
    good = [
        (each, seconds)
        for each, seconds in zip(shown, times, strict=True)
        if each.class_name == name and each.score >= thresholds[name]
    ]
    return Appearance(
        id=track_id(track.number),
        class_name=name,
        confidence=weighted_median([calibrate(name, each.score) for each, _ in good], [seconds for _, seconds in good]),
        detections=tuple(shown),
        best=best_of([each for each, _ in good]),
        continues=None if track.continues is None else track_id(track.continues),
    )


def track_id(number: int) -> str:
    """The id of the appearance that the track becomes."""
    return f"a{number:04d}"


def stands_for(sightings: Sequence[Sighting]) -> list[float]:
    """The seconds of the appearance that lie nearer to each sighting than to any other sample.

    A single sighting counts 1.
    """
    if len(sightings) == 1:
        return [1.0]
    halves = [((each.before or 0.0) / 2, (each.after or 0.0) / 2) for each in sightings]
    return [halves[0][1], *(before + after for before, after in halves[1:-1]), halves[-1][0]]


def weighted_median(values: Sequence[float], weights: Sequence[float]) -> float:
    """The lowest value up to which half of the weight or more lies: where the half falls between two, the lower one.

    The mean of those two would be a score that no look gave, and a further look that gave it would move the median.
    Weights are 0 or more; where all are 0 they count alike. Raises ValueError without values.
    """
    if not values:
        raise ValueError("a median needs values")
    if not any(weights):
        weights = [1.0] * len(values)
    pairs = sorted((value, weight) for value, weight in zip(values, weights, strict=True) if weight > 0)
    half = math.fsum(weights) / 2
    below = 0.0
    for value, weight in pairs:
        below += weight
        if below > half or math.isclose(below, half, rel_tol=1e-9):
            return value
    return pairs[-1][0]


def best_of(detections: Sequence[Detection]) -> Detection:
    """The detection to look at first: the earliest of those with the best `quality`.

    Sharpness counts where it was measured on all of them.
    """
    measured = all(each.sharpness is not None for each in detections)
    return max(detections, key=lambda each: quality(each, by_sharpness=measured))


def quality(detection: Detection, *, by_sharpness: bool = True) -> float:
    """How well an object shows: more for a high score, sharp and large."""
    sharp = math.pow(1 + (detection.sharpness or 0.0), SHARPNESS_POWER) if by_sharpness else 1.0
    return detection.score * sharp * math.pow(area(detection.box), SIZE_POWER)


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
