"""The verdicts on a scan as the documents that leave the service."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from detector import __version__
from detector.report.review import BoxInfo, JudgedClip, JudgedInfo, ReviewInfo, SaidInfo, VerdictInfo, VerdictsDocument
from service.store.tables import AppearanceRow, JudgementRow, ScanRow, VerdictRow
from service.store.verdicts import opinions, shown_names, verdict_history, verdicts_in_force


def reviews_of(session: Session, scan_id: str) -> dict[int, ReviewInfo]:
    """What reviewers say about each judged appearance, by its number."""
    ids = select(AppearanceRow.number, AppearanceRow.document["id"].as_string()).where(AppearanceRow.scan_id == scan_id)
    return _reviews(verdicts_in_force(session, scan_id), {number: name for number, name in session.execute(ids)})


def verdicts_document(session: Session, scan: ScanRow, width: int, height: int) -> VerdictsDocument:
    """All appearances of the scan and what was said about them; its clip has `width` by `height` display pixels."""
    query = select(AppearanceRow).where(AppearanceRow.scan_id == scan.id).order_by(AppearanceRow.number)
    rows = list(session.scalars(query))
    reviews = _reviews(verdicts_in_force(session, scan.id), {row.number: row.document["id"] for row in rows})
    history = _history(verdict_history(session, scan.id))
    return VerdictsDocument(
        tool_version=__version__,
        scan=scan.id,
        model=scan.options["model"],
        clip=JudgedClip(name=scan.name, sha256=scan.clip_sha256, width=width, height=height),
        appearances=tuple(
            JudgedInfo(
                id=row.document["id"],
                number=row.number,
                class_name=row.class_name,
                confidence=row.document["confidence"],
                first_seen_s=row.document["first_seen_s"],
                last_seen_s=row.document["last_seen_s"],
                best_pts_s=row.document["best"]["pts_s"],
                boxes=tuple(BoxInfo(pts_s=each["pts_s"], box=each["box"]) for each in row.document["detections"]),
                review=reviews.get(row.number),
                history=tuple(history.get(row.number, ())),
            )
            for row in rows
        ),
    )


def _reviews(rows: Sequence[JudgementRow], ids: dict[int, str]) -> dict[int, ReviewInfo]:
    names = shown_names(rows)
    verdicts: dict[int, list[VerdictInfo]] = defaultdict(list)
    for row in rows:
        verdicts[row.number].append(VerdictInfo(reviewer=names[row.reviewer_id], **_said(row)))
    return {
        number: ReviewInfo(
            appearance=ids[number],
            state=each.state,
            verdict=each.verdict,  # type: ignore[arg-type]
            class_name=each.class_name,
            verdicts=tuple(verdicts[number]),
        )
        for number, each in opinions(rows).items()
        if number in ids
    }


def _history(rows: Sequence[VerdictRow]) -> dict[int, list[SaidInfo]]:
    names = shown_names(rows)
    said: dict[int, list[SaidInfo]] = defaultdict(list)
    for row in rows:
        said[row.number].append(SaidInfo(reviewer=names[row.reviewer_id], **_said(row)))
    return said


def _said(row: JudgementRow | VerdictRow) -> dict[str, Any]:
    at = datetime.fromtimestamp(row.at, UTC)
    return {"verdict": row.verdict, "class_name": row.class_name, "note": row.note, "at": at}
