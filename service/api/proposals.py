"""Verdicts on other scans of the same clip, proposed for this one: nothing is taken over unless a reviewer does."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, ConfigDict, Field

from service.access import audit
from service.api.compressed import small_json
from service.api.context import Ctx, Reader, Remote, Reviewer
from service.api.problem import responses
from service.api.scans import ScanId
from service.api.verdicts import Verdict, VerdictOut
from service.problems import Conflict
from service.store.proposals import read_proposals
from service.store.scans import find_scan
from service.store.tables import OPEN_STATES, ScanRow
from service.store.verdicts import give_verdict, shown_names, undo_verdict, verdicts_in_force

router = APIRouter(prefix="/v1/scans/{scan_id}", tags=["review"])

MOST = 500
"""So many verdicts are given or taken back by one request; others wait for the database no longer than a second."""


class _Shape(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True, validate_by_alias=True, extra="forbid")


class EarlierOut(_Shape):
    """A verdict in force on an appearance of another scan of the clip."""

    scan: str = Field(description="Id of that scan.")
    appearance: int = Field(description="Number of the appearance there.")
    reviewer: str
    verdict: Verdict
    class_name: str | None = Field(alias="class", description="What the weapon is instead; null but for other_class.")
    note: str
    at: float = Field(description="When it was given: UTC as epoch seconds.")
    mine: bool = Field(description="Whether it is the verdict of whoever asks.")
    overlap: float = Field(description="Mean IoU of the boxes while both appearances are in view, 0..1.")


class ProposalOut(_Shape):
    """What earlier verdicts amount to for an appearance of this scan."""

    appearance: int = Field(description="Number of the appearance.")
    verdict: Verdict | None = Field(description="What they say of it; null where they contradict each other.")
    class_name: str | None = Field(alias="class")
    note: str = Field(description="Their notes, a line each.")
    said: list[EarlierOut] = Field(description="The oldest first.")


class ProposalsOut(_Shape):
    """By number of the appearance; those that you have judged already as well."""

    items: list[ProposalOut]


class TakenIn(_Shape):
    """A proposal as it was shown: where it says something else by now, it is not taken over."""

    appearance: int = Field(ge=1, le=2**31 - 1)
    verdict: Verdict
    class_name: str | None = Field(default=None, alias="class", max_length=64)


class TakeOverIn(_Shape):
    """Proposals that become verdicts of whoever sends them."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [{"appearance": 3, "verdict": "confirmed"}]}]})

    items: list[TakenIn] = Field(min_length=1, max_length=MOST)


class TakeBackIn(_Shape):
    """Appearances by their numbers."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"appearances": [3, 4]}]})

    appearances: list[Annotated[int, Field(ge=1, le=2**31 - 1)]] = Field(min_length=1, max_length=MOST)


class GivenOut(_Shape):
    """Verdicts of whoever asks that are in force."""

    items: list[VerdictOut]


@router.get(
    "/proposals",
    response_model=ProposalsOut,
    responses=responses("not_found", "conflict"),
    summary="Verdicts on other scans of the clip that fit what this one found",
)
def proposals(
    ctx: Ctx, who: Reader, scan_id: ScanId, accept_encoding: Annotated[str, Header(include_in_schema=False)] = ""
) -> Response:
    """They fit where boxes overlap while both are in view, and the class is that of the verdict."""
    with ctx.database.read() as session:
        found = read_proposals(session, _ended(find_scan(session, who.owner, scan_id)))
    names = shown_names([each.judgement for proposal in found for each in proposal.said])
    items = [
        {
            "appearance": proposal.number,
            "verdict": proposal.verdict,
            "class": proposal.class_name,
            "note": proposal.note,
            "said": [
                {
                    "scan": each.judgement.scan_id,
                    "appearance": each.judgement.number,
                    "reviewer": names[each.judgement.reviewer_id],
                    "verdict": each.judgement.verdict,
                    "class": each.judgement.class_name,
                    "note": each.judgement.note,
                    "at": each.judgement.at,
                    "mine": each.judgement.reviewer_id == who.reviewer_id,
                    "overlap": round(each.overlap, 3),
                }
                for each in proposal.said
            ],
        }
        for proposal in found
    ]
    return small_json({"items": items}, accept_encoding)


@router.post("/proposals", responses=responses("bad_request", "not_found", "conflict"), summary="Take proposals over")
def take_over(ctx: Ctx, who: Reviewer, remote: Remote, scan_id: ScanId, taken: TakeOverIn) -> GivenOut:
    """They become your verdicts. Left out is what is no longer proposed so, and what you have judged already."""
    with ctx.database.read() as session:
        scan = _ended(find_scan(session, who.owner, scan_id))
        proposed = {each.number: each for each in read_proposals(session, scan)}
    with ctx.database.write() as session:
        find_scan(session, who.owner, scan_id, hold=True)
        judged = {row.number for row in verdicts_in_force(session, scan_id) if row.reviewer_id == who.reviewer_id}
        given = []
        for each in taken.items:
            known = proposed.get(each.appearance)
            if (
                known is None
                or each.appearance in judged
                or (known.verdict, known.class_name) != (each.verdict, each.class_name)
            ):
                continue
            judged.add(each.appearance)
            row = give_verdict(session, who, scan_id, known.number, each.verdict, known.class_name, known.note)
            given.append(VerdictOut.of(row, row.reviewer, who))
        if given:
            audit.note(session, who, "take-over", remote=remote, scan_id=scan_id, clip_sha256=scan.clip_sha256)
    return GivenOut(items=given)


@router.post(
    "/verdicts/take-back",
    responses=responses("bad_request", "not_found", "conflict"),
    summary="Take several verdicts back",
)
def take_back(ctx: Ctx, who: Reviewer, remote: Remote, scan_id: ScanId, asked: TakeBackIn) -> GivenOut:
    """Your verdicts before them are in force again, and are the answer, as far as there are any."""
    with ctx.database.write() as session:
        scan = find_scan(session, who.owner, scan_id, hold=True)
        rows = [undo_verdict(session, who, scan_id, number) for number in dict.fromkeys(asked.appearances)]
        audit.note(session, who, "undo", remote=remote, scan_id=scan_id, clip_sha256=scan.clip_sha256)
        return GivenOut(items=[VerdictOut.of(row, row.reviewer, who) for row in rows if row is not None])


def _ended(scan: ScanRow) -> ScanRow:
    if scan.state in OPEN_STATES:
        raise Conflict("This scan has not ended, and its appearances may still change; ask again once it has.")
    return scan
