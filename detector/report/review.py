"""What people said about appearances: a part of a report, and a document of its own from which models learn."""

from __future__ import annotations

import json
from typing import Any, Literal, Self

from pydantic import AwareDatetime, Field, ValidationError

from detector.errors import DataError
from detector.report.fields import Box, Entry, Score, Seconds, Sha256, Text

Verdict = Literal["confirmed", "wrong", "unsure", "other_class"]
ReviewState = Literal["single", "agreed", "disagreed"]


class VerdictInfo(Entry):
    """What one reviewer says."""

    reviewer: Text = Field(description="The reviewer's name.")
    verdict: Verdict = Field(description="confirmed, wrong (no weapon), unsure, or other_class (another weapon).")
    class_name: Text | None = Field(
        default=None,
        validation_alias="class",
        serialization_alias="class",
        description="Id of the weapon class that it is instead; null but for other_class.",
    )
    note: Text = Field(default="", description="The reviewer's remark.")
    at: AwareDatetime = Field(description="When it was said, ISO 8601 with time zone.")


class ReviewInfo(Entry):
    """What reviewers say about one appearance, and what it amounts to."""

    appearance: str = Field(description="Id of the appearance.")
    state: ReviewState = Field(description="single: one reviewer; agreed or disagreed: several.")
    verdict: Verdict | None = Field(description="What they say; null where they disagree.")
    class_name: Text | None = Field(
        default=None,
        validation_alias="class",
        serialization_alias="class",
        description="Id of the weapon class that it is instead; null but for other_class.",
    )
    verdicts: tuple[VerdictInfo, ...] = Field(description="The verdict of each reviewer that is in force.")


class BoxInfo(Entry):
    """Where an appearance is on one frame."""

    pts_s: Seconds = Field(description="Time of the frame in seconds on the clip's timeline.")
    box: Box = Field(description="Left, top, right, bottom in display pixels, origin top left.")


class SaidInfo(Entry):
    """One step of the history: a verdict, or that one was taken back."""

    at: AwareDatetime = Field(description="When it was done.")
    reviewer: Text = Field(description="Who did it.")
    verdict: Verdict | None = Field(description="What was said; null where the reviewer's verdict was taken back.")
    class_name: Text | None = Field(
        default=None, validation_alias="class", serialization_alias="class", description="As in a verdict."
    )
    note: Text = Field(default="", description="The reviewer's remark.")


class JudgedInfo(Entry):
    """An appearance with its boxes and what was said about it; `review` is null where nobody has said anything."""

    id: str = Field(description="The appearance's name within the report.")
    number: int = Field(ge=1, description="Its place in time among all of the scan, from 1.")
    class_name: Text = Field(
        validation_alias="class", serialization_alias="class", description="Id of the class that the model gave it."
    )
    confidence: Score = Field(description="How sure the scan is of it, 0..1.")
    first_seen_s: Seconds = Field(description="Time of the first sample on which it was seen, in seconds.")
    last_seen_s: Seconds = Field(description="Time of the last sample on which it was seen, in seconds.")
    best_pts_s: Seconds = Field(description="Time of its best frame, in seconds.")
    boxes: tuple[BoxInfo, ...] = Field(description="Its box on each sample on which it was seen, in time order.")
    review: ReviewInfo | None = Field(description="What reviewers say.")
    history: tuple[SaidInfo, ...] = Field(default=(), description="Everything that was said, in order.")


class JudgedClip(Entry):
    """The clip that was judged."""

    name: Text = Field(description="The file's name.")
    sha256: Sha256 = Field(description="SHA-256 of the file's bytes, lower-case hexadecimal.")
    width: int = Field(gt=0, description="Width in display pixels.")
    height: int = Field(gt=0, description="Height in display pixels.")


class VerdictsDocument(Entry):
    """All appearances of a scan and what was said about them: `ordnance dataset import-verdicts` reads it."""

    schema_version: Literal["1.0"] = Field(default="1.0", description="Version of this document's form.")
    tool_version: Text = Field(description="Version of Ordnance that wrote it.")
    scan: Text = Field(description="Id of the scan.")
    model: Text = Field(description="Name of the model that found the appearances.")
    clip: JudgedClip = Field(description="The clip.")
    appearances: tuple[JudgedInfo, ...] = Field(description="Every appearance of the scan, judged or not.")

    def to_json(self) -> str:
        return json.dumps(self.model_dump(mode="json", by_alias=True), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The document that `text` holds. Raises DataError, which names the first field that is wrong."""
        try:
            return cls.model_validate_json(text, by_alias=True, by_name=False)
        except ValidationError as error:
            first: Any = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(str(step) for step in first["loc"]) or "document"
            raise DataError(f"These are no verdicts that Ordnance exported ({where}: {first['msg']}).") from error
