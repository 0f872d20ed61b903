"""The journal of a scan in the database: its segments, the report at its end, and what is shown of it on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from detector import __version__
from detector.models import Model
from detector.report import AppearanceInfo, Report, crop_name, thumbnail_name
from detector.scanner import Progress, ScanResult
from service.jobs.desk import Desk
from service.jobs.parts import Part
from service.jobs.patience import patiently
from service.jobs.samples import pack, unpack
from service.jobs.segments import Carry, ScanStopped, SegmentedScanner
from service.jobs.wanted import Watched
from service.settings import Settings
from service.store.clips import hold_pictures, keep_pictures
from service.store.database import now
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
from service.store.tables import ScanRow, ScanState
from service.tracing import span

SHOW_SECONDS = 1.0
"""How often what a running scan has found and looked at is shown, as long as it takes no more of the scan's time than
RELINK_SHARE: both are made anew from all samples."""
RELINK_SHARE = 0.02

RunStep = Callable[[Callable[[], None]], None]
"""Runs something as a durable step; after a crash, again what was done before."""


class KeptScan:
    """The journal of a scan in the database, and what is shown of the scan on the way."""

    def __init__(self, desk: Desk, scan: ScanRow, step: RunStep, watched: Watched, model: Model) -> None:
        self._desk = desk
        self._scan = scan
        self._step = step
        self._watched = watched
        # As it comes back from the database, which knows no lists.
        self._maker = unpack(pack(_maker(model, desk.settings)))
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

        def keep() -> list[str]:
            return keep_pictures(desk.database, desk.blobs, list(crops.values()))

        while True:
            hashes = patiently(desk.blobs, self._watched, "written", keep)
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
