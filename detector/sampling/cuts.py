"""Finds cuts while a clip is read, and asks for a picture of every shot that would otherwise have none.

Not PySceneDetect or TransNet: those must be given every frame of the clip, while most frames here are never decoded.
This looks at what must be decoded anyway, on the way from a keyframe to a sample (pictures that no other refers to
are left out there, so a shot of two or three frames can go unnoticed), at 0.08 ms a picture (1080p, one
thread, against 1.9 ms for decoding it). Between a sample and the next keyframe nothing is decoded, and nothing is
known about cuts beyond the keyframes that most encoders put there.
"""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

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

    `shots` are the shots so far as (start, end) in seconds, the end being the next one's start; the last is open
    until `finish`. Where pictures were left out between two that were watched, a cut is put at the later one.
    """

    def __init__(self, shortest_shot_seconds: float) -> None:
        self._shortest = shortest_shot_seconds
        self._reformatter = VideoReformatter()
        self._before: _Grey | None = None
        self._seen_seconds = 0.0
        self._begins_after = 0.0
        self._starts: list[float] = []
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

    def _was_seen(self, seconds: float) -> bool:
        return self._before is not None and seconds <= self._seen_seconds

    def _take(self, seconds: float, grey: _Grey, is_sample: bool) -> Picture | None:
        extra = None
        if self._before is None:
            self._first = seconds, grey
            self._starts.append(seconds)
        elif _is_cut(self._before, grey):
            if not self._is_sampled and seconds - self._begins_after >= self._shortest:
                extra = self._held
            self._starts.append(seconds)
            self._begins_after = self._seen_seconds
            self._is_sampled, self._held, self._is_held_well = False, None, False
        self._before, self._seen_seconds = grey, seconds
        self._is_sampled |= is_sample
        return extra

    def shots(self, end_seconds: float) -> list[tuple[float, float]]:
        """The shots that were seen, the last one ending at `end_seconds`."""
        ends = [*self._starts[1:], max([end_seconds, *self._starts[-1:]])]
        return list(zip(self._starts, ends, strict=False))

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
