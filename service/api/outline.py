"""What the scan page draws from: every appearance in few bytes, one in full, and what a lower threshold would add."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Annotated

from fastapi import APIRouter, Header, Path, Response
from pydantic import BaseModel, Field

from service.api.compressed import small_json
from service.api.context import Ctx, Reader
from service.api.problem import responses
from service.api.scans import ScanId
from service.api.shapes import AppearanceOut, appearance_out, picture_kinds
from service.problems import Conflict, NotFound
from service.store.outline import read_outline
from service.store.scans import find_scan
from service.store.tables import OPEN_STATES, AppearanceRow, PictureRow
from service.store.weak_finds import weak_finds

router = APIRouter(prefix="/v1/scans/{scan_id}", tags=["results"])

Seconds = list[float]


class OutlineOut(BaseModel):
    """Columns of equal length, a place for each appearance in order of its number. Times are in seconds."""

    classes: list[str] = Field(description="Ids of the classes that occur.")
    number: list[int] = Field(description="The appearance's place among all of the scan, from 1.")
    id: list[str] = Field(description="Its name in the report.")
    class_index: list[int] = Field(description="Its class, as a place in `classes`.")
    confidence: list[float]
    first_seen_s: Seconds
    last_seen_s: Seconds
    peak_s: Seconds
    best_pts_s: Seconds
    box: list[list[int]] = Field(description="Its box on the best frame: left, top, right, bottom in display pixels.")
    overlay: list[int] = Field(description="1 where it is a suspected overlay.")
    pictured: list[int] = Field(description="1 where a picture of it is kept.")


class WeakFind(BaseModel):
    """Something that the scan's threshold kept out of the report."""

    class_name: str = Field(serialization_alias="class", validation_alias="class", description="Id of the class.")
    confidence: float
    first_seen_s: float
    last_seen_s: float
    peak_s: float
    best_pts_s: float
    boxes: list[list[float]] = Field(description="For each detection its time, left, top, right and bottom.")


class WeakFindsOut(BaseModel):
    """The surest of what the scan's threshold kept out of the report, in time order."""

    items: list[WeakFind]
    count: int = Field(description="How many there are in all.")


@router.get(
    "/outline",
    response_model=OutlineOut,
    responses=responses("not_found"),
    summary="Every appearance in few bytes; partial while the scan runs",
)
def outline(
    ctx: Ctx, who: Reader, scan_id: ScanId, accept_encoding: Annotated[str, Header(include_in_schema=False)] = ""
) -> Response:
    """What a page needs to draw a timeline and a list of thousands."""
    with ctx.database.read() as session:
        find_scan(session, who.owner, scan_id)
        found = read_outline(session, scan_id)
    # Not asdict, which copies every number.
    return small_json({each.name: getattr(found, each.name) for each in fields(found)}, accept_encoding)


@router.get(
    "/weak",
    response_model=WeakFindsOut,
    responses=responses("not_found", "conflict"),
    summary="What a lower threshold would have reported as well",
)
def weak(
    ctx: Ctx, who: Reader, scan_id: ScanId, accept_encoding: Annotated[str, Header(include_in_schema=False)] = ""
) -> Response:
    """Linked from stored detections that no appearance was made of; nothing is decoded or looked at again."""
    with ctx.database.read() as session:
        scan = find_scan(session, who.owner, scan_id)
        if scan.state in OPEN_STATES:
            raise Conflict("This scan has not ended; what its threshold leaves out is known at its end.")
        found = weak_finds(session, scan)
    items = [
        {
            "class": each.class_name,
            "confidence": round(each.confidence, 4),
            "first_seen_s": round(each.first_seen_seconds, 6),
            "last_seen_s": round(each.last_seen_seconds, 6),
            "peak_s": round(each.peak.pts_seconds, 6),
            "best_pts_s": round(each.best.pts_seconds, 6),
            "boxes": [[round(one.pts_seconds, 6), *(round(edge, 1) for edge in one.box)] for one in each.detections],
        }
        for each in found.finds
    ]
    return small_json({"items": items, "count": found.count}, accept_encoding)


@router.get(
    "/appearances/{number}",
    response_model=AppearanceOut,
    responses=responses("not_found"),
    summary="One appearance with all of its detections",
)
def appearance(
    ctx: Ctx,
    who: Reader,
    scan_id: ScanId,
    number: Annotated[int, Path(ge=1, le=2**31 - 1, description="The appearance's number.")],
) -> Response:
    with ctx.database.read() as session:
        find_scan(session, who.owner, scan_id)
        row = session.get(AppearanceRow, (scan_id, number))
        if row is None:
            raise NotFound(f"This scan has no appearance number {number}; GET …/appearances lists them.")
        pictures = session.query(PictureRow).filter(PictureRow.scan_id == scan_id, PictureRow.number == number)
        kinds = picture_kinds(list(pictures))
        content = appearance_out(scan_id, row, kinds.get(number, set()))
    return Response(json.dumps(content), media_type="application/json")
