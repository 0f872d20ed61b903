"""Who is alive: every worker says so, and what a dead one was doing goes back into the queue."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from service.store.database import Database, add_missing, clock, now
from service.store.tables import CounterRow, WorkerRow

log = logging.getLogger("ordnance.worker")

BEAT_SECONDS = 4.0
DEAD_SECONDS = 20.0
"""A worker of another machine that has been silent for this long is taken for dead. One of this machine is dead when
its process is gone, and not before, however long it stalls."""


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
                    seen_at=clock(session),
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
                .values(seen_at=clock(session), ready=ready, model=model, counters=counters)
            )
            return bool(changed.rowcount)

    def end(self) -> None:
        """Say that this worker is gone: the others take up what it was doing at once."""
        with self._database.write() as session:
            session.execute(update(WorkerRow).where(WorkerRow.id == self.worker_id).values(seen_at=0.0, ready=False))


def dead_workers(database: Database, own_id: str) -> list[str]:
    """Names of the workers whose workflows are free, never one's own. `bury` them only after those went back into the
    queue."""
    with database.read() as session:
        rows = list(session.scalars(select(WorkerRow).where(WorkerRow.id != own_id)))
        at = clock(session)
    return [row.id for row in rows if _is_dead(row, at)]


def bury(database: Database, worker_ids: Sequence[str]) -> None:
    """Remove the rows of dead workers, keeping what they had counted; one that lives after all ends when it finds its
    row gone."""
    for worker_id in worker_ids:
        log.warning("worker is gone", extra={"worker": worker_id})
    with database.write() as session:
        gone = delete(WorkerRow).where(WorkerRow.id.in_(worker_ids)).returning(WorkerRow.counters)
        for counters in session.scalars(gone).all():
            for name, value in counters.items():
                _add(session, name, float(value))


def counted(database: Database) -> dict[str, float]:
    """What all workers there ever were have counted, by name."""
    with database.read() as session:
        totals = {row.name: row.value for row in session.scalars(select(CounterRow))}
        for counters in session.scalars(select(WorkerRow.counters)):
            for name, value in counters.items():
                totals[name] = totals.get(name, 0.0) + float(value)
    return totals


def living(database: Database) -> list[WorkerRow]:
    with database.read() as session:
        return list(session.scalars(select(WorkerRow).where(WorkerRow.seen_at > clock(session) - DEAD_SECONDS)))


def _add(session: Session, name: str, value: float) -> None:
    add_missing(session, CounterRow, {"name": name, "value": 0.0})
    session.execute(update(CounterRow).where(CounterRow.name == name).values(value=CounterRow.value + value))


def _is_dead(row: WorkerRow, at: float) -> bool:
    is_silent = at - row.seen_at > DEAD_SECONDS
    if row.host != socket.gethostname():
        return is_silent
    return not _is_alive(row.pid) or (is_silent and not _is_that_worker(row))


def _is_that_worker(row: WorkerRow) -> bool:
    """Whether the process with the worker's pid is that worker: no zombie of it, and no later process, as in a
    container that starts again. Where the system does not tell, it is."""
    try:
        facts = Path(f"/proc/{row.pid}/stat").read_text(encoding="utf-8", errors="replace")
        state, *numbers = facts.rsplit(")", 1)[1].split()
        since_boot = int(numbers[18]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return True
    began = now() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot
    return state not in ("Z", "X") and began <= row.started_at


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
