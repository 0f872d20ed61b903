"""The job engine is DBOS: its tables lie in the service's own database, so a scan and its job are made in one
transaction.

DBOS takes up the workflows of an executor that starts again under the same name. Worker processes have a fresh name
each, and `heartbeat` hands the workflows of a dead one to the living: that covers a crashed process and a lost
machine alike, and two processes never share a name.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.jobs import webhooks
from service.settings import Settings
from service.store.database import Database
from service.store.tables import OPEN_STATES, ScanRow, WorkerRow

if TYPE_CHECKING:
    from dbos import DBOSClient

APPLICATION = "ordnance"
VERSION = "scan-1"
"""Raised when the order of a workflow's steps changes: a worker goes on only with workflows of its own version."""
SCANS, WEBHOOKS = "scans", "webhooks"
SCAN_WORKFLOW, WEBHOOK_WORKFLOW = "scan", "webhook"
POLL_SECONDS, WEBHOOKS_POLL_SECONDS = 0.25, 2.0
SCHEMA = "dbos"
ENDED_KEPT_SECONDS = 3600.0
FORGOTTEN_AT_ONCE = 1000
REVIVED_AFTER_SECONDS = 60.0
LAST_PRIORITY = 9


def migrate_engine(settings: Settings) -> None:
    """Create or update the engine's tables."""
    import logging

    from dbos import DBOS

    logging.getLogger("dbos").setLevel(logging.WARNING)
    DBOS.migrate(settings.sqlalchemy_url, schema=SCHEMA)


def engine_config(settings: Settings, executor_id: str) -> Any:
    """DBOSConfig of a worker; nothing is sent anywhere but to the database."""
    return {
        "name": APPLICATION,
        "system_database_url": settings.sqlalchemy_url,
        "application_version": VERSION,
        "executor_id": executor_id,
        "enable_otlp": False,
        "run_migrations": False,
        "notification_listener_polling_interval_sec": 1.0,
        "scheduler_polling_interval_sec": 3600.0,
        "log_level": "WARNING",
    }


class Jobs:
    """The engine as the API sees it: put work in, take it out."""

    def __init__(self, settings: Settings, database: Database) -> None:
        from dbos import DBOSClient

        self._client: DBOSClient = DBOSClient(
            system_database_url=settings.sqlalchemy_url, dbos_system_schema=SCHEMA, application_name=APPLICATION
        )
        self._database = database

    def enqueue_scan(self, session: Session, scan_id: str, owner: str, priority: int) -> None:
        """Have a scan run once `session` is committed. Lower numbers of `priority` (1 to 9) go first."""
        self._client.enqueue_in_transaction(
            session,
            {
                "workflow_name": SCAN_WORKFLOW,
                "queue_name": SCANS,
                "workflow_id": scan_id,
                "app_version": VERSION,
                "priority": priority,
                "queue_partition_key": owner,
            },
            scan_id,
        )

    def enqueue_webhook(self, session: Session, scan: ScanRow) -> None:
        """Have the webhook of an ended scan, where it has one, delivered once `session` is committed; asked twice, it
        is delivered once."""
        if scan.webhook is None:
            return
        self._client.enqueue_in_transaction(
            session,
            {
                "workflow_name": WEBHOOK_WORKFLOW,
                "queue_name": WEBHOOKS,
                "workflow_id": webhooks.workflow_id(scan.id),
                "app_version": VERSION,
                "priority": webhooks.priority(0),
            },
            scan.id,
        )

    def cancel(self, scan_id: str) -> None:
        """Let no further step of the scan begin."""
        self._client.cancel_workflow(scan_id)

    def forget(self, scan_id: str) -> None:
        """Remove what the engine keeps of the scan."""
        self._client.delete_workflow(scan_id)

    def stranded(self) -> list[str]:
        """Names of executors that hold work and are no worker (any more): one that was taken for dead, or that stopped,
        may have taken something from the queue before its process ended."""
        # Before the workers are read: each says that it is there before it takes work.
        at_work = self._client.list_workflows(
            status="PENDING", app_version=VERSION, load_input=False, load_output=False
        )
        with self._database.read() as session:
            workers = set(session.scalars(select(WorkerRow.id)))
        return sorted({each.executor_id for each in at_work if each.executor_id} - workers)

    def revive(self) -> list[str]:
        """Put open scans into the queue again that the engine no longer works on, through whatever fault of ours."""
        before = time.time() - REVIVED_AFTER_SECONDS
        query = select(ScanRow.id).where(ScanRow.state.in_(OPEN_STATES), ScanRow.created_at < before)
        with self._database.read() as session:
            open_scans = list(session.scalars(query))
        revived = []
        for start in range(0, len(open_scans), FORGOTTEN_AT_ONCE):
            ids = open_scans[start : start + FORGOTTEN_AT_ONCE]
            known, at_work = self._known(ids)
            priorities = {each.workflow_id: each.priority for each in known}
            for scan_id in set(ids) - at_work:
                if self._known([scan_id])[1]:
                    # Another worker was faster, and a third may be at it already.
                    continue
                self._client.delete_workflow(scan_id)
                with self._database.write() as session:
                    scan = session.get(ScanRow, scan_id, with_for_update=True)
                    if scan is not None and scan.state in OPEN_STATES:
                        priority = priorities.get(scan_id) or LAST_PRIORITY
                        self.enqueue_scan(session, scan_id, scan.owner, priority)
                        revived.append(scan_id)
        return revived

    def _known(self, scan_ids: list[str]) -> tuple[list[Any], set[str]]:
        """What the engine knows of these scans, and those that wait or run there."""
        known = self._client.list_workflows(workflow_ids=scan_ids, load_input=False, load_output=False)
        return known, {each.workflow_id for each in known if each.status in ("PENDING", "ENQUEUED", "DELAYED")}

    def forget_ended(self) -> int:
        """Remove what the engine keeps of work that ended a while ago: the scans' rows say what became of it."""
        before = datetime.fromtimestamp(time.time() - ENDED_KEPT_SECONDS, UTC).isoformat()
        ended = self._client.list_workflows(
            status=["SUCCESS", "ERROR", "CANCELLED"], completed_before=before, limit=FORGOTTEN_AT_ONCE, load_input=False
        )
        if ended:
            self._client.delete_workflows([each.workflow_id for each in ended])
        return len(ended)

    def close(self) -> None:
        self._client.destroy()
