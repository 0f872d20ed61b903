"""Finds cuts while a clip is read, and asks for a picture of every shot that would otherwise have none.

Not PySceneDetect or TransNet: those must be given every frame of the clip, while most frames here are never decoded.
This looks at what must be decoded anyway, on the way from a keyframe to a sample (pictures that no other refers to
are left out there, so a shot of two or three frames can go unnoticed), at 0.08 ms a picture (1080p, one
thread, against 1.9 ms for decoding it). Between a sample and the next keyframe nothing is decoded, and nothing is
known about cuts beyond the keyframes that most encoders put there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from detector.sampling.coverage import SAME_PICTURE_SECONDS
from detector.video.reader import Picture

WIDTH, HEIGHT = 64, 36
"""Size of the grey picture by which two pictures are compared, px."""
BLOCK = 4
"""Its layout is the means of blocks of this side."""
LEVELS = 16
SAME_LEVELS = 0.90
"""Intersection of the grey-level histograms (Swain and Ballard 1991) from which two pictures are of one shot."""
SAME_LAYOUT = 0.90
"""…or Pearson correlation of the layouts. As in detector.appearances.shots, with grey instead of colours, but
stricter: these pictures are a few frames apart at most. On the demo clip all 18 cuts and nothing else lie below."""
OTHER_LAYOUT = 0.6
"""A correlation below which even pictures of the same grey levels are of two shots. A whip pan
changes the layout as much, but a cut too many costs a sample at most."""
PLAIN = 2.0
"""A standard deviation of the layout, in grey levels, below which there is no layout to compare."""


@dataclass(frozen=True, slots=True, eq=False)
class _Grey:
    levels: NDArray[np.float32]
    layout: NDArray[np.float32]


class CutWatch:
    """Watches pictures in the order in which they are shown (see `Video.frames_at`).

    `is_between`: it watches the ways to samples that lie between others (see `between`).
    """

    def __init__(self, shortest_shot_seconds: float, *, is_between: bool = False) -> None:
        self._shortest = shortest_shot_seconds
        self._is_between = is_between
        self._reformatter = VideoReformatter()
        self._before: _Grey | None = None
        self._seen_seconds = 0.0
        self._begins_after = 0.0
        self._starts: list[tuple[float, float]] = []
        """For each shot the times of two pictures between which it begins; that of the first picture, twice."""
        self._is_sampled = False
        self._held: Picture | None = None
        self._is_held_well = False
        self._first: tuple[float, _Grey] | None = None

    def __call__(self, picture: Picture, is_sample: bool) -> Picture | None:
        """Take the next picture; hands back one of the shot that ended before it, if that has no sample yet."""
        if self._was_seen(picture.seconds):
            self._is_sampled |= is_sample
            return None
        try:
            grey = self._grey(picture)
        except (av.FFmpegError, ValueError):
            # Who converts it for the model finds the same, and reports it.
            return None
        extra = self._take(picture.seconds, grey, is_sample)
        if self._is_between and picture.is_keyframe:
            # Here begins the way to another sample; what of this shot lies before it may have one.
            self._is_sampled = True
        if self._is_sampled:
            self._held = None
        elif not self._is_held_well:
            # The first pictures after a cut are often the worst coded ones: take one from the middle of the shortest.
            self._held = picture
            self._is_held_well = picture.seconds - self._begins_after >= self._shortest / 2
        return extra

    @property
    def count(self) -> int:
        """How many shots were seen so far."""
        return len(self._starts)

    def apart(self) -> CutWatch:
        """A watch for a later part of the clip, which begins and ends with a sample, as what comes before it does."""
        return CutWatch(self._shortest)

    def join(self, part: CutWatch) -> None:
        """Take over what the watch of the next part saw."""
        if part._first is None:
            return
        seconds, grey = part._first
        if not self._was_seen(seconds):
            self._take(seconds, grey, True)
        self._starts += part._starts[1:]
        if len(part._starts) > 1:
            self._begins_after = part._begins_after
        self._before, self._seen_seconds = part._before, part._seen_seconds
        self._is_sampled = True

    def between(self) -> CutWatch:
        """A watch for the ways to further samples, between those that there are; its own go to `take_over`."""
        return CutWatch(self._shortest, is_between=True)

    def take_over(self, between: CutWatch) -> None:
        """Take over what a watch from `between` saw."""
        self._starts += between._starts[1:]

    def _was_seen(self, seconds: float) -> bool:
        return self._before is not None and seconds <= self._seen_seconds

    def _take(self, seconds: float, grey: _Grey, is_sample: bool) -> Picture | None:
        extra = None
        if self._before is None:
            self._first = seconds, grey
            self._starts.append((seconds, seconds))
        elif _is_cut(self._before, grey):
            if not self._is_sampled and seconds - self._begins_after >= self._shortest:
                extra = self._held
            self._starts.append((self._seen_seconds, seconds))
            self._begins_after = self._seen_seconds
            self._is_sampled, self._held, self._is_held_well = False, None, False
        self._before, self._seen_seconds = grey, seconds
        self._is_sampled |= is_sample
        return extra

    def shots(
        self, end_seconds: float, looked_at: Sequence[float] = (), cuts: Sequence[tuple[float, float]] = ()
    ) -> list[tuple[float, float]]:
        """The shots that were seen as (start, end) in seconds, the end being the next one's start or `end_seconds`.

        A cut is put at the later of the two pictures between which it lies. Where samples lie between these, those that
        differ tell its place: `looked_at` are the ascending times of all samples, `cuts` those of each two successive
        ones that differ.
        """
        starts = _placed(self._starts, looked_at, cuts)
        ends = [*starts[1:], max([end_seconds, *starts[-1:]])]
        return list(zip(starts, ends, strict=False))

    def _grey(self, picture: Picture) -> _Grey:
        small = self._reformatter.reformat(
            picture.frame,
            width=WIDTH,
            height=HEIGHT,
            format="gray",
            interpolation=Interpolation.FAST_BILINEAR,
            threads=1,
        ).to_ndarray()
        levels = np.bincount(small.ravel() // (256 // LEVELS), minlength=LEVELS) / small.size
        blocks = small.reshape(HEIGHT // BLOCK, BLOCK, WIDTH // BLOCK, BLOCK).mean(axis=(1, 3), dtype=np.float32)
        layout = blocks.ravel() - blocks.mean()
        spread = float(layout.std())
        layout = layout / np.linalg.norm(layout) if spread >= PLAIN else np.zeros_like(layout)
        return _Grey(levels.astype(np.float32), layout)


def _is_cut(before: _Grey, after: _Grey) -> bool:
    likeness = float(before.layout @ after.layout)
    if float(np.minimum(before.levels, after.levels).sum()) >= SAME_LEVELS:
        return likeness < OTHER_LAYOUT and bool(before.layout.any()) and bool(after.layout.any())
    return likeness < SAME_LAYOUT


def _placed(
    seen: Sequence[tuple[float, float]], looked_at: Sequence[float], cuts: Sequence[tuple[float, float]]
) -> list[float]:
    """See `CutWatch.shots`."""
    exact: list[float] = []
    loose: list[tuple[float, float]] = []
    for after, at in seen:
        inside = bisect_right(looked_at, after + SAME_PICTURE_SECONDS)
        is_loose = inside < len(looked_at) and looked_at[inside] < at - SAME_PICTURE_SECONDS
        loose.append((after, at)) if is_loose else exact.append(at)
    exact.sort()
    starts = {*exact}
    later = [right for _, right in cuts]
    for after, at in loose:
        is_placed = _is_any_in(exact, after, at)
        place = bisect_right(later, after)
        while place < len(cuts) and cuts[place][0] < at:
            left, right = cuts[place]
            if not _is_any_in(exact, left, right):
                starts.add(right)
                is_placed = True
            place += 1
        if not is_placed:
            starts.add(at)
    return sorted(starts)


def _is_any_in(times: Sequence[float], after: float, until: float) -> bool:
    place = bisect_right(times, after)
    return place < len(times) and times[place] <= until
