"""A process for a contender, so that none shares memory, threads or caches with another."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from benchmarks.machine import peak_memory_mb
from benchmarks.time.contenders import NotMeasured

STOP_SECONDS = 10

Load = Callable[[], tuple[Any, Callable[[Any], Any]]]
"""Loads a contender in its process: the facts of it, and what does a job. Raises NotMeasured where it cannot run."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A contender could not do a job, or cannot run at all, and why."""

    reason: str


class ContenderProcess:
    """A contender, loaded by `load` in a process of its own and idle until it gets a job; use it in a `with` statement.

    `reason` words, over there, what `load` or a job raised.
    """

    def __init__(self, load: Load, reason: Callable[[Exception], str]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, load, reason))
        with _deaf_to_interrupts():
            self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            with suppress(OSError):
                self._pipe.send(None)
            self._process.join(STOP_SECONDS)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()
        self._pipe.close()

    def loaded(self) -> Any:
        """The contender's facts as soon as it is loaded, or a Failed."""
        return self._receive()

    def ask(self, job: Any) -> Any:
        """What it makes of `job` and the peak memory of its process in MB, or a Failed."""
        try:
            self._pipe.send((job,))
        except OSError:
            return Failed("its process has ended")
        return self._receive()

    def _receive(self) -> Any:
        try:
            return self._pipe.recv()
        except EOFError:
            self._process.join()
            return Failed(f"its process ended with exit code {self._process.exitcode}")


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes that are begun meanwhile do not hear a terminal's Ctrl-C, which goes to all; this one ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Started by itself, for it ends with SIGINT no longer blocked (Python 3.11).
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, load: Load, reason: Callable[[Exception], str]) -> None:
    # What a library prints must not get between the lines of the table.
    with redirect_stdout(sys.stderr):
        try:
            facts, work = load()
        except NotMeasured as error:
            pipe.send(Failed(str(error)))
            return
        except Exception as error:
            pipe.send(Failed(reason(error)))
            return
        pipe.send(facts)
        while (request := pipe.recv()) is not None:
            try:
                pipe.send((work(request[0]), peak_memory_mb()))
            except Exception as error:
                pipe.send(Failed(reason(error)))
