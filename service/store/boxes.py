"""Where on a frame a scan saw something."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store.tables import AppearanceRow, DetectionRow

SAME_FRAME_SECONDS = 0.0005
"""Times of one frame may differ so much: some containers count in milliseconds."""
LONGEST_STEP_SECONDS = 2.0
"""Between two detections of an appearance that lie no further apart its box is taken to move evenly."""

Box = tuple[float, float, float, float]


def boxes_at(session: Session, scan_id: str, seconds: float, min_confidence: float | None) -> list[Box]:
    """Boxes in display pixels on the frame of that time: those of appearances, between detections as they move.

    With `min_confidence`, of what is at least so sure: appearances, and also detections that no appearance was made of.
    """
    early, late = seconds - SAME_FRAME_SECONDS, seconds + SAME_FRAME_SECONDS
    query = select(AppearanceRow.document).where(
        AppearanceRow.scan_id == scan_id, AppearanceRow.first_seen_s <= late, AppearanceRow.last_seen_s >= early
    )
    if min_confidence is not None:
        query = query.where(AppearanceRow.confidence >= min_confidence)
    found = [box_at(document["detections"], seconds) for document in session.scalars(query)]
    boxes = [each for each in found if each is not None]
    if min_confidence is not None:
        row = DetectionRow
        columns = select(row.x1, row.y1, row.x2, row.y2).where(
            row.scan_id == scan_id, row.pts_s.between(early, late), row.confidence >= min_confidence
        )
        boxes += [(x1, y1, x2, y2) for x1, y1, x2, y2 in session.execute(columns)]
    return boxes


def box_at(detections: Sequence[dict[str, Any]], seconds: float) -> Box | None:
    """`detections` are an appearance's, as in the report, in time order."""
    times = [each["pts_s"] for each in detections]
    after = bisect_left(times, seconds - SAME_FRAME_SECONDS)
    if after == len(times):
        return None
    if times[after] <= seconds + SAME_FRAME_SECONDS:
        return _box(detections[after])
    step = times[after] - times[after - 1] if after else 0.0
    if not 0 < step <= LONGEST_STEP_SECONDS:
        return None
    share = (seconds - times[after - 1]) / step
    x1, y1, x2, y2 = (
        (1 - share) * before + share * then
        for before, then in zip(_box(detections[after - 1]), _box(detections[after]), strict=True)
    )
    return x1, y1, x2, y2


def _box(detection: dict[str, Any]) -> Box:
    x1, y1, x2, y2 = detection["box"]
    return x1, y1, x2, y2
