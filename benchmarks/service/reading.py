"""A process that asks for the status of scans, one request after the other, and notes how long each answer takes."""

from __future__ import annotations

import multiprocessing
import queue
import time
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import httpx

PAUSE_SECONDS = 0.1
"""Readers share the processors with what is measured: ten reads a second take some 3 % of one."""


class StatusReader:
    """Reads the status of the scans that it is told of, in turn; use it in a `with` statement."""

    def __init__(self, url: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._queue: Any = context.Queue()
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_read, args=(url, self._queue, theirs), daemon=True)
        self.reads: list[tuple[float, float]] = []
        """(time.monotonic() at its end, seconds) of each read, filled when the block is left."""
        self.errors: list[str] = []
        self._process.start()
        theirs.close()

    def __enter__(self) -> StatusReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.put(None)
        if kind is None:
            self.reads, self.errors = self._pipe.recv()
        self._process.join(10)
        if self._process.is_alive():
            self._process.terminate()

    def tell(self, scan: str) -> None:
        self._queue.put(scan)


def _read(url: str, told: Any, pipe: Connection) -> None:
    scans: list[str] = []
    reads: list[tuple[float, float]] = []
    errors: list[str] = []
    turn = 0
    with httpx.Client(base_url=url, timeout=120) as http:
        while True:
            try:
                scan = told.get(timeout=None if not scans else PAUSE_SECONDS)
                if scan is None:
                    break
                scans.append(scan)
                continue
            except queue.Empty:
                pass
            turn += 1
            started = time.monotonic()
            try:
                answer = http.get(f"/v1/scans/{scans[turn % len(scans)]}")
                if answer.status_code != 200:
                    errors.append(f"{answer.status_code} {answer.text[:200]}")
            except httpx.HTTPError as failed:
                errors.append(f"{type(failed).__name__}: {failed}")
            ended = time.monotonic()
            reads.append((ended, ended - started))
    pipe.send((reads, errors))
