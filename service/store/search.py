"""Finding appearances over all scans of an owner, and scans by what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from service.store.scans import holds
from service.store.tables import OPEN_STATES, AppearanceRow, JudgementRow, ScanRow

UNREVIEWED = "unreviewed"


@dataclass(frozen=True, slots=True)
class Counts:
    """Of a scan: appearances by class, and how many appearances have a verdict."""

    classes: dict[str, int]
    reviewed: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; empty and None leave nothing out. Times are epoch seconds of when the scan was made."""

    classes: Sequence[str] = ()
    min_confidence: float = 0.0
    name: str = ""
    note: str = ""
    since: float | None = None
    until: float | None = None
    verdicts: Sequence[str] = ()
    scan_states: Sequence[str] = ()
    review_states: Sequence[str] = ()


def find_appearances(
    session: Session, owner: str, wanted: Wanted, *, limit: int, after: tuple[float, str, int] | None = None
) -> list[tuple[ScanRow, AppearanceRow]]:
    """Of the newest scan first, by number, from just after `after` (the scan's created_at and id, number)."""
    scan, found = ScanRow, AppearanceRow
    query = select(scan, found).join(found, found.scan_id == scan.id).where(scan.owner == owner)
    query = query.where(*made_between(wanted.since, wanted.until), found.confidence >= wanted.min_confidence)
    if after is not None:
        at, scan_id, number = after
        here = scan.created_at == at
        query = query.where(
            or_(
                scan.created_at < at,
                and_(here, scan.id < scan_id),
                and_(here, scan.id == scan_id, found.number > number),
            )
        )
    if wanted.classes:
        query = query.where(found.class_name.in_(wanted.classes))
    if wanted.scan_states:
        query = query.where(scan.state.in_(wanted.scan_states))
    if wanted.name:
        query = query.where(holds(scan.name, wanted.name))
    if wanted.note:
        query = query.where(_judged(holds(JudgementRow.note, wanted.note)))
    if wanted.verdicts:
        query = query.where(_judged(JudgementRow.verdict.in_(wanted.verdicts)))
    if wanted.review_states:
        query = _in_review_states(query, owner, wanted.review_states)
    rows = session.execute(query.order_by(scan.created_at.desc(), scan.id.desc(), found.number).limit(limit))
    return [(row[0], row[1]) for row in rows]


def holding(classes: Sequence[str], min_confidence: float) -> list[ColumnElement[bool]]:
    """Conditions on scans: one of these classes was found, or anything at all, at least so surely."""
    if not classes and min_confidence <= 0:
        return []
    found = exists().where(AppearanceRow.scan_id == ScanRow.id, AppearanceRow.confidence >= min_confidence)
    return [found.where(AppearanceRow.class_name.in_(classes)) if classes else found]


def reviewed(is_reviewed: bool) -> list[ColumnElement[bool]]:
    """Conditions on scans: it has ended and every appearance has a verdict; or some appearance has none."""
    waiting = exists().where(AppearanceRow.scan_id == ScanRow.id, ~_judged())
    return [~waiting, ScanRow.state.not_in(OPEN_STATES)] if is_reviewed else [waiting]


def made_between(since: float | None, until: float | None) -> list[ColumnElement[bool]]:
    """Conditions on scans: made from `since` on and before `until`."""
    conditions = []
    if since is not None:
        conditions.append(ScanRow.created_at >= since)
    if until is not None:
        conditions.append(ScanRow.created_at < until)
    return conditions


def count_finds(session: Session, scan_ids: Sequence[str]) -> dict[str, Counts]:
    """What is in each of these scans."""
    counts = {scan_id: Counts({}, 0) for scan_id in scan_ids}
    by_class = select(AppearanceRow.scan_id, AppearanceRow.class_name, func.count()).where(
        AppearanceRow.scan_id.in_(scan_ids)
    )
    by_class = by_class.group_by(AppearanceRow.scan_id, AppearanceRow.class_name)
    for scan_id, class_name, number in session.execute(by_class.order_by(AppearanceRow.class_name)):
        counts[scan_id].classes[class_name] = number
    judged = select(JudgementRow.scan_id, func.count(JudgementRow.number.distinct()))
    judged = judged.where(JudgementRow.scan_id.in_(scan_ids)).group_by(JudgementRow.scan_id)
    for scan_id, number in session.execute(judged):
        counts[scan_id] = Counts(counts[scan_id].classes, number)
    return counts


def _in_review_states(
    query: Select[tuple[ScanRow, AppearanceRow]], owner: str, states: Sequence[str]
) -> Select[tuple[ScanRow, AppearanceRow]]:
    row = JudgementRow
    said = row.verdict + ":" + func.coalesce(row.class_name, "")
    opinion = (
        select(row.scan_id, row.number, func.count().label("reviewers"), func.count(said.distinct()).label("opinions"))
        .join(ScanRow, ScanRow.id == row.scan_id)
        .where(ScanRow.owner == owner)
        .group_by(row.scan_id, row.number)
        .subquery()
    )
    query = query.outerjoin(
        opinion, and_(opinion.c.scan_id == AppearanceRow.scan_id, opinion.c.number == AppearanceRow.number)
    )
    conditions = {
        UNREVIEWED: opinion.c.reviewers.is_(None),
        "single": opinion.c.reviewers == 1,
        "agreed": and_(opinion.c.reviewers > 1, opinion.c.opinions == 1),
        "disagreed": opinion.c.opinions > 1,
    }
    return query.where(or_(*(conditions[each] for each in states)))


def _judged(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(
        JudgementRow.scan_id == AppearanceRow.scan_id, JudgementRow.number == AppearanceRow.number, *conditions
    )
