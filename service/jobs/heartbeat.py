"""Who is alive: every worker says so, and what a dead one was doing goes back into the queue."""

from __future__ import annotations

import logging
import os
import socket
from typing import Any

from sqlalchemy import delete, select, update

from service.store.database import Database, now
from service.store.tables import WorkerRow

log = logging.getLogger("ordnance.worker")

BEAT_SECONDS = 2.0
DEAD_SECONDS = 20.0
"""A worker of another machine that has been silent for this long is taken for dead. One of this machine is known to be
dead as soon as its process is gone."""


class Heartbeat:
    """The row of one worker process."""

    def __init__(self, database: Database, worker_id: str) -> None:
        self._database = database
        self.worker_id = worker_id

    def begin(self) -> None:
        with self._database.write() as session:
            session.add(
                WorkerRow(
                    id=self.worker_id,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    started_at=now(),
                    seen_at=now(),
                    ready=False,
                    counters={},
                )
            )

    def beat(self, *, ready: bool, model: str, counters: dict[str, Any]) -> bool:
        """Say that this worker lives; false where others have already taken it for dead."""
        with self._database.write() as session:
            changed = session.execute(
                update(WorkerRow)
                .where(WorkerRow.id == self.worker_id)
                .values(seen_at=now(), ready=ready, model=model, counters=counters)
            )
            return bool(changed.rowcount)

    def end(self) -> None:
        with self._database.write() as session:
            session.execute(delete(WorkerRow).where(WorkerRow.id == self.worker_id))


def bury(database: Database) -> list[str]:
    """Remove the rows of dead workers and return their names: their workflows are free."""
    host = socket.gethostname()
    with database.write() as session:
        rows = session.scalars(select(WorkerRow).with_for_update(skip_locked=True))
        dead = [
            row for row in rows if now() - row.seen_at > DEAD_SECONDS or (row.host == host and not _is_alive(row.pid))
        ]
        for row in dead:
            log.warning("worker is dead", extra={"worker": row.id, "pid": row.pid})
            session.delete(row)
        return [row.id for row in dead]


def living(database: Database) -> list[WorkerRow]:
    with database.read() as session:
        return list(session.scalars(select(WorkerRow).where(WorkerRow.seen_at > now() - DEAD_SECONDS)))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
