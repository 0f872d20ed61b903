"""What a lower threshold would have reported: stored detections that no appearance was made of, linked anew."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from detector.appearances import Linker, iou
from detector.appearances.boxes import Box
from detector.frame import Appearance, Detection
from service.store.tables import AppearanceRow, DetectionRow, ScanRow

MOST = 2000
"""So many are told, the surest; a long clip of poor quality has many more than anybody looks at."""

SAME_SAMPLE_SECONDS = 0.02
SAME_OBJECT_IOU = 0.5
"""A box that overlaps so much with one of an appearance on the same picture is another opinion on the same object."""


@dataclass(frozen=True, slots=True)
class WeakFinds:
    """The surest `MOST` in time order, and how many there are in all."""

    finds: list[Appearance]
    count: int


def weak_finds(session: Session, scan: ScanRow) -> WeakFinds:
    """Link the detections of an ended scan that belong to no appearance, however low they score.

    The samples without a detection are not stored one by one: they are put back evenly into the stretches that the
    coverage names, since how long a track waits depends on how far apart the samples lie.
    """
    taken = _of_appearances(session, scan.id)
    at: dict[float, list[Detection]] = defaultdict(list)
    confidences: dict[tuple[str, float], float] = {}
    for row in session.scalars(select(DetectionRow).where(DetectionRow.scan_id == scan.id)):
        box = (row.x1, row.y1, row.x2, row.y2)
        if any(iou(box, other) >= SAME_OBJECT_IOU for other in taken.get(round(row.pts_s, 6), ())):
            continue
        confidences[row.class_name, row.score] = row.confidence
        at[row.pts_s].append(Detection(row.class_name, row.score, box, row.pts_s))
    if not at:
        return WeakFinds([], 0)
    coverage: dict[str, Any] = scan.coverage or {}
    floor = min(each.score for found in at.values() for each in found)
    linker = Linker(defaultdict(lambda: floor), lambda name, score: confidences[name, score])
    cuts = list(coverage.get("shot_starts_s") or ())
    finds: list[Appearance] = []
    last = None
    for pts in _sample_times(at, coverage):
        new_shot = last is not None and bisect_right(cuts, last) != bisect_right(cuts, pts)
        finds += linker.add(pts, at.get(pts, ()), new_shot=new_shot)
        last = pts
    finds += linker.finish()
    surest = sorted(finds, key=lambda each: (-each.confidence, each.first_seen_seconds))[:MOST]
    return WeakFinds(sorted(surest, key=lambda each: (each.first_seen_seconds, each.id)), len(finds))


def _of_appearances(session: Session, scan_id: str) -> dict[float, list[Box]]:
    """The boxes of the appearances by their times, as the report rounds them."""
    boxes: dict[float, list[Box]] = defaultdict(list)
    for document in session.scalars(select(AppearanceRow.document).where(AppearanceRow.scan_id == scan_id)):
        for each in document["detections"]:
            boxes[each["pts_s"]].append(tuple(each["box"]))
    return boxes


def _sample_times(detected: Iterable[float], coverage: dict[str, Any]) -> list[float]:
    """Ascending: the times with detections, and between them the others as evenly as the coverage says."""
    times = sorted(detected)
    for stretch in coverage.get("sampled") or ():
        steps = max(1, stretch["samples"] - 1)
        length = stretch["to_s"] - stretch["from_s"]
        times += [stretch["from_s"] + length * step / steps for step in range(stretch["samples"])]
    times.sort()
    known = set(detected)
    return [
        each for before, each in pairwise([-math.inf, *times]) if each in known or each - before > SAME_SAMPLE_SECONDS
    ]
