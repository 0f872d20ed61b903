"""The files of a resumable upload: its bytes, and a note beside them."""

from __future__ import annotations

from pathlib import Path

from service.settings import Settings


def bytes_file(settings: Settings, upload_id: str) -> Path:
    return settings.uploads_folder / upload_id


def unchecked_note(settings: Settings, upload_id: str) -> Path:
    """A note of the offset from which bytes wait for their checksum."""
    return settings.uploads_folder / f"{upload_id}.unchecked"


def remove_upload_files(settings: Settings, upload_id: str) -> None:
    """The bytes go first: without their note they would count as checked."""
    bytes_file(settings, upload_id).unlink(missing_ok=True)
    unchecked_note(settings, upload_id).unlink(missing_ok=True)
