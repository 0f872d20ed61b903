"""What a report says of a scan beside its appearances: the clip, what was looked at, what went wrong, the pictures."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector.best_pictures import BestPictures
from detector.frame import Appearance, Frame
from detector.linking import LookedAt
from detector.models import Model
from detector.report import (
    ClipInfo,
    CoverageInfo,
    ErrorInfo,
    UndecodedInfo,
    crop_name,
    encode_crop,
    encode_thumbnail,
    thumbnail_name,
)
from detector.sampling.coverage import (
    Effort,
    LeftOut,
    UndecodedRange,
    measure_coverage,
    not_looked_at,
    smallest_object,
)
from detector.sampling.cuts import CutWatch
from detector.sampling.plan import Plan
from detector.taxonomy import weapon_class
from detector.video import DecodeProblem, Probe, Readable


@dataclass(frozen=True, slots=True)
class Decoding:
    """What decoding brought, before the pictures for the report were fetched again."""

    frames_decoded: int
    decode_errors: int
    problems: tuple[DecodeProblem, ...]


def cited_pictures(video: Readable, appearances: Sequence[Appearance], best: BestPictures) -> dict[str, bytes]:
    """Thumbnail and crop of each appearance, of its best frame: as it was kept, or decoded again."""
    wanted: dict[float, list[Appearance]] = {}
    for each in appearances:
        wanted.setdefault(each.best.pts_seconds, []).append(each)
    encoded: dict[str, bytes] = {}

    def encode(target: float, frame: Frame) -> None:
        for each in wanted[target]:
            colour = weapon_class(each.class_name).colour
            encoded[thumbnail_name(each.id)] = encode_thumbnail(frame.image, each.best.box, colour)
            encoded[crop_name(each.id)] = encode_crop(frame.image, each.best.box)

    # Where a clip is damaged, what a decoder makes of it depends on what it read before: it is decoded again always.
    is_whole = not video.decode_errors and not video.errors
    missing = []
    for target in sorted(wanted):
        frame = best.at(target) if is_whole else None
        if frame is None:
            missing.append(target)
        else:
            encode(target, frame)
    for target, frame in video.frames_at(missing) if missing else ():
        encode(target, frame)
    return encoded


def clip_info(path: Path, digest: str, probe: Probe) -> ClipInfo:
    """The clip as its probe tells it; `digest`: its SHA-256."""
    return ClipInfo(
        name=path.name,
        sha256=digest,
        bytes=probe.bytes,
        container=probe.container,
        codec=probe.codec,
        width=probe.width,
        height=probe.height,
        duration_s=probe.duration_seconds,
        first_pts_s=probe.first_pts_seconds,
    )


def coverage_info(
    looked_at: LookedAt,
    probe: Probe,
    decoding: Decoding,
    plan: Plan,
    model: Model,
    cuts: CutWatch | None,
    left_out: tuple[LeftOut, ...],
) -> CoverageInfo:
    """What was looked at; `cuts` watched for shot changes; `left_out`: what plan or budget spared."""
    frames = array("d", probe.pts_seconds.tobytes())
    holes = [start for start, _ in probe.missing]
    changes = array("d", np.sort(np.append(probe.pts_seconds, holes)).tobytes()) if holes else frames
    lost = [UndecodedRange(p.from_seconds, p.to_seconds, p.reason) for p in decoding.problems if not p.decoded]
    coverage = measure_coverage(
        looked_at.times,
        frames,
        probe.duration_seconds,
        not_looked_at(lost, looked_at.times, changes, probe.duration_seconds),
        promise_seconds=plan.cadence_seconds,
        shots=(cuts.shots(probe.duration_seconds, looked_at.times, looked_at.cuts) or None) if cuts else None,
        effort=Effort(
            near_identical=looked_at.repeated,
            tiled=looked_at.tiled,
            left_out=left_out,
            smallest_object_px=smallest_object(model.smallest_side_px, probe.width, probe.height, model.input_size),
        ),
    )
    return CoverageInfo.of(
        coverage,
        sampled=looked_at.times,
        frames_decoded=decoding.frames_decoded,
        decode_errors=decoding.decode_errors,
        promise_s=plan.cadence_seconds,
    )


def errors_told(decoding: Decoding, probe: Probe, undecoded: Sequence[UndecodedInfo]) -> tuple[ErrorInfo, ...]:
    """What a reader of the report must know of the file: what nothing looked at, its odd times, its damage."""
    errors = []
    if unseen := [each.codec or "unknown codec" for each in probe.other_streams if each.kind == "video"]:
        message = (
            f"The file has {len(unseen)} more video stream{'s' if len(unseen) > 1 else ''} ({', '.join(unseen)}) at "
            "which nothing looked; take each out into a file of its own and scan that too."
        )
        errors.append(ErrorInfo(code="other_video_streams", message=message))
    if probe.has_late_streams:
        message = (
            "Another stream begins in the middle of the file. If it is sound nothing is missing; if it is video, "
            "nothing looked at it: cut the file there and scan the parts by themselves."
        )
        errors.append(ErrorInfo(code="late_streams", message=message))
    if count := probe.unread_recordings:
        message = (
            f"The file holds {count} more recording{'s' if count > 1 else ''}, joined to the first from byte "
            f"{probe.end_byte:,} on ({probe.bytes - probe.end_byte:,} bytes), at which nothing looked; cut the file "
            "there and scan the rest by itself."
        )
        errors.append(ErrorInfo(code="unread_recordings", message=message))
    if probe.times == "joined":
        message = "The file is joined of recordings whose times begin anew; here each follows the one before it."
        errors.append(ErrorInfo(code="joined_times", message=message))
    if probe.times == "nominal":
        message = (
            "The file gives all its pictures the same time; here they follow one another at its nominal frame rate."
        )
        errors.append(ErrorInfo(code="no_times", message=message))
    counted = f"{decoding.decode_errors} damaged packets or pictures were skipped" if decoding.decode_errors else ""
    lost = [(each.from_s, each.to_s, each.reason) for each in undecoded]
    if counted or lost:
        told = [counted, f"nothing could be decoded {_longest(lost)}" if lost else ""]
        message = "; ".join(part for part in told if part)
        errors.append(ErrorInfo(code="decode_errors", message=f"{message[0].upper()}{message[1:]}."))
    damaged = [(each.from_seconds, each.to_seconds, each.reason) for each in decoding.problems if each.decoded]
    if damaged:
        message = f"Pictures were decoded with visible damage {_longest(damaged)}; what they show can be missed."
        errors.append(ErrorInfo(code="damaged_pictures", message=message))
    return tuple(errors)


def _longest(ranges: Sequence[tuple[float, float, str]]) -> str:
    start, end, reason = max(ranges, key=lambda each: each[1] - each[0])
    others = len(ranges) - 1
    more = f", and in {others} more place{'s' if others > 1 else ''}" if others else ""
    return f"from {start:.2f} s to {end:.2f} s ({reason}){more}"
