"""The workflows as DBOS knows them. A worker imports this module; the API only names what is in it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from dbos import DBOS
from dbos import error as engine_errors

from detector.errors import OrdnanceError, VideoError
from service.jobs import webhooks
from service.jobs.desk import Desk
from service.jobs.engine import SCAN_WORKFLOW, WEBHOOK_WORKFLOW
from service.jobs.scanning import begin, fail, run_scan
from service.jobs.segments import ScanStopped
from service.store.database import OUTAGES
from service.tracing import span

log = logging.getLogger("ordnance.scan")

STEP_ATTEMPTS = 4
"""How often a step is tried that failed through no fault of the clip."""
OUTAGE_ATTEMPTS = 12
"""How often a webhook is tried while the database does not answer, each time after twice as long: for half an hour."""
RECOVERIES = 1000
"""The engine's own limit lies far above `scanning.MAX_ATTEMPTS_WITHOUT_PROGRESS`, which counts better."""

_desk: Desk | None = None


def use(desk: Desk) -> None:
    """Set what the workflows of this process work with."""
    global _desk
    _desk = desk


def desk() -> Desk:
    if _desk is None:
        raise RuntimeError("this process is no worker")
    return _desk


_work: dict[str, Callable[[], None]] = {}
"""What the step of a running scan does. A step's arguments are stored, so it is given a name and looks here."""


def _is_ours(error: BaseException) -> bool:
    return not isinstance(error, ScanStopped | OrdnanceError)


def _is_outage(error: BaseException) -> bool:
    if isinstance(error, engine_errors.DBOSMaxStepRetriesExceeded):
        return bool(error.errors) and isinstance(error.errors[-1], OUTAGES)
    return isinstance(error, OUTAGES)


@DBOS.step(name="segment", retries_allowed=True, max_attempts=STEP_ATTEMPTS, should_retry=_is_ours)
def _step(scan_id: str) -> None:
    _work[scan_id]()


@DBOS.workflow(name=SCAN_WORKFLOW, max_recovery_attempts=RECOVERIES)
def scan(scan_id: str) -> None:
    """Scan one clip; ends without an error whatever becomes of the clip: the scan's row says what did."""
    here = desk()
    row = begin(here, scan_id)
    if row is None:
        return

    def step(do: Callable[[], None]) -> None:
        is_done = False

        def once() -> None:
            nonlocal is_done
            do()
            is_done = True

        _work[scan_id] = once
        try:
            _step(scan_id)
        finally:
            _work.pop(scan_id, None)
        if not is_done:
            # The engine remembers the step from before the scan began anew.
            do()

    context = {"scan": scan_id, "clip_sha256": row.clip_sha256}
    log.info("scan begins", extra=context)
    try:
        with span("scan", scan_id=scan_id):
            run_scan(here, row, step)
        log.info("scan is done", extra=context)
    except ScanStopped:
        log.info("scan was stopped", extra=context)
        return
    except VideoError as error:
        log.info("clip cannot be scanned: %s", error, extra={**context, "code": error.code})
        fail(here, scan_id, error.code, _about(row.name, error))
    except OrdnanceError as error:
        log.warning("scan failed: %s", error, extra={**context, "code": error.code})
        fail(here, scan_id, error.code, str(error))
    except Exception as error:
        if _is_outage(error):
            log.warning("the database failed; the scan goes into the queue again: %s", error, extra=context)
            # Open, but no longer at work: `Jobs.revive` finds it.
            return
        log.exception("scan failed", extra=context)
        fail(
            here,
            scan_id,
            "internal_error",
            f"The scan ended through a fault of the service ({type(error).__name__}); the log has the details. POST "
            "…/rescan to try again.",
        )


@DBOS.workflow(name=WEBHOOK_WORKFLOW, max_recovery_attempts=RECOVERIES)
def deliver(scan_id: str, attempt: int = 0) -> None:
    """Tell a scan's webhook how it ended. A further attempt is a workflow of its own, put into the queue for later: one
    that waited here would hold a place of the queue for hours."""
    if _deliver(scan_id):
        return
    if attempt + 1 < webhooks.ATTEMPTS:
        webhooks.enqueue_again(scan_id, attempt + 1)
    else:
        log.warning("webhook was not taken", extra={"scan": scan_id})


@DBOS.step(name="deliver", retries_allowed=True, max_attempts=OUTAGE_ATTEMPTS, should_retry=_is_outage)
def _deliver(scan_id: str) -> bool:
    with span("webhook", scan_id=scan_id):
        return webhooks.deliver(desk(), scan_id)


def _about(name: str, error: VideoError) -> str:
    """The error's sentence with the name that the user knows the clip by."""
    before, colon, after = str(error).partition(": ")
    return f"{name}: {after}" if colon and before.startswith("clip") and " " not in before else str(error)
