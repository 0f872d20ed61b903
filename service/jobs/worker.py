"""A worker process: takes scans from the queue until it is told to stop."""

from __future__ import annotations

import gc
import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from detector.memory import keep_large_blocks_apart
from detector.models import load_model
from detector.video.guard_process import Decoders
from service.jobs.desk import Desk
from service.jobs.engine import POLL_SECONDS, SCANS, WEBHOOKS, WEBHOOKS_POLL_SECONDS, Jobs, engine_config
from service.jobs.heartbeat import BEAT_SECONDS, Heartbeat, bury, dead_workers
from service.jobs.shared_model import SharedModel
from service.jobs.wanted import Wanted
from service.settings import Settings
from service.store.blobs import open_blobs
from service.store.database import OUTAGES, no_answer, open_database
from service.store.removal import tidy
from service.tracing import send_rest, set_up_tracing

log = logging.getLogger("ordnance.worker")

LOOK_SECONDS = 2.0
"""How often a worker looks whether others have died."""
TIDY_SECONDS = 600.0
REVIVAL_SECONDS = 60.0
ORPHAN_SECONDS = 0.5
LOST_BEATS_SECONDS = 15.0
"""A worker that cannot say that it lives ends before others take it for dead and begin its scans."""


def run_worker(settings: Settings, *, parent: int | None = None) -> None:
    """Work until SIGTERM or SIGINT, or until the process `parent` is gone. The database must be migrated."""
    from dbos import DBOS

    from service.jobs import workflow

    keep_large_blocks_apart()
    stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    set_up_tracing(settings, "worker")
    database, blobs = open_database(settings), open_blobs(settings)
    settings.work_folder.mkdir(parents=True, exist_ok=True)
    settings.uploads_folder.mkdir(parents=True, exist_ok=True)
    worker_id = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"
    heart = Heartbeat(database, worker_id)
    try:
        heart.begin()
    except OUTAGES as error:
        raise no_answer(error) from error
    models, jobs = _Models(settings), Jobs(settings, database)
    desk = Desk(settings, database, blobs, models.get, Decoders(), Wanted(database), jobs)
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    threading.Thread(target=_beat, args=(heart, desk, models), name="heartbeat", daemon=True).start()
    models.get(settings.model)
    workflow.use(desk)
    DBOS(config=engine_config(settings, worker_id))
    DBOS.listen_queues([SCANS, WEBHOOKS])
    logging.getLogger("dbos").setLevel(logging.WARNING)
    # What is there now stays, and the collection after each scan need not look at it. Work begins with the launch.
    gc.collect()
    gc.freeze()
    DBOS.launch()
    _register_queues(settings)
    models.ready = True
    log.info("worker is ready", extra={"worker": worker_id, "model": models.name})
    next_tidy = time.monotonic() + TIDY_SECONDS * (0.5 + secrets.randbelow(1000) / 1000)
    next_revival = time.monotonic() + REVIVAL_SECONDS
    while not stop.wait(LOOK_SECONDS):
        with _logged("taking up what a dead worker did"):
            dead = dead_workers(database, worker_id)
            if dead:
                DBOS._recover_pending_workflows(dead)
                bury(database, dead)
        if time.monotonic() >= next_revival:
            next_revival = time.monotonic() + REVIVAL_SECONDS
            with _logged("reviving scans"):
                if stranded := jobs.stranded():
                    log.warning("work of executors that are gone goes into the queue again: %s", ", ".join(stranded))
                    DBOS._recover_pending_workflows(stranded)
                for scan_id in jobs.revive():
                    log.warning("scan goes into the queue again", extra={"scan": scan_id})
        if time.monotonic() >= next_tidy:
            next_tidy = time.monotonic() + TIDY_SECONDS
            with _logged("tidying"):
                log.info("tidied", extra=tidy(settings, database, blobs, jobs.forget))
            with _logged("forgetting ended work"):
                jobs.forget_ended()
    log.info("worker stops", extra={"worker": worker_id})
    # Scans go on where they are in the next worker: waiting for their end would make a restart take hours.
    with suppress(SQLAlchemyError):
        heart.end()
    send_rest()
    os._exit(0)


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """What goes wrong in what a worker does besides its scans ends none of them: it is tried again the next time."""
    try:
        yield
    except Exception:
        log.exception("%s failed", what)


class _Models:
    """The models that scans have asked for, each loaded once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._loaded: dict[str, SharedModel] = {}
        self.ready = False

    @property
    def name(self) -> str:
        return next((model.as_model().name for model in self._loaded.values()), "")

    def get(self, name: str) -> SharedModel:
        with self._lock:
            if name not in self._loaded:
                settings = self._settings
                model = load_model(name, device=settings.device, threads=settings.threads)
                self._loaded[name] = self._loaded[model.name] = SharedModel(model)
            return self._loaded[name]

    def counters(self) -> dict[str, Any]:
        models = set(self._loaded.values())
        return {
            "infer_seconds": sum(model.infer_seconds for model in models),
            "pictures": sum(model.pictures for model in models),
            "batches": sum(model.batches for model in models),
        }


def _register_queues(settings: Settings) -> None:
    from dbos import DBOS

    DBOS.register_queue(
        SCANS,
        worker_concurrency=settings.scans_per_worker,
        partition_concurrency=settings.running_scans,
        polling_interval_sec=POLL_SECONDS,
        on_conflict="always_update",
    )
    DBOS.register_queue(
        WEBHOOKS, worker_concurrency=8, polling_interval_sec=WEBHOOKS_POLL_SECONDS, on_conflict="always_update"
    )


def _beat(heart: Heartbeat, desk: Desk, models: _Models) -> None:
    last = time.monotonic()
    while True:
        counters = {
            **models.counters(),
            "samples": desk.samples,
            "frames_decoded": desk.decoded,
            "decode_errors": desk.decode_errors,
            "decode_seconds": desk.decode_seconds,
        }
        try:
            if not heart.beat(ready=models.ready, model=models.name, counters=counters):
                log.error("this worker was taken for dead; it ends", extra={"worker": heart.worker_id})
                os._exit(3)
            last = time.monotonic()
        except SQLAlchemyError:
            if time.monotonic() - last > LOST_BEATS_SECONDS:
                log.exception("the database does not answer; this worker ends")
                os._exit(3)
        time.sleep(BEAT_SECONDS)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(ORPHAN_SECONDS)
    os._exit(4)
