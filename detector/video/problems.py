"""Which parts of a clip could not be decoded, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from detector.video.limits import MAX_PROBLEMS, PROBLEM_MERGE_SECONDS


@dataclass(frozen=True, slots=True)
class DecodeProblem:
    """A range of the clip's timeline, in seconds, that was not decoded as it was recorded.

    `decoded` is false where pictures are missing. It is true where pictures came out, but damaged or with
    times that cannot be right: they were looked at, and what was found on them deserves less trust.
    """

    from_seconds: float
    to_seconds: float
    reason: str
    decoded: bool = False


class ProblemLog:
    """Collects problems while a clip is read; neighbours of the same kind become one range.

    Reading the same range twice reports it once. `failed` are the times, in seconds, of the packets and pictures that
    could not be decoded.
    """

    def __init__(self) -> None:
        self._problems: list[DecodeProblem] = []
        self.failed: dict[float, None] = {}

    def __iter__(self) -> Iterator[DecodeProblem]:
        return iter(sorted(self._problems, key=lambda problem: problem.from_seconds))

    @property
    def count(self) -> int:
        """How many ranges there are."""
        return len(self._problems)

    def add(self, problem: DecodeProblem) -> None:
        """Record a problem. Where it is merged, the words of an earlier one are kept."""
        while (place := self._near(problem)) is not None:
            # What has grown may have come near to others.
            problem = _hull(self._problems.pop(place), problem)
        self._problems.append(problem)
        if len(self._problems) > MAX_PROBLEMS:
            self._merge_two()

    def add_failed(self, seconds: float, problem: DecodeProblem) -> None:
        """Record a packet or picture that could not be decoded, and the problem that it is."""
        self.failed[seconds] = None
        self.add(problem)

    def take(self, other: ProblemLog) -> None:
        """Record what another log holds."""
        self.failed.update(other.failed)
        for problem in other:
            self.add(problem)

    def _near(self, problem: DecodeProblem) -> int | None:
        places = enumerate(self._problems)
        return next((at for at, known in places if _apart(known, problem) <= PROBLEM_MERGE_SECONDS), None)

    def _merge_two(self) -> None:
        """Make one range of the two neighbours that give the shortest."""
        ordered = sorted(self._problems, key=lambda problem: (problem.decoded, problem.from_seconds))
        place = min(range(len(ordered) - 1), key=lambda at: _together(ordered[at], ordered[at + 1]))
        ordered[place : place + 2] = [_hull(*ordered[place : place + 2])]
        self._problems = ordered


def _apart(one: DecodeProblem, other: DecodeProblem) -> float:
    """Seconds between two problems of one kind; those of different kinds have nothing to do with each other."""
    if one.decoded != other.decoded:
        return math.inf
    return max(one.from_seconds, other.from_seconds) - min(one.to_seconds, other.to_seconds)


def _together(one: DecodeProblem, other: DecodeProblem) -> float:
    return math.inf if one.decoded != other.decoded else other.to_seconds - one.from_seconds


def _hull(one: DecodeProblem, other: DecodeProblem) -> DecodeProblem:
    return replace(
        one,
        from_seconds=min(one.from_seconds, other.from_seconds),
        to_seconds=max(one.to_seconds, other.to_seconds),
    )
