"""From a scan's row to its report: what a worker does for one scan."""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy.orm import Session

from detector.errors import OrdnanceError, VideoError
from detector.memory import give_back_freed
from detector.scanner import ScanOptions
from detector.video import sha256_file
from service.jobs.desk import Desk
from service.jobs.journal import KeptScan, RunStep
from service.jobs.patience import patiently
from service.jobs.segments import SegmentedScanner
from service.jobs.stoppable import stoppable
from service.jobs.wanted import Watched
from service.store.blobs import BlobGone
from service.store.clips import link_clip
from service.store.database import now
from service.store.results import drop_segments
from service.store.scans import move_scan
from service.store.tables import OPEN_STATES, ScanRow, ScanState

MAX_ATTEMPTS_WITHOUT_PROGRESS = 30
"""A scan whose worker died so often without finishing one more segment is failed: the clip may be what kills it."""


class ClipDamaged(OrdnanceError):
    """The store holds other bytes than those that were uploaded."""

    code = "clip_damaged"


def begin(desk: Desk, scan_id: str) -> ScanRow | None:
    """Take the scan up; None where there is nothing (more) to do."""
    with desk.database.write() as session:
        scan = session.get(ScanRow, scan_id, with_for_update=True)
        if scan is None or scan.state not in OPEN_STATES:
            return None
        if scan.attempts >= MAX_ATTEMPTS_WITHOUT_PROGRESS:
            _fail_in(
                desk,
                session,
                scan_id,
                "worker_died",
                f"The worker ended {scan.attempts} times at the same place of this clip; the clip was given up.",
            )
            return None
        attempts = scan.attempts + 1
        if scan.state == ScanState.QUEUED:
            values = {"started_at": now(), "attempts": attempts}
            move_scan(session, scan_id, ScanState.RUNNING, come_from=(ScanState.QUEUED,), **values)
            session.refresh(scan)
        else:
            scan.attempts = attempts
        return scan


def fail(desk: Desk, scan_id: str, code: str, message: str) -> None:
    """End the scan as failed, where it has not ended otherwise."""
    with desk.database.write() as session:
        _fail_in(desk, session, scan_id, code, message)


def _fail_in(desk: Desk, session: Session, scan_id: str, code: str, message: str) -> None:
    has_moved = move_scan(
        session,
        scan_id,
        ScanState.FAILED,
        come_from=OPEN_STATES,
        error_code=code,
        error_message=message,
        finished_at=now(),
    )
    if has_moved:
        desk.jobs.enqueue_webhook(session, session.get_one(ScanRow, scan_id))


def run_scan(desk: Desk, scan: ScanRow, step: RunStep) -> None:
    """Scan, from wherever an earlier worker came to.

    Raises ScanStopped, or OrdnanceError where the clip is to blame.
    """
    try:
        with desk.wanted.watch(scan.id) as watched:
            _run_watched(desk, scan, step, watched)
    finally:
        # Pictures of the scan hang in circles of references, which would otherwise be found many scans later.
        gc.collect()
        give_back_freed()


def _run_watched(desk: Desk, scan: ScanRow, step: RunStep, watched: Watched) -> None:
    folder = desk.settings.work_folder / scan.id
    try:
        try:
            _scan_clip(desk, scan, step, watched, folder)
        except (ClipDamaged, BlobGone):
            watched.check()
            if not desk.blobs.drop_copy(scan.clip_sha256):
                raise
            # This machine's copy was damaged or went. What was found on it does not count.
            with desk.database.write() as session:
                drop_segments(session, scan.id)
            _scan_clip(desk, scan, step, watched, folder)
    except BlobGone as error:
        watched.check()
        raise OrdnanceError("The clip's bytes are gone from the store; upload it again.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _scan_clip(desk: Desk, scan: ScanRow, step: RunStep, watched: Watched, folder: Path) -> None:
    """Raises ClipDamaged or BlobGone where the bytes were others, or went meanwhile."""

    def opened() -> tuple[Path, BinaryIO]:
        path = link_clip(desk.blobs, scan.clip_sha256, scan.name, folder)
        return path, path.open("rb")

    path, file = patiently(desk.blobs, watched, "read", opened)
    with file:
        model = desk.model_of(scan.options["model"]).for_scan(watched.look)
        journal = KeptScan(desk, scan, step, watched, model)
        with stoppable(desk.decoders, watched) as decoders:
            scanner = journal.scanner = SegmentedScanner(
                model,
                _options(scan.options),
                limits=desk.limits,
                decoders=decoders,
                segment_samples=desk.settings.segment_samples,
                journal=journal,
            )
            try:
                result = scanner.scan(path)
            except VideoError:
                # A decoder may read no other file than the one it was given, be it a fresh copy of the same bytes.
                if not path.exists() or not os.path.samestat(path.stat(), os.fstat(file.fileno())):
                    raise BlobGone(scan.clip_sha256) from None
                _check_bytes(scan, sha256_file(path))
                raise
    _check_bytes(scan, result.report.clip.sha256)
    journal.finish(result)


def _check_bytes(scan: ScanRow, sha256: str) -> None:
    """Raises ClipDamaged."""
    if sha256 != scan.clip_sha256:
        raise ClipDamaged("The store no longer holds the bytes that were uploaded, but others; upload the clip again.")


def _options(options: dict[str, Any]) -> ScanOptions:
    classes = options.get("classes")
    return ScanOptions(
        plan=options["plan"],
        cadence_seconds=options["every_s"],
        classes=None if classes is None else tuple(classes),
        threshold=options.get("threshold"),
        shortest_shot_seconds=options.get("shortest_shot_s"),
        budget=options.get("budget"),
    )
