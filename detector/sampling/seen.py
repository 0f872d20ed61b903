"""What the model saw on the samples so far, and what of it is one object from one sample to the next."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence

from detector.appearances import is_cut
from detector.appearances.boxes import SAME_OBJECT_IOU, affinity, iou
from detector.appearances.linker import CONTINUE_FACTOR, DUPLICATE_IOU, LINK_GAP_SECONDS
from detector.errors import UnknownClass
from detector.frame import Detection
from detector.sampling.coverage import SAME_PICTURE_SECONDS
from detector.sampling.plan import Sample
from detector.taxonomy import weapon_class

STRONG = 1.5
"""Thresholds that an object's best score reaches…"""
WEAK_EDGE_SECONDS = 0.17
"""…whose first and last frame are found exactly; those of weaker ones, most of which are false alarms, so nearly."""
SAME_PLACE_REACH = 1.0
"""Distance of the centres, in box diagonals, that an object may move from one sample to the next within a grid step."""
CONTEXT_SAMPLES = 80
"""How far along neighbouring samples a weak detection is followed to a hit that vouches for it: some twenty seconds."""
MOST_FOLLOWED = 50_000
"""Steps on such ways that are remembered at a time."""


class Seen:
    """`samples` by their times, and these `times` in ascending order. `thresholds` gives the score from which a
    detection of a class is a hit."""

    def __init__(self, thresholds: Mapping[str, float]) -> None:
        self._thresholds = thresholds
        self.times: list[float] = []
        self.samples: dict[float, Sample] = {}
        self._objects_on: dict[float, list[Detection]] = {}
        self._followed: dict[tuple[Detection, float], Detection | None] = {}

    def take(self, samples: Sequence[Sample]) -> None:
        for sample in samples:
            if sample.pts_seconds not in self.samples:
                insort(self.times, sample.pts_seconds)
            else:
                self._followed.clear()
            self.samples[sample.pts_seconds] = sample
            self._objects_on.pop(sample.pts_seconds, None)

    def worth(self, sample: Sample) -> float:
        return max((self.share(found) for found in sample.detections), default=0.0)

    def share(self, found: Detection) -> float:
        """The score in thresholds of its class: 1 and more is a hit."""
        threshold = self._thresholds.get(found.class_name, 0.0)
        return found.score / threshold if threshold > 0 else float("inf")

    def strongest_edge(self, left: float, right: float, *, over_cuts: bool) -> float:
        """The highest score share of what is seen on one of two neighbouring samples and not on the other; 0 if none.

        The share is that of its object's best sample nearby: a weak last glimpse of a strong object counts as strong.
        Nearby ends at a cut, unless `over_cuts` where the cut's place is not known: what looks like one between samples
        further apart may be a quick pan.
        """
        one, other = self.samples[left], self.samples[right]
        seen_left, seen_right = self._objects(one), self._objects(other)
        if not seen_left and not seen_right:
            return 0.0
        if is_cut(one.look, other.look):
            gone, came = seen_left, seen_right
        else:
            gone = [found for found in seen_left if not self._is_seen_soon(found, left, 1)]
            came = [found for found in seen_right if not self._is_seen_soon(found, right, -1)]
        return max(
            [self._strength(found, left, -1, over_cuts=over_cuts) for found in gone]
            + [self._strength(found, right, 1, over_cuts=over_cuts) for found in came],
            default=0.0,
        )

    def _is_seen_soon(self, found: Detection, time: float, direction: int) -> bool:
        """Whether the object is on a sample in that direction, in this shot, before its appearance would end."""
        place = bisect_left(self.times, time)
        before = self.samples[time]
        while True:
            place += direction
            if not 0 <= place < len(self.times) or abs(self.times[place] - time) > LINK_GAP_SECONDS:
                return False
            sample = self.samples[self.times[place]]
            if is_cut(before.look, sample.look):
                return False
            if _again(found, self._objects(sample)):
                return True
            before = sample

    def _objects(self, sample: Sample) -> list[Detection]:
        """What counts as seen: from the score on with which an appearance goes on, and no object twice."""
        if sample.pts_seconds in self._objects_on:
            return self._objects_on[sample.pts_seconds]
        objects = self._objects_on[sample.pts_seconds] = []
        for found in sorted(sample.detections, key=self.share, reverse=True):
            share = self.share(found)
            if share < CONTINUE_FACTOR:
                break
            nearest = max((iou(found.box, better.box) for better in objects), default=0.0)
            if nearest < (DUPLICATE_IOU if share >= 1 else SAME_OBJECT_IOU):
                objects.append(found)
        return objects

    def belongs_to_a_hit(self, sample: Sample) -> bool:
        return any(
            self._strength(found, sample.pts_seconds, direction, over_cuts=True) >= 1
            for found in self._objects(sample)
            for direction in (-1, 1)
        )

    def _strength(self, found: Detection, time: float, direction: int, *, over_cuts: bool) -> float:
        """The best score share of the object from here on in that direction, as far as it is seen without a break.

        Looks no further than to the first one from STRONG on, nor than CONTEXT_SAMPLES.
        """
        place = bisect_left(self.times, time)
        best = self.share(found)
        sample = self.samples[time]
        for _ in range(CONTEXT_SAMPLES):
            place += direction
            if best >= STRONG or not 0 <= place < len(self.times):
                break
            before, sample = sample, self.samples[self.times[place]]
            is_near = abs(sample.pts_seconds - before.pts_seconds) <= WEAK_EDGE_SECONDS
            if (is_near or not over_cuts) and is_cut(before.look, sample.look):
                break
            next_one = self._followed_to(sample, found)
            if next_one is None:
                break
            found = next_one
            best = max(best, self.share(found))
        return best

    def _followed_to(self, sample: Sample, found: Detection) -> Detection | None:
        """`_again` for what is seen on a sample; remembered, as many things are followed over the same samples."""
        known = found, sample.pts_seconds
        if known not in self._followed:
            if len(self._followed) >= MOST_FOLLOWED:
                self._followed.clear()
            self._followed[known] = _again(found, self._objects(sample))
        return self._followed[known]

    def is_sampled(self, time: float) -> bool:
        place = bisect_left(self.times, time - SAME_PICTURE_SECONDS)
        return place < len(self.times) and self.times[place] <= time + SAME_PICTURE_SECONDS


def _again(found: Detection, others: Sequence[Detection]) -> Detection | None:
    """The best match of a detection among those of a neighbouring sample: the same kind of thing at the same place.

    Boxes of two kinds that overlap like those of one object are taken as two opinions about it, as in Linker.
    """
    best, match = 0.0, None
    for other in others:
        closeness = affinity(found.box, other.box, SAME_PLACE_REACH)
        if closeness > best and (
            _family(other.class_name) == _family(found.class_name) or iou(found.box, other.box) >= DUPLICATE_IOU
        ):
            best, match = closeness, other
    return match


def _family(class_name: str) -> str:
    try:
        return weapon_class(class_name).group
    except UnknownClass:
        return class_name
