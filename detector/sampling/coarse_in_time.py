"""The coarse pass within a budget: chunk by chunk, as dense as what the ones before cost leaves time for."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from math import ceil, log2

import numpy as np
from numpy.typing import NDArray

from detector.sampling.coarse import coarse_times, wider_times
from detector.sampling.plan import Request, Timeline
from detector.sampling.seen import Seen

FIRST_SAMPLES, CHUNK_SAMPLES = 2, 8
"""What so many samples cost, at the beginning and at most, decides how far apart the next ones lie…"""
WIDEST_STEP = 8.0
"""…at most so many times as far as these."""


def coarse_in_time(
    timeline: Timeline,
    seen: Seen,
    cadence_seconds: float,
    shortest_shot_seconds: float,
    time_left: Callable[[], float],
) -> Iterator[Request]:
    """As much wider than the cadence as the cost so far says that it must be to come to the clip's end in time.

    Where time is left then, what the cadence wants besides, the longest gaps first. Between two requests `seen` grows.
    The clip has frames.
    """
    pts = timeline.pts_seconds
    end = float(pts[-1])
    here, cadence = -math.inf, cadence_seconds
    left, count = time_left(), FIRST_SAMPLES
    frames = wanted = coarse_times(timeline, cadence_seconds, shortest_shot_seconds)
    while times := frames[(first := bisect_right(frames, here)) : first + count]:
        yield Request(times, shots=True, coarse=True)
        # The first two may be neighbours, which say nothing of how much of the clip so much time is enough for.
        passed = max(times[-1] - max(here, float(pts[0])), cadence_seconds)
        here, count = times[-1], min(2 * count, CHUNK_SAMPLES)
        left_before, left = left, time_left()
        if 0 < left < math.inf:
            needed = (left_before - left) * (end - here) / passed
            wider = cadence * needed / max(left, 1e-3)
            before, cadence = cadence, max(cadence_seconds, min(wider, cadence * WIDEST_STEP))
            if cadence != before:
                is_wanted = cadence == cadence_seconds
                frames = wanted if is_wanted else wider_times(timeline, cadence, shortest_shot_seconds)
    places = np.searchsorted(pts, [time for time in wanted if not seen.is_sampled(time)]).tolist()
    anchors = sorted({0, *np.searchsorted(pts, seen.times).tolist()})
    for some in _longest_first(anchors, places, pts):
        yield Request(tuple(pts[list(some)].tolist()), shots=True, coarse=True, between=True)


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
