"""What a scan brings: segments, appearances, and in the end the report. Every write may be repeated without harm."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from detector.report import AppearanceInfo, Report
from service.store.database import now
from service.store.scans import add_event, move_scan
from service.store.tables import (
    AppearanceRow,
    CarryRow,
    DetectionRow,
    PictureRow,
    ReportRow,
    ScanRow,
    ScanState,
    SegmentRow,
)


@dataclass(frozen=True, slots=True)
class Detections:
    """`rows` hold DetectionRow's columns from `pts_s` on; `again` are the times of pictures looked at before, of which
    the rows say all there is to say."""

    rows: Sequence[Mapping[str, Any]]
    again: Sequence[float]


def read_segments(session: Session, scan_id: str) -> list[bytes]:
    """All segments that are kept, in order."""
    query = select(SegmentRow.content).where(SegmentRow.scan_id == scan_id).order_by(SegmentRow.number)
    return list(session.scalars(query))


def read_carry(session: Session, scan_id: str) -> bytes | None:
    row = session.get(CarryRow, scan_id)
    return None if row is None else row.content


def save_segment(
    session: Session,
    scan_id: str,
    number: int,
    content: bytes,
    *,
    carry: bytes,
    detections: Detections,
) -> None:
    """Keep a segment of a scan that is held and runs, and its detections. What is kept already stays as it is.

    `carry` is what the segments up to this one amount to; it takes the place of the one before.
    """
    if session.get(SegmentRow, (scan_id, number)) is not None:
        return
    session.add(SegmentRow(scan_id=scan_id, number=number, content=content))
    session.merge(CarryRow(scan_id=scan_id, number=number, content=carry))
    session.flush()
    save_detections(session, scan_id, number, detections)


def save_detections(session: Session, scan_id: str, number: int, detections: Detections) -> None:
    """Add those of segment `number`."""
    for start in range(0, len(detections.again), 500):
        times = detections.again[start : start + 500]
        session.execute(delete(DetectionRow).where(DetectionRow.scan_id == scan_id, DetectionRow.pts_s.in_(times)))
    if detections.rows:
        rows = [
            {"scan_id": scan_id, "segment": number, "position": at, **row} for at, row in enumerate(detections.rows)
        ]
        session.execute(insert(DetectionRow), rows)


def drop_segments(session: Session, scan_id: str) -> None:
    """Forget what is kept of a scan that has not ended, to begin it anew."""
    for kind in (SegmentRow, CarryRow, DetectionRow):
        session.execute(delete(kind).where(kind.scan_id == scan_id))


def save_progress(session: Session, scan_id: str, progress: Mapping[str, Any]) -> None:
    """`position_s`, `duration_s`, `samples`, `finds`, `clip` and `coverage`, with an event of all but the last two, and
    of when the clip begins (`starts_s`).

    What is missing stays as it was.
    """
    session.execute(update(ScanRow).where(ScanRow.id == scan_id).values(**progress))
    shown = {name: value for name, value in progress.items() if name not in ("clip", "coverage", "attempts")}
    if "clip" in progress:
        shown["starts_s"] = progress["clip"]["first_pts_s"]
    add_event(session, scan_id, "progress", shown)


def save_appearances(session: Session, scan_id: str, appearances: Sequence[AppearanceInfo]) -> None:
    """Let these be the scan's appearances, in this order; each that is new or has changed is an event."""
    known = {row.number: row for row in session.scalars(select(AppearanceRow).where(AppearanceRow.scan_id == scan_id))}
    for number, each in enumerate(appearances, start=1):
        document = each.model_dump(mode="json", by_alias=True)
        row = known.pop(number, None)
        if row is not None and row.document == document:
            continue
        values = {
            "class_name": each.class_name,
            "confidence": each.confidence,
            "first_seen_s": each.first_seen_s,
            "last_seen_s": each.last_seen_s,
            "document": document,
        }
        if row is None:
            session.add(AppearanceRow(scan_id=scan_id, number=number, **values))
        else:
            for name, value in values.items():
                setattr(row, name, value)
        shown = {name: value for name, value in document.items() if name != "detections"}
        add_event(session, scan_id, "appearance", {**shown, "detections": len(each.detections)})
    if known:
        session.execute(
            delete(AppearanceRow).where(AppearanceRow.scan_id == scan_id, AppearanceRow.number.in_(list(known)))
        )


def save_report(session: Session, scan_id: str, report: Report, pictures: Mapping[tuple[int, str], str]) -> None:
    """End a scan that is held and runs with its report; `pictures` are hashes by (number, kind), held as well."""
    session.execute(delete(PictureRow).where(PictureRow.scan_id == scan_id))
    for (number, kind), sha256 in pictures.items():
        session.add(PictureRow(scan_id=scan_id, number=number, kind=kind, sha256=sha256))
    save_appearances(session, scan_id, report.appearances)
    session.execute(delete(ReportRow).where(ReportRow.scan_id == scan_id))
    session.add(ReportRow(scan_id=scan_id, content=zlib.compress(report.to_json(indent=None).encode(), 6)))
    for kind in (SegmentRow, CarryRow):
        session.execute(delete(kind).where(kind.scan_id == scan_id))
    session.flush()
    progress = {
        "position_s": report.clip.duration_s,
        "duration_s": report.clip.duration_s,
        "samples": report.coverage.samples,
        "finds": len(report.appearances),
    }
    add_event(session, scan_id, "progress", progress)
    move_scan(
        session,
        scan_id,
        ScanState.DONE,
        come_from=(ScanState.RUNNING,),
        finished_at=now(),
        **progress,
        clip=report.clip.model_dump(mode="json", by_alias=True),
        coverage=report.coverage.model_dump(mode="json", by_alias=True),
    )


def read_report(session: Session, scan_id: str) -> bytes | None:
    """The report's JSON on one line."""
    row = session.get(ReportRow, scan_id)
    return None if row is None else zlib.decompress(row.content)
