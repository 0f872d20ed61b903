"""The report: the one document from which every other output is made.

The names in the JSON are relied on elsewhere: fields may be added, never renamed. Numbers are rounded when
a value is made, so that writing a report and reading it back gives an equal one.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    model_validator,
)

from detector.errors import DataError
from detector.frame import SUSPECTED_OVERLAY, Appearance, Detection
from detector.report.timecode import hms
from detector.sampling.coverage import Coverage, Gap

SCHEMA_VERSION = "1.0"

_SURROGATES = re.compile("[\ud800-\udfff]")


def _rounded(digits: int) -> AfterValidator:
    # Adding 0.0 turns a negative zero into zero.
    return AfterValidator(lambda value: round(value, digits) + 0.0)


def _without_surrogates(value: object) -> object:
    """A file name that is not UTF-8 reaches Python with lone surrogates, which no JSON file can hold."""
    return _SURROGATES.sub("\ufffd", value) if isinstance(value, str) else value


def _upright(box: tuple[float, ...]) -> tuple[float, ...]:
    x1, y1, x2, y2 = box
    if x1 > x2 or y1 > y2:
        raise ValueError("a box is left, top, right, bottom: left must not exceed right, nor top bottom")
    return box


Text = Annotated[str, BeforeValidator(_without_surrogates)]
Seconds = Annotated[FiniteFloat, _rounded(6)]
Score = Annotated[FiniteFloat, Field(ge=0, le=1), _rounded(4)]
Pixels = Annotated[FiniteFloat, _rounded(2)]
Sharpness = Annotated[FiniteFloat, _rounded(1)]
Fraction = Annotated[FiniteFloat, Field(ge=0, le=1), _rounded(6)]
Timecode = Annotated[str, Field(pattern=r"^-?\d{2,}:[0-5]\d:[0-5]\d\.\d{3}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Box = Annotated[tuple[Pixels, Pixels, Pixels, Pixels], AfterValidator(_upright)]
BoxNorm = Annotated[tuple[Fraction, Fraction, Fraction, Fraction], AfterValidator(_upright)]
PlanOption = bool | int | FiniteFloat | Text | None


def _sorted_keys(value: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(value.items()))


def _as_timecode(seconds: float | None) -> str | None:
    return None if seconds is None else hms(seconds)


def _text_of(seconds_field: str, alias: str | None = None) -> Any:
    """A field that says another one, a time in seconds, as text; it is filled in where it is not given."""
    return Field(
        default_factory=lambda data: _as_timecode(data[seconds_field]),
        validation_alias=alias,
        serialization_alias=alias,
        description=f"`{seconds_field}` as HH:MM:SS.mmm.",
    )


class _Entry(BaseModel):
    """A part of the report: unchangeable, without fields that the schema does not name."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        json_schema_serialization_defaults_required=True,
    )

    @model_validator(mode="after")
    def _texts_agree(self) -> Self:
        """A report changed by hand in one of the two forms of a time must not pass."""
        for name in type(self).model_fields:
            seconds_field = f"{name.rstrip('_')}_s"
            if seconds_field in type(self).model_fields:
                text, seconds = getattr(self, name), getattr(self, seconds_field)
                if text != _as_timecode(seconds):
                    raise ValueError(f"the text {text!r} is not the time {seconds}")
        return self


class ClipInfo(_Entry):
    """Facts of the clip."""

    name: Text = Field(description="The file's name, without its folder.")
    sha256: Sha256 = Field(description="SHA-256 of the file's bytes, lower-case hexadecimal.")
    bytes: int = Field(ge=0, description="The file's size in bytes.")
    container: Text = Field(description="Container format, as the demuxer calls it.")
    codec: Text = Field(description="Video codec, as the decoder calls it.")
    width: int = Field(gt=0, description="Width in display pixels, after rotation and pixel aspect.")
    height: int = Field(gt=0, description="Height in display pixels, after rotation and pixel aspect.")
    duration_s: Seconds = Field(ge=0, description="Length of the clip's timeline in seconds.")
    duration: Timecode = _text_of("duration_s")
    first_pts_s: Seconds = Field(description="Time of the first picture in seconds; 0 is a player's 0:00.")
    first_pts: Timecode = _text_of("first_pts_s")


class ModelInfo(_Entry):
    """The weights that looked at the samples."""

    name: Text = Field(description="The model's name in the weights manifest, or its file's name.")
    sha256: Sha256 = Field(description="SHA-256 of the weights file, lower-case hexadecimal.")


class PlanInfo(_Entry):
    """Which pictures were chosen to be looked at."""

    name: Text = Field(description="The plan's name, such as `interval`.")
    options: Annotated[dict[Text, PlanOption], AfterValidator(_sorted_keys)] = Field(
        default_factory=dict, description="The plan's options by name."
    )


class ScanInfo(_Entry):
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
    thresholds: Annotated[dict[Text, Score], AfterValidator(_sorted_keys)] = Field(
        description="The threshold in force for each class: a score below it starts no appearance."
    )
    score_floor: Score = Field(description="Detections with a lower score were not kept.")
    started_at: AwareDatetime = Field(description="When the scan began, ISO 8601 with time zone.")
    elapsed_s: Seconds = Field(ge=0, description="How long the scan took, in seconds of wall clock.")


class DetectionInfo(_Entry):
    """One box on one sample."""

    pts_s: Seconds = Field(description="Time of the picture in seconds on the clip's timeline.")
    pts: Timecode = _text_of("pts_s")
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


class AppearanceInfo(_Entry):
    """A tracked interval of one object."""

    id: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", description="The appearance's name within this report."
    )
    class_name: Text = Field(
        validation_alias="class", serialization_alias="class", description="Id of the weapon class."
    )
    confidence: Score = Field(description="How sure the scan is of the appearance as a whole, 0..1.")
    first_seen_s: Seconds = Field(description="Time of the first sample on which it was seen, in seconds.")
    first_seen: Timecode = _text_of("first_seen_s")
    last_seen_s: Seconds = Field(description="Time of the last sample on which it was seen, in seconds.")
    last_seen: Timecode = _text_of("last_seen_s")
    peak_s: Seconds = Field(description="Time of the detection with the highest score, in seconds.")
    peak: Timecode = _text_of("peak_s")
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
    detections: tuple[DetectionInfo, ...] = Field(description="Every detection, in time order.")

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


class _Stretch(_Entry):
    from_s: Seconds = Field(description="Start of the stretch in seconds.")
    from_: Timecode = _text_of("from_s", alias="from")
    to_s: Seconds = Field(description="End of the stretch in seconds.")
    to: Timecode = _text_of("to_s")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_s > self.to_s:
            raise ValueError("a stretch starts before it ends")
        return self


class UndecodedInfo(_Stretch):
    """A stretch of the clip that could not be looked at."""

    reason: Text = Field(description="Why it could not be decoded.")


class GapInfo(_Stretch):
    """A stretch of the clip that holds pictures of which none was looked at."""


class SampledInfo(_Stretch):
    """A stretch in which pictures were looked at in nearly even steps, from its first sample to its last."""

    samples: int = Field(gt=0, description="Pictures looked at, both ends included.")
    longest_step_s: Seconds = Field(ge=0, description="No two successive samples lie further apart, in seconds.")


class LeftOutInfo(_Stretch):
    """Something that the plan would have looked at and did not."""

    what: Text = Field(description="What was left out there, and why.")


class CoverageInfo(_Entry):
    """What was looked at, and what "not found" therefore means."""

    samples: int = Field(
        ge=0, description="Pictures looked at: given to the model, or as good as identical with one that was."
    )
    near_identical: int = Field(
        default=0,
        ge=0,
        description="Of the samples, those so like the one before that its result was taken over.",
    )
    tiled: int = Field(default=0, ge=0, description="Of the samples, those that were looked at again in tiles.")
    sampled: tuple[SampledInfo, ...] = Field(
        default=(), description="The times of the samples as stretches of nearly even steps, in time order."
    )
    first_sample_s: Seconds | None = Field(default=None, description="Time of the first sample in seconds.")
    last_sample_s: Seconds | None = Field(default=None, description="Time of the last sample in seconds.")
    frames_decoded: int = Field(ge=0, description="Pictures decoded, whether the model was given them or not.")
    decode_errors: int = Field(ge=0, description="Packets or pictures that the decoder refused.")
    promise_s: Seconds | None = Field(
        default=None,
        ge=0,
        description="What the plan set out to guarantee, in seconds; null for a plan that sets out nothing.",
    )
    guarantee_s: Seconds = Field(
        ge=0,
        description="Anything visible for longer than so many seconds was sampled at least once; measured from "
        "what was decoded.",
    )
    longest_gap_s: Seconds = Field(
        ge=0, description="The longest time, in seconds, that holds pictures which were not sampled."
    )
    longest_gap_at_s: Seconds | None = Field(
        description="Where that gap starts, in seconds; null where every picture was sampled."
    )
    longest_gap_at: Timecode | None = _text_of("longest_gap_at_s")
    unseen: tuple[GapInfo, ...] = Field(
        default=(),
        description="Gaps between samples in which more than `promise_s` passed unseen, once the first sample was no "
        "longer on the screen; all gaps where that is null. In time order, the longest thousand at most.",
    )
    unseen_count: int = Field(default=0, ge=0, description="How many such gaps there are.")
    undecoded: tuple[UndecodedInfo, ...] = Field(default=(), description="Stretches not looked at, and why.")
    left_out: tuple[LeftOutInfo, ...] = Field(
        default=(), description="What the plan would have looked at and did not, such as for want of budget."
    )
    shots: int | None = Field(default=None, ge=0, description="Shots of the clip; null where they are not known.")
    shots_unsampled: int | None = Field(
        default=None, ge=0, description="Shots in which no picture was looked at; null where shots are not known."
    )
    longest_unsampled_shot: GapInfo | None = Field(
        default=None, description="The longest shot in which no picture was looked at; null where there is none."
    )
    smallest_object_px: Pixels | None = Field(
        default=None,
        ge=0,
        description="Side, in display pixels, from which the model can be expected to see an object on a whole "
        "picture; null where nobody knows.",
    )
    statement: Text = Field(description="The guarantee in words.")
    not_found_means: Text = Field(default="", description='What "not found" means for this scan, in one sentence.')

    @classmethod
    def of(
        cls,
        coverage: Coverage,
        *,
        sampled: Sequence[float],
        frames_decoded: int,
        decode_errors: int,
        promise_s: float | None,
    ) -> Self:
        """`coverage` of the samples at the ascending times `sampled`, and what decoding them took."""
        shots = coverage.shots
        return cls(
            samples=coverage.samples,
            near_identical=coverage.effort.near_identical,
            tiled=coverage.effort.tiled,
            sampled=tuple(
                SampledInfo(
                    from_s=each.from_seconds,
                    to_s=each.to_seconds,
                    samples=each.samples,
                    longest_step_s=each.longest_step_seconds,
                )
                for each in coverage.sampled
            ),
            first_sample_s=sampled[0] if sampled else None,
            last_sample_s=sampled[-1] if sampled else None,
            frames_decoded=frames_decoded,
            decode_errors=decode_errors,
            promise_s=promise_s,
            guarantee_s=coverage.guarantee_seconds,
            longest_gap_s=coverage.longest_gap_seconds,
            longest_gap_at_s=coverage.longest_gap_at_seconds,
            unseen=tuple(_gap(each) for each in coverage.unseen),
            unseen_count=coverage.unseen_count,
            undecoded=tuple(
                UndecodedInfo(from_s=each.from_seconds, to_s=each.to_seconds, reason=each.reason)
                for each in coverage.undecoded
            ),
            left_out=tuple(
                LeftOutInfo(from_s=each.from_seconds, to_s=each.to_seconds, what=each.what)
                for each in coverage.effort.left_out
            ),
            shots=None if shots is None else shots.shots,
            shots_unsampled=None if shots is None else shots.unsampled,
            longest_unsampled_shot=_gap(shots.longest_unsampled) if shots and shots.longest_unsampled else None,
            smallest_object_px=coverage.effort.smallest_object_px,
            statement=coverage.statement,
            not_found_means=coverage.not_found_means,
        )


def _gap(gap: Gap) -> GapInfo:
    return GapInfo(from_s=gap.from_seconds, to_s=gap.to_seconds)


class ErrorInfo(_Entry):
    """Something that went wrong without ending the scan."""

    code: Text = Field(description="A stable word, the same in the command line and over HTTP.")
    message: Text = Field(description="One sentence.")


class Report(_Entry):
    """What one scan of one clip found, and what it looked at."""

    schema_version: Literal["1.0"] = Field(default="1.0", description="Version of this document's form.")
    clip: ClipInfo = Field(description="The clip that was scanned.")
    scan: ScanInfo = Field(description="How it was scanned.")
    appearances: tuple[AppearanceInfo, ...] = Field(default=(), description="What was found.")
    coverage: CoverageInfo = Field(description="What was looked at.")
    errors: tuple[ErrorInfo, ...] = Field(default=(), description="What went wrong without ending the scan.")

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
