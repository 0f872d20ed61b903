"""A scan that is no longer wanted ends within seconds, also while it waits for its decoder, which may take minutes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import cast

from sqlalchemy.exc import SQLAlchemyError

from detector.video.guard_process import DecoderProcess, Decoders
from service.jobs.segments import ScanStopped
from service.jobs.wanted import Watched

LOOK_SECONDS = 1.0


@contextmanager
def stoppable(decoders: Decoders, watched: Watched) -> Iterator[Decoders]:
    """The decoders for one scan. Where it is no longer wanted, the one at work is killed, and starting another raises
    ScanStopped."""
    of_scan = _DecodersOfScan(decoders, watched)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK_SECONDS):
            with suppress(SQLAlchemyError):
                try:
                    watched.look()
                except ScanStopped:
                    of_scan.kill()

    thread = threading.Thread(target=watch, name="stop", daemon=True)
    thread.start()
    try:
        yield cast(Decoders, of_scan)
    finally:
        ended.set()
        thread.join()


class _DecodersOfScan:
    def __init__(self, decoders: Decoders, watched: Watched) -> None:
        self._decoders = decoders
        self._watched = watched
        self._at_work: DecoderProcess | None = None

    def start(self) -> DecoderProcess:
        self._watched.look()
        self._at_work = self._decoders.start()
        return self._at_work

    def kill(self) -> None:
        process = self._at_work
        if process is not None and process.connection.fileno() >= 0:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
