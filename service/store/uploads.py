"""Resumable uploads as they are kept: a row, and two files, which are its bytes and a note beside them.

The bytes that are here are the upload's file, so the offset is the file's size: it cannot disagree with the bytes,
however the server ended.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from service.problems import Gone, NotFound
from service.settings import Settings
from service.store.database import Database, now
from service.store.tables import UploadRow

BYTES_GONE = "The bytes of this upload are gone; begin a new one."


def find_upload(database: Database, settings: Settings, owner: str, upload_id: str) -> UploadRow:
    """Raises NotFound, which does not tell another owner's upload from none, or Gone."""
    with database.read() as session:
        row = session.get(UploadRow, upload_id)
    if row is None or row.owner != owner:
        raise NotFound("There is no such upload; it was given up, has expired, or never was: begin a new one.")
    if row.expires_at < now() and row.scan_id is None and not is_whole(settings, row):
        raise Gone("This upload has expired; begin a new one.")
    return row


def is_whole(settings: Settings, row: UploadRow) -> bool:
    """Whether every byte is here, and no scan yet."""
    with suppress(Gone):
        return row.scan_id is None and bytes_here(settings, row) == row.length
    return False


def bytes_here(settings: Settings, row: UploadRow) -> int:
    """How many bytes have come and count. Raises Gone."""
    if row.scan_id is not None:
        return row.length
    try:
        size = bytes_file(settings, row.id).stat().st_size
        with suppress(FileNotFoundError, ValueError):
            return min(size, int(unchecked_note(settings, row.id).read_text()))
        return size
    except FileNotFoundError:
        raise Gone(BYTES_GONE) from None


def bytes_file(settings: Settings, upload_id: str) -> Path:
    return settings.uploads_folder / upload_id


def unchecked_note(settings: Settings, upload_id: str) -> Path:
    """A note of the offset from which bytes wait for their checksum."""
    return settings.uploads_folder / f"{upload_id}.unchecked"


def remove_upload_files(settings: Settings, upload_id: str) -> None:
    """The bytes go first: without their note they would count as checked."""
    bytes_file(settings, upload_id).unlink(missing_ok=True)
    unchecked_note(settings, upload_id).unlink(missing_ok=True)
