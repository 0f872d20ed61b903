"""All appearances of a scan in few bytes: what a page draws before anybody chooses one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from detector.frame import SUSPECTED_OVERLAY
from service.store.tables import AppearanceRow, PictureRow


@dataclass(frozen=True, slots=True)
class Outline:
    """Columns of equal length, a place for each appearance in order of its number; times in seconds.

    `classes` are named once and `class_index` points at them. `box` has the best frame's box as left, top, right,
    bottom in display pixels.
    """

    classes: list[str]
    number: list[int]
    id: list[str]
    class_index: list[int]
    confidence: list[float]
    first_seen_s: list[float]
    last_seen_s: list[float]
    peak_s: list[float]
    best_pts_s: list[float]
    box: list[list[float]]
    overlay: list[int]
    pictured: list[int]


def read_outline(session: Session, scan_id: str) -> Outline:
    """The outline of the appearances so far. `overlay` and `pictured` are 1 where it is suspected, or has a picture."""
    row, document = AppearanceRow, AppearanceRow.document
    query = (
        select(
            row.number,
            row.class_name,
            row.confidence,
            row.first_seen_s,
            row.last_seen_s,
            document["id"].as_string(),
            document["peak_s"].as_float(),
            document[("best", "pts_s")].as_float(),
            document[("best", "box")].as_json(),
            document["flags"].as_json(),
        )
        .where(row.scan_id == scan_id)
        .order_by(row.number)
    )
    rows: list[Any] = list(session.execute(query))
    pictures = select(PictureRow.number).where(PictureRow.scan_id == scan_id, PictureRow.kind == "thumbnail")
    pictured = set(session.scalars(pictures))
    classes = sorted({each.class_name for each in rows})
    places = {name: place for place, name in enumerate(classes)}
    return Outline(
        classes=classes,
        number=[each[0] for each in rows],
        id=[each[5] for each in rows],
        class_index=[places[each[1]] for each in rows],
        confidence=[each[2] for each in rows],
        first_seen_s=[each[3] for each in rows],
        last_seen_s=[each[4] for each in rows],
        peak_s=[each[6] for each in rows],
        best_pts_s=[each[7] for each in rows],
        box=[[round(edge) for edge in each[8]] for each in rows],
        overlay=[int(SUSPECTED_OVERLAY in (each[9] or ())) for each in rows],
        pictured=[int(each[0] in pictured) for each in rows],
    )
