"""What a worker does for one scan, in this process: without the job engine, on any database and blob store."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache

from detector.models import load_model
from detector.video.guard_process import Decoders
from service.jobs.scanning import Desk
from service.jobs.shared_model import SharedModel
from service.jobs.wanted import Wanted


@cache
def _model(name: str) -> SharedModel:
    return SharedModel(load_model(name, device="cpu", threads=1))


@contextmanager
def desk_of(app):
    """The desk of a worker beside `app`, a ReviewApp."""
    with Decoders() as decoders:
        yield Desk(app.settings, app.database, app.context.blobs, _model, decoders, Wanted(app.database))
