"""Frames of a clip for people who judge: veiled unless they ask otherwise, also of clips that no browser plays."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, Field

from detector.report.thumbnails import shrunk
from detector.report.veil import veiled
from service.access import audit
from service.api.context import Ctx, Reader, Remote
from service.api.pictures import CONTENT, IMMUTABLE, decoded, encoded, form_for
from service.api.problem import responses
from service.api.scans import ScanId
from service.api.verdicts import Number
from service.decoding import place_at
from service.problems import NotFound
from service.store.boxes import boxes_at
from service.store.scans import find_scan
from service.store.tables import AppearanceRow, PictureRow

router = APIRouter(prefix="/v1/scans/{scan_id}", tags=["review"])

MOST_TIMES = 2000
VEIL_VERSION = 1
"""Part of the ETag: pictures veiled otherwise are other pictures."""
_TIME = {"schema": {"type": "string"}}
_HEADERS = {
    "Ordnance-PTS": {"description": "Presentation time of the frame, in seconds.", **_TIME},
    "Ordnance-Previous-PTS": {"description": "That of the frame before it; missing on the first one.", **_TIME},
    "Ordnance-Next-PTS": {"description": "That of the frame after it; missing on the last one.", **_TIME},
}
Accept = Annotated[str, Header()]
Time = Annotated[float, Query(ge=-1e9, le=1e9, allow_inf_nan=False)]


class TimesOut(BaseModel):
    """Presentation times of a clip's frames, ascending, in seconds."""

    items: list[float]
    total: int = Field(description="How many frames the clip has in all.")
    next: float | None = Field(description="Give it as `from` for the times that follow; null where there are none.")


@router.get(
    "/frames/{number}/review",
    response_class=Response,
    responses={200: {"content": CONTENT}, 304: {"description": "Not changed."}, **responses("not_found")},
    summary="The best frame of an appearance, sharp and in colour inside the weapon's box only",
)
def review_picture(
    ctx: Ctx,
    who: Reader,
    remote: Remote,
    scan_id: ScanId,
    number: Number,
    accept: Accept = "image/jpeg",
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Veiled here: nothing of the rest of the frame reaches the browser. JPEG, or WebP for a client that accepts it."""
    form = form_for(accept)
    with ctx.database.write() as session:
        scan = find_scan(session, who.owner, scan_id)
        row = session.get(PictureRow, (scan_id, number, "thumbnail"))
        appearance = session.get(AppearanceRow, (scan_id, number))
        if row is None or appearance is None:
            raise NotFound(f"This scan has no picture number {number}; its appearances link to those that there are.")
        tag = f'"{row.sha256[:32]}-review{VEIL_VERSION}-{form}"'
        headers = {"ETag": tag, "Cache-Control": IMMUTABLE, "Vary": "Accept, Authorization, Cookie"}
        if if_none_match is not None and tag in if_none_match:
            return Response(status_code=304, headers=headers)
        audit.note(session, who, "picture", remote=remote, scan_id=scan_id, clip_sha256=scan.clip_sha256)
        left, top, right, bottom = appearance.document["best"]["box_norm"]
    thumbnail = decoded(ctx.blobs.read(row.sha256))
    height, width = thumbnail.shape[:2]
    # The thumbnail's drawn box straddles the edge of the weapon's.
    line = max(width, height) / 160
    box = (left * width - line, top * height - line, right * width + line, bottom * height + line)
    return Response(encoded(veiled(thumbnail, [box]), form), media_type=f"image/{form}", headers=headers)


@router.get(
    "/still",
    response_class=Response,
    responses={200: {"content": CONTENT, "headers": _HEADERS}, **responses("not_found", "frame_not_decodable")},
    summary="The frame on display at a time, sharp inside the boxes of what was found there only",
)
def still(
    ctx: Ctx,
    who: Reader,
    remote: Remote,
    scan_id: ScanId,
    pts: Annotated[
        Time, Query(description="Time in seconds; before the first frame it is that, after the last one that.")
    ],
    min_confidence: Annotated[
        float | None,
        Query(ge=0, le=1, description="Boxes of what is at least so sure, in appearances or not; all appearances'."),
    ] = None,
    reveal: Annotated[bool, Query(description="Send the whole frame sharp; this is kept in the audit log.")] = False,
    max_side: Annotated[int, Query(ge=16, le=8192, description="Longest side in pixels; never enlarged.")] = 1920,
    accept: Accept = "image/jpeg",
) -> Response:
    """Works for every clip that can be scanned, whether or not a browser plays it. Between two detections of an
    appearance its box is taken to move evenly."""
    form = form_for(accept)
    with ctx.database.write() as session:
        scan = find_scan(session, who.owner, scan_id)
        action = "reveal" if reveal else "picture"
        audit.note(session, who, action, remote=remote, scan_id=scan_id, clip_sha256=scan.clip_sha256)
    frame = ctx.viewer.frame_at(scan, pts)
    image = frame.image
    if not reveal:
        with ctx.database.read() as session:
            image = veiled(image, boxes_at(session, scan_id, frame.pts_seconds, min_confidence))
    times = ctx.viewer.facts(scan).times
    place = place_at(times, frame.pts_seconds)
    headers = {"Ordnance-PTS": f"{frame.pts_seconds:.6f}", "Vary": "Accept, Authorization, Cookie"}
    headers["Cache-Control"] = "no-store" if reveal else "private, max-age=300"
    if place > 0:
        headers["Ordnance-Previous-PTS"] = f"{times[place - 1]:.6f}"
    if place + 1 < len(times):
        headers["Ordnance-Next-PTS"] = f"{times[place + 1]:.6f}"
    return Response(encoded(shrunk(image, max_side), form), media_type=f"image/{form}", headers=headers)


@router.get(
    "/times",
    responses=responses("not_found", "frame_not_decodable"),
    summary="When the clip's frames are shown",
)
def times(
    ctx: Ctx,
    who: Reader,
    scan_id: ScanId,
    from_s: Annotated[Time | None, Query(alias="from", description="From this time, in seconds.")] = None,
    to_s: Annotated[Time | None, Query(alias="to", description="Up to this time, in seconds.")] = None,
) -> TimesOut:
    """At most 2,000 a call. They are the packets': a damaged clip may have times of which no frame can be decoded."""
    with ctx.database.read() as session:
        scan = find_scan(session, who.owner, scan_id)
    known = ctx.viewer.facts(scan).times
    start = 0 if from_s is None else int(np.searchsorted(known, from_s - 1e-6, side="left"))
    stop = len(known) if to_s is None else int(np.searchsorted(known, to_s + 1e-6, side="right"))
    page = known[start : max(start, min(stop, start + MOST_TIMES))]
    following = start + len(page)
    return TimesOut(
        items=[round(float(each), 6) for each in page],
        total=len(known),
        next=round(float(known[following]), 6) if following < stop and len(page) else None,
    )
