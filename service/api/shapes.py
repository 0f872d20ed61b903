"""What goes over the wire, besides the report's own parts."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from detector.models.manifest import Precision
from detector.report import AppearanceInfo, CoverageInfo
from detector.report.schema import Box, Score, Seconds
from service.problems import ServiceError
from service.store.search import Counts
from service.store.tables import OPEN_STATES, AppearanceRow, DetectionRow, PictureRow, ScanRow

State = Literal["queued", "running", "done", "failed", "cancelled"]
BUDGET = r"^ *[0-9]+(\.[0-9]+)? *[xXsS] *$"
"""For who reads the API's description; what reads a budget, and refuses one in the same words as the command line, is
Budget.parse."""
SCAN_ID = "^[0-9a-f]{32}$"


class BadCursor(ServiceError):
    """There is no such page: the cursor was not given out here."""

    code = "not_found"


class _Shape(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)


class OptionsOut(_Shape):
    """How the clip is scanned."""

    model: str = Field(description="Name of the model.")
    plan: str = Field(description="Sampling plan.")
    every_s: float | None = Field(description="The plan's cadence in seconds; null where it has none.")
    shortest_shot_s: float | None = Field(
        default=None, description="Shots of at least so many seconds get a sample of their own; null for other plans."
    )
    budget: str | None = Field(default=None, description="How long the scan may take; null for as long as it needs.")
    classes: list[str] | None = Field(description="Classes looked for; null for all of the model's.")
    threshold: float | None = Field(description="Score from which to report; null for the model's own.")


class ClipOut(_Shape):
    """The clip; what is only known once it was opened is null before."""

    name: str
    sha256: str
    bytes: int
    container: str | None = None
    codec: str | None = None
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None


class ProgressOut(_Shape):
    """How far the scan is."""

    position_s: float = Field(description="Time in the clip up to which it was looked at, in seconds.")
    starts_s: float = Field(default=0.0, description="Time of the clip's first picture in seconds; 0 while unknown.")
    duration_s: float | None = Field(description="Time at which the clip ends in seconds; null while unknown.")
    samples: int = Field(description="Pictures looked at.")
    appearances: int = Field(description="Appearances so far.")


class ErrorOut(_Shape):
    """Why a scan failed."""

    code: str
    message: str


class ScanOut(_Shape):
    """A scan."""

    id: str
    state: State
    clip: ClipOut
    options: OptionsOut
    progress: ProgressOut
    coverage: CoverageInfo | None = Field(
        description="What was looked at so far, while the scan runs: the rest counts as not looked at. Null before it "
        "begins, and in lists."
    )
    error: ErrorOut | None = Field(description="Why it failed; null where it did not.")
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    classes: dict[str, int] | None = Field(
        default=None, description="Appearances by class; null in answers that make or stop a scan."
    )
    reviewed: int | None = Field(
        default=None, description="Appearances that have a verdict; null in answers that make or stop a scan."
    )
    links: dict[str, str] = Field(description="Addresses of what belongs to the scan.")

    @classmethod
    def of(cls, row: ScanRow, *, in_list: bool = False, counts: Counts | None = None) -> ScanOut:
        base = f"/v1/scans/{row.id}"
        known = row.clip or {}
        facts = {name: known.get(name) for name in ("container", "codec", "width", "height")}
        links = {"self": base, "clip": f"{base}/clip", "events": f"{base}/events"}
        links |= {name: f"{base}/{name}" for name in ("appearances", "detections", "verdicts", "still", "times")}
        if row.state not in OPEN_STATES:
            links |= {f"verdicts.{form}": f"{base}/verdicts.{form}" for form in ("json", "coco.json", "yolo.zip")}
        if row.state == "done":
            links |= {name: f"{base}/{name}" for name in ("report.json", "report.html", "report.csv", "report.vtt")}
        return cls(
            id=row.id,
            state=row.state,  # type: ignore[arg-type]
            clip=ClipOut(name=row.name, sha256=row.clip_sha256, bytes=row.bytes, duration_s=row.duration_s, **facts),
            options=OptionsOut(**row.options),
            progress=ProgressOut(
                position_s=row.position_s,
                starts_s=known.get("first_pts_s", 0.0),
                duration_s=row.duration_s,
                samples=row.samples,
                appearances=row.finds,
            ),
            coverage=None if in_list else row.coverage,  # type: ignore[arg-type]
            error=None
            if row.error_code is None
            else ErrorOut(code=row.error_code, message=row.error_message or row.error_code),
            classes=None if counts is None else counts.classes,
            reviewed=None if counts is None else counts.reviewed,
            created_at=moment(row.created_at),
            started_at=None if row.started_at is None else moment(row.started_at),
            finished_at=None if row.finished_at is None else moment(row.finished_at),
            links=links,
        )


class ScanPage(_Shape):
    """Some scans, the newest first."""

    items: list[ScanOut]
    next: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")


class PictureLinks(_Shape):
    """Addresses of an appearance's pictures; null where there is none (yet)."""

    thumbnail: str | None
    crop: str | None
    review: str | None = Field(description="The thumbnail, sharp and in colour inside the weapon's box only.")


class AppearanceOut(AppearanceInfo):
    """An appearance, as in the report, and its pictures. Provisional while the scan runs."""

    number: int = Field(ge=1, description="Its place in time among all appearances of the scan, from 1.")
    links: PictureLinks = Field(description="Its pictures.")


class AppearancePage(_Shape):
    """Some appearances, by time."""

    items: list[AppearanceOut]
    next: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")


class DetectionOut(_Shape):
    """One box on one sample, whether or not an appearance was made of it."""

    pts_s: Seconds = Field(description="Time of the picture in seconds on the clip's timeline.")
    class_name: str = Field(alias="class", description="Id of the weapon class.")
    score: Score = Field(description="The model's score, 0..1.")
    confidence: Score = Field(description="The score as a calibrated probability, where the model is calibrated.")
    box: Box = Field(description="Left, top, right, bottom in display pixels, origin top left.")

    @classmethod
    def of(cls, row: DetectionRow) -> DetectionOut:
        return cls(
            pts_s=row.pts_s,
            class_name=row.class_name,
            score=row.score,
            confidence=row.confidence,
            box=(row.x1, row.y1, row.x2, row.y2),
        )


class DetectionPage(_Shape):
    """Some detections, by time."""

    items: list[DetectionOut]
    next: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")


class RescanIn(_Shape):
    """Options of a further scan of the same clip; what is left out takes its default."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"plan": "interval", "every_s": 0.2, "classes": ["tank"]}]}
    )

    model: str | None = Field(default=None, min_length=1, max_length=200)
    plan: str | None = Field(default=None, min_length=1, max_length=64)
    every_s: float | None = Field(default=None, ge=0.001, le=86400, allow_inf_nan=False)
    shortest_shot_s: float | None = Field(default=None, ge=0, le=86400, allow_inf_nan=False)
    budget: str | None = Field(
        default=None, max_length=20, examples=["2x", "30s"], json_schema_extra={"pattern": BUDGET}
    )
    classes: list[str] | None = Field(default=None, min_length=1, max_length=100)
    threshold: float | None = Field(default=None, ge=0, le=1)
    webhook: str | None = Field(default=None, min_length=1, max_length=2000)
    priority: int | None = Field(default=None, ge=1, le=9)


class ModelOut(_Shape):
    """A model. One of less `precision` than fp32 was made from the model `made_from`; it runs on the CPU only.

    `second_view` names the other model that sees the pictures again on which this one shows something.
    """

    name: str
    is_default: bool
    sha256: str
    input_size: int
    precision: Precision
    made_from: str | None
    second_view: str | None
    classes: list[str]
    thresholds: dict[str, float]


class WeaponClassOut(_Shape):
    """An entry of the taxonomy."""

    id: str
    name: str
    group: str
    synonyms: list[str]
    told_apart_by: str
    colour: str


def appearance_out(scan_id: str, row: AppearanceRow, pictures: set[str]) -> dict[str, Any]:
    """The appearance's document with its number and links; it was validated when it was written."""
    base = f"/v1/scans/{scan_id}/frames/{row.number}"
    links = {kind: f"{base}/{kind}" if kind in pictures else None for kind in ("thumbnail", "crop")}
    links["review"] = f"{base}/review" if "thumbnail" in pictures else None
    return {**row.document, "number": row.number, "links": links}


def picture_kinds(rows: list[PictureRow]) -> dict[int, set[str]]:
    kinds: dict[int, set[str]] = {}
    for row in rows:
        kinds.setdefault(row.number, set()).add(row.kind)
    return kinds


def cursor(*parts: float | str | int) -> str:
    """Where the next page begins, opaque to clients."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def read_cursor(text: str, *kinds: type) -> list[Any]:
    """Parts of these kinds; str is a scan's id. Raises BadCursor."""
    try:
        parts = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if not isinstance(parts, list) or len(parts) != len(kinds):
            raise ValueError
        pairs = list(zip(parts, kinds, strict=True))
        whole = [float(part) if kind is float and isinstance(part, int) else part for part, kind in pairs]
        if any(not isinstance(part, kind) or isinstance(part, bool) for part, kind in zip(whole, kinds, strict=True)):
            raise ValueError
        if any(isinstance(part, int) and abs(part) >= 2**31 for part in whole):
            raise ValueError
        if any(isinstance(part, str) and not re.fullmatch(SCAN_ID, part) for part in whole):
            raise ValueError
        return whole
    except (ValueError, UnicodeError, RecursionError) as error:
        raise BadCursor("This cursor was not given out here; leave it out to begin at the first page.") from error


def moment(at: float) -> datetime:
    """Epoch seconds as a time of the day in UTC."""
    return datetime.fromtimestamp(at, UTC)
