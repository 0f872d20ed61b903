"""Live events: one look at the database for all who listen to this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from service.store.database import Database
from service.store.events import Places, event_counts, live_counts, news, places_after, places_now, scan_events
from service.store.tables import EventRow

log = logging.getLogger("ordnance.api")

LOOK_SECONDS = 0.4
PAGE = 500


class Hub:
    """Tells listeners when a scan, or any of an owner's, has new events. Events are read from the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[tuple[str, str], set[asyncio.Event]] = {}
        self._known: dict[tuple[str, str], Any] = {}

    async def run(self) -> None:
        """Look for news until cancelled."""
        is_told = False
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._waiting:
                try:
                    fresh = await asyncio.to_thread(self._look, list(self._waiting))
                except SQLAlchemyError:
                    if not is_told:
                        log.exception("events cannot be read; they are looked for until they can")
                    is_told = True
                    continue
                is_told = False
                for topic in list(self._waiting):
                    # What is looked at for the first time may have changed, or gone, since its listener read it.
                    if topic not in self._known or fresh.get(topic) != self._known[topic]:
                        self._known[topic] = fresh.get(topic)
                        for listener in self._waiting.get(topic, ()):
                            listener.set()

    async def events(self, owner: str, scan_id: str, after: int) -> AsyncGenerator[dict[str, Any]]:
        """Events of the scan numbered above `after`, as they come, until the scan has ended or is gone; none twice."""
        topic = ("scan", scan_id)
        listener = self._listen(topic)
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
            self._leave(topic, listener)

    async def events_of_all(self, owner: str, last_event: tuple[str, int] | None) -> AsyncGenerator[dict[str, Any]]:
        """Events of all scans of the owner from now on, or from about `last_event` (scan, number) on; without end.

        The first one, `ready`, says that whatever happens from then on will be told.
        """
        topic = ("owner", owner)
        listener = self._listen(topic)
        try:
            places = await asyncio.to_thread(self._begin, owner, last_event)
            yield {"event": "ready", "data": {}}
            while True:
                listener.clear()
                rows, gone, places = await asyncio.to_thread(self._news, owner, places)
                for row in rows:
                    data = {"scan": row.scan_id, "number": row.seq, "at": row.at, **row.data}
                    yield {"id": f"{row.scan_id}.{row.seq}", "event": row.kind, "data": data}
                for scan_id in gone:
                    yield {"event": "gone", "data": {"scan": scan_id}}
                if len(rows) < PAGE:
                    await listener.wait()
        finally:
            self._leave(topic, listener)

    def _listen(self, topic: tuple[str, str]) -> asyncio.Event:
        listener = asyncio.Event()
        self._waiting.setdefault(topic, set()).add(listener)
        return listener

    def _leave(self, topic: tuple[str, str], listener: asyncio.Event) -> None:
        listeners = self._waiting.get(topic, set())
        listeners.discard(listener)
        if not listeners:
            self._waiting.pop(topic, None)
            self._known.pop(topic, None)

    def _look(self, topics: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Any]:
        scans = [name for kind, name in topics if kind == "scan"]
        owners = [name for kind, name in topics if kind == "owner"]
        found: dict[tuple[str, str], Any] = {}
        with self._database.read() as session:
            if scans:
                found |= {("scan", scan_id): count for scan_id, count in event_counts(session, scans).items()}
            for owner in owners:
                found["owner", owner] = live_counts(session, owner)
        return found

    def _read(self, owner: str, scan_id: str, after: int) -> tuple[list[EventRow], bool | None]:
        with self._database.read() as session:
            return scan_events(session, owner, scan_id, after, PAGE)

    def _begin(self, owner: str, last_event: tuple[str, int] | None) -> Places:
        with self._database.read() as session:
            if last_event is not None:
                places = places_after(session, owner, *last_event)
                if places is not None:
                    return places
            return places_now(session, owner)

    def _news(self, owner: str, places: Places) -> tuple[list[EventRow], list[str], Places]:
        with self._database.read() as session:
            return news(session, owner, places, PAGE)
