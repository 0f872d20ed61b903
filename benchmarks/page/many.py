"""A scan with thousands of appearances: a real, ended one, its rows replaced through the store's own functions."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

from sqlalchemy import delete, select, update

from detector.frame import Appearance, Detection
from detector.report import AppearanceInfo, Report
from detector.taxonomy import TAXONOMY
from service.settings import load_settings
from service.store.database import open_database
from service.store.results import read_report, save_appearances
from service.store.tables import DetectionRow, PictureRow, ReportRow, ScanRow

DETECTIONS_EACH = 12
WEAK_BOXES = 3000


def fill_scan(store: Path, scan_id: str, count: int, seed: int = 7) -> None:
    """Let the ended scan have `count` appearances of all classes over its whole clip, and as many boxes too weak.

    Pictures are those that the scan has, dealt out in turn; the report is that of the new appearances.
    """
    database = open_database(load_settings(store=store), pool_size=1)
    try:
        with database.write() as session:
            content = read_report(session, scan_id)
            if content is None:
                raise ValueError(f"the scan {scan_id} has no report yet")
            report = Report.from_json(content)
            clip = report.clip
            made = _appearances(count, clip.duration_s, clip.width, clip.height, random.Random(seed))
            infos = [AppearanceInfo.of(each, width=clip.width, height=clip.height) for each in made]
            save_appearances(session, scan_id, infos)
            kinds = list(
                session.execute(select(PictureRow.kind, PictureRow.sha256).where(PictureRow.scan_id == scan_id))
            )
            thumbnails = [sha256 for kind, sha256 in kinds if kind == "thumbnail"]
            session.execute(delete(PictureRow).where(PictureRow.scan_id == scan_id))
            session.add_all(
                PictureRow(
                    scan_id=scan_id, number=number, kind="thumbnail", sha256=thumbnails[number % len(thumbnails)]
                )
                for number in range(1, count + 1 if thumbnails else 1)
            )
            session.execute(delete(DetectionRow).where(DetectionRow.scan_id == scan_id))
            session.add_all(_detection_rows(scan_id, made, clip.duration_s, clip.width, clip.height, seed))
            text = report.model_copy(update={"appearances": tuple(infos)}).to_json(indent=None)
            session.execute(
                update(ReportRow).where(ReportRow.scan_id == scan_id).values(content=zlib.compress(text.encode(), 6))
            )
            session.execute(update(ScanRow).where(ScanRow.id == scan_id).values(finds=count))
    finally:
        database.close()


def _appearances(count: int, duration: float, width: int, height: int, chance: random.Random) -> list[Appearance]:
    starts = sorted(chance.uniform(0, max(0.0, duration - 1)) for _ in range(count))
    made = []
    for number, start in enumerate(starts, start=1):
        length = min(chance.expovariate(1 / 4), duration - start)
        name = chance.choice(TAXONOMY).id
        sure = round(chance.uniform(0.3, 0.99), 4)
        box = _box(width, height, chance)
        found = tuple(
            Detection(name, round(sure * chance.uniform(0.8, 1.0), 4), box, round(start + length * at, 3))
            for at in (step / (DETECTIONS_EACH - 1) for step in range(DETECTIONS_EACH))
        )
        made.append(Appearance(f"a{number:04d}", name, sure, found, max(found, key=lambda each: each.score)))
    return made


def _box(width: int, height: int, chance: random.Random) -> tuple[float, float, float, float]:
    left, top = chance.uniform(0, 0.7) * width, chance.uniform(0, 0.7) * height
    return left, top, left + chance.uniform(0.1, 0.3) * width, top + chance.uniform(0.1, 0.3) * height


def _detection_rows(
    scan_id: str, made: list[Appearance], duration: float, width: int, height: int, seed: int
) -> list[DetectionRow]:
    chance = random.Random(seed + 1)
    weak = [
        Detection(chance.choice(TAXONOMY).id, chance.uniform(0.03, 0.25), _box(width, height, chance), at)
        for at in (round(chance.uniform(0, duration), 3) for _ in range(WEAK_BOXES))
    ]
    boxes = [each for one in made for each in one.detections] + weak
    return [
        DetectionRow(
            scan_id=scan_id,
            segment=0,
            position=position,
            pts_s=each.pts_seconds,
            class_name=each.class_name,
            score=each.score,
            confidence=each.score,
            **dict(zip(("x1", "y1", "x2", "y2"), each.box, strict=True)),
        )
        for position, each in enumerate(boxes)
    ]
