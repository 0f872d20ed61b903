"""The report: the one document from which every other output is made.

The names in the JSON are relied on elsewhere: fields may be added, never renamed. Numbers are rounded when
a value is made, so that writing a report and reading it back gives an equal one.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    ValidationError,
    model_validator,
)

from detector.errors import DataError
from detector.frame import SUSPECTED_OVERLAY, Appearance, Detection
from detector.report.coverage_info import CoverageInfo
from detector.report.fields import (
    Box,
    BoxNorm,
    Entry,
    PlanOption,
    Score,
    Seconds,
    Sha256,
    Sharpness,
    Text,
    Timecode,
    sorted_keys,
    text_of,
)
from detector.report.review import ReviewInfo

SCHEMA_VERSION = "1.0"


class ClipInfo(Entry):
    """Facts of the clip."""

    name: Text = Field(description="The file's name, without its folder.")
    sha256: Sha256 = Field(description="SHA-256 of the file's bytes, lower-case hexadecimal.")
    bytes: int = Field(ge=0, description="The file's size in bytes.")
    container: Text = Field(description="Container format, as the demuxer calls it.")
    codec: Text = Field(description="Video codec, as the decoder calls it.")
    width: int = Field(gt=0, description="Width in display pixels, after rotation and pixel aspect.")
    height: int = Field(gt=0, description="Height in display pixels, after rotation and pixel aspect.")
    duration_s: Seconds = Field(ge=0, description="Length of the clip's timeline in seconds.")
    duration: Timecode = text_of("duration_s")
    first_pts_s: Seconds = Field(description="Time of the first picture in seconds; 0 is a player's 0:00.")
    first_pts: Timecode = text_of("first_pts_s")

    @property
    def drawn_from_s(self) -> float:
        """Where a strip of the clip's time begins: at 0, but at the first picture where all would lie in a tenth."""
        return self.first_pts_s if self.first_pts_s > 0.9 * self.duration_s else 0.0

    @property
    def drawn_s(self) -> float:
        """How long that strip is, in seconds."""
        return self.duration_s - self.drawn_from_s


class WeightsInfo(Entry):
    """A weights file."""

    name: Text = Field(description="The model's name in the weights manifest, or its file's name.")
    sha256: Sha256 = Field(description="SHA-256 of the weights file, lower-case hexadecimal.")


class ModelInfo(WeightsInfo):
    """The weights that looked at the samples."""

    second_view: WeightsInfo | None = Field(
        default=None,
        description="Other weights that also looked at the samples on which the model's own showed something, if any.",
    )


class PlanInfo(Entry):
    """Which pictures were chosen to be looked at."""

    name: Text = Field(description="The plan's name, such as `interval`.")
    options: Annotated[dict[Text, PlanOption], AfterValidator(sorted_keys)] = Field(
        default_factory=dict, description="The plan's options by name."
    )


class ScanInfo(Entry):
    """How the clip was scanned."""

    tool_version: Text = Field(description="Version of Ordnance.")
    model: ModelInfo = Field(description="The model.")
    plan: PlanInfo = Field(description="The sampling plan.")
    backend: Text = Field(description="What ran the model, such as `onnxruntime`.")
    device: Text = Field(description="Where the model ran, such as `cpu` or `cuda:0`.")
    classes: tuple[Text, ...] = Field(description="Ids of the weapon classes that were looked for.")
    threshold: Score | None = Field(
        default=None, description="The threshold set for every class in this scan; null where none was set."
    )
    thresholds: Annotated[dict[Text, Score], AfterValidator(sorted_keys)] = Field(
        description="The threshold in force for each class: a score below it starts no appearance."
    )
    score_floor: Score = Field(description="Detections with a lower score were not kept.")
    started_at: AwareDatetime = Field(description="When the scan began, ISO 8601 with time zone.")
    elapsed_s: Seconds = Field(ge=0, description="How long the scan took, in seconds of wall clock.")


class DetectionInfo(Entry):
    """One box on one sample."""

    pts_s: Seconds = Field(description="Time of the picture in seconds on the clip's timeline.")
    pts: Timecode = text_of("pts_s")
    box: Box = Field(description="Left, top, right, bottom in display pixels, origin top left.")
    box_norm: BoxNorm = Field(description="The box in 0..1 of the picture's width and height.")
    score: Score = Field(description="The model's score, 0..1.")

    @classmethod
    def of(cls, detection: Detection, *, width: int, height: int) -> Self:
        """`detection` on a picture of `width` by `height` pixels. `box_norm` is held within 0..1."""
        return cls(**_columns(detection, width, height))


class BestInfo(DetectionInfo):
    """The detection on an appearance's best frame, and its pictures."""

    sharpness: Sharpness | None = Field(
        default=None,
        ge=0,
        description="Sharpness of the box's crop, the variance of its Laplacian; null where it was not measured.",
    )
    thumbnail: str | None = Field(
        default=None,
        pattern=r"^thumbnails/[A-Za-z0-9_-]+-frame\.jpg$",
        description="The whole frame with the box, a path beside the report; null where there is none.",
    )
    crop: str | None = Field(
        default=None,
        pattern=r"^thumbnails/[A-Za-z0-9_-]+-crop\.jpg$",
        description="The weapon alone, a path beside the report; null where there is none.",
    )


class AppearanceInfo(Entry):
    """A tracked interval of one object."""

    id: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", description="The appearance's name within this report."
    )
    class_name: Text = Field(
        validation_alias="class", serialization_alias="class", description="Id of the weapon class."
    )
    confidence: Score = Field(description="How sure the scan is of the appearance as a whole, 0..1.")
    first_seen_s: Seconds = Field(description="Time of the first sample on which the object was seen, in seconds.")
    first_seen: Timecode = text_of("first_seen_s")
    last_seen_s: Seconds = Field(description="Time of the last sample on which the object was seen, in seconds.")
    last_seen: Timecode = text_of("last_seen_s")
    peak_s: Seconds = Field(description="Time of the detection with the highest score, in seconds.")
    peak: Timecode = text_of("peak_s")
    flags: tuple[Text, ...] = Field(
        default=(),
        description="Remarks on the appearance, as short words; `suspected_overlay`: it sits still on something burnt "
        "into the picture, such as a logo, and is not shown by default.",
    )
    continues: str | None = Field(
        default=None,
        description="Id of the earlier appearance of the same object, before the picture cut away from the scene and "
        "back to it; null where there is none.",
    )
    best: BestInfo = Field(description="The detection to look at first.")
    detections: tuple[DetectionInfo, ...] = Field(
        description="Every detection of the object, in time order; on some pictures the model may have called it "
        "something else, and the score is for that."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.first_seen_s <= self.peak_s <= self.last_seen_s:
            raise ValueError("an appearance is first seen, then at its peak, then last seen")
        return self

    @classmethod
    def of(cls, appearance: Appearance, *, width: int, height: int, pictures: bool = True) -> Self:
        """`appearance` on pictures of `width` by `height` pixels.

        With `pictures`, the report cites a thumbnail and a crop by the names of `thumbnail_name` and
        `crop_name`.
        """
        best = BestInfo(
            **_columns(appearance.best, width, height),
            sharpness=appearance.best.sharpness,
            thumbnail=f"thumbnails/{thumbnail_name(appearance.id)}" if pictures else None,
            crop=f"thumbnails/{crop_name(appearance.id)}" if pictures else None,
        )
        return cls(
            id=appearance.id,
            class_name=appearance.class_name,
            confidence=appearance.confidence,
            first_seen_s=appearance.first_seen_seconds,
            last_seen_s=appearance.last_seen_seconds,
            peak_s=appearance.peak.pts_seconds,
            flags=appearance.flags,
            continues=appearance.continues,
            best=best,
            detections=tuple(DetectionInfo.of(each, width=width, height=height) for each in appearance.detections),
        )


class ErrorInfo(Entry):
    """Something that went wrong without ending the scan."""

    code: Text = Field(description="A stable word, the same in the command line and over HTTP.")
    message: Text = Field(description="One sentence.")


class Report(Entry):
    """What one scan of one clip found, and what it looked at."""

    schema_version: Literal["1.0"] = Field(default="1.0", description="Version of this document's form.")
    clip: ClipInfo = Field(description="The clip that was scanned.")
    scan: ScanInfo = Field(description="How it was scanned.")
    appearances: tuple[AppearanceInfo, ...] = Field(default=(), description="What was found.")
    coverage: CoverageInfo = Field(description="What was looked at.")
    errors: tuple[ErrorInfo, ...] = Field(default=(), description="What went wrong without ending the scan.")
    review: tuple[ReviewInfo, ...] | None = Field(
        default=None,
        description="What reviewers say about the appearances that they judged; null in what the scan alone says.",
    )

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        twice = [id for id, count in Counter(each.id for each in self.appearances).items() if count > 1]
        if twice:
            raise ValueError(f"two appearances have the id {twice[0]!r}")
        return self

    @model_validator(mode="after")
    def _links_lead_somewhere(self) -> Self:
        first_seen = {each.id: each.first_seen_s for each in self.appearances}
        for each in self.appearances:
            if each.continues and first_seen.get(each.continues, math.inf) >= each.first_seen_s:
                raise ValueError(f"{each.id!r} continues {each.continues!r}, which is not an earlier appearance")
        return self

    @model_validator(mode="after")
    def _reviews_are_of_something(self) -> Self:
        known = {each.id for each in self.appearances}
        reviewed = [each.appearance for each in self.review or ()]
        if len(set(reviewed)) < len(reviewed) or not known.issuperset(reviewed):
            raise ValueError("each review must be of another of the appearances")
        return self

    @property
    def shown(self) -> tuple[AppearanceInfo, ...]:
        """The appearances to show by default: all but suspected overlays."""
        return tuple(each for each in self.appearances if SUSPECTED_OVERLAY not in each.flags)

    @property
    def overlays(self) -> tuple[AppearanceInfo, ...]:
        """The appearances that are suspected overlays."""
        return tuple(each for each in self.appearances if SUSPECTED_OVERLAY in each.flags)

    def to_json(self, *, indent: int | None = 2) -> str:
        """The document; `indent=None` gives it on one line. Keys stand in the order of the schema."""
        return json.dumps(
            self.model_dump(mode="json", by_alias=True), indent=indent, ensure_ascii=False, allow_nan=False
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The report that `text` holds. Raises DataError, which names the first field that is wrong."""
        try:
            return cls.model_validate_json(text, by_alias=True, by_name=False)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(str(step) for step in first["loc"]) or "document"
            raise DataError(
                f"This is not a report of Ordnance, version {SCHEMA_VERSION} ({where}: {first['msg']})."
            ) from error


def report_json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of what `Report.to_json` writes."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:ordnance:report:{SCHEMA_VERSION}",
        **Report.model_json_schema(by_alias=True, mode="serialization"),
    }


def thumbnail_name(appearance_id: str) -> str:
    """The file name of an appearance's whole frame with its box."""
    return f"{appearance_id}-frame.jpg"


def crop_name(appearance_id: str) -> str:
    """The file name of an appearance's crop."""
    return f"{appearance_id}-crop.jpg"


def _columns(detection: Detection, width: int, height: int) -> dict[str, Any]:
    return {
        "pts_s": detection.pts_seconds,
        "box": detection.box,
        "box_norm": tuple(
            min(max(edge / side, 0.0), 1.0)
            for edge, side in zip(detection.box, (width, height, width, height), strict=True)
        ),
        "score": detection.score,
    }
