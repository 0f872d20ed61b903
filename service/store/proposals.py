"""Verdicts on the same clip in other scans of it, where this scan saw the same thing: what could be said here again."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from detector.appearances import iou
from service.store.boxes import SAME_FRAME_SECONDS, Box, box_at
from service.store.tables import AppearanceRow, JudgementRow, ScanRow
from service.store.verdicts import CONFIRMED, OTHER_CLASS

SAME_THING_IOU = 0.5
"""Appearances whose boxes overlap so much, on average while both are in view, are of one thing."""
MOST_TIMES = 9
"""At so many of these times, evenly spread, the boxes are compared."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A verdict in force on `number` of another scan, and how much the boxes overlap (IoU, 0..1)."""

    judgement: JudgementRow
    overlap: float


@dataclass(frozen=True, slots=True)
class Proposal:
    """What earlier verdicts say of appearance `number` of this scan; None and None where they contradict each other."""

    number: int
    verdict: str | None
    class_name: str | None
    note: str
    said: tuple[Earlier, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    number: int
    class_name: str
    first_s: float
    last_s: float
    detections: Sequence[dict[str, Any]]


def read_proposals(session: Session, scan: ScanRow) -> list[Proposal]:
    """By number of the appearance. Of each reviewer the verdicts of the scan count that they judged last.

    A verdict holds for what overlaps in time and place and has the class that it was given on, or that it named.
    """
    same_clip = (ScanRow.owner == scan.owner, ScanRow.clip_sha256 == scan.clip_sha256, ScanRow.id != scan.id)
    judged = list(
        session.scalars(select(JudgementRow).join(ScanRow, ScanRow.id == JudgementRow.scan_id).where(*same_clip))
    )
    if not judged:
        return []
    here: dict[str, list[_Seen]] = defaultdict(list)
    for each in _seen(session, scan.id):
        here[each.class_name].append(each)
    by_place: dict[tuple[str, int], list[JudgementRow]] = defaultdict(list)
    for row in judged:
        by_place[row.scan_id, row.number].append(row)
    found: dict[int, list[tuple[Earlier, tuple[str, str | None]]]] = defaultdict(list)
    for scan_id in sorted({row.scan_id for row in judged}):
        for there in _seen(session, scan_id, {row.number for row in judged if row.scan_id == scan_id}):
            rows = by_place[scan_id, there.number]
            for class_name in {there.class_name, *(row.class_name for row in rows if row.class_name)}:
                for each, overlap in _same(there, here[class_name]):
                    for row in rows:
                        meaning = _meaning(row, there.class_name, class_name)
                        if meaning is not None:
                            found[each.number].append((Earlier(row, overlap), meaning))
    return [_proposal(number, found[number]) for number in sorted(found)]


def _proposal(number: int, found: Sequence[tuple[Earlier, tuple[str, str | None]]]) -> Proposal:
    latest: dict[str, JudgementRow] = {}
    for each, _ in sorted(found, key=lambda pair: pair[0].judgement.at):
        latest[each.judgement.reviewer_id] = each.judgement
    counted = [
        (each, meaning)
        for each, meaning in found
        if latest[each.judgement.reviewer_id].scan_id == each.judgement.scan_id
    ]
    counted.sort(key=lambda pair: pair[0].judgement.at)
    said = tuple(each for each, _ in counted)
    meanings = {meaning for _, meaning in counted}
    if len(meanings) > 1:
        return Proposal(number, None, None, "", said)
    verdict, class_name = meanings.pop()
    notes = list(dict.fromkeys(each.judgement.note for each in said if each.judgement.note))
    return Proposal(number, verdict, class_name, "\n".join(notes)[:2000], said)


def _meaning(row: JudgementRow, there: str, here: str) -> tuple[str, str | None] | None:
    """What a verdict on an appearance of class `there` says of one of class `here`; None for nothing."""
    if row.verdict == OTHER_CLASS:
        if row.class_name == here:
            return CONFIRMED, None
        return (OTHER_CLASS, row.class_name) if there == here else None
    return (row.verdict, None) if there == here else None


def _seen(session: Session, scan_id: str, numbers: set[int] | None = None) -> list[_Seen]:
    """The scan's appearances by the time at which they come into view; all, or these."""
    row = AppearanceRow
    query = select(row.number, row.class_name, row.first_seen_s, row.last_seen_s, row.document)
    rows = session.execute(query.where(row.scan_id == scan_id).order_by(row.first_seen_s, row.number))
    return [
        _Seen(number, class_name, first, last, document["detections"])
        for number, class_name, first, last, document in rows
        if numbers is None or number in numbers
    ]


def _same(there: _Seen, here: Sequence[_Seen]) -> Iterable[tuple[_Seen, float]]:
    """Those of `here`, which are by their begin, that are of the same thing, with their overlap."""
    stop = bisect_right(here, there.last_s + SAME_FRAME_SECONDS, key=lambda each: each.first_s)
    for each in here[:stop]:
        if each.last_s >= there.first_s - SAME_FRAME_SECONDS:
            overlap = _overlap(there, each)
            if overlap >= SAME_THING_IOU:
                yield each, overlap


def _overlap(one: _Seen, other: _Seen) -> float:
    """The mean IoU of their boxes over the times at which both have one; 0 where there is none."""
    first = max(one.first_s, other.first_s) - SAME_FRAME_SECONDS
    last = min(one.last_s, other.last_s) + SAME_FRAME_SECONDS
    times = sorted(
        {each["pts_s"] for seen in (one, other) for each in seen.detections if first <= each["pts_s"] <= last}
    )
    if len(times) > MOST_TIMES:
        times = [times[round(step * (len(times) - 1) / (MOST_TIMES - 1))] for step in range(MOST_TIMES)]
    pairs: list[tuple[Box | None, Box | None]] = [
        (box_at(one.detections, each), box_at(other.detections, each)) for each in times
    ]
    shared = [iou(box, beside) for box, beside in pairs if box is not None and beside is not None]
    return sum(shared) / len(shared) if shared else 0.0
