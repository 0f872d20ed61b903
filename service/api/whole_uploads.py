"""Resumable uploads that are whole: each gets its scan, with its last byte or, where that failed, later."""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy import select

from detector.errors import BadOption, OrdnanceError
from service.access.keys import LOCAL, Principal, principal_with
from service.api.context import Context
from service.api.new_scans import wish_of
from service.api.upload_bytes import alone, sha256_of
from service.intake import Upload, accept, check_wish
from service.problems import Conflict
from service.store.tables import KeyRow, UploadRow
from service.store.uploads import bytes_file, find_upload, is_whole

log = logging.getLogger("ordnance.api")

COMPLETE_SECONDS = 60.0


def complete(ctx: Context, who: Principal, row: UploadRow, remote: str) -> UploadRow:
    """Make the scan; what is left half-way where the process ends meanwhile can be done again.

    Raises QuotaExceeded, StorageFull, NotReady, or BadOption, also where an earlier scan has another webhook.
    """
    path = bytes_file(ctx.settings, row.id)
    sha256 = sha256_of(path, row.id, row.length)
    order = check_wish(ctx.settings, wish_of(row.options))
    upload = Upload(path, sha256, row.length, row.name, resumable_id=row.id)
    try:
        scan, _ = accept(ctx.office, who, upload, order, remote=remote)
    except Conflict as error:
        # Not 409, after which clients of tus ask again: this one stays as it is.
        raise BadOption(str(error)) from error
    path.unlink(missing_ok=True)
    row.scan_id = scan.id
    return row


async def complete_alone(ctx: Context, who: Principal, row: UploadRow, remote: str) -> UploadRow:
    """The upload with its scan; as it is where another request is at it."""
    try:
        async with alone(ctx.settings, row.id):
            row = await asyncio.to_thread(find_upload, ctx.database, ctx.settings, who.owner, row.id)
            return await asyncio.to_thread(complete, ctx, who, row, remote) if is_whole(ctx.settings, row) else row
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
    return [row for row in rows if is_whole(ctx.settings, row)]


async def _complete_for_owner(ctx: Context, row: UploadRow) -> None:
    try:
        row = await complete_alone(ctx, await asyncio.to_thread(_uploader, ctx, row), row, "")
        if row.scan_id is not None:
            log.info("a whole upload has its scan late", extra={"upload": row.id, "scan": row.scan_id})
    except (OrdnanceError, OSError) as error:
        log.warning("a whole upload has no scan yet", extra={"upload": row.id, "reason": str(error)})


def _uploader(ctx: Context, row: UploadRow) -> Principal:
    with ctx.database.read() as session:
        key = session.get(KeyRow, row.key_id)
    return LOCAL if key is None else principal_with(key)
