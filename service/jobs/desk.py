"""What a worker has at hand for all its scans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from detector.video.guard import GuardLimits
from detector.video.guard_process import Decoders
from service.decoding import guard_limits
from service.jobs.engine import Jobs
from service.jobs.shared_model import SharedModel
from service.jobs.wanted import Wanted
from service.settings import Settings
from service.store.blobs import BlobStore
from service.store.database import Database


@dataclass(slots=True)
class Desk:
    """What a worker has at hand for all its scans."""

    settings: Settings
    database: Database
    blobs: BlobStore
    model_of: Callable[[str], SharedModel]
    decoders: Decoders
    wanted: Wanted
    jobs: Jobs
    samples: int = 0
    decoded: int = 0
    decode_errors: int = 0
    decode_seconds: float = 0.0

    @property
    def limits(self) -> GuardLimits:
        return guard_limits(self.settings)
