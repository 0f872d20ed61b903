"""What was looked at: an account of the samples that were really decoded, and what 'not found' then means."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

SAME_PICTURE_SECONDS = 0.0005
"""A frame this near to a sample is that sample: containers round PTS to their time base."""
EVEN_STEPS = 1.5
"""Ratio of the longest to the shortest step within one sampled range."""
MOST_RANGES = 1000
"""Sampled ranges, unseen gaps and undecoded ranges that a report holds at most."""


@dataclass(frozen=True, slots=True)
class UndecodedRange:
    """A stretch of the timeline, in seconds, whose pictures could not be decoded, and why."""

    from_seconds: float
    to_seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class SampledRange:
    """`samples` pictures from `from_seconds` to `to_seconds` were looked at, no two further apart than the step."""

    from_seconds: float
    to_seconds: float
    samples: int
    longest_step_seconds: float


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch, in seconds, that holds pictures of which none was looked at."""

    from_seconds: float
    to_seconds: float

    @property
    def seconds(self) -> float:
        return self.to_seconds - self.from_seconds


Range = TypeVar("Range", Gap, UndecodedRange)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What the plan would have looked at and did not, in seconds of the timeline, and why: such as the budget."""

    from_seconds: float
    to_seconds: float
    what: str


@dataclass(frozen=True, slots=True)
class ShotCoverage:
    """Shots, and those of them in which no picture was looked at; the longest such is None where there is none.

    `starts` are the times in seconds at which they begin, ascending; the first MOST_RANGES of them.
    """

    shots: int
    unsampled: int
    longest_unsampled: Gap | None
    starts: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Effort:
    """What was done with the samples, beyond giving each to the model once.

    `near_identical` samples were so like the one before that its result was taken over; `tiled` ones were looked at
    again in tiles. `left_out` is what the plan gave up. `smallest_object_px` is the side, in pixels of the clip,
    from which the model can be expected to see an object (see `smallest_object`); None where nobody knows.
    """

    near_identical: int = 0
    tiled: int = 0
    left_out: tuple[LeftOut, ...] = ()
    smallest_object_px: float | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was looked at. The longest gap is 0, at None, where every frame was looked at.

    `longest_gap_seconds` is the longest time between two samples, or between the ends of the clip and a
    sample, with at least one frame in between that was not looked at; it includes the undecoded ranges.
    Anything shown for longer than `guarantee_seconds` was sampled at least once: the longest time from the first
    frame that was not looked at, after a sample, to the next sample.
    `sampled` are the samples as ranges in time order. `unseen` are the gaps in which more time passed unseen than the
    plan aimed at, once the sample before was no longer on the screen, in time order. There are MOST_RANGES of each at
    most, and of `undecoded` (of it and of the gaps the longest); `unseen_count` counts all gaps.
    `shots` is None where shots are not known.
    """

    samples: int
    longest_gap_seconds: float
    longest_gap_at_seconds: float | None
    guarantee_seconds: float
    undecoded: tuple[UndecodedRange, ...]
    sampled: tuple[SampledRange, ...]
    unseen: tuple[Gap, ...]
    unseen_count: int
    shots: ShotCoverage | None
    effort: Effort
    statement: str
    not_found_means: str


def measure_coverage(
    sampled: Iterable[float],
    frames: Sequence[float],
    duration_seconds: float,
    undecoded: Sequence[UndecodedRange] = (),
    *,
    promise_seconds: float | None = None,
    shots: Sequence[tuple[float, float]] | None = None,
    effort: Effort | None = None,
) -> Coverage:
    """The coverage of a clip.

    `sampled` are the PTS of the pictures that were looked at, `frames` the ascending PTS of all frames that the
    container lists, both in seconds on the clip's timeline. `promise_seconds` is the cadence that the plan aimed at.
    `shots` are (start, end) in seconds, the end being the start of the next one; None where shots are not known.
    """
    looked_at = sorted(set(sampled))
    gaps = _unseen_gaps(looked_at, frames, duration_seconds, undecoded)
    longest = max(gaps, key=lambda gap: gap.seconds, default=None)
    unseen = _unseen_seconds(gaps, looked_at, frames, undecoded)
    most = -1.0 if promise_seconds is None else promise_seconds + SAME_PICTURE_SECONDS
    told = [gap for gap, seconds in zip(gaps, unseen, strict=True) if seconds > most]
    effort = effort or Effort()
    guarantee = max(unseen, default=0.0)
    shot_coverage = None if shots is None else _shot_coverage(looked_at, shots)
    return Coverage(
        samples=len(looked_at),
        longest_gap_seconds=longest.seconds if longest else 0.0,
        longest_gap_at_seconds=longest.from_seconds if longest else None,
        guarantee_seconds=guarantee,
        undecoded=_longest(undecoded),
        sampled=sampled_ranges(looked_at),
        unseen=_longest(told),
        unseen_count=len(told),
        shots=shot_coverage,
        effort=effort,
        statement=_statement(len(looked_at), guarantee, undecoded, effort, shares_times=_shares_times(frames)),
        not_found_means=_not_found_means(len(looked_at), guarantee, shot_coverage, effort, bool(undecoded)),
    )


def not_looked_at(
    undecoded: Sequence[UndecodedRange], looked_at: Sequence[float], changes: Sequence[float], duration_seconds: float
) -> tuple[UndecodedRange, ...]:
    """The ranges without the times of pictures in them that were decoded all the same, and looked at.

    A decoder's complaints that lie close together come as one range; some of the pictures between them are whole.
    `looked_at` are the times of the pictures looked at, `changes` those at which a picture gives way to another or to
    a hole in the file, both ascending.
    """
    left: list[UndecodedRange] = []
    for lost in undecoded:
        start = lost.from_seconds
        for place in range(bisect_left(looked_at, start), bisect_left(looked_at, lost.to_seconds)):
            shown = looked_at[place]
            after = bisect_right(changes, shown + SAME_PICTURE_SECONDS)
            if shown > start:
                left.append(UndecodedRange(start, shown, lost.reason))
            start = changes[after] if after < len(changes) else max(shown, duration_seconds)
        if start < lost.to_seconds or lost.from_seconds == lost.to_seconds:
            left.append(UndecodedRange(start, lost.to_seconds, lost.reason))
    return tuple(left)


def smallest_object(side_px: float, width: int, height: int, input_size: int) -> float:
    """The side, in pixels of a picture of `width` x `height`, of what is `side_px` in the model's square input.

    `input_size` is the side of that square, into which the picture's longer side is fitted (see Letterbox). For
    tiles, `width` and `height` are those of a tile.
    """
    return side_px * max(width, height) / input_size


def sampled_ranges(looked_at: Sequence[float]) -> tuple[SampledRange, ...]:
    """Ascending times as stretches of nearly even steps; where there would be more than MOST_RANGES, less even."""
    ratio = EVEN_STEPS
    while len(ranges := _even_ranges(looked_at, ratio)) > MOST_RANGES:
        ratio *= 2
    return ranges


def _even_ranges(looked_at: Sequence[float], ratio: float) -> tuple[SampledRange, ...]:
    ranges = []
    start = 0
    while start < len(looked_at):
        end = start
        shortest = longest = 0.0
        while end + 1 < len(looked_at):
            step = looked_at[end + 1] - looked_at[end]
            low, high = (min(shortest, step), max(longest, step)) if end > start else (step, step)
            if high > ratio * low:
                break
            shortest, longest, end = low, high, end + 1
        ranges.append(SampledRange(looked_at[start], looked_at[end], end - start + 1, longest))
        start = end + 1
    return tuple(ranges)


def _unseen_gaps(
    looked_at: Sequence[float], frames: Sequence[float], duration_seconds: float, undecoded: Sequence[UndecodedRange]
) -> list[Gap]:
    start = min([*frames[:1], *looked_at[:1], *(r.from_seconds for r in undecoded)], default=0.0)
    end = max([duration_seconds, *frames[-1:], *looked_at[-1:], *(r.to_seconds for r in undecoded)])
    bounds = [start, *looked_at, end]
    lost_from, lost_to = _joined(undecoded)
    gaps = []
    for position, (left, right) in enumerate(pairwise(bounds)):
        if right <= left:
            continue
        first, last = position == 0, position == len(bounds) - 2
        low = left - 1.0 if first else left + SAME_PICTURE_SECONDS
        high = right + 1.0 if last else right - SAME_PICTURE_SECONDS
        next_frame = bisect_right(frames, low)
        unseen_frame = next_frame < len(frames) and frames[next_frame] < high
        next_lost = bisect_right(lost_to, left)
        unseen_range = next_lost < len(lost_from) and lost_from[next_lost] < right
        if unseen_frame or unseen_range:
            gaps.append(Gap(left, right))
    return gaps


def _joined(undecoded: Sequence[UndecodedRange]) -> tuple[list[float], list[float]]:
    """Starts and ends of the stretches that the ranges cover together, ascending."""
    starts: list[float] = []
    ends: list[float] = []
    for each in sorted(undecoded, key=lambda lost: lost.from_seconds):
        if each.to_seconds <= each.from_seconds:
            continue
        if ends and each.from_seconds <= ends[-1]:
            ends[-1] = max(ends[-1], each.to_seconds)
        else:
            starts.append(each.from_seconds)
            ends.append(each.to_seconds)
    return starts, ends


def _unseen_seconds(
    gaps: Sequence[Gap], looked_at: Sequence[float], frames: Sequence[float], undecoded: Sequence[UndecodedRange]
) -> list[float]:
    """For each gap the longest that something can have been on show in it without being on the sample before it."""
    lost_from, lost_to = _joined(undecoded)
    unseen = []
    for gap in gaps:
        place = bisect_left(looked_at, gap.from_seconds)
        follows_sample = place < len(looked_at) and looked_at[place] == gap.from_seconds
        next_lost = bisect_right(lost_to, gap.from_seconds)
        is_lost = next_lost < len(lost_from) and lost_from[next_lost] < gap.to_seconds
        first = bisect_right(frames, gap.from_seconds + SAME_PICTURE_SECONDS)
        shown_until = frames[first] if follows_sample and not is_lost and first < len(frames) else gap.from_seconds
        unseen.append(gap.to_seconds - shown_until)
    return unseen


def _longest(ranges: Sequence[Range]) -> tuple[Range, ...]:
    """MOST_RANGES of them at most, in time order."""
    by_length = sorted(ranges, key=lambda each: each.from_seconds - each.to_seconds)
    return tuple(sorted(by_length[:MOST_RANGES], key=lambda each: each.from_seconds))


def _shares_times(frames: Sequence[float]) -> bool:
    return any(after <= before for before, after in pairwise(frames))


def _shot_coverage(looked_at: Sequence[float], shots: Sequence[tuple[float, float]]) -> ShotCoverage:
    missed = []
    for start, end in shots:
        place = bisect_left(looked_at, start - SAME_PICTURE_SECONDS)
        # The end is the next shot's first picture, and so is a sample that lies as good as on it.
        if place == len(looked_at) or looked_at[place] >= end - SAME_PICTURE_SECONDS:
            missed.append(Gap(start, end))
    longest = max(missed, key=lambda gap: gap.seconds, default=None)
    return ShotCoverage(len(shots), len(missed), longest, tuple(start for start, _ in shots[:MOST_RANGES]))


def _statement(
    samples: int, guarantee: float, undecoded: Sequence[UndecodedRange], effort: Effort, *, shares_times: bool
) -> str:
    if not samples:
        reason = "the plan left everything out" if effort.left_out else "no picture could be decoded"
        return f"Nothing was looked at: {reason}."
    looked = f"{samples} picture{'s' if samples != 1 else ''} looked at"
    if guarantee == 0 and shares_times:
        promise = f"Every time of the clip was sampled, with one of the pictures that share it ({looked})"
    elif guarantee == 0:
        promise = f"Every picture of the clip was sampled ({looked})"
    else:
        promise = f"Anything visible for longer than {_rounded_up(guarantee)} s was sampled at least once ({looked})"
    lost = sum(to - start for start, to in zip(*_joined(undecoded), strict=True))
    damage = f" {lost:.2f} s could not be decoded and were not looked at." if undecoded else ""
    return f"{promise}.{damage}"


def _not_found_means(samples: int, guarantee: float, shots: ShotCoverage | None, effort: Effort, lost: bool) -> str:
    """One sentence, which claims no more than that pictures were given to the model."""
    if not samples:
        return "Not found means nothing here: no picture could be looked at."
    shown = f"what was in view for longer than {_rounded_up(guarantee)} s was on one of them"
    if guarantee == 0:
        shown = "every picture was looked at"
    small = f"smaller than about {effort.smallest_object_px:.0f} px across, " if effort.smallest_object_px else ""
    unseen = []
    if guarantee:
        unseen.append("what was in view for less")
    if shots and shots.unsampled:
        unseen.append("what is only in shots without a sample")
    if lost:
        unseen.append("what could not be decoded")
    never = f"; {_either(unseen)} may not have been looked at at all" if unseen else ""
    closer = ", and what the plan left out was not looked at more closely" if effort.left_out else ""
    return (
        f"Not found means that the model recognised nothing on the pictures looked at: {shown}, but a model overlooks "
        f"some of what it is shown, above all what is {small}hidden or blurred{never}{closer}."
    )


def _rounded_up(seconds: float) -> str:
    """To hundredths, so that what is promised is never more than what was measured."""
    return f"{math.ceil(seconds * 100 - 1e-6) / 100:.2f}"


def _either(parts: Sequence[str]) -> str:
    return " or ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
