"""Live events: one look at the database for all who listen to this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from service.store.database import Database
from service.store.tables import OPEN_STATES, EventRow, ScanRow

log = logging.getLogger("ordnance.api")

LOOK_SECONDS = 0.4
PAGE = 500


class Hub:
    """Tells listeners when a scan has new events. Events are read from the database, so none is lost or doubled."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._known: dict[str, int] = {}

    async def run(self) -> None:
        """Look for news until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._waiting:
                try:
                    fresh = await asyncio.to_thread(self._look, list(self._waiting))
                except SQLAlchemyError:
                    log.exception("events cannot be read")
                    continue
                for scan_id in list(self._waiting):
                    seq = fresh.get(scan_id, -1)
                    if seq != self._known.get(scan_id):
                        self._known[scan_id] = seq
                        for listener in self._waiting.get(scan_id, ()):
                            listener.set()

    async def events(self, owner: str, scan_id: str, after: int) -> AsyncIterator[dict[str, Any]]:
        """Events of the scan numbered above `after`, as they come, until the scan has ended or is gone."""
        listener = asyncio.Event()
        self._waiting.setdefault(scan_id, set()).add(listener)
        try:
            while True:
                listener.clear()
                rows, is_open = await asyncio.to_thread(self._read, owner, scan_id, after)
                for row in rows:
                    after = row.seq
                    yield {"id": str(row.seq), "event": row.kind, "data": {"at": row.at, **row.data}}
                if not rows and is_open is None:
                    yield {"event": "gone", "data": {}}
                    return
                if len(rows) < PAGE:
                    if not is_open:
                        return
                    await listener.wait()
        finally:
            listeners = self._waiting.get(scan_id, set())
            listeners.discard(listener)
            if not listeners:
                self._waiting.pop(scan_id, None)
                self._known.pop(scan_id, None)

    def _look(self, scan_ids: list[str]) -> dict[str, int]:
        with self._database.read() as session:
            rows = session.execute(select(ScanRow.id, ScanRow.event_seq).where(ScanRow.id.in_(scan_ids)))
            return {scan_id: seq for scan_id, seq in rows}

    def _read(self, owner: str, scan_id: str, after: int) -> tuple[list[EventRow], bool | None]:
        with self._database.read() as session:
            scan = session.get(ScanRow, scan_id)
            if scan is None or scan.owner != owner:
                return [], None
            query = select(EventRow).where(EventRow.scan_id == scan_id, EventRow.seq > after)
            return list(session.scalars(query.order_by(EventRow.seq).limit(PAGE))), scan.state in OPEN_STATES
