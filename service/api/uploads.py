"""/v1/uploads: resumable upload by tus 1.0 (core, creation, checksum, expiration, termination; https://tus.io).

`tuspyserver` 4.4 keeps the offset beside the bytes and appends again what it had not noted when it was killed, asks
for the key after the body, and knows no checksums.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from starlette.exceptions import HTTPException

from service.access.limits import check_bytes, check_upload, today
from service.api.context import Context, Ctx, Remote, Writer
from service.api.new_scans import OPTIONS, wish_of
from service.api.problem import responses
from service.api.scans import ScanId
from service.api.tus_wire import PREFIX, VERSION
from service.api.upload_bytes import alone, append_bytes, forget_hash, is_held
from service.api.whole_uploads import complete, complete_alone
from service.intake import check_wish, clean_name
from service.problems import BadRequest
from service.store.database import now
from service.store.scans import hold_usage, new_id
from service.store.tables import UploadRow
from service.store.uploads import bytes_file, bytes_here, find_upload, is_whole, remove_upload_files

router = APIRouter(prefix=PREFIX, tags=["resumable upload"])

EXTENSIONS = "creation,checksum,expiration,termination"
ALGORITHMS = "sha1,sha256,md5,crc32"
CONTENT_TYPE = "application/offset+octet-stream"
MAX_METADATA_BYTES = 8 * 1024
_NUMBER = re.compile(r"\d{1,15}")
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
    options = {name: metadata[name] for name in OPTIONS if metadata.get(name)}
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
    row = await asyncio.to_thread(find_upload, ctx.database, ctx.settings, who.owner, upload_id)
    if is_whole(ctx.settings, row) and not is_held(upload_id):
        row = await complete_alone(ctx, who, row, remote)
    headers = {**_BASE, "Upload-Offset": str(bytes_here(ctx.settings, row)), "Upload-Length": str(row.length)}
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
    with `X-HTTP-Method-Override: PATCH`. Where the scan cannot be made as it was asked for, as the earlier scan that it
    would repeat has another webhook, the last byte is answered with 422."""
    if (refused := _other_version(request)) is not None:
        return refused
    if request.headers.get("content-type", "").lower() != CONTENT_TYPE:
        raise HTTPException(415, f"A PATCH has the Content-Type {CONTENT_TYPE}.")
    upload_offset = request.headers.get("upload-offset")
    if upload_offset is None or not _NUMBER.fullmatch(upload_offset):
        raise BadRequest("Upload-Offset is missing or no number of bytes.")
    checksum = _read_checksum(upload_checksum)
    row = await asyncio.to_thread(find_upload, ctx.database, ctx.settings, who.owner, upload_id)
    if row.scan_id is None:
        async with alone(ctx.settings, upload_id):
            # Whoever held it until now may have made the scan.
            row = await asyncio.to_thread(find_upload, ctx.database, ctx.settings, who.owner, upload_id)
            if row.scan_id is None:
                await append_bytes(request, ctx.settings, row, int(upload_offset), checksum)
            if is_whole(ctx.settings, row):
                row = await asyncio.to_thread(complete, ctx, who, row, remote)
    headers = {**_BASE, "Upload-Offset": str(bytes_here(ctx.settings, row)), **_about(row)}
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
    await asyncio.to_thread(find_upload, ctx.database, ctx.settings, who.owner, upload_id)
    async with alone(ctx.settings, upload_id):
        await asyncio.to_thread(_remove, ctx, upload_id)
    return Response(status_code=204, headers=_BASE)


def _remove(ctx: Context, upload_id: str) -> None:
    with ctx.database.write() as session:
        row = session.get(UploadRow, upload_id)
        if row is not None:
            session.delete(row)
        remove_upload_files(ctx.settings, upload_id)
    forget_hash(upload_id)


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
