"""How a scan reads and writes blobs: while the store is away it waits."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from detector.errors import OrdnanceError
from service.jobs.wanted import Watched
from service.problems import NotReady
from service.store.blobs import BlobGone, BlobStore

log = logging.getLogger("ordnance.scan")

STORE_ATTEMPTS = 6
STORE_PAUSE_SECONDS = 5.0

T = TypeVar("T")


class StoreFailed(OrdnanceError):
    """The store lets a clip not be read, or a picture not be written."""

    code = "store_failed"


def patiently(blobs: BlobStore, watched: Watched, verb: str, do: Callable[[], T]) -> T:
    """What `do` returns, which reads or writes blobs. While the store is away it is waited for.

    Raises StoreFailed where it fails although the store works, ScanStopped where the scan is no longer wanted.
    """
    failures = 0
    while True:
        try:
            return do()
        except (OSError, NotReady) as error:
            failures += 1
            if isinstance(error, BlobGone) and _works(blobs):
                raise
            log.warning("the store fails: %s", error, extra={"scan": watched.scan_id})
            if failures == STORE_ATTEMPTS:
                reason = getattr(error, "strerror", None) or str(error)
                raise StoreFailed(
                    f"The disk or store that holds the clips could not be {verb} ({reason}); POST …/rescan once the "
                    "operator has seen to it."
                ) from error
            time.sleep(STORE_PAUSE_SECONDS)
            while not _works(blobs):
                watched.check()
                time.sleep(STORE_PAUSE_SECONDS)


def _works(blobs: BlobStore) -> bool:
    try:
        blobs.check()
    except OSError:
        return False
    return True
