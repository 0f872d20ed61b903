"""What a worker does for one scan, in this process: without the job engine, on any database and blob store; and a
worker in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import cache

from detector.models import load_model
from detector.video.guard_process import Decoders
from service.jobs.desk import Desk
from service.jobs.shared_model import SharedModel
from service.jobs.wanted import Wanted


@cache
def _model(name: str) -> SharedModel:
    return SharedModel(load_model(name, device="cpu", threads=1))


@contextmanager
def desk_of(app):
    """The desk of a worker beside `app`, a ReviewApp."""
    with Decoders() as decoders:
        yield Desk(
            app.settings, app.database, app.context.blobs, _model, decoders, Wanted(app.database), app.context.jobs
        )


@contextmanager
def worker_beside(app, *words, **environment):
    """A worker process beside `app` that runs these lines first; yields what waits until something is true."""
    lines = (
        "from service.jobs import worker",
        *words,
        "from service.logs import set_up_logs",
        "from service.settings import load_settings",
        "set_up_logs('text', 'info')",
        "worker.run_worker(load_settings(threads=1))",
    )
    log = app.settings.store.with_name("worker.log")
    with log.open("ab") as file:
        worker = subprocess.Popen(
            [sys.executable, "-c", "\n".join(lines)],
            stderr=file,
            env={**os.environ, "ORDNANCE_STORE": str(app.settings.store), **environment},
        )

    def wait_until(is_true):
        deadline = time.monotonic() + 120
        while not is_true():
            assert worker.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)

    try:
        yield wait_until
    finally:
        worker.terminate()
        worker.wait(30)
