"""The record of who touched which clip."""

from __future__ import annotations

from sqlalchemy.orm import Session

from service.access.keys import Principal
from service.store.database import now
from service.store.tables import AuditRow


def note(
    session: Session,
    principal: Principal,
    action: str,
    *,
    remote: str,
    scan_id: str | None = None,
    clip_sha256: str | None = None,
) -> None:
    """Add a line. Actions: upload, rescan, clip, picture, reveal, report, export, verdict, take-over,
    undo, cancel, delete, sign-in, sign-out."""
    session.add(
        AuditRow(
            at=now(),
            owner=principal.owner,
            key_id=principal.key_id,
            action=action,
            scan_id=scan_id,
            clip_sha256=clip_sha256,
            remote=remote[:64],
        )
    )
