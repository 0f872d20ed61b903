"""What reviewers say about the appearances of a scan."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from detector.errors import BadOption
from detector.taxonomy import weapon_class
from service.access import audit
from service.access.keys import Principal
from service.api.compressed import small_json
from service.api.context import Ctx, Reader, Remote, Reviewer
from service.api.problem import responses
from service.api.scans import ScanId
from service.store.scans import find_scan
from service.store.tables import AppearanceRow, JudgementRow
from service.store.verdicts import (
    OTHER_CLASS,
    Opinion,
    ReviewState,
    give_verdict,
    opinions,
    shown_names,
    undo_verdict,
    verdicts_in_force,
)

router = APIRouter(prefix="/v1/scans/{scan_id}", tags=["review"])

Verdict = Literal["confirmed", "wrong", "unsure", "other_class"]
Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="The appearance's number.")]


class VerdictIn(BaseModel):
    """A verdict; `class` is what the weapon is instead, with `other_class` alone."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"verdict": "confirmed"},
                {"verdict": "other_class", "class": "howitzer", "note": "A long barrel on a split trail."},
            ]
        },
    )

    verdict: Verdict
    class_name: str | None = Field(default=None, alias="class", max_length=64, description="Id of a weapon class.")
    note: str = Field(default="", max_length=2000)


class VerdictOut(BaseModel):
    """The verdict of one reviewer that is in force."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)

    appearance: int = Field(description="Number of the appearance.")
    reviewer: str = Field(description="The note of the reviewer's key, or its owner.")
    verdict: Verdict
    class_name: str | None = Field(alias="class", description="What the weapon is instead; null but for other_class.")
    note: str
    at: float = Field(description="When it was given: UTC as epoch seconds.")
    mine: bool = Field(description="Whether it is the verdict of whoever asks.")

    @classmethod
    def of(cls, row: JudgementRow, reviewer: str, who: Principal) -> VerdictOut:
        return cls(
            appearance=row.number,
            reviewer=reviewer,
            verdict=row.verdict,  # type: ignore[arg-type]
            class_name=row.class_name,
            note=row.note,
            at=row.at,
            mine=row.reviewer_id == who.reviewer_id,
        )


class OpinionOut(BaseModel):
    """What the verdicts on an appearance amount to."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)

    state: ReviewState = Field(description="single: one reviewer; agreed or disagreed: several.")
    verdict: Verdict | None = Field(description="What they say; null where they disagree.")
    class_name: str | None = Field(alias="class")
    reviewers: int

    @classmethod
    def of(cls, opinion: Opinion) -> OpinionOut:
        return cls(
            state=opinion.state,
            verdict=opinion.verdict,  # type: ignore[arg-type]
            class_name=opinion.class_name,
            reviewers=opinion.reviewers,
        )


class VerdictsOut(BaseModel):
    """The verdicts of a scan, by appearance and time, and what they amount to by number of the appearance."""

    items: list[VerdictOut]
    summary: dict[str, OpinionOut]


@router.get(
    "/verdicts",
    response_model=VerdictsOut,
    responses=responses("not_found"),
    summary="The newest verdict of each reviewer on each appearance",
)
def verdicts(
    ctx: Ctx, who: Reader, scan_id: ScanId, accept_encoding: Annotated[str, Header(include_in_schema=False)] = ""
) -> Response:
    with ctx.database.read() as session:
        find_scan(session, who.owner, scan_id)
        rows = verdicts_in_force(session, scan_id)
    names = shown_names(rows)
    # Of thousands, models would take a second.
    content = {
        "items": [
            {
                "appearance": row.number,
                "reviewer": names[row.reviewer_id],
                "verdict": row.verdict,
                "class": row.class_name,
                "note": row.note,
                "at": row.at,
                "mine": row.reviewer_id == who.reviewer_id,
            }
            for row in rows
        ],
        "summary": {
            str(number): {
                "state": each.state,
                "verdict": each.verdict,
                "class": each.class_name,
                "reviewers": each.reviewers,
            }
            for number, each in opinions(rows).items()
        },
    }
    return small_json(content, accept_encoding)


@router.put(
    "/appearances/{number}/verdict",
    responses=responses("bad_request", "not_found", "conflict", "unknown_class"),
    summary="Give a verdict",
)
def give(ctx: Ctx, who: Reviewer, remote: Remote, scan_id: ScanId, number: Number, given: VerdictIn) -> VerdictOut:
    """It takes the place of your earlier one, which stays in the history. Only once the scan has ended (409)."""
    class_name = _class_of(given)
    with ctx.database.write() as session:
        scan = find_scan(session, who.owner, scan_id, hold=True)
        found = session.get(AppearanceRow, (scan_id, number))
        if found is not None and found.class_name == class_name:
            raise BadOption(f"'{class_name}' is what the scan took it for; give 'confirmed', or another class.")
        note = given.note.replace("\x00", "").strip()
        row = give_verdict(session, who, scan_id, number, given.verdict, class_name, note)
        audit.note(session, who, "verdict", remote=remote, scan_id=scan_id, clip_sha256=scan.clip_sha256)
        return VerdictOut.of(row, row.reviewer, who)


@router.delete(
    "/appearances/{number}/verdict",
    response_model=VerdictOut,
    responses={204: {"description": "No verdict of yours is left."}, **responses("not_found", "conflict")},
    summary="Take your verdict back",
)
def undo(ctx: Ctx, who: Reviewer, remote: Remote, scan_id: ScanId, number: Number) -> Response:
    """The one before it is in force again, and is the answer."""
    with ctx.database.write() as session:
        scan = find_scan(session, who.owner, scan_id, hold=True)
        row = undo_verdict(session, who, scan_id, number)
        audit.note(session, who, "undo", remote=remote, scan_id=scan_id, clip_sha256=scan.clip_sha256)
    if row is None:
        return Response(status_code=204)
    return Response(VerdictOut.of(row, row.reviewer, who).model_dump_json(), media_type="application/json")


def _class_of(given: VerdictIn) -> str | None:
    """Raises BadOption or UnknownClass."""
    if given.verdict == OTHER_CLASS:
        if not given.class_name:
            raise BadOption("A verdict of 'other_class' needs the 'class' that it is; GET /v1/taxonomy lists them.")
        return weapon_class(given.class_name).id
    if given.class_name is not None:
        raise BadOption(f"A verdict of '{given.verdict}' takes no 'class'; leave it out, or give 'other_class'.")
    return None
