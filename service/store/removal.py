"""Removing scans: on demand, by age, and what was left half-way."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sqlalchemy import delete, select

from service.problems import NotFound
from service.settings import Settings
from service.store.blobs import BlobStore
from service.store.clips import drop_copies, drop_unreferenced, hold_clip, remove_marked, sweep
from service.store.database import Database, now
from service.store.scans import find_scan
from service.store.sessions import drop_expired
from service.store.tables import (
    OPEN_STATES,
    BlobRow,
    ClipRow,
    IdempotencyRow,
    PictureRow,
    ScanRow,
    UploadRow,
    UsageRow,
)
from service.store.uploads import remove_upload_files

IDEMPOTENCY_DAYS = 7
USAGE_DAYS = 40


def remove_scan(database: Database, blobs: BlobStore, owner: str, scan_id: str) -> None:
    """Remove a scan's rows, its pictures, and the clip where no other scan of the owner needs it. Raises NotFound."""
    with database.write() as session:
        clip = find_scan(session, owner, scan_id, hold=True).clip_sha256
        # Blob before clip, as where a clip is kept; and the clip before it is seen who else needs it.
        session.get(BlobRow, clip, with_for_update=True)
        hold_clip(session, owner, clip)
        hashes = list(session.scalars(select(PictureRow.sha256).where(PictureRow.scan_id == scan_id).distinct()))
        session.execute(delete(UploadRow).where(UploadRow.scan_id == scan_id))
        session.execute(delete(ScanRow).where(ScanRow.id == scan_id))
        others = select(ScanRow.id).where(ScanRow.owner == owner, ScanRow.clip_sha256 == clip).limit(1)
        if session.scalar(others) is None:
            session.execute(delete(ClipRow).where(ClipRow.owner == owner, ClipRow.sha256 == clip))
            hashes.append(clip)
        marked = drop_unreferenced(session, hashes)
    remove_marked(database, blobs, marked)


def tidy(settings: Settings, database: Database, blobs: BlobStore, forget: Callable[[str], None]) -> dict[str, int]:
    """What is done now and then; `forget` tells the job engine of a scan that went. Counts what went, by kind."""
    removed = {"scans": 0, "uploads": 0, "blobs": 0}
    if settings.retention_days is not None:
        before = now() - settings.retention_days * 86400
        with database.read() as session:
            old = list(
                session.execute(
                    select(ScanRow.owner, ScanRow.id).where(
                        ScanRow.finished_at < before, ScanRow.state.not_in(OPEN_STATES)
                    )
                )
            )
        for owner, scan_id in old:
            # Another worker tidies as well, and owners remove what is theirs.
            with suppress(NotFound):
                remove_scan(database, blobs, owner, scan_id)
                forget(scan_id)
                removed["scans"] += 1
    removed["uploads"] = remove_left_files(settings, database)
    with database.write() as session:
        session.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at < now() - IDEMPOTENCY_DAYS * 86400))
        oldest = _day(now() - USAGE_DAYS * 86400)
        session.execute(delete(UsageRow).where(UsageRow.day < oldest))
        drop_expired(session)
    removed["blobs"] = sweep(database, blobs)
    drop_copies(database, blobs)
    return removed


def remove_left_files(settings: Settings, database: Database) -> int:
    """What lies on this machine of uploads that have expired and of scans that have ended; returns how many uploads
    had expired."""
    expired = _expire_uploads(settings, database)
    _remove_strays(settings, database)
    return expired


def _expire_uploads(settings: Settings, database: Database) -> int:
    with database.write() as session:
        gone = list(session.scalars(delete(UploadRow).where(UploadRow.expires_at < now()).returning(UploadRow.id)))
    for name in gone:
        remove_upload_files(settings, name)
    return len(gone)


def _remove_strays(settings: Settings, database: Database) -> None:
    """Files of uploads and folders of scans that no row knows any more, once they are old."""
    old = now() - 86400
    for path in settings.uploads_folder.glob("*"):
        if path.is_file() and _changed_at(path) < old:
            with database.read() as session:
                if session.get(UploadRow, path.stem) is None:
                    path.unlink(missing_ok=True)
    for folder in settings.work_folder.glob("*"):
        if _changed_at(folder) < old:
            with database.read() as session:
                scan = session.get(ScanRow, folder.name)
                if scan is None or scan.state not in OPEN_STATES:
                    shutil.rmtree(folder, ignore_errors=True)


def _changed_at(path: Path) -> float:
    """Now, where the file or folder is gone meanwhile."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return now()


def _day(at: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
