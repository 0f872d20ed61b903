"""An archive of ended scans that nobody had to scan: rows through the store's own functions, and report files."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stand_in import stand_in
from benchmarks.time.memory import BlindBackend
from detector.frame import Appearance, Detection
from detector.models.manifest import find_weights
from detector.report import AppearanceInfo, Report
from detector.scanner import Scanner, ScanOptions
from detector.taxonomy import TAXONOMY
from service.access.keys import LOCAL, LOCAL_OWNER
from service.store.database import Database
from service.store.results import save_appearances
from service.store.tables import BlobRow, ClipRow, ScanRow, ScanState
from service.store.verdicts import give_verdict

DEMO = Path(__file__).parents[2] / "datasets" / "demo" / "demo.mp4"

FIRST_DAY = 1_767_225_600.0
"""2026-01-01T00:00:00Z; the scans are spread evenly over a year from there."""
YEAR_SECONDS = 365 * 86_400.0
MEDIAN_APPEARANCES, APPEARANCES_SIGMA, MOST_APPEARANCES = 4.0, 1.2, 120
"""Appearances of a scan: log-normal, 8 on average. Assumed, not counted in an archive."""
MEAN_DETECTIONS = 20
JUDGED, NOTED = 0.3, 0.5
"""Share of appearances with a verdict, and of verdicts with a note."""

PLACES = ("bridge", "market", "airfield", "depot", "ridge", "harbour", "railway", "village")
REMARKS = ("turret blown off", "behind trees", "marking on hull", "same as the day before", "too far away", "smoke")


@dataclass(frozen=True, slots=True)
class Entry:
    """One scan of the archive; `notes` by the appearance's number."""

    scan_id: str
    name: str
    created_at: float
    appearances: tuple[AppearanceInfo, ...]
    notes: dict[int, str]


def entries(first: int, count: int, total: int, seed: int) -> Iterator[Entry]:
    """Scans number `first` to `first + count` of `total`; equal arguments give equal scans."""
    for number in range(first, first + count):
        chance = random.Random(f"{seed}/{number}")
        found = round(min(MOST_APPEARANCES, MEDIAN_APPEARANCES * chance.lognormvariate(0, APPEARANCES_SIGMA)))
        place = chance.choice(PLACES)
        yield Entry(
            scan_id=hashlib.sha256(f"{seed}/{number}".encode()).hexdigest()[:32],
            name=f"{place}_{number:05d}.mp4",
            created_at=FIRST_DAY + YEAR_SECONDS * (number * 7919 % total) / total,
            appearances=tuple(_appearance(position, chance) for position in range(1, found + 1)),
            notes={
                position: chance.choice(REMARKS) if chance.random() < NOTED else ""
                for position in range(1, found + 1)
                if chance.random() < JUDGED
            },
        )


def template(model: str) -> Report:
    """A real report of the demo clip in which nothing was found, to be filled."""
    entry, _ = find_weights(model)
    return Scanner(stand_in(entry, BlindBackend()), ScanOptions(plan="keyframes-only")).scan(DEMO).report


def save(database: Database, report: Report, entry: Entry) -> None:
    """Put the scan into the store as it lies there once it has ended; its clip has no bytes."""
    digest = hashlib.sha256(entry.scan_id.encode()).hexdigest()
    with database.write() as session:
        session.add(BlobRow(sha256=digest, bytes=1, touched_at=entry.created_at))
        session.flush()
        session.add(ClipRow(owner=LOCAL_OWNER, sha256=digest, created_at=entry.created_at))
        session.flush()
        session.add(
            ScanRow(
                id=entry.scan_id,
                owner=LOCAL_OWNER,
                key_id="",
                clip_sha256=digest,
                name=entry.name,
                bytes=1,
                state=ScanState.DONE,
                options={
                    "model": report.scan.model.name,
                    "plan": report.scan.plan.name,
                    "every_s": None,
                    "classes": None,
                    "threshold": None,
                },
                fingerprint="",
                created_at=entry.created_at,
                started_at=entry.created_at,
                finished_at=entry.created_at,
                duration_s=report.clip.duration_s,
                position_s=report.clip.duration_s,
                finds=len(entry.appearances),
                clip=report.clip.model_dump(mode="json"),
                coverage=report.coverage.model_dump(mode="json"),
            )
        )
        session.flush()
        save_appearances(session, entry.scan_id, entry.appearances)
        session.flush()
        for number, note in entry.notes.items():
            give_verdict(session, LOCAL, entry.scan_id, number, "confirmed", None, note)


def write_report_file(folder: Path, report: Report, entry: Entry) -> None:
    """The scan's report.json, as `ordnance scan` writes it, in a folder of its own."""
    place = folder / entry.name.removesuffix(".mp4")
    place.mkdir(parents=True)
    clip = report.clip.model_copy(update={"name": entry.name})
    filled = report.model_copy(update={"clip": clip, "appearances": entry.appearances})
    (place / "report.json").write_text(filled.to_json(), encoding="utf-8")


def _appearance(number: int, chance: random.Random) -> AppearanceInfo:
    name = chance.choice(TAXONOMY).id
    sure, start = round(chance.uniform(0.3, 0.99), 4), round(chance.uniform(0, 150), 3)
    left, top = chance.uniform(0, 400), chance.uniform(0, 200)
    box = (left, top, left + 120, top + 80)
    count = 1 + min(200, int(chance.expovariate(1 / MEAN_DETECTIONS)))
    found = tuple(
        Detection(name, round(sure * chance.uniform(0.8, 1.0), 4), box, start + step / 8) for step in range(count)
    )
    best = max(found, key=lambda each: each.score)
    return AppearanceInfo.of(Appearance(f"a{number:04d}", name, sure, found, best), width=640, height=360)
