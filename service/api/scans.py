"""/v1/scans: make, see, stop, remove and repeat scans."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from sqlalchemy import and_, or_, select

from detector.errors import BadOption
from detector.sampling.names import PLAN_NAMES
from service.access import audit
from service.access.limits import check_upload
from service.api.context import Ctx, Reader, Remote, Writer
from service.api.moments import Since, Until, since_seconds, until_seconds
from service.api.problem import responses
from service.api.receiving import announced_bytes, receive_form, receive_raw
from service.api.shapes import (
    BUDGET,
    SCAN_ID,
    AppearancePage,
    DetectionOut,
    DetectionPage,
    RescanIn,
    ScanOut,
    ScanPage,
    State,
    appearance_out,
    cursor,
    picture_kinds,
    read_cursor,
)
from service.intake import Upload, Wish, accept, accept_again, check_wish, clean_name
from service.problems import Conflict
from service.store import search
from service.store.database import now
from service.store.removal import remove_scan
from service.store.scans import find_scan, list_scans, move_scan
from service.store.tables import OPEN_STATES, AppearanceRow, DetectionRow, PictureRow, ScanRow, ScanState

router = APIRouter(prefix="/v1/scans", tags=["scans"])

ScanId = Annotated[str, Path(pattern=SCAN_ID, description="The scan's id.")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next` of the page before.")]
MinConfidence = Annotated[float, Query(ge=0, le=1, description="Leave out what is less sure.")]
ClassName = Annotated[str | None, Query(alias="class", max_length=64, description="Only this weapon class.")]

PLANS: dict[str, Any] = {"examples": list(PLAN_NAMES)}
WEBHOOK = (
    "Address that is told when the scan has ended; at once where this clip was scanned like this before. A scan has "
    "one: where the earlier scan has another, the answer is 409."
)
_FIELDS = {
    "model": {"type": "string", "description": "A model of /v1/models; the server's default."},
    "plan": {"type": "string", "enum": list(PLAN_NAMES), "description": "A sampling plan; the program's default."},
    "every_s": {
        "type": "number",
        "minimum": 0.001,
        "maximum": 86400,
        "description": "The plan's cadence in seconds, for a plan that has one.",
    },
    "shortest_shot_s": {
        "type": "number",
        "minimum": 0,
        "maximum": 86400,
        "description": "Shots of at least so many seconds get a sample of their own; for the adaptive plan.",
    },
    "budget": {
        "type": "string",
        "pattern": BUDGET,
        "maxLength": 20,
        "description": "How long the scan may take, as 30s or, of the clip's length, 2x; for the adaptive plan.",
    },
    "classes": {"type": "string", "description": "Weapon classes with commas between; all by default."},
    "threshold": {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "description": "Score from which to report; the model's own by default.",
    },
    "webhook": {"type": "string", "description": WEBHOOK},
    "priority": {
        "type": "integer",
        "minimum": 1,
        "maximum": 9,
        "description": "1 (first) to 9 (last); no better than the key's.",
    },
}
_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {"type": "string", "format": "binary", "description": "The clip."},
                    "name": {"type": "string", "description": "File name; the part's own by default."},
                    **_FIELDS,
                },
                "additionalProperties": False,
            }
        },
        "application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}},
    },
}
_MADE = {
    202: {
        "model": ScanOut,
        "description": "The scan waits or runs.",
        "headers": {"Location": {"description": "The scan's address.", "schema": {"type": "string"}}},
    },
    200: {
        "model": ScanOut,
        "description": "This clip was scanned like this before; here is that scan.",
        "headers": {"Location": {"description": "The scan's address.", "schema": {"type": "string"}}},
    },
}


@router.post(
    "",
    status_code=202,
    response_model=ScanOut,
    responses={
        **_MADE,
        **responses(
            "bad_request", "conflict", "upload_too_large", "unsupported_media_type", "storage_full", "quota_exceeded"
        ),
    },
    openapi_extra={"requestBody": _BODY},
    summary="Upload a clip and have it scanned",
)
async def create_scan(
    request: Request,
    ctx: Ctx,
    who: Writer,
    remote: Remote,
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$", description="Makes it safe to repeat."),
    ] = None,
    name: Annotated[str | None, Query(max_length=255, description="File name, for a raw body.")] = None,
    model: Annotated[str | None, Query(max_length=200)] = None,
    plan: Annotated[str | None, Query(max_length=64, json_schema_extra=PLANS)] = None,
    every_s: Annotated[float | None, Query(ge=0.001, le=86400, allow_inf_nan=False)] = None,
    shortest_shot_s: Annotated[float | None, Query(ge=0, le=86400, allow_inf_nan=False)] = None,
    budget: Annotated[
        str | None, Query(max_length=20, json_schema_extra={"pattern": BUDGET}, description="Such as 30s or 2x.")
    ] = None,
    classes: Annotated[str | None, Query(max_length=2000, description="Separated by commas.")] = None,
    threshold: Annotated[float | None, Query(ge=0, le=1)] = None,
    webhook: Annotated[str | None, Query(max_length=2000, description=WEBHOOK)] = None,
    priority: Annotated[int | None, Query(ge=1, le=9)] = None,
) -> Response:
    """Send the clip as the part `file` of a form, or as the body itself; the options as fields or in the query."""
    announced = announced_bytes(request)
    left = await asyncio.to_thread(check_upload, ctx.settings, ctx.database, ctx.blobs, who, announced)
    asked: dict[str, Any] = {
        "model": model,
        "plan": plan,
        "every_s": every_s,
        "shortest_shot_s": shortest_shot_s,
        "budget": budget,
        "classes": classes,
        "threshold": threshold,
        "webhook": webhook,
        "priority": priority,
    }
    order = await asyncio.to_thread(check_wish, ctx.settings, wish_of(asked))
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        received, file_name, fields = await receive_form(request, ctx.settings, left)
    else:
        received, file_name, fields = await receive_raw(request, ctx.settings, left), name or "", {}
    try:
        _check_fields(fields)
        given = {field: value for field, value in fields.items() if field != "name" and value != ""}
        if given:
            order = await asyncio.to_thread(check_wish, ctx.settings, wish_of({**asked, **given}))
        upload = Upload(
            received.path, received.sha256, received.bytes, clean_name(fields.get("name") or name or file_name)
        )
        row, is_new = await asyncio.to_thread(
            accept, ctx.office, who, upload, order, remote=remote, idempotency_key=idempotency_key
        )
    finally:
        received.discard()
    return _made(row, is_new)


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
    cursor_text: Annotated[str | None, Query(alias="cursor", max_length=200)] = None,
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
    cursor_text: Annotated[str | None, Query(alias="cursor", max_length=200)] = None,
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
    cursor_text: Annotated[str | None, Query(alias="cursor", max_length=200)] = None,
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


@router.post(
    "/{scan_id}/rescan",
    status_code=202,
    response_model=ScanOut,
    responses={**_MADE, **responses("bad_request", "not_found", "conflict", "quota_exceeded")},
    summary="Scan the same clip again, otherwise",
)
def rescan(ctx: Ctx, who: Writer, remote: Remote, scan_id: ScanId, options: RescanIn) -> Response:
    order = check_wish(ctx.settings, wish_of(options.model_dump()))
    return _made(*accept_again(ctx.office, who, scan_id, order, remote=remote))


def _check_fields(given: Iterable[str]) -> None:
    """Raises BadOption for what is misspelt: left out, it would scan otherwise than was asked."""
    if (unknown := next((each for each in given if each != "name" and each not in _FIELDS), None)) is not None:
        raise BadOption(f"'{unknown[:64]}' is no option of a scan; use some of: name, {', '.join(_FIELDS)}.")


def wish_of(fields: dict[str, Any]) -> Wish:
    """Options given as JSON or as text. Raises BadOption."""
    given = {name: value for name, value in fields.items() if value is not None}
    if isinstance(given.get("classes"), str):
        given["classes"] = [word.strip() for word in given["classes"].split(",") if word.strip()]
    try:
        asked = RescanIn.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise BadOption(f"{'.'.join(str(step) for step in first['loc'])}: {first['msg']}.") from error
    classes = None if asked.classes is None else tuple(asked.classes)
    return Wish(**{**asked.model_dump(), "classes": classes})


def _made(row: ScanRow, is_new: bool) -> JSONResponse:
    is_done = not is_new and row.state == ScanState.DONE
    return JSONResponse(
        ScanOut.of(row).model_dump(mode="json"),
        200 if is_done else 202,
        {"Location": f"/v1/scans/{row.id}"},
    )
