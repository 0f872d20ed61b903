"""Browsers that are signed in."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.store.database import now
from service.store.tables import KeyRow, SessionRow


def open_session(session: Session, key_id: str, hours: float) -> str:
    """Sign the holder of a key in; returns the cookie's value, which cannot be read again."""
    cookie = secrets.token_urlsafe(32)
    row = SessionRow(cookie_sha256=_digest(cookie), key_id=key_id, created_at=now(), expires_at=now() + hours * 3600)
    session.add(row)
    return cookie


def find_session(session: Session, cookie: str) -> tuple[SessionRow, KeyRow] | None:
    """The session of a cookie and its key, which may be out of use; None where the session ended or never was."""
    query = (
        select(SessionRow, KeyRow)
        .join(KeyRow, KeyRow.id == SessionRow.key_id)
        .where(SessionRow.cookie_sha256 == _digest(cookie), SessionRow.expires_at > now())
    )
    found = session.execute(query).first()
    return None if found is None else (found[0], found[1])


def close_session(session: Session, cookie: str) -> None:
    """Sign out; no error where nobody was signed in."""
    session.execute(delete(SessionRow).where(SessionRow.cookie_sha256 == _digest(cookie)))


def drop_expired(session: Session) -> None:
    session.execute(delete(SessionRow).where(SessionRow.expires_at <= now()))


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
