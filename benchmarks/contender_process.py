"""A process for a contender, so that none shares memory, threads or caches with another."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

STOP_SECONDS = 10


class Ended(Exception):
    """The process is there no more; the message says how it ended."""


class ContenderProcess:
    """Runs `serve(pipe, *arguments)` in a process of its own, which is to end when it receives None.

    Use it in a `with` statement.
    """

    def __init__(self, serve: Callable[..., None], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, *arguments))
        self._process.start()
        theirs.close()

    def __enter__(self) -> ContenderProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._pipe.send(None)
        self._process.join(STOP_SECONDS)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()
        self._pipe.close()

    def ask(self, request: Any) -> Any:
        """Send `request` and wait for the answer. Raises Ended."""
        try:
            self._pipe.send(request)
        except OSError:
            raise Ended("its process has ended") from None
        return self.receive()

    def receive(self) -> Any:
        """The next answer. Raises Ended."""
        try:
            return self._pipe.recv()
        except EOFError:
            self._process.join()
            raise Ended(f"its process ended with exit code {self._process.exitcode}") from None
