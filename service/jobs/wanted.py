"""Whether the scans of a worker are still wanted: one look at the database for all that run there."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import select

from service.jobs.segments import ScanStopped
from service.store.database import Database
from service.store.tables import ScanRow, ScanState

LOOK_SECONDS = 0.5
"""How often the database is looked at. Waking up for it costs more than the question itself."""


class Wanted:
    """Scans that were cancelled or removed, or that another worker has, are no longer wanted. Threads share it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._watched: set[str] = set()
        self._stopped: set[str] = set()
        self._looked_at = 0.0

    @contextmanager
    def watch(self, scan_id: str) -> Iterator[Watched]:
        """For as long as the scan runs here."""
        with self._lock:
            self._watched.add(scan_id)
        try:
            yield Watched(self, scan_id)
        finally:
            with self._lock:
                self._watched.discard(scan_id)
                self._stopped.discard(scan_id)

    def check(self, scan_id: str, *, at_once: bool) -> None:
        """Raises ScanStopped."""
        with self._lock:
            if at_once or time.monotonic() - self._looked_at >= LOOK_SECONDS:
                self._look()
                self._looked_at = time.monotonic()
            if scan_id in self._stopped:
                raise ScanStopped

    def _look(self) -> None:
        query = select(ScanRow.id).where(ScanRow.id.in_(self._watched), ScanRow.state == ScanState.RUNNING)
        with self._database.read() as session:
            self._stopped = self._watched - set(session.scalars(query))


@dataclass(frozen=True, slots=True)
class Watched:
    """One scan that runs here; any thread may ask."""

    wanted: Wanted
    scan_id: str

    def look(self) -> None:
        """Raises ScanStopped where the last look found, or one that is due finds, that it is not wanted."""
        self.wanted.check(self.scan_id, at_once=False)

    def check(self) -> None:
        """Look now. Raises ScanStopped."""
        self.wanted.check(self.scan_id, at_once=True)
