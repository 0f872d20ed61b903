"""Contenders in processes of their own, which take turns."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.contender_process import ContenderProcess, Failed
from benchmarks.time.contenders import Contender, Job, Outcome, make_runner


class Worker(ContenderProcess):
    """A contender of this suite in its process, and what is known of it."""

    def __init__(self, contender: Contender, model: str, device: str) -> None:
        self.contender = contender
        self.facts: dict[str, object] = {}
        self.peak_memory_mb: float | None = None
        super().__init__(partial(_load, contender, model, device), _reason)

    def ready(self) -> Failed | None:
        """Wait until the contender is loaded; a Failed says why it is not."""
        answer = self.loaded()
        if isinstance(answer, Failed):
            return answer
        self.facts = answer
        return None

    def run(self, job: Job) -> Outcome | Failed:
        """Have one clip looked at."""
        answer = self.ask(job)
        if isinstance(answer, Failed):
            return answer
        outcome: Outcome
        outcome, self.peak_memory_mb = answer
        return outcome


def _load(contender: Contender, model: str, device: str) -> tuple[dict[str, object], Callable[[Any], Outcome]]:
    runner = make_runner(contender, model, device)
    return runner.facts(), runner.run


def _reason(error: Exception) -> str:
    traceback.print_exception(error)
    return f"{type(error).__name__}: {error}"
