"""Contenders in processes of their own that take turns at the same jobs, several rounds; what each of them took."""

from __future__ import annotations

import os
import statistics
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from benchmarks.contender_process import ContenderProcess, Failed


@dataclass(frozen=True, slots=True)
class Took:
    """What one job took: seconds of the clock and, by name, what was counted. `answer` is compared, not recorded.

    `cpu_seconds` is processor time, all threads together, where it was taken.
    """

    seconds: float
    counts: dict[str, float] = field(default_factory=dict)
    answer: Any = None
    cpu_seconds: float | None = None


Runner = Callable[[Any], Took]


@dataclass(frozen=True, slots=True)
class Contender:
    """`make` is a function of a module, which the other process imports; it loads the contender and warms it up.

    It gets `options` as keywords and raises NotMeasured where the contender cannot run here.
    """

    name: str
    make: Callable[..., Runner]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turns:
    """`rows`: by job and contender a summary (see `summary`); `answers` likewise, those of the last round."""

    rows: dict[str, dict[str, dict[str, Any]]]
    answers: dict[str, dict[str, Any]]
    not_measured: list[dict[str, str]]


def take_turns(
    contenders: Sequence[Contender], jobs: Mapping[str, Any], rounds: int, say: Callable[[str], None]
) -> Turns:
    """Every contender does every job `rounds` times, one after the other within a round; nobody else runs meanwhile."""
    took: dict[str, dict[str, list[Took]]] = {name: {} for name in jobs}
    peaks: dict[str, float | None] = {}
    dropped: dict[str, str] = {}
    with ExitStack() as stack:
        there: dict[str, ContenderProcess] = {}
        for contender in contenders:
            say(f"loading {contender.name}")
            process = stack.enter_context(ContenderProcess(partial(_load, contender), _reason))
            if isinstance(answer := process.loaded(), Failed):
                say(f"not measured: {contender.name}: {answer.reason}")
                dropped[contender.name] = answer.reason
            else:
                there[contender.name] = process
        for turn in range(rounds):
            for job, content in jobs.items():
                for name, process in list(there.items()):
                    say(f"round {turn + 1} of {rounds}, {job}: {name}")
                    if isinstance(answer := process.ask(content), Failed):
                        dropped[name] = f"failed at {job}: {answer.reason}"
                        del there[name]
                        continue
                    measured, peaks[name] = answer
                    took[job].setdefault(name, []).append(measured)
    rows = {
        job: {name: summary(each) | {"peak_mb": peaks[name]} for name, each in taken.items() if name not in dropped}
        for job, taken in took.items()
    }
    answers = {job: {name: each[-1].answer for name, each in taken.items()} for job, taken in took.items()}
    return Turns(rows, answers, [{"name": name, "reason": why} for name, why in dropped.items()])


def summary(rounds: Sequence[Took]) -> dict[str, Any]:
    """Median, least and most seconds, the median of the processor's, and the counts of the last round."""
    seconds = sorted(each.seconds for each in rounds)
    cpu = [each.cpu_seconds for each in rounds if each.cpu_seconds is not None]
    return {
        "seconds": round(statistics.median(seconds), 4),
        "least": round(seconds[0], 4),
        "most": round(seconds[-1], 4),
        "cpu_seconds": round(statistics.median(cpu), 4) if cpu else None,
        "rounds": len(seconds),
        **rounds[-1].counts,
    }


def _load(contender: Contender) -> tuple[None, Runner]:
    return None, contender.make(**contender.options)


def _reason(error: Exception) -> str:
    """In a line; with ORDNANCE_DEBUG the traceback goes to stderr, too."""
    if os.environ.get("ORDNANCE_DEBUG"):
        traceback.print_exception(error)
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
