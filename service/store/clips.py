"""Clips and pictures on their way into the blob store and out of it.

A row that says who refers to a blob is committed before its bytes are written, and a blob's row is marked before its
bytes are removed, so that whatever is killed in between, no referenced byte is lost and none stays for ever.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from service.problems import NotReady
from service.store.blobs import BlobStore
from service.store.database import Database, add_missing, in_portions, now
from service.store.tables import BlobRow, ClipRow, PictureRow, ScanRow

log = logging.getLogger("ordnance.store")

DELETING_WAIT_SECONDS = 10.0
GRACE_SECONDS = 3600.0
"""What nobody refers to is removed after this long: an upload or a report may be about to refer to it."""
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}$")


def keep_clip(database: Database, blobs: BlobStore, owner: str, sha256: str, size: int, source: Path) -> None:
    """Make the clip the owner's, and `source`, which stays, its bytes. Raises OSError where they cannot be kept."""
    _claim(database, blobs, {sha256: size}, owner)
    blobs.put_file(sha256, source)


def hold_clip(session: Session, owner: str, sha256: str) -> bool:
    """Whether the owner (still) has the clip; if so, it is not removed before the transaction ends."""
    return session.get(ClipRow, (owner, sha256), with_for_update=True) is not None


def keep_pictures(database: Database, blobs: BlobStore, contents: Sequence[bytes]) -> list[str]:
    """Store pictures that rows will refer to within GRACE_SECONDS; returns their hashes."""
    hashes = [hashlib.sha256(content).hexdigest() for content in contents]
    if contents:
        _claim(database, blobs, dict(zip(hashes, map(len, contents), strict=True)), None)
    for sha256, content in zip(hashes, contents, strict=True):
        blobs.put_bytes(sha256, content)
    return hashes


def hold_pictures(session: Session, hashes: Sequence[str]) -> bool:
    """Whether all these pictures are (still) kept; if so, none is removed before the transaction ends."""
    for some in in_portions(sorted(set(hashes))):
        query = select(BlobRow).where(BlobRow.sha256.in_(some)).order_by(BlobRow.sha256).with_for_update(read=True)
        held = session.scalars(query).all()
        if len(held) < len(some) or any(row.deleting for row in held):
            return False
    return True


def link_clip(blobs: BlobStore, sha256: str, name: str, folder: Path) -> Path:
    """A link to the clip in a folder of its own, under its own kind of name: FFmpeg knows some formats by their suffix
    only. Raises FileNotFoundError where the bytes are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    suffix = _SUFFIX.search(name)
    path = folder / f"clip{suffix.group().lower() if suffix else ''}"
    path.unlink(missing_ok=True)
    path.symlink_to(blobs.local_path(sha256))
    return path


def drop_unreferenced(session: Session, hashes: list[str]) -> list[str]:
    """Mark those blobs that no row refers to any more; `remove_marked` then removes them."""
    marked = []
    for sha256 in sorted(hashes):
        row = session.get(BlobRow, sha256, with_for_update=True)
        if row is not None and not _is_referenced(session, sha256):
            row.deleting = True
            marked.append(sha256)
    return marked


def remove_marked(database: Database, blobs: BlobStore, hashes: list[str] | None = None) -> int:
    """Remove the bytes and rows of marked blobs (all, or these); returns how many went. What the store does not let go
    stays marked."""
    with database.read() as session:
        marked = set(session.scalars(select(BlobRow.sha256).where(BlobRow.deleting)))
    removed = 0
    for sha256 in sorted(marked if hashes is None else marked.intersection(hashes)):
        try:
            removed += _remove(database, blobs, sha256)
        except OSError as error:
            log.warning("bytes cannot be removed yet: %s", error, extra={"blob": sha256})
    return removed


def _remove(database: Database, blobs: BlobStore, sha256: str) -> bool:
    """Remove a marked blob; false where it is none any more, or where others take too long to remove theirs.

    Until its bytes are gone, no other process that read the same list may remove it: it would remove fresh ones. The
    row is held for that; but in SQLite all others that write would wait for a bucket that hangs.
    """
    if not database.is_sqlite or os.name != "posix":
        with database.write() as session:
            if (row := _marked(session, sha256)) is None:
                return False
            blobs.delete(sha256)
            session.delete(row)
        return True
    with database.turn(DELETING_WAIT_SECONDS) as has_turn:
        if not has_turn:
            log.warning("bytes cannot be removed yet: others are being removed", extra={"blob": sha256})
            return False
        with database.write() as session:
            if _marked(session, sha256) is None:
                return False
        blobs.delete(sha256)
        with database.write() as session:
            session.execute(delete(BlobRow).where(BlobRow.sha256 == sha256, BlobRow.deleting))
    return True


def _marked(session: Session, sha256: str) -> BlobRow | None:
    """The blob's row, held, where it is (still) to be removed."""
    row = session.get(BlobRow, sha256, with_for_update=True)
    if row is None or not row.deleting:
        return None
    if _is_referenced(session, sha256):
        row.deleting = False
        return None
    return row


def sweep(database: Database, blobs: BlobStore) -> int:
    """Remove what nobody has referred to for GRACE_SECONDS, and finish removals that were cut short."""
    old = now() - GRACE_SECONDS
    has_scan = exists().where(ScanRow.owner == ClipRow.owner, ScanRow.clip_sha256 == ClipRow.sha256)
    with database.read() as session:
        unused = list(session.execute(select(ClipRow.owner, ClipRow.sha256).where(ClipRow.created_at < old, ~has_scan)))
    for owner, sha256 in unused:
        with database.write() as session:
            # Held before it is seen again whether a scan needs it: one may be made just now.
            if hold_clip(session, owner, sha256):
                this = (ClipRow.owner == owner, ClipRow.sha256 == sha256)
                session.execute(delete(ClipRow).where(*this, ~has_scan))
    with database.write() as session:
        stale = list(
            session.scalars(
                select(BlobRow.sha256).where(
                    BlobRow.touched_at < old,
                    ~exists().where(ClipRow.sha256 == BlobRow.sha256),
                    ~exists().where(PictureRow.sha256 == BlobRow.sha256),
                )
            )
        )
        drop_unreferenced(session, stale)
    removed = remove_marked(database, blobs)
    with database.read() as session:
        known = set(session.scalars(select(BlobRow.sha256)))
    for sha256, changed in list(blobs.names()):
        if sha256 not in known and changed < old and len(sha256) == 64:
            with database.read() as session:
                if session.get(BlobRow, sha256) is None:
                    blobs.delete(sha256)
                    removed += 1
    return removed


def drop_copies(database: Database, blobs: BlobStore) -> None:
    """Remove this machine's copies of what was removed by another one."""
    copies = blobs.copies()
    for some in in_portions(copies):
        with database.read() as session:
            kept = set(session.scalars(select(BlobRow.sha256).where(BlobRow.sha256.in_(some))))
        for sha256 in set(some) - kept:
            blobs.drop_copy(sha256)


def _claim(database: Database, blobs: BlobStore, sizes: Mapping[str, int], owner: str | None) -> None:
    deadline = time.monotonic() + DELETING_WAIT_SECONDS
    while True:
        with database.write() as session:
            fresh = {"touched_at": now(), "deleting": False}
            rows = [{"sha256": sha256, "bytes": sizes[sha256], **fresh} for sha256 in sorted(sizes)]
            add_missing(session, BlobRow, *rows)
            kept: list[BlobRow] = []
            for some in in_portions(sorted(sizes)):
                query = select(BlobRow).where(BlobRow.sha256.in_(some)).order_by(BlobRow.sha256).with_for_update()
                kept += session.scalars(query)
            going = [row.sha256 for row in kept if row.deleting]
            if len(kept) == len(sizes) and not going:
                for row in kept:
                    row.touched_at = now()
                if owner is not None:
                    owned = [{"owner": owner, "sha256": sha256, "created_at": now()} for sha256 in sizes]
                    add_missing(session, ClipRow, *owned)
                return
        if time.monotonic() > deadline:
            raise NotReady("The same bytes are just being removed; try again in a minute.", retry_after_seconds=60)
        # Who began to remove them may have been killed.
        if not remove_marked(database, blobs, going):
            time.sleep(0.1)


def _is_referenced(session: Session, sha256: str) -> bool:
    clip = session.scalar(select(ClipRow.owner).where(ClipRow.sha256 == sha256).limit(1))
    return (
        clip is not None
        or session.scalar(select(PictureRow.scan_id).where(PictureRow.sha256 == sha256).limit(1)) is not None
    )
