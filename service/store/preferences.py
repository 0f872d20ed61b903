"""How each reviewer wants the page to be."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from service.store.database import add_missing, now
from service.store.tables import PreferenceRow


def read_preferences(session: Session, reviewer_id: str) -> dict[str, Any]:
    """What the reviewer has set; empty for one who has set nothing."""
    row = session.get(PreferenceRow, reviewer_id)
    return {} if row is None else dict(row.document)


def save_preferences(session: Session, reviewer_id: str, changed: dict[str, Any]) -> dict[str, Any]:
    """Set these, leave the others as they are; returns all that are set."""
    add_missing(session, PreferenceRow, {"reviewer_id": reviewer_id, "document": {}, "changed_at": now()})
    row = session.get_one(PreferenceRow, reviewer_id, with_for_update=True)
    row.document = {**row.document, **changed}
    row.changed_at = now()
    return row.document
