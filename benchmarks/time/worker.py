"""Contenders in processes of their own, which take turns."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from benchmarks.contender_process import ContenderProcess, Ended
from benchmarks.machine import peak_memory_mb
from benchmarks.time.contenders import Contender, Job, NotMeasured, Outcome, make_runner


@dataclass(frozen=True, slots=True)
class Failed:
    """A contender could not do a job, or cannot run at all (`absent`), and why."""

    reason: str
    absent: bool = False


class Worker:
    """A contender in a process of its own. Idle until it gets a job; use it in a `with` statement."""

    def __init__(self, contender: Contender, model: str, device: str) -> None:
        self.contender = contender
        self.facts: dict[str, object] = {}
        self.peak_memory_mb: float | None = None
        self._process = ContenderProcess(_serve, contender, model, device)

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.__exit__(kind, error, trace)

    def ready(self) -> Failed | None:
        """Wait until the contender is loaded; a Failed says why it is not."""
        answer = _answer(self._process.receive)
        if isinstance(answer, Failed):
            return answer
        self.facts = answer
        return None

    def run(self, job: Job) -> Outcome | Failed:
        """Have one clip looked at."""
        answer = _answer(partial(self._process.ask, job))
        if isinstance(answer, Failed):
            return answer
        outcome, self.peak_memory_mb = answer
        return outcome


def _answer(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except Ended as error:
        return Failed(str(error))


def _serve(pipe: Connection, contender: Contender, model: str, device: str) -> None:
    with redirect_stdout(sys.stderr):
        try:
            runner = make_runner(contender, model, device)
        except NotMeasured as reason:
            pipe.send(Failed(str(reason), absent=True))
            return
        except Exception as error:
            traceback.print_exc()
            pipe.send(Failed(f"{type(error).__name__}: {error}"))
            return
        pipe.send(runner.facts())
        while (job := pipe.recv()) is not None:
            try:
                pipe.send((runner.run(job), peak_memory_mb()))
            except Exception as error:
                traceback.print_exc()
                pipe.send(Failed(f"{type(error).__name__}: {error}"))
