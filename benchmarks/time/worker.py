"""A process for each contender, so that none shares memory, threads or caches with another; they take turns."""

from __future__ import annotations

import multiprocessing
import sys
import traceback
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

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
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, contender, model, device), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.is_alive():
            with suppress(OSError):
                self._pipe.send(None)
            self._process.join(10)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()
        self._pipe.close()

    def ready(self) -> Failed | None:
        """Wait until the contender is loaded; a Failed says why it is not."""
        answer = self._receive()
        if isinstance(answer, Failed):
            return answer
        self.facts = answer
        return None

    def run(self, job: Job) -> Outcome | Failed:
        """Have one clip looked at."""
        try:
            self._pipe.send(job)
        except OSError:
            return Failed("its process has ended")
        answer = self._receive()
        if isinstance(answer, Failed):
            return answer
        outcome, self.peak_memory_mb = answer
        return outcome

    def _receive(self) -> Any:
        try:
            return self._pipe.recv()
        except EOFError:
            self._process.join()
            return Failed(f"its process ended with exit code {self._process.exitcode}")


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
