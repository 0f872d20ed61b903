"""Bytes for a resumable upload: put behind what is here, hashed on the way, for one request at a time."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import Request

from service.api.receiving import Line, read_body
from service.api.writing import FileWriter, new_digest
from service.problems import ChecksumWrong, Conflict, Gone, UploadTooLarge
from service.settings import Settings
from service.store.tables import UploadRow
from service.store.uploads import BYTES_GONE, bytes_file, bytes_here, unchecked_note

MOST_RUNNING_HASHES = 10_000
GIVES_WAY_SECONDS = 5.0


_busy: set[str] = set()
_lines: dict[str, Line] = {}
"""The bodies on their way, by upload; at most one each, as `alone` sees to."""


def is_held(upload_id: str) -> bool:
    """Whether a request to this process is at the upload."""
    return upload_id in _busy


async def _have_way(upload_id: str) -> None:
    """Have a request that still waits for bytes of the upload end: its client comes with a new one because that broke.

    The server need not have noticed: a connection can break without a word.
    """
    if (line := _lines.get(upload_id)) is None:
        return
    line.give_way()
    deadline = time.monotonic() + GIVES_WAY_SECONDS
    while upload_id in _busy and time.monotonic() < deadline:
        await asyncio.sleep(0.02)


@asynccontextmanager
async def alone(settings: Settings, upload_id: str) -> AsyncIterator[None]:
    """Hold the upload; what else comes for it meanwhile is told to come back. Holds against other processes as well."""
    await _have_way(upload_id)
    if upload_id in _busy:
        raise Conflict("Another request is at this upload; ask with HEAD where it is, and go on there.")
    _busy.add(upload_id)
    handle = None
    try:
        if os.name == "posix":
            import fcntl

            try:
                handle = os.open(bytes_file(settings, upload_id), os.O_RDONLY)
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except FileNotFoundError:
                pass
            except BlockingIOError:
                raise Conflict("Another request is at this upload; ask with HEAD, and go on there.") from None
        yield
    finally:
        if handle is not None:
            os.close(handle)
        _busy.discard(upload_id)


async def append_bytes(
    request: Request, settings: Settings, row: UploadRow, offset: int, checksum: tuple[str, bytes] | None
) -> None:
    """Append the body, which begins at `offset`. Raises Conflict or Gone, and as `_append`."""
    here = bytes_here(settings, row)
    if unchecked_note(settings, row.id).exists():
        await asyncio.to_thread(os.truncate, bytes_file(settings, row.id), here)
        unchecked_note(settings, row.id).unlink(missing_ok=True)
    if offset != here:
        raise Conflict(f"The next byte is number {here}, not {offset}; ask with HEAD and go on there.")
    try:
        await _append(request, settings, row, here, checksum)
    except FileNotFoundError:
        raise Gone(BYTES_GONE) from None


async def _append(
    request: Request, settings: Settings, row: UploadRow, here: int, checksum: tuple[str, bytes] | None
) -> None:
    """Write the body behind what is here. Cut off, what came stays; with a wrong checksum nothing of it does."""
    path = bytes_file(settings, row.id)
    announced = request.headers.get("content-length")
    if announced and announced.isdecimal() and here + int(announced) > row.length:
        raise UploadTooLarge(f"These bytes go beyond the {row.length} that the upload announced.")
    hashed = new_digest(checksum[0]) if checksum else None
    seen, running = _running_hashes.pop(row.id, (0, None)) if here else (0, hashlib.sha256())
    running = running if seen == here else None
    before = running.copy() if running is not None else None
    writer = FileWriter(path, *(each for each in (running, hashed) if each is not None))
    written = here
    if checksum is not None:
        # Until the checksum is seen to be right these bytes do not count, not even after a crash.
        unchecked_note(settings, row.id).write_text(str(here))

    async def take_back() -> None:
        await writer.settle()
        await asyncio.to_thread(os.truncate, path, here)
        _remember_hash(row.id, here, before)

    async def take(chunk: bytes) -> None:
        nonlocal written
        written += len(chunk)
        if written > row.length:
            await take_back()
            raise UploadTooLarge(f"These bytes go beyond the {row.length} that the upload announced.")
        await writer.write(chunk)

    line = _lines[row.id] = Line()
    try:
        is_whole = await read_body(request, settings.upload_stall_seconds, take, line)
    except BaseException:
        writer.abandon()
        raise
    finally:
        del _lines[row.id]
    await writer.settle()
    if checksum is not None and hashed is not None and not (is_whole and hashed.digest() == checksum[1]):
        await take_back()
        raise ChecksumWrong("The bytes that arrived are not those that the checksum is of; send them again.")
    unchecked_note(settings, row.id).unlink(missing_ok=True)
    _remember_hash(row.id, written, running)


_running_hashes: dict[str, tuple[int, Any]] = {}
"""By upload, the SHA-256 of its first so many bytes, where this process has seen them all. It spares reading the whole
file once more at the end; without it (after a restart, or with several API processes) that is done."""


def _remember_hash(upload_id: str, size: int, sha256: Any) -> None:
    if sha256 is not None:
        _running_hashes[upload_id] = (size, sha256)
        while len(_running_hashes) > MOST_RUNNING_HASHES:
            del _running_hashes[next(iter(_running_hashes))]


def sha256_of(path: Path, upload_id: str, length: int) -> str:
    """Of a whole upload, whose file is `path`."""
    size, sha256 = _running_hashes.pop(upload_id, (-1, None))
    if size == length:
        return str(sha256.hexdigest())
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def forget_hash(upload_id: str) -> None:
    _running_hashes.pop(upload_id, None)
