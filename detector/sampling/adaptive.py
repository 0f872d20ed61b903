"""The adaptive plan: a coarse pass at a promised cadence, then a denser look where something was or may be seen.

1. Coarse pass (see `coarse`): whatever is shown for the cadence or longer is sampled, and a picture of each shot that
   the sizes of the coded pictures suggest between two samples.
2. Closer looks: where something small scored near its threshold in a clip of far more pixels than the model takes,
   the place is looked at again in the clip's own pixels.
3. Grid: GRID_PER_SECOND samples between every two coarse samples of which one has a detection, that is a hit (at or
   above its class's threshold) or a near-hit (below it; the model keeps no others). Near-hits that do not belong to
   the object of a hit are followed from the best one down, as long as that costs at most NEAR_SHARE of the coarse
   pass.
4. Edges: between two neighbouring samples that differ in what they show, the frame in the middle, until the samples
   are neighbouring frames, or for weak objects WEAK_EDGE_SECONDS apart. That ends on the exact first and last frame of
   an object that is seen without a break, after at most log2 of the frames of a grid step. Where the model sees it on
   and off, breaks that the linker bridges are not looked into.

The grid comes before the edges, for all places in one reading: so pictures reach the model in full batches, and the
frames kept in memory for the edges are those of single grid steps rather than those of whole appearances. Decoding a
group of pictures once more for an edge is what that costs.

Samples are at most: the coarse pass, a sample a shot, and for each coarse step that is looked into its length times
GRID_PER_SECOND plus MOST_EDGE_SAMPLES.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, log2

import numpy as np
from numpy.typing import NDArray

from detector.appearances import is_cut
from detector.appearances.boxes import SAME_OBJECT_IOU, affinity, iou
from detector.appearances.linker import CONTINUE_FACTOR, DUPLICATE_IOU, LINK_GAP_SECONDS
from detector.errors import UnknownClass
from detector.frame import Detection
from detector.sampling.coarse import coarse_pass, frames_of_short_shots, suspected_cuts
from detector.sampling.coverage import SAME_PICTURE_SECONDS, LeftOut
from detector.sampling.plan import CloserLook, Request, Sample, Timeline
from detector.taxonomy import weapon_class

GRID_PER_SECOND = 3.0
"""At 25 frames a second, an edge then takes two samples of the grid and three more: as many as without a grid."""
NEAR_SHARE = 0.15
"""Grid samples for near-hits alone, as a share of the coarse samples…"""
NEAR_LEAST = 4
"""…but so many in any case."""
STRONG = 1.5
"""Thresholds that an object's best score reaches…"""
WEAK_EDGE_SECONDS = 0.17
"""…whose first and last frame are found exactly; those of weaker ones, most of which are false alarms, so nearly."""
MOST_EDGE_SAMPLES = 16
"""In each coarse step: enough for two objects that come and go in it at 60 frames a second."""
SAME_PLACE_REACH = 1.0
"""Distance of the centres, in box diagonals, that an object may move from one sample to the next within a grid step."""
CONTEXT_SAMPLES = 80
"""How far along neighbouring samples a weak detection is followed to a hit that vouches for it: some twenty seconds."""
MOST_FOLLOWED = 50_000
"""Steps on such ways that are remembered at a time."""
KEPT_FRAMES = 24
"""Frames between samples that are kept at once, unless the clip's size calls for fewer (see Timeline.kept_frames)."""
CHUNK_SAMPLES = 8
"""With a budget, what so many samples of the coarse pass cost decides how far apart the next ones lie…"""
WIDEST_STEP = 4.0
"""…at most so many times as far as these."""
ROUND_WINDOWS = 4
"""With a budget, so many windows are looked into before the next best ones."""

HIGH_RESOLUTION = 2.0
"""A picture whose longer side is this many times the model's input loses detail that a closer look brings back."""
SMALL_PX = 48.0
"""What is smaller in the model's input is small: three cells of the coarser half of its feature grids (16 px)."""
NEAR_THRESHOLD = 0.4
"""Share of the threshold from which a near-hit is worth a closer look."""
MOST_CLOSER_LOOKS = 48
"""Samples a clip."""


@dataclass(frozen=True, slots=True)
class _Step:
    """From one coarse sample to the next (or to the last frame); `worth` is the better of their best score shares."""

    left: float
    right: float
    worth: float


class Adaptive:
    """See the module. `thresholds` gives the score from which a detection of a class is a hit.

    `time_left` tells how many seconds are left for the coarse pass, where there is a budget. Requests then come in the
    order in which they are most likely to change the answer: the whole clip at a cadence that the time allows, then
    the longest gaps, then hits, then near-hits by score; else in the order that is cheapest as a whole.
    """

    name = "adaptive"
    asks_once = False

    def __init__(
        self,
        cadence_seconds: float,
        shortest_shot_seconds: float,
        thresholds: Mapping[str, float],
        input_px: int,
        *,
        time_left: Callable[[], float] | None = None,
    ) -> None:
        self.cadence_seconds = cadence_seconds
        self._shortest_shot = shortest_shot_seconds
        self._thresholds = thresholds
        self._input_px = input_px
        self._time_left = time_left
        self._timeline = Timeline(np.empty(0), np.empty(0, np.bool_), 0.0)
        self._times: list[float] = []
        self._samples: dict[float, Sample] = {}
        self._seen_on: dict[float, list[Detection]] = {}
        self._followed: dict[tuple[Detection, float], Detection | None] = {}
        self._given_up: dict[str, set[float]] = {}
        self._edge_samples: Counter[float] = Counter()
        self._coarse_times: list[float] = []
        self._requests = self._run()

    @property
    def options(self) -> Mapping[str, float]:
        return {"every_s": self.cadence_seconds, "shortest_shot_s": self._shortest_shot}

    def first(self, timeline: Timeline) -> Request:
        self._timeline = timeline
        return next(self._requests)

    def more(self, samples: Sequence[Sample]) -> Request | None:
        self._take(samples)
        return next(self._requests, None)

    def left_out(self) -> tuple[LeftOut, ...]:
        return tuple(
            LeftOut(min(times), max(times), f"{len(times)} time{'s' if len(times) > 1 else ''} without {what}")
            for what, times in self._given_up.items()
        )

    def _take(self, samples: Sequence[Sample]) -> None:
        for sample in samples:
            if sample.pts_seconds not in self._samples:
                insort(self._times, sample.pts_seconds)
            else:
                self._followed.clear()
            self._samples[sample.pts_seconds] = sample
            self._seen_on.pop(sample.pts_seconds, None)

    def _run(self) -> Iterator[Request]:
        """The requests, one after the other; between two of them `_samples` has grown."""
        yield from self._coarse()
        self._coarse_times = list(self._times)
        closer = self._closer_looks()
        if closer:
            yield Request(tuple(look.sample.pts_seconds for look in closer), closer=closer)
        for steps in self._rounds_of(self._steps()):
            grid = self._grid(steps)
            if grid:
                yield Request(grid)
            # What only a hit beyond what looks like a cut vouches for waits until the cut's own place is known.
            yield from self._edges(steps, over_cuts=False)
            yield from self._edges(steps, over_cuts=True)

    def _coarse(self) -> Iterator[Request]:
        timeline = self._timeline
        pts = timeline.pts_seconds
        if not len(pts):
            yield Request(None, coarse=True)
            return
        if self._time_left is None:
            yield Request(self._coarse_frames(self.cadence_seconds), shots=True, coarse=True)
        else:
            yield from self._coarse_in_time(self._time_left)

    def _coarse_in_time(self, time_left: Callable[[], float]) -> Iterator[Request]:
        """The coarse pass, as much wider as its cost so far says that it must be to come to the clip's end in time.

        Where time is left then, what the cadence wants besides, the longest gaps first.
        """
        pts = self._timeline.pts_seconds
        end = float(pts[-1])
        here, cadence = -1.0, self.cadence_seconds
        left = time_left()
        frames = wanted = self._coarse_frames(self.cadence_seconds)
        while times := frames[(first := bisect_right(frames, here)) : first + CHUNK_SAMPLES]:
            yield Request(times, shots=True, coarse=True)
            passed = times[-1] - max(here, float(pts[0]))
            here = times[-1]
            if math.isfinite(left):
                needed = (left - time_left()) * (end - here) / passed if passed > 0 else 0.0
                wider = cadence * needed / max(time_left(), 1e-3)
                before, cadence = cadence, max(self.cadence_seconds, min(wider, cadence * WIDEST_STEP))
                left = time_left()
                if cadence != before:
                    frames = wanted if cadence == self.cadence_seconds else self._coarse_frames(cadence)
        places = np.searchsorted(pts, [time for time in wanted if not self._is_sampled(time)]).tolist()
        anchors = sorted({0, *np.searchsorted(pts, self._times).tolist()})
        for some in _longest_first(anchors, places, pts):
            yield Request(tuple(pts[list(some)].tolist()), shots=True, coarse=True, between=True)

    def _coarse_frames(self, cadence_seconds: float) -> tuple[float, ...]:
        timeline = self._timeline
        chosen = coarse_pass(
            timeline.pts_seconds,
            timeline.is_keyframe,
            timeline.duration_seconds,
            cadence_seconds,
            self._shortest_shot,
        )
        frames = chosen.frames
        if timeline.packet_bytes is not None and cadence_seconds == self.cadence_seconds:
            cuts = suspected_cuts(timeline.packet_bytes, timeline.is_keyframe)
            frames += frames_of_short_shots(frames, cuts, timeline.pts_seconds, self._shortest_shot)
        return tuple(timeline.pts_seconds[sorted({*frames})].tolist())

    def _worth(self, sample: Sample) -> float:
        return max((self._share(found) for found in sample.detections), default=0.0)

    def _share(self, found: Detection) -> float:
        """The score in thresholds of its class: 1 and more is a hit."""
        threshold = self._thresholds.get(found.class_name, 0.0)
        return found.score / threshold if threshold > 0 else float("inf")

    def _closer_looks(self) -> tuple[CloserLook, ...]:
        longer = max(self._timeline.width, self._timeline.height)
        if longer < HIGH_RESOLUTION * self._input_px:
            return ()
        small = SMALL_PX * longer / self._input_px
        wanted = []
        for time in self._times:
            sample = self._samples[time]
            boxes = {
                found.box: self._share(found)
                for found in sample.detections
                if NEAR_THRESHOLD <= self._share(found) < 1
                and max(found.box[2] - found.box[0], found.box[3] - found.box[1]) <= small
            }
            if boxes:
                wanted.append((max(boxes.values()), CloserLook(sample, tuple(boxes))))
        wanted.sort(key=lambda each: (-each[0], each[1].sample.pts_seconds))
        self._give_up(
            [look.sample.pts_seconds for _, look in wanted[MOST_CLOSER_LOOKS:]], "a closer look at something small"
        )
        return tuple(sorted((look for _, look in wanted[:MOST_CLOSER_LOOKS]), key=lambda look: look.sample.pts_seconds))

    def _steps(self) -> list[_Step]:
        """The coarse steps worth looking into, in time order."""
        times = self._coarse_times
        last = float(self._timeline.pts_seconds[-1]) if len(self._timeline.pts_seconds) else 0.0
        ends = [*times[1:], max(last, times[-1])] if times else []
        worth = [self._worth(self._samples[time]) for time in times]
        steps = [
            _Step(left, right, max(worth[place], worth[place + 1] if place + 1 < len(worth) else 0.0))
            for place, (left, right) in enumerate(zip(times, ends, strict=True))
        ]
        of_hits = {time for time in times if self._belongs_to_a_hit(self._samples[time])}
        hits = [step for step in steps if step.left in of_hits or step.right in of_hits]
        others = (step for step in steps if step.worth > 0 and step.left not in of_hits and step.right not in of_hits)
        near = sorted(others, key=lambda step: (-step.worth, step.left))
        allowance = max(NEAR_LEAST, NEAR_SHARE * len(times))
        kept = []
        for position, step in enumerate(near):
            allowance -= len(self._grid([step]))
            if allowance < 0:
                self._give_up([each.left for each in near[position:]], "a denser look around a weak detection")
                break
            kept.append(step)
        return sorted([*hits, *kept], key=lambda step: step.left)

    def _rounds_of(self, steps: Sequence[_Step]) -> Iterator[list[_Step]]:
        """All steps at once, or with a budget a few windows of steps that touch at a time, the best ones first."""
        if self._time_left is None:
            if steps:
                yield list(steps)
            return
        windows: list[list[_Step]] = []
        for step in steps:
            if windows and windows[-1][-1].right == step.left:
                windows[-1].append(step)
            else:
                windows.append([step])
        windows.sort(key=lambda window: (-max(step.worth for step in window), window[0].left))
        for start in range(0, len(windows), ROUND_WINDOWS):
            together = [step for window in windows[start : start + ROUND_WINDOWS] for step in window]
            yield sorted(together, key=lambda step: step.left)

    def _grid(self, steps: Sequence[_Step]) -> tuple[float, ...]:
        pts = self._timeline.pts_seconds
        times: set[float] = set()
        for step in steps:
            parts = max(1, ceil((step.right - step.left) * GRID_PER_SECOND - 0.01))
            first, end = np.searchsorted(pts, [step.left + SAME_PICTURE_SECONDS, step.right + SAME_PICTURE_SECONDS])
            if end - first <= parts:
                times.update(pts[first:end].tolist())
                continue
            is_sampled = step.right in self._samples
            for number in range(1, parts if is_sampled else parts + 1):
                wanted = step.left + (step.right - step.left) * number / parts
                place = int(np.searchsorted(pts, wanted))
                near = min((abs(float(pts[each]) - wanted), float(pts[each])) for each in _around(place, len(pts)))
                if step.left + SAME_PICTURE_SECONDS < near[1]:
                    times.add(near[1])
        return tuple(sorted(time for time in times if not self._is_sampled(time)))

    def _edges(self, steps: Sequence[_Step], *, over_cuts: bool) -> Iterator[Request]:
        """To the edges in these steps that are worth it; see `_strength` for `over_cuts`."""
        pairs: deque[tuple[float, float]] = deque()
        for step in steps:
            start = bisect_left(self._times, step.left)
            end = bisect_left(self._times, step.right + SAME_PICTURE_SECONDS)
            pairs.extend(pairwise(self._times[start:end]))
        room = self._timeline.kept_frames or KEPT_FRAMES
        while pairs:
            group: list[tuple[float, float]] = []
            frames = 0
            while pairs and (not group or frames < room):
                pair = pairs.popleft()
                if self._is_open(pair, over_cuts):
                    group.append(pair)
                    frames += self._frames_between(*pair)[1]
            while group:
                middles = {self._middle(*pair): pair for pair in group}
                yield Request(tuple(sorted(middles)), keep=tuple(sorted(group)))
                parted: list[tuple[float, float]] = []
                for left, right in group:
                    place = bisect_left(self._times, left + SAME_PICTURE_SECONDS)
                    middle = self._times[place] if place < len(self._times) else right
                    if middle < right - SAME_PICTURE_SECONDS:
                        parted += [(left, middle), (middle, right)]
                group = sorted(pair for pair in parted if self._is_open(pair, over_cuts))

    def _is_open(self, pair: tuple[float, float], over_cuts: bool) -> bool:
        """Whether an edge lies between two samples that are further apart than its place should stay unknown."""
        if not self._frames_between(*pair)[1]:
            return False
        strength = self._strongest_edge(*pair, over_cuts)
        if strength < 1 or (strength < STRONG and pair[1] - pair[0] <= WEAK_EDGE_SECONDS):
            return False
        step = self._coarse_times[max(0, bisect_left(self._coarse_times, pair[1]) - 1)]
        if self._edge_samples[step] >= MOST_EDGE_SAMPLES:
            self._give_up([pair[0]], "the exact first or last frame of something seen on and off")
            return False
        self._edge_samples[step] += 1
        return True

    def _strongest_edge(self, left: float, right: float, over_cuts: bool) -> float:
        """The highest score share of what is seen on one of two neighbouring samples and not on the other; 0 if none.

        The share is that of its object's best sample nearby: a weak last glimpse of a strong object counts as strong.
        """
        one, other = self._samples[left], self._samples[right]
        seen_left, seen_right = self._seen(one), self._seen(other)
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
        place = bisect_left(self._times, time)
        before = self._samples[time]
        while True:
            place += direction
            if not 0 <= place < len(self._times) or abs(self._times[place] - time) > LINK_GAP_SECONDS:
                return False
            sample = self._samples[self._times[place]]
            if is_cut(before.look, sample.look):
                return False
            if _again(found, self._seen(sample)):
                return True
            before = sample

    def _seen(self, sample: Sample) -> list[Detection]:
        """What counts as seen: from the score on with which an appearance goes on, and no object twice."""
        if sample.pts_seconds in self._seen_on:
            return self._seen_on[sample.pts_seconds]
        objects = self._seen_on[sample.pts_seconds] = []
        for found in sorted(sample.detections, key=self._share, reverse=True):
            share = self._share(found)
            if share < CONTINUE_FACTOR:
                break
            nearest = max((iou(found.box, better.box) for better in objects), default=0.0)
            if nearest < (DUPLICATE_IOU if share >= 1 else SAME_OBJECT_IOU):
                objects.append(found)
        return objects

    def _belongs_to_a_hit(self, sample: Sample) -> bool:
        return any(
            self._strength(found, sample.pts_seconds, direction, over_cuts=True) >= 1
            for found in self._seen(sample)
            for direction in (-1, 1)
        )

    def _strength(self, found: Detection, time: float, direction: int, *, over_cuts: bool) -> float:
        """The best score share of the object from here on in that direction, as far as it is seen without a break.

        Looks no further than to the first one from STRONG on, nor than CONTEXT_SAMPLES, nor over a cut. `over_cuts` it
        does where the cut's place is not known: what looks like one between samples further apart may be a quick pan.
        """
        place = bisect_left(self._times, time)
        best = self._share(found)
        sample = self._samples[time]
        for _ in range(CONTEXT_SAMPLES):
            place += direction
            if best >= STRONG or not 0 <= place < len(self._times):
                break
            before, sample = sample, self._samples[self._times[place]]
            is_near = abs(sample.pts_seconds - before.pts_seconds) <= WEAK_EDGE_SECONDS
            if (is_near or not over_cuts) and is_cut(before.look, sample.look):
                break
            next_one = self._followed_to(sample, found)
            if next_one is None:
                break
            found = next_one
            best = max(best, self._share(found))
        return best

    def _followed_to(self, sample: Sample, found: Detection) -> Detection | None:
        """`_again` for what is seen on a sample; remembered, as many things are followed over the same samples."""
        known = found, sample.pts_seconds
        if known not in self._followed:
            if len(self._followed) >= MOST_FOLLOWED:
                self._followed.clear()
            self._followed[known] = _again(found, self._seen(sample))
        return self._followed[known]

    def _frames_between(self, left: float, right: float) -> tuple[int, int]:
        """Position of the first frame after `left` and the number of frames from there on before `right`."""
        pts = self._timeline.pts_seconds
        first = int(np.searchsorted(pts, left + SAME_PICTURE_SECONDS, side="right"))
        return first, max(0, int(np.searchsorted(pts, right - SAME_PICTURE_SECONDS, side="left")) - first)

    def _middle(self, left: float, right: float) -> float:
        first, count = self._frames_between(left, right)
        return float(self._timeline.pts_seconds[first + count // 2])

    def _is_sampled(self, time: float) -> bool:
        place = bisect_left(self._times, time - SAME_PICTURE_SECONDS)
        return place < len(self._times) and self._times[place] <= time + SAME_PICTURE_SECONDS

    def _give_up(self, times: Sequence[float], what: str) -> None:
        if times:
            self._given_up.setdefault(what, set()).update(times)


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


def _around(place: int, count: int) -> range:
    return range(max(0, place - 1), min(count, place + 1))


def _from_far_to_near(places: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """All places, each once, in ascending rounds of which each halves the distances that the one before left."""
    stride = 1
    while stride * 32 < len(places):
        stride *= 2
    yield tuple(places[::stride])
    while stride > 1:
        yield tuple(places[stride // 2 :: stride])
        stride //= 2


def _longest_first(anchors: Sequence[int], fills: Sequence[int], pts: NDArray[np.float64]) -> Iterator[tuple[int, ...]]:
    """The fill-ins between anchors, those of the longest gaps first, in rounds of gaps of a similar length."""
    gaps: dict[int, list[int]] = {}
    for fill in fills:
        gaps.setdefault(bisect_left(anchors, fill) - 1, []).append(fill)

    def octave(gap: int) -> int:
        end = float(pts[anchors[gap + 1]]) if gap + 1 < len(anchors) else float(pts[-1])
        return ceil(log2(max(end - float(pts[anchors[gap]]), 1e-3)))

    for length in sorted({octave(gap) for gap in gaps}, reverse=True):
        alike = [gap for gap in sorted(gaps) if octave(gap) == length]
        for some in _from_far_to_near(alike):
            yield tuple(fill for gap in some for fill in gaps[gap])
