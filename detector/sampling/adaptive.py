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

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

import numpy as np

from detector.sampling.coarse import coarse_times
from detector.sampling.coarse_in_time import coarse_in_time
from detector.sampling.coverage import SAME_PICTURE_SECONDS, LeftOut
from detector.sampling.plan import CloserLook, Request, Sample, Timeline
from detector.sampling.seen import STRONG, WEAK_EDGE_SECONDS, Seen

GRID_PER_SECOND = 3.0
"""At 25 frames a second, an edge then takes two samples of the grid and three more: as many as without a grid."""
NEAR_SHARE = 0.15
"""Grid samples for near-hits alone, as a share of the coarse samples…"""
NEAR_LEAST = 4
"""…but so many in any case."""
MOST_EDGE_SAMPLES = 16
"""In each coarse step: enough for two objects that come and go in it at 60 frames a second."""
KEPT_FRAMES = 24
"""Frames between samples that are kept at once, unless the clip's size calls for fewer (see Timeline.kept_frames)."""
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
        self._input_px = input_px
        self._time_left = time_left
        self._timeline = Timeline(np.empty(0), np.empty(0, np.bool_), 0.0)
        self._seen = Seen(thresholds)
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
        self._seen.take(samples)
        return next(self._requests, None)

    def left_out(self) -> tuple[LeftOut, ...]:
        return tuple(
            LeftOut(min(times), max(times), f"{len(times)} time{'s' if len(times) > 1 else ''} without {what}")
            for what, times in self._given_up.items()
        )

    def _run(self) -> Iterator[Request]:
        """The requests, one after the other; between two of them `_seen` has grown."""
        yield from self._coarse()
        self._coarse_times = list(self._seen.times)
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
        timeline, options = self._timeline, (self.cadence_seconds, self._shortest_shot)
        if not len(timeline.pts_seconds):
            yield Request(None, coarse=True)
        elif self._time_left is None:
            yield Request(coarse_times(timeline, *options), shots=True, coarse=True)
        else:
            yield from coarse_in_time(timeline, self._seen, *options, self._time_left)

    def _closer_looks(self) -> tuple[CloserLook, ...]:
        longer = max(self._timeline.width, self._timeline.height)
        if longer < HIGH_RESOLUTION * self._input_px:
            return ()
        small = SMALL_PX * longer / self._input_px
        wanted = []
        for time in self._seen.times:
            sample = self._seen.samples[time]
            boxes = {
                found.box: self._seen.share(found)
                for found in sample.detections
                if NEAR_THRESHOLD <= self._seen.share(found) < 1
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
        worth = [self._seen.worth(self._seen.samples[time]) for time in times]
        steps = [
            _Step(left, right, max(worth[place], worth[place + 1] if place + 1 < len(worth) else 0.0))
            for place, (left, right) in enumerate(zip(times, ends, strict=True))
        ]
        of_hits = {time for time in times if self._seen.belongs_to_a_hit(self._seen.samples[time])}
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
            is_sampled = step.right in self._seen.samples
            for number in range(1, parts if is_sampled else parts + 1):
                wanted = step.left + (step.right - step.left) * number / parts
                place = int(np.searchsorted(pts, wanted))
                near = min((abs(time - wanted), time) for time in pts[max(0, place - 1) : place + 1].tolist())
                if step.left + SAME_PICTURE_SECONDS < near[1]:
                    times.add(near[1])
        return tuple(sorted(time for time in times if not self._seen.is_sampled(time)))

    def _edges(self, steps: Sequence[_Step], *, over_cuts: bool) -> Iterator[Request]:
        """To the edges in these steps that are worth it; see `Seen.strongest_edge` for `over_cuts`."""
        pairs: deque[tuple[float, float]] = deque()
        for step in steps:
            start = bisect_left(self._seen.times, step.left)
            end = bisect_left(self._seen.times, step.right + SAME_PICTURE_SECONDS)
            pairs.extend(pairwise(self._seen.times[start:end]))
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
                    place = bisect_left(self._seen.times, left + SAME_PICTURE_SECONDS)
                    middle = self._seen.times[place] if place < len(self._seen.times) else right
                    if middle < right - SAME_PICTURE_SECONDS:
                        parted += [(left, middle), (middle, right)]
                group = sorted(pair for pair in parted if self._is_open(pair, over_cuts))

    def _is_open(self, pair: tuple[float, float], over_cuts: bool) -> bool:
        """Whether an edge lies between two samples that are further apart than its place should stay unknown."""
        if not self._frames_between(*pair)[1]:
            return False
        strength = self._seen.strongest_edge(*pair, over_cuts=over_cuts)
        if strength < 1 or (strength < STRONG and pair[1] - pair[0] <= WEAK_EDGE_SECONDS):
            return False
        step = self._coarse_times[max(0, bisect_left(self._coarse_times, pair[1]) - 1)]
        if self._edge_samples[step] >= MOST_EDGE_SAMPLES:
            self._give_up([pair[0]], "the exact first or last frame of something seen on and off")
            return False
        self._edge_samples[step] += 1
        return True

    def _frames_between(self, left: float, right: float) -> tuple[int, int]:
        """Position of the first frame after `left` and the number of frames from there on before `right`."""
        pts = self._timeline.pts_seconds
        first = int(np.searchsorted(pts, left + SAME_PICTURE_SECONDS, side="right"))
        return first, max(0, int(np.searchsorted(pts, right - SAME_PICTURE_SECONDS, side="left")) - first)

    def _middle(self, left: float, right: float) -> float:
        first, count = self._frames_between(left, right)
        return float(self._timeline.pts_seconds[first + count // 2])

    def _give_up(self, times: Sequence[float], what: str) -> None:
        if times:
            self._given_up.setdefault(what, set()).update(times)
