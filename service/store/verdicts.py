"""What reviewers said about appearances: a history that is only added to, and the verdicts that are in force."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.access.keys import Principal
from service.problems import Conflict, NotFound
from service.store.database import now
from service.store.scans import find_scan
from service.store.tables import OPEN_STATES, AppearanceRow, JudgementRow, VerdictRow

CONFIRMED, WRONG, UNSURE, OTHER_CLASS = VERDICTS = ("confirmed", "wrong", "unsure", "other_class")
ReviewState = Literal["single", "agreed", "disagreed"]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the verdicts on one appearance amount to: `verdict` and `class_name` are None where they disagree."""

    state: ReviewState
    verdict: str | None
    class_name: str | None
    reviewers: int


def give_verdict(
    session: Session, who: Principal, scan_id: str, number: int, verdict: str, class_name: str | None, note: str
) -> JudgementRow:
    """Add a verdict to the history; it takes the place of the reviewer's earlier one.

    Raises NotFound, or Conflict while the appearances may still change.
    """
    _check(session, who.owner, scan_id, number)
    row = VerdictRow(
        scan_id=scan_id,
        number=number,
        reviewer_id=who.reviewer_id,
        reviewer=who.reviewer,
        key_id=who.key_id,
        verdict=verdict,
        class_name=class_name,
        note=note,
        at=now(),
    )
    session.add(row)
    session.flush()
    return _put_in_force(session, row)


def undo_verdict(session: Session, who: Principal, scan_id: str, number: int) -> JudgementRow | None:
    """Take the reviewer's verdict in force back; returns the one before it, None where there is none left."""
    _check(session, who.owner, scan_id, number)
    mine = select(VerdictRow).where(
        VerdictRow.scan_id == scan_id, VerdictRow.number == number, VerdictRow.reviewer_id == who.reviewer_id
    )
    history = list(session.scalars(mine.order_by(VerdictRow.id)))
    undone = {row.undoes for row in history}
    standing = [row for row in history if row.verdict is not None and row.id not in undone]
    if not standing:
        return None
    session.add(
        VerdictRow(
            scan_id=scan_id,
            number=number,
            reviewer_id=who.reviewer_id,
            reviewer=who.reviewer,
            key_id=who.key_id,
            note="",
            at=now(),
            undoes=standing[-1].id,
        )
    )
    if len(standing) > 1:
        return _put_in_force(session, standing[-2])
    session.execute(
        delete(JudgementRow).where(
            JudgementRow.scan_id == scan_id,
            JudgementRow.number == number,
            JudgementRow.reviewer_id == who.reviewer_id,
        )
    )
    return None


def verdicts_in_force(session: Session, scan_id: str, numbers: Sequence[int] | None = None) -> list[JudgementRow]:
    """The newest verdict of each reviewer, by appearance and time; of all appearances, or of these."""
    query = select(JudgementRow).where(JudgementRow.scan_id == scan_id)
    if numbers is not None:
        query = query.where(JudgementRow.number.in_(numbers))
    return list(session.scalars(query.order_by(JudgementRow.number, JudgementRow.verdict_id)))


def verdict_history(session: Session, scan_id: str) -> list[VerdictRow]:
    """Every verdict and every undo, in the order in which they were given."""
    return list(session.scalars(select(VerdictRow).where(VerdictRow.scan_id == scan_id).order_by(VerdictRow.id)))


def opinions(rows: Iterable[JudgementRow]) -> dict[int, Opinion]:
    """By number of the appearance. Reviewers agree who give the same verdict and, for another class, the same class."""
    given: dict[int, list[JudgementRow]] = defaultdict(list)
    for row in rows:
        given[row.number].append(row)
    return {number: _opinion(each) for number, each in given.items()}


def shown_names(rows: Iterable[JudgementRow | VerdictRow]) -> Mapping[str, str]:
    """The name of each reviewer by id; where two of them have one name, the id follows it."""
    names = {row.reviewer_id: row.reviewer for row in rows}
    taken: dict[str, set[str]] = defaultdict(set)
    for reviewer_id, name in names.items():
        taken[name].add(reviewer_id)
    return {each: name if len(taken[name]) == 1 else f"{name} ({each[:4]})" for each, name in names.items()}


def _opinion(rows: Sequence[JudgementRow]) -> Opinion:
    said = {(row.verdict, row.class_name) for row in rows}
    if len(said) > 1:
        return Opinion("disagreed", None, None, len(rows))
    verdict, class_name = said.pop()
    return Opinion("single" if len(rows) == 1 else "agreed", verdict, class_name, len(rows))


def _check(session: Session, owner: str, scan_id: str, number: int) -> None:
    # The row's lock lets two verdicts of one reviewer, given at once, be put in force in the order of their history.
    scan = find_scan(session, owner, scan_id, hold=True)
    if session.get(AppearanceRow, (scan_id, number)) is None:
        raise NotFound(f"This scan has no appearance number {number}; GET …/appearances lists them.")
    if scan.state in OPEN_STATES:
        raise Conflict("This scan has not ended, and its appearances may still change; judge them once it has.")


def _put_in_force(session: Session, row: VerdictRow) -> JudgementRow:
    assert row.verdict is not None
    judgement = JudgementRow(
        scan_id=row.scan_id,
        number=row.number,
        reviewer_id=row.reviewer_id,
        reviewer=row.reviewer,
        verdict_id=row.id,
        verdict=row.verdict,
        class_name=row.class_name,
        note=row.note,
        at=row.at,
    )
    return session.merge(judgement)
