"""New scans: of a clip that comes with the request, or of an earlier scan's clip; and how their options are read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from detector.errors import BadOption
from detector.sampling.names import PLAN_NAMES
from service.access.limits import check_upload
from service.api.context import Ctx, Remote, Writer
from service.api.problem import responses
from service.api.receiving import announced_bytes, receive_form, receive_raw
from service.api.scans import ScanId
from service.api.shapes import BUDGET, RescanIn, ScanOut
from service.intake import Upload, Wish, accept, accept_again, check_wish, clean_name
from service.store.tables import ScanRow, ScanState

router = APIRouter(prefix="/v1/scans", tags=["scans"])

PLANS: dict[str, Any] = {"examples": list(PLAN_NAMES)}
WEBHOOK = (
    "Address that is told when the scan has ended; at once where this clip was scanned like this before. A scan has "
    "one: where the earlier scan has another, the answer is 409."
)
OPTIONS = {
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
                    **OPTIONS,
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
    left = await asyncio.to_thread(check_upload, ctx.settings, ctx.database, ctx.blobs, who, announced, idempotency_key)
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
    if (unknown := next((each for each in given if each != "name" and each not in OPTIONS), None)) is not None:
        raise BadOption(f"'{unknown[:64]}' is no option of a scan; use some of: name, {', '.join(OPTIONS)}.")


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
