"""How much a key may ask for: requests a minute, bytes a day, scans at a time."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from service.access.keys import Principal
from service.problems import QuotaExceeded, StorageFull, TooManyRequests, UploadTooLarge
from service.settings import Settings
from service.store.database import Database
from service.store.scans import count_open, used_today

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


def check_upload(settings: Settings, database: Database, principal: Principal, announced: int | None) -> None:
    """Refuse an upload before its first byte, as far as `announced` (its size, None if not told) allows.

    Raises UploadTooLarge, QuotaExceeded or StorageFull.
    """
    size = announced or 0
    if size > settings.max_upload_bytes:
        raise UploadTooLarge(
            f"{size} bytes are more than the {settings.max_upload_bytes} taken here; cut the clip into parts."
        )
    with database.read() as session:
        used = used_today(session, principal.owner, today())
        waiting = count_open(session, principal.owner)
    limit = principal.bytes_per_day or settings.bytes_per_day
    if used + max(size, 1) > limit:
        raise QuotaExceeded(
            f"{used} of {limit} bytes of today's quota are used, {size} more do not fit; go on tomorrow (UTC).",
            retry_after_seconds=86400 - time.time() % 86400,
        )
    most = principal.concurrent_scans or settings.concurrent_scans
    if waiting >= most:
        raise QuotaExceeded(
            f"{waiting} scans wait or run, {most} are allowed; wait for one to end.", retry_after_seconds=30
        )
    free = shutil.disk_usage(settings.uploads_folder).free
    if free - size < settings.min_free_bytes:
        raise StorageFull("There is no room for this upload; ask the operator to make some, or try a smaller clip.")
