"""/v1/uploads: resumable upload by tus 1.0 (core, creation, checksum, expiration, termination; https://tus.io).

The bytes that are here are the upload's file, so the offset is the file's size: it cannot disagree with the bytes,
however the server ended. `tuspyserver` 4.4 keeps the offset beside the bytes and appends again what it had not noted
when it was killed, asks for the key after the body, and knows no checksums.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from sqlalchemy import select

from detector.errors import OrdnanceError
from service.access.keys import LOCAL, Principal, principal_with
from service.access.limits import check_bytes, check_upload, today
from service.api.context import Context, Ctx, Remote, Writer
from service.api.problem import responses
from service.api.receiving import Line, read_body
from service.api.scans import ScanId, wish_of
from service.api.tus_wire import PREFIX, VERSION
from service.api.writing import FileWriter, new_digest
from service.intake import Upload, accept, check_wish, clean_name
from service.problems import (
    BadRequest,
    ChecksumWrong,
    Conflict,
    Gone,
    NotFound,
    ServiceError,
    UploadTooLarge,
)
from service.store.database import now
from service.store.scans import hold_usage, new_id
from service.store.tables import KeyRow, UploadRow
from service.store.upload_files import bytes_file, remove_upload_files, unchecked_note

router = APIRouter(prefix=PREFIX, tags=["resumable upload"])
log = logging.getLogger("ordnance.api")

EXTENSIONS = "creation,checksum,expiration,termination"
ALGORITHMS = "sha1,sha256,md5,crc32"
CONTENT_TYPE = "application/offset+octet-stream"
MAX_METADATA_BYTES = 8 * 1024
MOST_RUNNING_HASHES = 10_000
GIVES_WAY_SECONDS = 5.0
COMPLETE_SECONDS = 60.0
_OPTIONS = ("model", "plan", "every_s", "shortest_shot_s", "budget", "classes", "threshold", "webhook", "priority")
_NUMBER = re.compile(r"\d{1,15}")
_BYTES_GONE = "The bytes of this upload are gone; begin a new one."
_BASE = {"Cache-Control": "no-store"}
_NUMBER_SCHEMA = {"type": "string", "pattern": "^[0-9]{1,15}$"}
_RESUMABLE = {
    "name": "Tus-Resumable",
    "in": "header",
    "required": True,
    "schema": {"type": "string", "enum": [VERSION]},
    "description": "The protocol's version.",
}
_LENGTH = {
    "name": "Upload-Length",
    "in": "header",
    "required": True,
    "schema": _NUMBER_SCHEMA,
    "description": "Size of the clip in bytes.",
}
_OFFSET = {
    "name": "Upload-Offset",
    "in": "header",
    "required": True,
    "schema": _NUMBER_SCHEMA,
    "description": "Where these bytes belong.",
}
"""Documented here and read by hand: tus has answers of its own for headers that are wrong."""
_TUS: dict[int | str, dict[str, Any]] = {
    412: {"description": "Another version of tus."},
    **responses("bad_request", "not_found", "conflict", "gone", "upload_too_large", "storage_full", "quota_exceeded"),
}


class WrongVersion(ServiceError):
    """The client speaks another version of tus."""

    code = "bad_request"


@router.options("", status_code=204, response_class=Response, summary="What this tus server can")
def ability(ctx: Ctx) -> Response:
    return Response(
        status_code=204,
        headers={
            **_BASE,
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(ctx.settings.max_upload_bytes),
            "Tus-Checksum-Algorithm": ALGORITHMS,
        },
    )


@router.post(
    "",
    status_code=201,
    response_class=Response,
    responses={
        201: {
            "description": "The upload exists.",
            "headers": {"Location": {"description": "Its address.", "schema": {"type": "string"}}},
        },
        **_TUS,
    },
    summary="Begin a resumable upload",
    openapi_extra={"parameters": [_RESUMABLE, _LENGTH]},
)
def create(
    request: Request,
    ctx: Ctx,
    who: Writer,
) -> Response:
    """`Upload-Metadata` holds `filename` and the options of a scan, each followed by its value in base64."""
    if (refused := _other_version(request)) is not None:
        return refused
    upload_metadata = request.headers.get("upload-metadata", "")
    upload_length = request.headers.get("upload-length")
    if upload_length is None or not _NUMBER.fullmatch(upload_length):
        raise BadRequest("Upload-Length is missing or no number of bytes.")
    length = int(upload_length)
    if length == 0:
        raise BadRequest("An upload of no bytes holds no clip; send the clip's size as Upload-Length.")
    check_upload(ctx.settings, ctx.database, ctx.blobs, who, length)
    metadata = _read_metadata(upload_metadata)
    options = {name: metadata[name] for name in _OPTIONS if metadata.get(name)}
    check_wish(ctx.settings, wish_of(options))
    row = UploadRow(
        id=new_id(),
        owner=who.owner,
        key_id=who.key_id,
        length=length,
        name=clean_name(metadata.get("filename") or metadata.get("name")),
        metadata_header=upload_metadata,
        options=options,
        created_at=now(),
        expires_at=now() + ctx.settings.upload_hours * 3600,
    )
    bytes_file(ctx.settings, row.id).touch()
    try:
        with ctx.database.write() as session:
            hold_usage(session, who.owner, today())
            check_bytes(ctx.settings, session, who, length)
            session.add(row)
    except BaseException:
        remove_upload_files(ctx.settings, row.id)
        raise
    headers = {**_BASE, "Location": f"{PREFIX}/{row.id}", "Upload-Expires": _expires(row)}
    return Response(status_code=201, headers=headers)


@router.head(
    "/{upload_id}",
    response_class=Response,
    responses=_TUS,
    summary="How much of an upload is here",
    openapi_extra={"parameters": [_RESUMABLE]},
)
async def state(request: Request, ctx: Ctx, who: Writer, remote: Remote, upload_id: ScanId) -> Response:
    """An upload that is whole has its scan, where it could not be begun with the last byte, begun now."""
    if (refused := _other_version(request)) is not None:
        return refused
    row = await asyncio.to_thread(_find, ctx, who, upload_id)
    if _is_whole(ctx, row) and upload_id not in _busy:
        row = await _complete_alone(ctx, who, row, remote)
    headers = {**_BASE, "Upload-Offset": str(_offset(ctx, row)), "Upload-Length": str(row.length)}
    if row.metadata_header:
        headers["Upload-Metadata"] = row.metadata_header
    return Response(headers={**headers, **_about(row)})


@router.patch(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    responses={
        204: {"description": "The bytes are kept."},
        460: {"description": "Checksum mismatch"},
        **_TUS,
        **responses("unsupported_media_type"),
    },
    summary="Add bytes to an upload; with the last one the scan begins",
    openapi_extra={"parameters": [_RESUMABLE, _OFFSET]},
)
async def append(
    request: Request,
    ctx: Ctx,
    who: Writer,
    remote: Remote,
    upload_id: ScanId,
    upload_checksum: Annotated[str | None, Header(description="Algorithm and base64 of the body's hash.")] = None,
) -> Response:
    """The body has the Content-Type `application/offset+octet-stream`. Where a proxy lets no PATCH through, send POST
    with `X-HTTP-Method-Override: PATCH`."""
    if (refused := _other_version(request)) is not None:
        return refused
    if request.headers.get("content-type", "").lower() != CONTENT_TYPE:
        from starlette.exceptions import HTTPException

        raise HTTPException(415, f"A PATCH has the Content-Type {CONTENT_TYPE}.")
    upload_offset = request.headers.get("upload-offset")
    if upload_offset is None or not _NUMBER.fullmatch(upload_offset):
        raise BadRequest("Upload-Offset is missing or no number of bytes.")
    checksum = _read_checksum(upload_checksum)
    row = await asyncio.to_thread(_find, ctx, who, upload_id)
    if row.scan_id is None:
        async with _alone(ctx, upload_id):
            # Whoever held it until now may have made the scan.
            row = await asyncio.to_thread(_find, ctx, who, upload_id)
            if row.scan_id is None:
                await _go_on(request, ctx, row, int(upload_offset), checksum)
            if _is_whole(ctx, row):
                row = await asyncio.to_thread(_complete, ctx, who, row, remote)
    headers = {**_BASE, "Upload-Offset": str(_offset(ctx, row)), **_about(row)}
    return Response(status_code=204, headers=headers)


@router.delete(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    responses=_TUS,
    summary="Give an upload up",
    openapi_extra={"parameters": [_RESUMABLE]},
)
async def terminate(request: Request, ctx: Ctx, who: Writer, upload_id: ScanId) -> Response:
    """The scan of an upload that is complete stays; DELETE that to remove it."""
    if (refused := _other_version(request)) is not None:
        return refused
    await asyncio.to_thread(_find, ctx, who, upload_id)
    async with _alone(ctx, upload_id):
        await asyncio.to_thread(_remove, ctx, upload_id)
    return Response(status_code=204, headers=_BASE)


def _remove(ctx: Context, upload_id: str) -> None:
    with ctx.database.write() as session:
        row = session.get(UploadRow, upload_id)
        if row is not None:
            session.delete(row)
        remove_upload_files(ctx.settings, upload_id)
    _running_hashes.pop(upload_id, None)


async def _go_on(
    request: Request, ctx: Context, row: UploadRow, offset: int, checksum: tuple[str, bytes] | None
) -> None:
    """Append the body, which begins at `offset`. Raises Conflict or Gone, and as `_append`."""
    here = _offset(ctx, row)
    if unchecked_note(ctx.settings, row.id).exists():
        await asyncio.to_thread(os.truncate, bytes_file(ctx.settings, row.id), here)
        unchecked_note(ctx.settings, row.id).unlink(missing_ok=True)
    if offset != here:
        raise Conflict(f"The next byte is number {here}, not {offset}; ask with HEAD and go on there.")
    try:
        await _append(request, ctx, row, here, checksum)
    except FileNotFoundError:
        raise Gone(_BYTES_GONE) from None


async def _append(
    request: Request, ctx: Context, row: UploadRow, here: int, checksum: tuple[str, bytes] | None
) -> None:
    """Write the body behind what is here. Cut off, what came stays; with a wrong checksum nothing of it does."""
    path = bytes_file(ctx.settings, row.id)
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
        unchecked_note(ctx.settings, row.id).write_text(str(here))

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
        is_whole = await read_body(request, ctx.settings.upload_stall_seconds, take, line)
    except BaseException:
        writer.abandon()
        raise
    finally:
        del _lines[row.id]
    await writer.settle()
    if checksum is not None and hashed is not None and not (is_whole and hashed.digest() == checksum[1]):
        await take_back()
        raise ChecksumWrong("The bytes that arrived are not those that the checksum is of; send them again.")
    unchecked_note(ctx.settings, row.id).unlink(missing_ok=True)
    _remember_hash(row.id, written, running)


_running_hashes: dict[str, tuple[int, Any]] = {}
"""By upload, the SHA-256 of its first so many bytes, where this process has seen them all. It spares reading the whole
file once more at the end; without it (after a restart, or with several API processes) that is done."""


def _remember_hash(upload_id: str, size: int, sha256: Any) -> None:
    if sha256 is not None:
        _running_hashes[upload_id] = (size, sha256)
        while len(_running_hashes) > MOST_RUNNING_HASHES:
            del _running_hashes[next(iter(_running_hashes))]


def _sha256_of(path: Path, upload_id: str, length: int) -> str:
    size, sha256 = _running_hashes.pop(upload_id, (-1, None))
    if size == length:
        return str(sha256.hexdigest())
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _complete(ctx: Context, who: Principal, row: UploadRow, remote: str) -> UploadRow:
    """Make the scan; what is left half-way where the process ends meanwhile can be done again."""
    path = bytes_file(ctx.settings, row.id)
    sha256 = _sha256_of(path, row.id, row.length)
    order = check_wish(ctx.settings, wish_of(row.options))
    upload = Upload(path, sha256, row.length, row.name, resumable_id=row.id)
    scan, _ = accept(ctx.office, who, upload, order, remote=remote)
    path.unlink(missing_ok=True)
    row.scan_id = scan.id
    return row


async def _complete_alone(ctx: Context, who: Principal, row: UploadRow, remote: str) -> UploadRow:
    """The upload with its scan; as it is where another request is at it."""
    try:
        async with _alone(ctx, row.id):
            row = await asyncio.to_thread(_find, ctx, who, row.id)
            return await asyncio.to_thread(_complete, ctx, who, row, remote) if _is_whole(ctx, row) else row
    except Conflict:
        return row


async def complete_whole_uploads(ctx: Context) -> None:
    """Begin, now and then, the scans of uploads that are whole and have none: the process that took the last byte was
    killed, or too many scans waited. Their clients may never ask again."""
    while True:
        try:
            for row in await asyncio.to_thread(_whole_uploads, ctx):
                await _complete_for_owner(ctx, row)
        except Exception:
            log.exception("whole uploads cannot be seen to; tried again in a minute")
        await asyncio.sleep(COMPLETE_SECONDS)


def _whole_uploads(ctx: Context) -> list[UploadRow]:
    with ctx.database.read() as session:
        rows = list(session.scalars(select(UploadRow).where(UploadRow.scan_id.is_(None))))
    return [row for row in rows if _is_whole(ctx, row)]


async def _complete_for_owner(ctx: Context, row: UploadRow) -> None:
    try:
        row = await _complete_alone(ctx, await asyncio.to_thread(_uploader, ctx, row), row, "")
        if row.scan_id is not None:
            log.info("a whole upload has its scan late", extra={"upload": row.id, "scan": row.scan_id})
    except (OrdnanceError, OSError) as error:
        log.warning("a whole upload has no scan yet", extra={"upload": row.id, "reason": str(error)})


def _uploader(ctx: Context, row: UploadRow) -> Principal:
    with ctx.database.read() as session:
        key = session.get(KeyRow, row.key_id)
    return LOCAL if key is None else principal_with(key)


_busy: set[str] = set()
_lines: dict[str, Line] = {}
"""The bodies on their way, by upload; at most one each, as `_alone` sees to."""


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
async def _alone(ctx: Context, upload_id: str) -> AsyncIterator[None]:
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
                handle = os.open(bytes_file(ctx.settings, upload_id), os.O_RDONLY)
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


def _find(ctx: Context, who: Principal, upload_id: str) -> UploadRow:
    with ctx.database.read() as session:
        row = session.get(UploadRow, upload_id)
    if row is None or row.owner != who.owner:
        raise NotFound("There is no such upload; it was given up, has expired, or never was: begin a new one.")
    if row.expires_at < now() and row.scan_id is None and not _is_whole(ctx, row):
        raise Gone("This upload has expired; begin a new one.")
    return row


def _is_whole(ctx: Context, row: UploadRow) -> bool:
    """Whether every byte is here, and no scan yet."""
    with suppress(Gone):
        return row.scan_id is None and _offset(ctx, row) == row.length
    return False


def _offset(ctx: Context, row: UploadRow) -> int:
    if row.scan_id is not None:
        return row.length
    try:
        size = bytes_file(ctx.settings, row.id).stat().st_size
        with suppress(FileNotFoundError, ValueError):
            return min(size, int(unchecked_note(ctx.settings, row.id).read_text()))
        return size
    except FileNotFoundError:
        raise Gone(_BYTES_GONE) from None


def _about(row: UploadRow) -> dict[str, str]:
    if row.scan_id is not None:
        return {"Ordnance-Scan": f"/v1/scans/{row.scan_id}"}
    return {"Upload-Expires": _expires(row)}


def _expires(row: UploadRow) -> str:
    return format_datetime(datetime.fromtimestamp(row.expires_at, UTC), usegmt=True)


def _other_version(request: Request) -> Response | None:
    if request.headers.get("tus-resumable") == VERSION:
        return None
    return Response(status_code=412, headers={**_BASE, "Tus-Version": VERSION})


def _read_metadata(header: str) -> dict[str, str]:
    """Raises BadRequest."""
    if len(header) > MAX_METADATA_BYTES:
        raise BadRequest(f"Upload-Metadata is longer than {MAX_METADATA_BYTES} bytes.")
    found: dict[str, Any] = {}
    for pair in header.split(","):
        name, _, value = pair.strip().partition(" ")
        if not name:
            continue
        try:
            found[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise BadRequest(f"Upload-Metadata: the value of '{name[:64]}' is no base64 of UTF-8 text.") from None
    return found


def _read_checksum(header: str | None) -> tuple[str, bytes] | None:
    """Raises BadRequest."""
    if header is None:
        return None
    algorithm, _, value = header.partition(" ")
    if algorithm not in ALGORITHMS.split(","):
        raise BadRequest(f"Checksums by '{algorithm[:32]}' are not known here; use one of: {ALGORITHMS}.")
    try:
        return algorithm, base64.b64decode(value, validate=True)
    except binascii.Error:
        raise BadRequest("Upload-Checksum holds no base64.") from None
