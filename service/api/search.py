"""/v1/search: appearances over all of somebody's scans."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import select, tuple_

from detector.report.fields import Score, Seconds, Timecode
from detector.report.schema import BestInfo
from service.api.context import Ctx, Reader
from service.api.moments import Since, Until, since_seconds, until_seconds
from service.api.problem import responses
from service.api.scans import Cursor, MinConfidence
from service.api.shapes import PictureLinks, State, appearance_out, cursor, moment, read_cursor
from service.api.verdicts import OpinionOut, Verdict, VerdictOut
from service.store.search import Wanted, find_appearances
from service.store.tables import JudgementRow, PictureRow
from service.store.verdicts import opinions, shown_names

router = APIRouter(prefix="/v1/search", tags=["review"])

ReviewState = Literal["unreviewed", "single", "agreed", "disagreed"]
_SHOWN = ("id", "class", "confidence", "first_seen_s", "first_seen", "last_seen_s", "last_seen", "peak_s", "peak")


class FoundScan(BaseModel):
    """The scan that an appearance is of."""

    id: str
    name: str = Field(description="File name of the clip.")
    state: State
    created_at: AwareDatetime


class FoundAppearance(BaseModel):
    """An appearance without its detections, and what was said about it."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)

    scan: FoundScan
    number: int = Field(description="Its place in time among all appearances of the scan, from 1.")
    id: str
    class_name: str = Field(alias="class")
    confidence: Score
    first_seen_s: Seconds
    first_seen: Timecode
    last_seen_s: Seconds
    last_seen: Timecode
    peak_s: Seconds
    peak: Timecode
    flags: list[str]
    best: BestInfo
    links: PictureLinks
    verdicts: list[VerdictOut] = Field(description="The newest verdict of each reviewer.")
    review: OpinionOut | None = Field(description="What they amount to; null where there is none.")


class FoundPage(BaseModel):
    """Some appearances, those of the newest scan first, then by time."""

    items: list[FoundAppearance]
    next: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")


@router.get(
    "",
    response_model=FoundPage,
    responses=responses("not_found", "bad_option"),
    summary="Appearances over all your scans",
)
def search(
    ctx: Ctx,
    who: Reader,
    class_names: Annotated[
        list[str] | None, Query(alias="class", max_length=100, description="Only these weapon classes.")
    ] = None,
    min_confidence: MinConfidence = 0.0,
    name: Annotated[str, Query(max_length=255, description="Only clips whose name holds this.")] = "",
    note: Annotated[str, Query(max_length=255, description="Only what has a verdict whose note holds this.")] = "",
    since: Since = None,
    until: Until = None,
    verdict: Annotated[list[Verdict] | None, Query(description="Only what has one of these verdicts in force.")] = None,
    state: Annotated[
        list[State | ReviewState] | None,
        Query(description="Only of scans in these states, and only what is reviewed to these."),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor_text: Cursor = None,
) -> JSONResponse:
    """Filters of different names must all hold; of several values of one, one must."""
    after = None
    if cursor_text is not None:
        at, scan_id, number = read_cursor(cursor_text, float, str, int)
        after = (at, scan_id, number)
    wanted = Wanted(
        classes=[_plain(each) for each in class_names or ()],
        min_confidence=min_confidence,
        name=_plain(name),
        note=_plain(note),
        since=since_seconds(since),
        until=until_seconds(until),
        verdicts=verdict or (),
        scan_states=[each for each in state or () if each in get_args(State)],
        review_states=[each for each in state or () if each in get_args(ReviewState)],
    )
    with ctx.database.read() as session:
        rows = find_appearances(session, who.owner, wanted, limit=limit + 1, after=after)
        page = rows[:limit]
        keys = [(scan.id, found.number) for scan, found in page]
        judgements: dict[tuple[str, int], list[JudgementRow]] = {each: [] for each in keys}
        kinds: dict[tuple[str, int], set[str]] = {each: set() for each in keys}
        for row in session.scalars(
            select(JudgementRow)
            .where(tuple_(JudgementRow.scan_id, JudgementRow.number).in_(keys))
            .order_by(JudgementRow.verdict_id)
        ):
            judgements[row.scan_id, row.number].append(row)
        columns = select(PictureRow.scan_id, PictureRow.number, PictureRow.kind)
        for scan_id, number, kind in session.execute(
            columns.where(tuple_(PictureRow.scan_id, PictureRow.number).in_(keys))
        ):
            kinds[scan_id, number].add(kind)
    items = []
    for (scan, found), key in zip(page, keys, strict=True):
        whole = appearance_out(scan.id, found, kinds[key])
        names = shown_names(judgements[key])
        opinion = opinions(judgements[key]).get(found.number)
        item: dict[str, Any] = {name: whole[name] for name in (*_SHOWN, "number", "flags", "best", "links")}
        item["scan"] = FoundScan(
            id=scan.id,
            name=scan.name,
            state=scan.state,  # type: ignore[arg-type]
            created_at=moment(scan.created_at),
        ).model_dump(mode="json")
        item["verdicts"] = [
            VerdictOut.of(row, names[row.reviewer_id], who).model_dump(mode="json") for row in judgements[key]
        ]
        item["review"] = None if opinion is None else OpinionOut.of(opinion).model_dump(mode="json")
        items.append(item)
    last = page[-1] if len(rows) > limit else None
    following = None if last is None else cursor(last[0].created_at, last[0].id, last[1].number)
    return JSONResponse({"items": items, "next": following}, headers={"Cache-Control": "private, no-cache"})


def _plain(text: str) -> str:
    return text.replace("\x00", "")
