"""How much a key may ask for: requests a minute, bytes a day, scans at a time."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from service.access.keys import Principal
from service.problems import QuotaExceeded, StorageFull, TooManyRequests, UploadTooLarge
from service.settings import Settings
from service.store.blobs import BlobStore
from service.store.database import Database
from service.store.scans import count_open, open_uploads_bytes, used_today
from service.store.tables import IdempotencyRow

FORGET_SECONDS = 600.0


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float = field(default_factory=time.monotonic)


class RateLimiter:
    """A token bucket for each key, in the memory of one API process; it holds a minute's worth of requests."""

    def __init__(self, settings: Settings) -> None:
        self._default = settings.requests_per_minute
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()
        self._tidied_at = time.monotonic()

    def take(self, principal: Principal) -> None:
        """Count a request. Raises TooManyRequests with the time to wait."""
        rate = principal.requests_per_minute or self._default
        name, at = principal.key_id or principal.owner, time.monotonic()
        with self._lock:
            self._forget(at)
            bucket = self._buckets.setdefault(name, _Bucket(rate))
            bucket.tokens = min(rate, bucket.tokens + (at - bucket.filled_at) * rate / 60)
            bucket.filled_at = at
            if bucket.tokens < 1:
                wait = (1 - bucket.tokens) * 60 / rate
                raise TooManyRequests(
                    f"More than {rate} requests a minute; go on in {wait:.1f} s.", retry_after_seconds=wait
                )
            bucket.tokens -= 1

    def _forget(self, at: float) -> None:
        if at - self._tidied_at > FORGET_SECONDS:
            self._tidied_at = at
            self._buckets = {
                name: bucket for name, bucket in self._buckets.items() if at - bucket.filled_at < FORGET_SECONDS
            }


def today() -> str:
    """The UTC day, YYYY-MM-DD."""
    return datetime.now(UTC).strftime("%Y-%m-%d")


def check_upload(
    settings: Settings,
    database: Database,
    blobs: BlobStore,
    principal: Principal,
    announced: int | None,
    idempotency_key: str | None = None,
) -> int:
    """Refuse an upload before its first byte, as far as `announced` (its size, None if not told) allows. The quotas do
    not refuse one whose `idempotency_key` was taken before.

    Returns how many bytes may come. Raises UploadTooLarge, QuotaExceeded or StorageFull.
    """
    size = announced or 0
    if size > settings.max_upload_bytes:
        raise UploadTooLarge(
            f"{size} bytes are more than the {settings.max_upload_bytes} taken here; cut the clip into parts."
        )
    with database.read() as session:
        if idempotency_key and session.get(IdempotencyRow, (principal.owner, idempotency_key)) is not None:
            left = settings.max_upload_bytes
        else:
            left = check_bytes(settings, session, principal, size)
            check_waiting(settings, session, principal)
    if not _has_room(settings, size):
        blobs.make_room(size)
        if not _has_room(settings, size):
            raise StorageFull("There is no room for this upload; ask the operator to make some, or try a smaller clip.")
    return left


def _has_room(settings: Settings, size: int) -> bool:
    return shutil.disk_usage(settings.uploads_folder).free - size >= settings.min_free_bytes


def check_bytes(
    settings: Settings, session: Session, principal: Principal, size: int, upload_id: str | None = None
) -> int:
    """How many bytes of today's quota are left. Raises QuotaExceeded where `size` are more.

    Resumable uploads under way count as what they announced, but for `upload_id`, which is the one that is asked about.
    """
    limit = principal.bytes_per_day or settings.bytes_per_day
    used = used_today(session, principal.owner, today()) + open_uploads_bytes(session, principal.owner, upload_id)
    if used + max(size, 1) > limit:
        raise over_quota(
            f"{used} of {limit} bytes of today's quota are used or announced by uploads under way, "
            f"{size or 'any'} more do not fit"
        )
    return limit - used


def over_quota(what: str) -> QuotaExceeded:
    """For `what`, of which there will be more on the next day."""
    return QuotaExceeded(f"{what}; go on tomorrow (UTC).", retry_after_seconds=86400 - time.time() % 86400)


def check_waiting(settings: Settings, session: Session, principal: Principal) -> None:
    """Raises QuotaExceeded where as many scans wait or run as may."""
    most = principal.concurrent_scans or settings.concurrent_scans
    waiting = count_open(session, principal.owner)
    if waiting >= most:
        raise QuotaExceeded(
            f"{waiting} scans wait or run, {most} are allowed; wait for one to end.", retry_after_seconds=30
        )
