"""From a scan's row to its report: what a worker does for one scan."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from sqlalchemy.orm import Session

from detector import __version__
from detector.errors import OrdnanceError, VideoError
from detector.memory import give_back_freed
from detector.models import Model
from detector.report import AppearanceInfo, Report, crop_name, thumbnail_name
from detector.scanner import Progress, ScanOptions, ScanResult
from detector.video import sha256_file
from detector.video.guard import GuardLimits
from detector.video.guard_process import Decoders
from service.decoding import guard_limits
from service.jobs.engine import Jobs
from service.jobs.samples import pack, unpack
from service.jobs.segments import Carry, Part, ScanStopped, SegmentedScanner
from service.jobs.shared_model import SharedModel
from service.jobs.stoppable import stoppable
from service.jobs.wanted import Wanted, Watched
from service.problems import NotReady
from service.settings import Settings
from service.store.blobs import BlobGone, BlobStore
from service.store.clips import hold_pictures, keep_pictures, link_clip
from service.store.database import Database, now
from service.store.results import (
    Detections,
    drop_segments,
    read_carry,
    read_segments,
    save_appearances,
    save_detections,
    save_progress,
    save_report,
    save_segment,
)
from service.store.scans import move_scan
from service.store.tables import OPEN_STATES, ScanRow, ScanState
from service.tracing import span

log = logging.getLogger("ordnance.scan")

MAX_ATTEMPTS_WITHOUT_PROGRESS = 30
"""A scan whose worker died so often without finishing one more segment is failed: the clip may be what kills it."""
SHOW_SECONDS = 1.0
"""How often what a running scan has found and looked at is shown, as long as it takes no more of the scan's time than
RELINK_SHARE: both are made anew from all samples."""
RELINK_SHARE = 0.02


STORE_ATTEMPTS = 6
STORE_PAUSE_SECONDS = 5.0

T = TypeVar("T")


class ClipDamaged(OrdnanceError):
    """The store holds other bytes than those that were uploaded."""

    code = "clip_damaged"


class StoreFailed(OrdnanceError):
    """The store lets a clip not be read, or a picture not be written."""

    code = "store_failed"


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


RunStep = Callable[[Callable[[], None]], None]
"""Runs something as a durable step; after a crash, again what was done before."""


def begin(desk: Desk, scan_id: str) -> ScanRow | None:
    """Take the scan up; None where there is nothing (more) to do."""
    with desk.database.write() as session:
        scan = session.get(ScanRow, scan_id, with_for_update=True)
        if scan is None or scan.state not in OPEN_STATES:
            return None
        if scan.attempts >= MAX_ATTEMPTS_WITHOUT_PROGRESS:
            _fail_in(
                desk,
                session,
                scan_id,
                "worker_died",
                f"The worker ended {scan.attempts} times at the same place of this clip; the clip was given up.",
            )
            return None
        attempts = scan.attempts + 1
        if scan.state == ScanState.QUEUED:
            values = {"started_at": now(), "attempts": attempts}
            move_scan(session, scan_id, ScanState.RUNNING, come_from=(ScanState.QUEUED,), **values)
            session.refresh(scan)
        else:
            scan.attempts = attempts
        return scan


def fail(desk: Desk, scan_id: str, code: str, message: str) -> None:
    """End the scan as failed, where it has not ended otherwise."""
    with desk.database.write() as session:
        _fail_in(desk, session, scan_id, code, message)


def _fail_in(desk: Desk, session: Session, scan_id: str, code: str, message: str) -> None:
    has_moved = move_scan(
        session,
        scan_id,
        ScanState.FAILED,
        come_from=OPEN_STATES,
        error_code=code,
        error_message=message,
        finished_at=now(),
    )
    if has_moved:
        desk.jobs.enqueue_webhook(session, session.get_one(ScanRow, scan_id))


def run_scan(desk: Desk, scan: ScanRow, step: RunStep) -> None:
    """Scan, from wherever an earlier worker came to.

    Raises ScanStopped, or OrdnanceError where the clip is to blame.
    """
    try:
        with desk.wanted.watch(scan.id) as watched:
            _run_watched(desk, scan, step, watched)
    finally:
        # Pictures of the scan hang in circles of references, which would otherwise be found many scans later.
        gc.collect()
        give_back_freed()


def _run_watched(desk: Desk, scan: ScanRow, step: RunStep, watched: Watched) -> None:
    folder = desk.settings.work_folder / scan.id
    try:
        try:
            _scan_clip(desk, scan, step, watched, folder)
        except (ClipDamaged, BlobGone):
            watched.check()
            if not desk.blobs.drop_copy(scan.clip_sha256):
                raise
            # This machine's copy was damaged or went. What was found on it does not count.
            with desk.database.write() as session:
                drop_segments(session, scan.id)
            _scan_clip(desk, scan, step, watched, folder)
    except BlobGone as error:
        watched.check()
        raise OrdnanceError("The clip's bytes are gone from the store; upload it again.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _scan_clip(desk: Desk, scan: ScanRow, step: RunStep, watched: Watched, folder: Path) -> None:
    """Raises ClipDamaged or BlobGone where the bytes were others, or went meanwhile."""

    def opened() -> tuple[Path, BinaryIO]:
        path = link_clip(desk.blobs, scan.clip_sha256, scan.name, folder)
        return path, path.open("rb")

    path, file = _patiently(desk, watched, "read", opened)
    with file:
        model = desk.model_of(scan.options["model"]).for_scan(watched.look)
        journal = _Kept(desk, scan, step, watched, _maker(model, desk.settings))
        with stoppable(desk.decoders, watched) as decoders:
            scanner = journal.scanner = SegmentedScanner(
                model,
                _options(scan.options),
                limits=desk.limits,
                decoders=decoders,
                segment_samples=desk.settings.segment_samples,
                journal=journal,
            )
            try:
                result = scanner.scan(path)
            except VideoError:
                # A decoder may read no other file than the one it was given, be it a fresh copy of the same bytes.
                if not path.exists() or not os.path.samestat(path.stat(), os.fstat(file.fileno())):
                    raise BlobGone(scan.clip_sha256) from None
                _check_bytes(scan, sha256_file(path))
                raise
    _check_bytes(scan, result.report.clip.sha256)
    journal.finish(result)


def _check_bytes(scan: ScanRow, sha256: str) -> None:
    """Raises ClipDamaged."""
    if sha256 != scan.clip_sha256:
        raise ClipDamaged("The store no longer holds the bytes that were uploaded, but others; upload the clip again.")


def _patiently(desk: Desk, watched: Watched, verb: str, do: Callable[[], T]) -> T:
    """What `do` returns, which reads or writes blobs. While the store is away it is waited for.

    Raises StoreFailed where it fails although the store works, ScanStopped where the scan is no longer wanted.
    """
    for failures in count(1):
        try:
            return do()
        except (OSError, NotReady) as error:
            if isinstance(error, BlobGone) and _works(desk.blobs):
                raise
            log.warning("the store fails: %s", error, extra={"scan": watched.scan_id})
            if failures == STORE_ATTEMPTS:
                reason = getattr(error, "strerror", None) or str(error)
                raise StoreFailed(
                    f"The disk or store that holds the clips could not be {verb} ({reason}); POST …/rescan once the "
                    "operator has seen to it."
                ) from error
            time.sleep(STORE_PAUSE_SECONDS)
            while not _works(desk.blobs):
                watched.check()
                time.sleep(STORE_PAUSE_SECONDS)
    raise AssertionError


def _works(blobs: BlobStore) -> bool:
    try:
        blobs.check()
    except OSError:
        return False
    return True


class _Kept:
    """The journal of a scan in the database, and what is shown of the scan on the way."""

    def __init__(self, desk: Desk, scan: ScanRow, step: RunStep, watched: Watched, maker: dict[str, Any]) -> None:
        self._desk = desk
        self._scan = scan
        self._step = step
        self._watched = watched
        # As it comes back from the database, which knows no lists.
        self._maker = unpack(pack(maker))
        self._segments, self._carry = self._take_up()
        self._shown_at = time.monotonic()
        self._show_cost = 0.0
        self._decode_seconds = 0.0
        self.scanner: SegmentedScanner

    def on_batch(self, _: Progress) -> None:
        self._watched.look()
        self._show()

    def _take_up(self) -> tuple[list[list[Part]], Carry | None]:
        """What an earlier worker kept, where it can be gone on with; else it is dropped, and the scan begins anew.

        What a budget leaves time for is not the same twice. And no report is half of one version of the program, or of
        the weights, and half of another; nor do parts of one length continue parts of another.
        """
        with self._desk.database.read() as session:
            segments, content = read_segments(session, self._scan.id), read_carry(session, self._scan.id)
        if content is None:
            return [], None
        if not _has_budget(self._scan):
            # What another version kept may not even be readable.
            with suppress(TypeError, KeyError, ValueError):
                carry = unpack(content)
                if carry["maker"] == self._maker:
                    return [[Part(**part) for part in unpack(each)] for each in segments], carry
        with self._desk.database.write() as session:
            drop_segments(session, self._scan.id)
        return [], None

    def kept(self) -> list[list[Part]]:
        return self._segments

    def carry(self) -> Carry | None:
        return self._carry

    def keep(self, number: int, parts: Sequence[Part] | None, carry: Carry | None) -> None:
        with span("segment", scan_id=self._scan.id, segment_number=number):
            self._step(lambda: self._save(number, parts or (), carry))
        # A store's copy here stays for as long as it is asked for.
        with suppress(OSError):
            self._desk.blobs.local_path(self._scan.clip_sha256)
        if parts is not None:
            self._show()

    def finish(self, result: ScanResult) -> None:
        """Save the report together with the last segment, which nobody will go on from. Raises ScanStopped."""
        with span("segment", scan_id=self._scan.id, segment_number=self.scanner.rest()[0]):
            self._step(lambda: self._save_report(result))

    def _save_report(self, result: ScanResult) -> None:
        desk, scan = self._desk, self._scan
        report = _named_report(scan, result.report)
        crops = {
            (number, kind): result.pictures[name]
            for number, each in enumerate(report.appearances, start=1)
            for kind, name in (("thumbnail", thumbnail_name(each.id)), ("crop", crop_name(each.id)))
            if name in result.pictures
        }
        number, parts = self.scanner.rest()
        detections = self._detections(parts)
        while True:
            hashes = _patiently(
                desk, self._watched, "written", lambda: keep_pictures(desk.database, desk.blobs, list(crops.values()))
            )
            with desk.database.write() as session:
                held = _hold_running(session, scan.id)
                if not hold_pictures(session, hashes):
                    # A scan that had one of them as well was removed meanwhile.
                    continue
                save_report(session, scan.id, report, dict(zip(crops, hashes, strict=True)))
                save_detections(session, scan.id, number, detections)
                desk.jobs.enqueue_webhook(session, held)
                break
        self._count(parts)

    def _save(self, number: int, parts: Sequence[Part], carry: Carry | None) -> None:
        """Done again for a segment that is kept, it does nothing."""
        desk, scan_id = self._desk, self._scan.id
        if carry is None:
            self._watched.check()
            return
        progress: dict[str, Any] = {"samples": len(self.scanner.samples), **self._length()}
        if not _has_budget(self._scan):
            progress["attempts"] = 0
        if self.scanner.samples:
            progress["position_s"] = max(self.scanner.samples)
        content = pack([part.as_dict() for part in parts])
        gathered = pack({**carry, "maker": self._maker})
        detections = self._detections(parts)
        with desk.database.write() as session:
            _hold_running(session, scan_id)
            save_segment(session, scan_id, number, content, carry=gathered, detections=detections)
            save_progress(session, scan_id, progress)
        self._count(parts)

    def _length(self) -> dict[str, Any]:
        """When the clip's pictures begin and end; the rest of what is known of it comes with the report."""
        return {
            "duration_s": self.scanner.duration_seconds,
            "clip": {"first_pts_s": self.scanner.first_pts_seconds},
        }

    def _detections(self, parts: Sequence[Part]) -> Detections:
        latest = {sample.pts_seconds: sample for part in parts for sample in part.samples}.values()
        model = self.scanner.model
        rows = [
            {
                "pts_s": sample.pts_seconds,
                "class_name": found.class_name,
                "score": found.score,
                "confidence": model.calibrate(found.class_name, found.score),
                **dict(zip(("x1", "y1", "x2", "y2"), found.box, strict=True)),
            }
            for sample in latest
            for found in sample.detections
        ]
        return Detections(rows, [sample.pts_seconds for sample in latest if sample.tiled])

    def _count(self, parts: Sequence[Part]) -> None:
        desk = self._desk
        desk.samples += len({sample.pts_seconds for part in parts for sample in part.samples})
        desk.decoded += sum(part.frames_decoded for part in parts)
        desk.decode_errors += sum(len(part.failed) for part in parts)
        desk.decode_seconds += self.scanner.decode_seconds - self._decode_seconds
        self._decode_seconds = self.scanner.decode_seconds

    def _show(self) -> None:
        """Let what was found and looked at so far be seen, at most so often."""
        started = time.monotonic()
        if started - self._shown_at < max(SHOW_SECONDS, self._show_cost / RELINK_SHARE):
            return
        samples = self.scanner.so_far()
        if not samples:
            return
        found = self.scanner.appearances(samples)
        width, height = self.scanner.size
        infos = [AppearanceInfo.of(each, width=width, height=height, pictures=False) for each in found]
        progress = {
            "samples": len(samples),
            **self._length(),
            "position_s": samples[-1].pts_seconds,
            "coverage": self.scanner.coverage(samples).model_dump(mode="json", by_alias=True),
        }
        with self._desk.database.write() as session:
            _hold_running(session, self._scan.id).finds = len(infos)
            session.flush()
            save_progress(session, self._scan.id, progress)
            save_appearances(session, self._scan.id, infos)
        self._shown_at = time.monotonic()
        self._show_cost = self._shown_at - started


def _hold_running(session: Session, scan_id: str) -> ScanRow:
    """The scan's row, held until the transaction ends. Raises ScanStopped where it no longer runs."""
    scan = session.get(ScanRow, scan_id, with_for_update=True)
    if scan is None or scan.state != ScanState.RUNNING:
        raise ScanStopped
    return scan


def _maker(model: Model, settings: Settings) -> dict[str, Any]:
    """What decides which pictures a scan asks for, how they are cut into parts, and what is found on them."""
    second = [] if model.second is None else [model.second.sha256]
    return {
        "tool": __version__,
        "weights": [model.sha256, *second],
        "thresholds": dict(model.thresholds),
        "segment_samples": settings.segment_samples,
    }


def _has_budget(scan: ScanRow) -> bool:
    return scan.options.get("budget") is not None


def _named_report(scan: ScanRow, report: Report) -> Report:
    """The report with the name that the clip was uploaded under, and the times of the scan, not of its last worker."""
    started = scan.started_at or now()
    return report.model_copy(
        update={
            "clip": report.clip.model_copy(update={"name": scan.name}),
            "scan": report.scan.model_copy(
                update={
                    "started_at": datetime.fromtimestamp(started, UTC),
                    "elapsed_s": round(max(0.0, now() - started), 6),
                }
            ),
        }
    )


def _options(options: dict[str, Any]) -> ScanOptions:
    classes = options.get("classes")
    return ScanOptions(
        plan=options["plan"],
        cadence_seconds=options["every_s"],
        classes=None if classes is None else tuple(classes),
        threshold=options.get("threshold"),
        shortest_shot_seconds=options.get("shortest_shot_s"),
        budget=options.get("budget"),
    )
