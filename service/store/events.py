"""Events of scans, read on from a place. Each scan numbers its own without gaps, in the order of their commits."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from service.store.database import now
from service.store.tables import OPEN_STATES, EventRow, ScanRow

RECENT_SECONDS = 60.0
"""A scan this young is live even where it has ended: it may have done so between two looks."""
OVERLAP_SECONDS = 10.0
"""Events of several scans have no common order but their clocks': going on begins so long before the last one."""

Places = dict[str, int]
"""For each live scan the number of the last event that was told."""


def event_counts(session: Session, scan_ids: Sequence[str]) -> dict[str, int]:
    """How many events each of these scans has had."""
    return {scan_id: count for scan_id, count in _counts(session, ScanRow.id.in_(scan_ids))}


def live_counts(session: Session, owner: str) -> dict[str, int]:
    """The same of the owner's live scans: those that wait, run, or were made just now."""
    is_live = or_(ScanRow.state.in_(OPEN_STATES), ScanRow.created_at > now() - RECENT_SECONDS)
    return {scan_id: count for scan_id, count in _counts(session, ScanRow.owner == owner, is_live)}


def scan_events(
    session: Session, owner: str, scan_id: str, after: int, limit: int
) -> tuple[list[EventRow], bool | None]:
    """Events numbered above `after`, and whether the scan is open; None where the owner has no such scan."""
    scan = session.get(ScanRow, scan_id)
    if scan is None or scan.owner != owner:
        return [], None
    return _after(session, scan_id, after, limit), scan.state in OPEN_STATES


def places_now(session: Session, owner: str) -> Places:
    """Behind all that has happened."""
    return live_counts(session, owner)


def places_after(session: Session, owner: str, scan_id: str, number: int) -> Places | None:
    """Behind that event, in the other scans some seconds before it; None where it is not there (any more)."""
    scan, event = session.get(ScanRow, scan_id), session.get(EventRow, (scan_id, number))
    if scan is None or event is None or scan.owner != owner:
        return None
    start = event.at - OVERLAP_SECONDS
    may_have_news = or_(ScanRow.state.in_(OPEN_STATES), ScanRow.finished_at >= start, ScanRow.created_at >= start)
    told = (
        select(ScanRow.id, func.max(EventRow.seq))
        .outerjoin(EventRow, (EventRow.scan_id == ScanRow.id) & (EventRow.at < start))
        .where(ScanRow.owner == owner, may_have_news)
        .group_by(ScanRow.id)
    )
    places = {each: last or 0 for each, last in session.execute(told)}
    return {**places, scan_id: number}


def news(session: Session, owner: str, places: Places, limit: int) -> tuple[list[EventRow], list[str], Places]:
    """Events behind these places, `limit` at most; scans that were removed; and the places behind both."""
    counts = live_counts(session, owner)
    left = [scan_id for scan_id in places if scan_id not in counts]
    ended = event_counts(session, left) if left else {}
    rows: list[EventRow] = []
    reached: Places = {}
    for scan_id, count in {**counts, **ended}.items():
        last = places.get(scan_id, 0)
        if count > last and len(rows) < limit:
            found = _after(session, scan_id, last, limit - len(rows))
            rows += found
            last = found[-1].seq if found else last
        if scan_id in counts or last < count:
            reached[scan_id] = last
    return rows, [scan_id for scan_id in left if scan_id not in ended], reached


def _counts(session: Session, *conditions: ColumnElement[bool]) -> list[tuple[str, int]]:
    return [
        (scan_id, count) for scan_id, count in session.execute(select(ScanRow.id, ScanRow.event_seq).where(*conditions))
    ]


def _after(session: Session, scan_id: str, after: int, limit: int) -> list[EventRow]:
    query = select(EventRow).where(EventRow.scan_id == scan_id, EventRow.seq > after)
    return list(session.scalars(query.order_by(EventRow.seq).limit(limit)))
