"""The part of the report that says what was looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import Field, model_validator

from detector.report.fields import Entry, Pixels, Seconds, Text, Timecode, text_of
from detector.sampling.coverage import Coverage, Gap


class _Stretch(Entry):
    from_s: Seconds = Field(description="Start of the stretch in seconds.")
    from_: Timecode = text_of("from_s", alias="from")
    to_s: Seconds = Field(description="End of the stretch in seconds.")
    to: Timecode = text_of("to_s")

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


class CoverageInfo(Entry):
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
    longest_gap_at: Timecode | None = text_of("longest_gap_at_s")
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
    shots: int | None = Field(
        default=None,
        ge=0,
        description=(
            "Shots between the cuts that were seen on pictures decoded on the way to samples; the clip can have more. "
            "Null where none were looked for."
        ),
    )
    shot_starts_s: tuple[Seconds, ...] = Field(
        default=(), description="When these shots begin, in seconds, ascending; the first thousand."
    )
    shots_unsampled: int | None = Field(
        default=None, ge=0, description="Of these shots, those in which no picture was looked at."
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
            shot_starts_s=() if shots is None else shots.starts,
            shots_unsampled=None if shots is None else shots.unsampled,
            longest_unsampled_shot=_gap(shots.longest_unsampled) if shots and shots.longest_unsampled else None,
            smallest_object_px=coverage.effort.smallest_object_px,
            statement=coverage.statement,
            not_found_means=coverage.not_found_means,
        )


def _gap(gap: Gap) -> GapInfo:
    return GapInfo(from_s=gap.from_seconds, to_s=gap.to_seconds)
