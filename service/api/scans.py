"""/v1/scans: see scans and what they found, stop and remove them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse
from sqlalchemy import and_, or_, select

from service.access import audit
from service.api.context import Ctx, Reader, Remote, Writer
from service.api.moments import Since, Until, since_seconds, until_seconds
from service.api.problem import responses
from service.api.shapes import (
    SCAN_ID,
    AppearancePage,
    DetectionOut,
    DetectionPage,
    ScanOut,
    ScanPage,
    State,
    appearance_out,
    cursor,
    picture_kinds,
    read_cursor,
)
from service.problems import Conflict
from service.store import search
from service.store.database import now
from service.store.removal import remove_scan
from service.store.scans import find_scan, list_scans, move_scan
from service.store.tables import OPEN_STATES, AppearanceRow, DetectionRow, PictureRow, ScanState

router = APIRouter(prefix="/v1/scans", tags=["scans"])

ScanId = Annotated[str, Path(pattern=SCAN_ID, description="The scan's id.")]
Cursor = Annotated[str | None, Query(alias="cursor", max_length=200, description="`next` of the page before.")]
MinConfidence = Annotated[float, Query(ge=0, le=1, description="Leave out what is less sure.")]
ClassName = Annotated[str | None, Query(alias="class", max_length=64, description="Only this weapon class.")]


@router.get("", responses=responses("not_found", "bad_option"), summary="Your scans, the newest first")
def scans(
    ctx: Ctx,
    who: Reader,
    state: Annotated[list[State] | None, Query(description="Only these states.")] = None,
    sha256: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$", description="Only this clip.")] = None,
    name: Annotated[str | None, Query(max_length=255, description="Only names that hold this.")] = None,
    class_names: Annotated[
        list[str] | None, Query(alias="class", max_length=100, description="Only where one of these was found.")
    ] = None,
    min_confidence: Annotated[
        float, Query(ge=0, le=1, description="Only where something (of these classes) was found so surely.")
    ] = 0.0,
    reviewed: Annotated[
        bool | None,
        Query(description="true: ended, and every appearance has a verdict; false: some appearance has none."),
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor_text: Cursor = None,
) -> ScanPage:
    before = None
    if cursor_text is not None:
        at, last = read_cursor(cursor_text, float, str)
        before = (at, last)
    clean = None if name is None else name.replace("\x00", "")
    conditions = search.made_between(since_seconds(since), until_seconds(until))
    conditions += search.holding([each.replace("\x00", "") for each in class_names or ()], min_confidence)
    if reviewed is not None:
        conditions += search.reviewed(reviewed)
    with ctx.database.read() as session:
        rows = list_scans(
            session,
            who.owner,
            limit=limit + 1,
            before=before,
            states=state or (),
            clip_sha256=sha256,
            name_contains=clean,
            conditions=conditions,
        )
        page = rows[:limit]
        counts = search.count_finds(session, [row.id for row in page])
    following = cursor(page[-1].created_at, page[-1].id) if len(rows) > limit else None
    return ScanPage(items=[ScanOut.of(row, in_list=True, counts=counts[row.id]) for row in page], next=following)


@router.get("/{scan_id}", responses=responses("not_found"), summary="A scan")
def scan(ctx: Ctx, who: Reader, scan_id: ScanId) -> ScanOut:
    with ctx.database.read() as session:
        row = find_scan(session, who.owner, scan_id)
        return ScanOut.of(row, counts=search.count_finds(session, [scan_id])[scan_id])


@router.get(
    "/{scan_id}/appearances",
    response_model=AppearancePage,
    responses=responses("not_found"),
    summary="What was found, by time; partial while the scan runs",
)
def appearances(
    ctx: Ctx,
    who: Reader,
    scan_id: ScanId,
    class_name: ClassName = None,
    min_confidence: MinConfidence = 0.0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor_text: Cursor = None,
) -> Response:
    after = 0 if cursor_text is None else read_cursor(cursor_text, int)[0]
    with ctx.database.read() as session:
        find_scan(session, who.owner, scan_id)
        query = select(AppearanceRow).where(
            AppearanceRow.scan_id == scan_id,
            AppearanceRow.number > after,
            AppearanceRow.confidence >= min_confidence,
        )
        if class_name is not None:
            query = query.where(AppearanceRow.class_name == class_name.replace("\x00", ""))
        rows = list(session.scalars(query.order_by(AppearanceRow.number).limit(limit + 1)))
        numbers = [row.number for row in rows]
        kinds = picture_kinds(
            list(
                session.scalars(select(PictureRow).where(PictureRow.scan_id == scan_id, PictureRow.number.in_(numbers)))
            )
        )
    page = rows[:limit]
    items = [appearance_out(scan_id, row, kinds.get(row.number, set())) for row in page]
    return JSONResponse({"items": items, "next": cursor(page[-1].number) if len(rows) > limit else None})


@router.get("/{scan_id}/detections", responses=responses("not_found"), summary="Every box, by time, down to the floor")
def detections(
    ctx: Ctx,
    who: Reader,
    scan_id: ScanId,
    class_name: ClassName = None,
    min_confidence: MinConfidence = 0.0,
    from_s: Annotated[float | None, Query(ge=-1e9, le=1e9, description="From this time, in seconds.")] = None,
    to_s: Annotated[float | None, Query(ge=-1e9, le=1e9, description="Up to this time, in seconds.")] = None,
    limit: Annotated[int, Query(ge=1, le=2000)] = 500,
    cursor_text: Cursor = None,
) -> DetectionPage:
    row = DetectionRow
    with ctx.database.read() as session:
        find_scan(session, who.owner, scan_id)
        query = select(row).where(row.scan_id == scan_id, row.confidence >= min_confidence)
        if cursor_text is not None:
            at, segment, position = read_cursor(cursor_text, float, int, int)
            query = query.where(
                or_(
                    row.pts_s > at,
                    and_(row.pts_s == at, row.segment > segment),
                    and_(row.pts_s == at, row.segment == segment, row.position > position),
                )
            )
        if class_name is not None:
            query = query.where(row.class_name == class_name.replace("\x00", ""))
        if from_s is not None:
            query = query.where(row.pts_s >= from_s)
        if to_s is not None:
            query = query.where(row.pts_s <= to_s)
        rows = list(session.scalars(query.order_by(row.pts_s, row.segment, row.position).limit(limit + 1)))
    page = rows[:limit]
    last = page[-1] if page else None
    following = cursor(last.pts_s, last.segment, last.position) if last and len(rows) > limit else None
    return DetectionPage(items=[DetectionOut.of(each) for each in page], next=following)


@router.post("/{scan_id}/cancel", responses=responses("not_found", "conflict"), summary="Stop a scan")
def cancel(ctx: Ctx, who: Writer, remote: Remote, scan_id: ScanId) -> ScanOut:
    """What was found so far stays. A scan that has ended cannot be stopped (409)."""
    with ctx.database.write() as session:
        row = find_scan(session, who.owner, scan_id, hold=True)
        if row.state not in OPEN_STATES:
            raise Conflict(f"This scan is {row.state}; only one that waits or runs can be stopped.")
        move_scan(session, scan_id, ScanState.CANCELLED, come_from=OPEN_STATES, finished_at=now())
        session.refresh(row)
        ctx.jobs.enqueue_webhook(session, row)
        audit.note(session, who, "cancel", remote=remote, scan_id=scan_id, clip_sha256=row.clip_sha256)
    ctx.jobs.cancel(scan_id)
    return ScanOut.of(row)


@router.delete(
    "/{scan_id}", status_code=204, response_class=Response, responses=responses("not_found"), summary="Remove a scan"
)
def delete(ctx: Ctx, who: Writer, remote: Remote, scan_id: ScanId) -> None:
    """Removes its rows, its pictures, and the clip's bytes where no other scan needs them; stops it where it runs."""
    with ctx.database.write() as session:
        row = find_scan(session, who.owner, scan_id)
        audit.note(session, who, "delete", remote=remote, scan_id=scan_id, clip_sha256=row.clip_sha256)
        was_open = row.state in OPEN_STATES
    ctx.viewer.forget(row.clip_sha256)
    if was_open:
        ctx.jobs.cancel(scan_id)
    remove_scan(ctx.database, ctx.blobs, who.owner, scan_id)
    if not was_open:
        ctx.jobs.forget(scan_id)
