"""What belongs to a scan: its report in every form, its pictures, its clip."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException

from detector.report import Report
from detector.report.detections_csv import detections_csv
from detector.report.html import render_html
from detector.report.schema import crop_name, thumbnail_name
from service.access import audit
from service.api.context import Ctx, Reader, Remote
from service.api.pictures import BINARY, CONTENT, IMMUTABLE, decoded, encoded, form_for
from service.api.problem import responses
from service.api.scans import ScanId
from service.api.webvtt import appearances_vtt
from service.problems import Conflict, NotFound
from service.review import reviews_of
from service.store.blobs import BlobGone
from service.store.results import read_report
from service.store.scans import find_scan
from service.store.tables import PictureRow, ScanRow, ScanState

router = APIRouter(prefix="/v1/scans/{scan_id}", tags=["results"])

_VIDEO_TYPES = {
    "mov,mp4,m4a,3gp,3g2,mj2": "video/mp4",
    "matroska,webm": "video/webm",
    "avi": "video/x-msvideo",
    "mpegts": "video/mp2t",
    "mpeg": "video/mpeg",
    "ogg": "video/ogg",
    "flv": "video/x-flv",
}
_CLIP_CACHE = "private, max-age=0"
_RANGE = r"(?:\d{1,18}-\d{0,18}|-\d{1,18})"
_RANGES = re.compile(rf"bytes={_RANGE}(?:\s*,\s*{_RANGE})*", re.ASCII | re.IGNORECASE)
_TEXT = {"schema": {"type": "string"}}


@router.get(
    "/report.json",
    response_model=Report,
    responses=responses("not_found", "conflict"),
    summary="The report, of which every other form is made",
)
def report_json(
    ctx: Ctx,
    who: Reader,
    remote: Remote,
    scan_id: ScanId,
    verdicts: Annotated[bool, Query(description="Say in `review` what reviewers say as well.")] = False,
) -> Response:
    """What the scan says never changes; with `verdicts` it comes with what people made of it so far."""
    content = _report_of(ctx, who, remote, scan_id)
    if verdicts:
        content = _reviewed(ctx, scan_id, Report.from_json(content)).to_json(indent=None).encode()
    return Response(content, media_type="application/json")


@router.get(
    "/report.html",
    response_class=Response,
    responses={200: {"content": {"text/html": _TEXT}}, **responses("not_found", "conflict")},
    summary="The report as a page that needs nothing else",
)
def report_html(
    ctx: Ctx,
    who: Reader,
    remote: Remote,
    scan_id: ScanId,
    verdicts: Annotated[bool, Query(description="Show what reviewers say as well, where there are any.")] = True,
) -> Response:
    report = Report.from_json(_report_of(ctx, who, remote, scan_id))
    if verdicts:
        reviewed = _reviewed(ctx, scan_id, report)
        report = reviewed if reviewed.review else report
    pictures, addresses = {}, {}
    with ctx.database.read() as session:
        rows = list(session.query(PictureRow).filter(PictureRow.scan_id == scan_id))
    for row in rows:
        appearance = report.appearances[row.number - 1]
        name = thumbnail_name(appearance.id) if row.kind == "thumbnail" else crop_name(appearance.id)
        addresses[name] = f"/v1/scans/{scan_id}/frames/{row.number}/{row.kind}"
        with suppress(BlobGone):
            pictures[name] = ctx.blobs.read(row.sha256)
    page = render_html(report, pictures, addresses)
    # Of its own origin, so that the browser sends its cookie where a link leads to a picture; scripts there are none.
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox allow-popups allow-same-origin"
    return Response(page, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": policy})


@router.get(
    "/report.csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": _TEXT}}, **responses("not_found", "conflict")},
    summary="A row for each box of each appearance",
)
def report_csv(ctx: Ctx, who: Reader, remote: Remote, scan_id: ScanId) -> Response:
    report = Report.from_json(_report_of(ctx, who, remote, scan_id))
    return Response(detections_csv(report), media_type="text/csv; charset=utf-8")


@router.get(
    "/report.vtt",
    response_class=Response,
    responses={200: {"content": {"text/vtt": _TEXT}}, **responses("not_found", "conflict")},
    summary="Appearances as WebVTT cues, for a player",
)
def report_vtt(ctx: Ctx, who: Reader, remote: Remote, scan_id: ScanId) -> Response:
    report = Report.from_json(_report_of(ctx, who, remote, scan_id))
    return Response(appearances_vtt(report), media_type="text/vtt; charset=utf-8")


@router.get(
    "/frames/{number}/{kind}",
    response_class=Response,
    responses={
        200: {"content": CONTENT},
        304: {"description": "Not changed."},
        **responses("not_found"),
    },
    summary="The best frame of an appearance, or the weapon alone",
)
def picture(
    ctx: Ctx,
    who: Reader,
    remote: Remote,
    scan_id: ScanId,
    number: Annotated[int, Path(ge=1, le=2**31 - 1, description="The appearance's number.")],
    kind: Literal["thumbnail", "crop"],
    accept: Annotated[str, Header()] = "image/jpeg",
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """JPEG, or WebP for a client that accepts it."""
    form = form_for(accept)
    with ctx.database.write() as session:
        scan = find_scan(session, who.owner, scan_id)
        row = session.get(PictureRow, (scan_id, number, kind))
        if row is None:
            raise NotFound(f"This scan has no {kind} number {number}; its appearances link to those that there are.")
        tag = f'"{row.sha256[:32]}-{form}"'
        headers = {"ETag": tag, "Cache-Control": IMMUTABLE, "Vary": "Accept, Authorization, Cookie"}
        if if_none_match is not None and tag in if_none_match:
            return Response(status_code=304, headers=headers)
        audit.note(session, who, "picture", remote=remote, scan_id=scan_id, clip_sha256=scan.clip_sha256)
    content = ctx.blobs.read(row.sha256)
    if form == "webp":
        content = encoded(decoded(content), form)
    return Response(content, media_type=f"image/{form}", headers=headers)


@router.get(
    "/clip",
    response_class=FileResponse,
    responses={
        200: {"content": {"video/*": BINARY, "application/octet-stream": BINARY}},
        206: {"description": "The range asked for.", "content": {"video/*": BINARY}},
        304: {"description": "Not changed."},
        **responses("not_found", "range_not_satisfiable"),
    },
    summary="The clip's bytes; ranges are served",
)
def clip(
    request: Request,
    ctx: Ctx,
    who: Reader,
    remote: Remote,
    scan_id: ScanId,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    with ctx.database.write() as session:
        row = find_scan(session, who.owner, scan_id)
        tag = f'"{row.clip_sha256[:32]}"'
        if if_none_match is not None and tag in if_none_match:
            return Response(status_code=304, headers={"ETag": tag, "Cache-Control": _CLIP_CACHE})
        audit.note(session, who, "clip", remote=remote, scan_id=scan_id, clip_sha256=row.clip_sha256)
    kind = _VIDEO_TYPES.get((row.clip or {}).get("container", ""), "application/octet-stream")
    path = ctx.blobs.local_path(row.clip_sha256)
    answer = FileResponse(
        path,
        media_type=kind,
        filename=row.name,
        stat_result=path.stat(),
        headers={
            "ETag": tag,
            "Cache-Control": _CLIP_CACHE,
            "Content-Security-Policy": "default-src 'none'; sandbox",
        },
    )
    if request.headers.get("if-range") in (None, tag, answer.headers["last-modified"]):
        _settle_range(request, row.bytes)
    return answer


def _settle_range(request: Request, size: int) -> None:
    """Leave in the request the ranges of its Range header that the clip has, for FileResponse, which answers 400 to a
    header that RFC 9110 has a server ignore. Raises HTTPException where the clip has none of them."""
    header = request.headers.get("range")
    if header is None:
        return
    others = [each for each in request.scope["headers"] if each[0] != b"range"]
    request.scope["headers"] = others
    if not _RANGES.fullmatch(header):
        return
    asked = [each.strip().partition("-")[::2] for each in header.partition("=")[2].split(",")]
    if any(first and last and int(first) > int(last) for first, last in asked):
        return
    there = [f"{first}-{last}" for first, last in asked if (int(first) < size if first else int(last) > 0)]
    if not there:
        raise HTTPException(
            416,
            f"The clip has {size} bytes, and none where '{header[:64]}' asks.",
            {"Content-Range": f"bytes */{size}"},
        )
    request.scope["headers"] = [*others, (b"range", f"bytes={','.join(there)}".encode())]


def _reviewed(ctx: Ctx, scan_id: str, report: Report) -> Report:
    with ctx.database.read() as session:
        reviews = reviews_of(session, scan_id)
    return report.model_copy(update={"review": tuple(reviews[number] for number in sorted(reviews))})


def _report_of(ctx: Ctx, who: Reader, remote: str, scan_id: str) -> bytes:
    with ctx.database.write() as session:
        row = find_scan(session, who.owner, scan_id)
        content = read_report(session, scan_id)
        if content is None:
            raise Conflict(_why_no_report(row))
        audit.note(session, who, "report", remote=remote, scan_id=scan_id, clip_sha256=row.clip_sha256)
    return content


def _why_no_report(scan: ScanRow) -> str:
    if scan.state == ScanState.FAILED:
        return f"This scan has failed and has no report. {scan.error_message}"
    state = "was cancelled and has no report" if scan.state == ScanState.CANCELLED else "has no report yet"
    return f"This scan {state}; …/appearances shows what was found so far."
