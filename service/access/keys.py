"""API keys. A key is `ord_<id>_<secret>`; the database knows the secret's SHA-256 only."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from detector.errors import BadOption
from service.problems import Forbidden, NotFound, Unauthorized
from service.store.database import Database, now
from service.store.tables import KeyRow

SCOPES = ("read", "write", "review", "admin")
"""read: see scans; write: make, cancel and remove them; review: give verdicts; admin: all, and see metrics."""
MOST_DAYS = 36500
"""A key lasts for a hundred years at most: the calendar ends."""
LOCAL_OWNER = "local"
"""The owner of what is done without a key on the machine itself."""
OWNER_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_KEY = re.compile(r"ord_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_HOWTO = "send 'Authorization: Bearer ord_…', made by `ordnance keys create`"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. Limits that are None are the settings'."""

    owner: str
    key_id: str
    scopes: frozenset[str]
    priority: int = 5
    bytes_per_day: int | None = None
    concurrent_scans: int | None = None
    requests_per_minute: int | None = None
    reviewer_id: str = LOCAL_OWNER
    reviewer: str = LOCAL_OWNER
    """Whose verdicts theirs are, and the name they are shown under: the key's note, or its owner."""

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "admin" in self.scopes

    def require(self, scope: str) -> None:
        """Raises Forbidden where the key lacks `scope`."""
        if not self.may(scope):
            raise Forbidden(f"This key may not do that: it lacks the scope '{scope}'; ask for one that has it.")


LOCAL = Principal(LOCAL_OWNER, "", frozenset(SCOPES))


def create_key(
    database: Database,
    owner: str,
    scopes: Sequence[str] = ("read", "write", "review"),
    *,
    note: str = "",
    expires_in_days: float | None = None,
    priority: int = 5,
    bytes_per_day: int | None = None,
    concurrent_scans: int | None = None,
    requests_per_minute: int | None = None,
    reviewer_id: str | None = None,
) -> str:
    """Make a key and return it; it cannot be shown again. Raises BadOption.

    Verdicts given with it are those of `reviewer_id`, by default a reviewer of its own.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise BadOption(f"'{', '.join(unknown)}' is no scope; use some of: {', '.join(SCOPES)}.")
    if not OWNER_PATTERN.fullmatch(owner):
        raise BadOption(f"'{owner}' is no owner's name; use up to 64 letters, digits and . _ @ -.")
    if not 1 <= priority <= 9:
        raise BadOption(f"A priority of {priority} cannot be used; give 1 (first) to 9 (last).")
    if expires_in_days is not None and not 0 < expires_in_days <= MOST_DAYS:
        raise BadOption(f"A key cannot expire in {expires_in_days} days; give a number above 0, up to {MOST_DAYS}.")
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    with database.write() as session:
        session.add(
            KeyRow(
                id=key_id,
                secret_sha256=_digest(secret),
                owner=owner,
                note=note[:200],
                scopes=sorted(set(scopes)),
                priority=priority,
                bytes_per_day=bytes_per_day,
                concurrent_scans=concurrent_scans,
                requests_per_minute=requests_per_minute,
                created_at=now(),
                expires_at=None if expires_in_days is None else now() + expires_in_days * 86400,
                reviewer_id=reviewer_id,
            )
        )
    return f"ord_{key_id}_{secret}"


def rotate_key(database: Database, key_id: str, *, overlap_hours: float = 24.0) -> str:
    """A new key with the rights of an old one, which expires after `overlap_hours`. Raises NotFound or BadOption.

    It lasts as long as the latest of those that were rotated from one another.
    """
    if not 0 <= overlap_hours <= MOST_DAYS * 24:
        raise BadOption(f"A key cannot work for {overlap_hours} more hours; give 0 to {MOST_DAYS * 24}.")
    with database.read() as session:
        old = session.get(KeyRow, key_id)
        if old is None or old.revoked_at is not None:
            raise NotFound(f"There is no key '{key_id}' in use; `ordnance keys list` shows them.")
        first = old.reviewer_id or old.id
        line = select(KeyRow).where((KeyRow.id == first) | (KeyRow.reviewer_id == first))
        # The end of a key that was rotated before is that of its overlap.
        latest = session.scalars(line.order_by(KeyRow.created_at.desc()).limit(1)).one()
        days = None if latest.expires_at is None else (latest.expires_at - latest.created_at) / 86400
    fresh = create_key(
        database,
        old.owner,
        old.scopes,
        note=old.note,
        expires_in_days=None if days is None else min(max(0.001, days), MOST_DAYS),
        priority=old.priority,
        bytes_per_day=old.bytes_per_day,
        concurrent_scans=old.concurrent_scans,
        requests_per_minute=old.requests_per_minute,
        reviewer_id=first,
    )
    with database.write() as session:
        row = session.get(KeyRow, key_id)
        if row is not None:
            end = now() + overlap_hours * 3600
            row.expires_at = end if row.expires_at is None else min(end, row.expires_at)
    return fresh


def revoke_key(database: Database, key_id: str) -> None:
    """The key is refused from now on. Raises NotFound."""
    with database.write() as session:
        row = session.get(KeyRow, key_id)
        if row is None:
            raise NotFound(f"There is no key '{key_id}'; `ordnance keys list` shows them.")
        row.revoked_at = row.revoked_at or now()


def list_keys(database: Database) -> list[KeyRow]:
    with database.read() as session:
        return list(session.scalars(select(KeyRow).order_by(KeyRow.created_at)))


def id_of(key: str) -> str:
    """The id in a whole key; anything else as it is."""
    found = _KEY.fullmatch(key)
    return found[1] if found else key


def principal_of(database: Database, key: str) -> Principal:
    """Who holds `key`. Raises Unauthorized, in the same words for a wrong, revoked or expired one."""
    found = _KEY.fullmatch(key)
    if found:
        with database.read() as session:
            row = session.get(KeyRow, found[1])
        if row is not None and hmac.compare_digest(row.secret_sha256, _digest(found[2])) and is_in_use(row):
            return principal_with(row)
    raise Unauthorized(f"The key is not valid, or no longer; {_HOWTO}.")


def is_in_use(row: KeyRow) -> bool:
    """Whether the key is neither revoked nor expired."""
    return row.revoked_at is None and (row.expires_at is None or row.expires_at > now())


def principal_with(row: KeyRow) -> Principal:
    """Who holds the key of that row, which must be in use."""
    return Principal(
        row.owner,
        row.id,
        frozenset(row.scopes),
        row.priority,
        row.bytes_per_day,
        row.concurrent_scans,
        row.requests_per_minute,
        row.reviewer_id or row.id,
        row.note.strip() or row.owner,
    )


def no_key() -> Unauthorized:
    return Unauthorized(f"A key is needed here; {_HOWTO}.")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
