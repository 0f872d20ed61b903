"""What the parts of the report have in common: the kinds of their fields and how they are checked."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, model_validator

from detector.report.timecode import hms

_SURROGATES = re.compile("[\ud800-\udfff]")


def rounded(digits: int) -> AfterValidator:
    # Adding 0.0 turns a negative zero into zero.
    return AfterValidator(lambda value: round(value, digits) + 0.0)


def without_surrogates(text: str) -> str:
    """A file name that is not UTF-8 reaches Python with lone surrogates, which no JSON file can hold."""
    return _SURROGATES.sub("\ufffd", text)


def _upright(box: tuple[float, ...]) -> tuple[float, ...]:
    x1, y1, x2, y2 = box
    if x1 > x2 or y1 > y2:
        raise ValueError("a box is left, top, right, bottom: left must not exceed right, nor top bottom")
    return box


Text = Annotated[str, BeforeValidator(lambda value: without_surrogates(value) if isinstance(value, str) else value)]
Seconds = Annotated[FiniteFloat, rounded(6)]
Score = Annotated[FiniteFloat, Field(ge=0, le=1), rounded(4)]
Pixels = Annotated[FiniteFloat, rounded(2)]
Sharpness = Annotated[FiniteFloat, rounded(1)]
Fraction = Annotated[FiniteFloat, Field(ge=0, le=1), rounded(6)]
Timecode = Annotated[str, Field(pattern=r"^-?\d{2,}:[0-5]\d:[0-5]\d\.\d{3}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Box = Annotated[tuple[Pixels, Pixels, Pixels, Pixels], AfterValidator(_upright)]
BoxNorm = Annotated[tuple[Fraction, Fraction, Fraction, Fraction], AfterValidator(_upright)]
PlanOption = bool | int | FiniteFloat | Text | None


def sorted_keys(value: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(value.items()))


def _as_timecode(seconds: float | None) -> str | None:
    return None if seconds is None else hms(seconds)


def text_of(seconds_field: str, alias: str | None = None) -> Any:
    """A field that says another one, a time in seconds, as text; it is filled in where it is not given."""
    return Field(
        default_factory=lambda data: _as_timecode(data[seconds_field]),
        validation_alias=alias,
        serialization_alias=alias,
        description=f"`{seconds_field}` as HH:MM:SS.mmm.",
    )


class Entry(BaseModel):
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
