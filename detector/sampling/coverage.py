"""What was looked at: an account of the samples that were really decoded, and what 'not found' then means."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class UndecodedRange:
    """A stretch of the timeline, in seconds, whose pictures could not be decoded, and why."""

    from_seconds: float
    to_seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was looked at. The gap is 0, at None, where every frame was looked at.

    `longest_gap_seconds` is the longest time between two samples, or between the ends of the clip and a
    sample, with at least one frame in between that was not looked at; it includes the undecoded ranges.
    """

    samples: int
    longest_gap_seconds: float
    longest_gap_at_seconds: float | None
    undecoded: tuple[UndecodedRange, ...]
    statement: str

    @property
    def guarantee_seconds(self) -> float:
        """Anything visible for at least this long was sampled at least once."""
        return self.longest_gap_seconds


def measure_coverage(
    sampled: Iterable[float],
    frames: Sequence[float],
    duration_seconds: float,
    undecoded: Sequence[UndecodedRange] = (),
) -> Coverage:
    """The coverage of a clip.

    `sampled` are the PTS of the pictures that the model saw, `frames` the ascending PTS of all frames that the
    container lists, both in seconds on the clip's timeline. A frame within half a millisecond of a sample counts
    as that sample: containers round PTS to their time base.
    """
    looked_at = sorted(set(sampled))
    gap, at = 0.0, None
    start = min([*frames[:1], *looked_at[:1], *(r.from_seconds for r in undecoded)], default=0.0)
    end = max([duration_seconds, *(r.to_seconds for r in undecoded)])
    bounds = [start, *looked_at, end]
    for position, (left, right) in enumerate(pairwise(bounds)):
        if right - left <= gap:
            continue
        first, last = position == 0, position == len(bounds) - 2
        low = left - 1.0 if first else left + 0.0005
        high = right + 1.0 if last else right - 0.0005
        next_frame = bisect_right(frames, low)
        unseen_frame = next_frame < len(frames) and frames[next_frame] < high
        unseen_range = any(
            r.from_seconds < right and r.to_seconds > left and r.to_seconds > r.from_seconds for r in undecoded
        )
        if unseen_frame or unseen_range:
            gap, at = right - left, left
    return Coverage(len(looked_at), gap, at, tuple(undecoded), _statement(len(looked_at), gap, undecoded))


def _statement(samples: int, gap: float, undecoded: Sequence[UndecodedRange]) -> str:
    if not samples:
        return "Nothing was looked at: no picture could be decoded."
    looked = f"{samples} picture{'s' if samples != 1 else ''} looked at"
    if gap == 0:
        promise = f"Every picture of the clip was sampled ({looked})"
    else:
        promise = f"Anything visible for at least {gap:.2f} s was sampled at least once ({looked})"
    lost = sum(max(0.0, r.to_seconds - r.from_seconds) for r in undecoded)
    damage = f" {lost:.2f} s could not be decoded and were not looked at." if undecoded else ""
    return (
        f"{promise}.{damage} Being sampled is not being found: an object that is small, hidden or blurred "
        "can be missed, see the model card."
    )
