"""Scans in the database: made, found, listed, moved from state to state. Every change of state is an event."""

from __future__ import annotations

import hashlib
import json
import secrets
import unicodedata
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.problems import NotFound
from service.store.database import add_missing, now
from service.store.tables import OPEN_STATES, EventRow, ScanRow, ScanState, UploadRow, UsageRow


def new_id() -> str:
    """128 random bits in hex."""
    return secrets.token_hex(16)


def fingerprint(facts: dict[str, Any]) -> str:
    """The same for two requests that would make the same report of the same clip."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def find_scan(session: Session, owner: str, scan_id: str, *, hold: bool = False) -> ScanRow:
    """The scan; with `hold` it stays until the transaction ends. Raises NotFound, which does not tell another owner's
    scan from none."""
    row = session.get(ScanRow, scan_id, with_for_update=hold or None)
    if row is None or row.owner != owner:
        raise NotFound(f"There is no scan '{scan_id[:64]}'; GET /v1/scans lists yours.")
    return row


def earlier_scan(session: Session, owner: str, clip_sha256: str, made_of: str) -> ScanRow | None:
    """The latest scan of the clip that a new one would only repeat: waiting, running or done. It stays as it is until
    the end of the transaction."""
    return session.scalars(
        select(ScanRow)
        .where(
            ScanRow.owner == owner,
            ScanRow.clip_sha256 == clip_sha256,
            ScanRow.fingerprint == made_of,
            ScanRow.state.in_((*OPEN_STATES, ScanState.DONE)),
        )
        .order_by(ScanRow.created_at.desc())
        .limit(1)
        .with_for_update()
    ).first()


def list_scans(
    session: Session,
    owner: str,
    *,
    limit: int,
    before: tuple[float, str] | None = None,
    states: Sequence[str] = (),
    clip_sha256: str | None = None,
    name_contains: str | None = None,
    conditions: Sequence[ColumnElement[bool]] = (),
) -> list[ScanRow]:
    """The newest first, from just after `before` (created_at, id); those of which all `conditions` are true."""
    query = select(ScanRow).where(ScanRow.owner == owner, *conditions)
    if before is not None:
        at, last = before
        query = query.where(or_(ScanRow.created_at < at, and_(ScanRow.created_at == at, ScanRow.id < last)))
    if states:
        query = query.where(ScanRow.state.in_(states))
    if clip_sha256 is not None:
        query = query.where(ScanRow.clip_sha256 == clip_sha256)
    if name_contains:
        query = query.where(holds(ScanRow.name, name_contains))
    return list(session.scalars(query.order_by(ScanRow.created_at.desc(), ScanRow.id.desc()).limit(limit)))


def holds(column: ColumnElement[str] | InstrumentedAttribute[str], text: str) -> ColumnElement[bool]:
    """Whether it holds the text in any case, with letters and accents written as one character or as two: macOS writes
    `й` in file names as two, keyboards as one."""
    forms = sorted({unicodedata.normalize(form, text.lower()) for form in ("NFC", "NFD")})
    return or_(*(func.lower(column).contains(each, autoescape=True) for each in forms))


def count_open(session: Session, owner: str) -> int:
    """Scans of the owner that wait or run."""
    query = select(func.count()).select_from(ScanRow).where(ScanRow.owner == owner, ScanRow.state.in_(OPEN_STATES))
    return session.scalar(query) or 0


def add_event(session: Session, scan_id: str, kind: str, data: dict[str, Any]) -> None:
    """Append to the scan's events; the scan's row stays locked until the end of the transaction."""
    seq = session.scalar(
        update(ScanRow)
        .where(ScanRow.id == scan_id)
        .values(event_seq=ScanRow.event_seq + 1)
        .returning(ScanRow.event_seq)
        .execution_options(synchronize_session=False)
    )
    if seq is not None:
        session.execute(insert(EventRow).values(scan_id=scan_id, seq=seq, kind=kind, at=now(), data=data))


def move_scan(session: Session, scan_id: str, to: ScanState, *, come_from: Sequence[str], **values: Any) -> bool:
    """Change the state, with an event, where it is one of `come_from`; tells whether it was."""
    changed = session.execute(
        update(ScanRow)
        .where(ScanRow.id == scan_id, ScanRow.state.in_(come_from))
        .values(state=to, **values)
        .execution_options(synchronize_session=False)
    )
    if not changed.rowcount:
        return False
    data: dict[str, Any] = {"state": str(to)}
    if values.get("error_code"):
        data["error"] = {"code": values["error_code"], "message": values["error_message"]}
    add_event(session, scan_id, "state", data)
    return True


def hold_usage(session: Session, owner: str, day: str) -> UsageRow:
    """The owner's count of the day, locked until the transaction ends: scans of one owner are made one at a time."""
    add_missing(session, UsageRow, {"owner": owner, "day": day, "bytes": 0})
    return session.get_one(UsageRow, (owner, day), with_for_update=True)


def open_uploads_bytes(session: Session, owner: str, but: str | None = None) -> int:
    """What the owner's resumable uploads will hold that are no scan yet, all but one."""
    query = select(func.sum(UploadRow.length)).where(
        UploadRow.owner == owner, UploadRow.scan_id.is_(None), UploadRow.expires_at > now(), UploadRow.id != (but or "")
    )
    return int(session.scalar(query) or 0)


def used_today(session: Session, owner: str, day: str) -> int:
    return session.scalar(select(UsageRow.bytes).where(UsageRow.owner == owner, UsageRow.day == day)) or 0
