"""Which parts of a clip could not be decoded, and why."""

from __future__ import annotations

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

    Reading the same range twice reports it once.
    """

    def __init__(self) -> None:
        self._problems: list[DecodeProblem] = []

    def __iter__(self) -> Iterator[DecodeProblem]:
        return iter(sorted(self._problems, key=lambda problem: problem.from_seconds))

    @property
    def count(self) -> int:
        """How many ranges there are."""
        return len(self._problems)

    def add(self, problem: DecodeProblem) -> None:
        """Record a problem. The words of the first of several merged ones are kept."""
        for place, known in enumerate(self._problems):
            if known.decoded == problem.decoded and _near(known, problem):
                self._problems[place] = _hull(known, problem)
                return
        if len(self._problems) >= MAX_PROBLEMS:
            self._problems[-1] = _hull(self._problems[-1], problem)
            return
        self._problems.append(problem)


def _near(one: DecodeProblem, other: DecodeProblem) -> bool:
    apart = max(one.from_seconds, other.from_seconds) - min(one.to_seconds, other.to_seconds)
    return apart <= PROBLEM_MERGE_SECONDS


def _hull(one: DecodeProblem, other: DecodeProblem) -> DecodeProblem:
    return replace(
        one,
        from_seconds=min(one.from_seconds, other.from_seconds),
        to_seconds=max(one.to_seconds, other.to_seconds),
    )
