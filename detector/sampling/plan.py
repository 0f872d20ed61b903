"""Sampling plans: which frames of a clip the model looks at.

A plan is asked for a first request, is told what came of every sample, and may then ask for more; a plan
that has seen enough answers None. The fixed plans here never ask twice; see `adaptive` for the one that does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from detector.appearances import Look
from detector.appearances.boxes import Box
from detector.errors import BadOption
from detector.frame import Detection
from detector.sampling.coverage import LeftOut
from detector.sampling.names import DEFAULT_CADENCE_SECONDS

SHORTEST_CADENCE_SECONDS = 0.001
LONGEST_CADENCE_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Timeline:
    """What the container says about the clip's frames, before any is decoded.

    `pts_seconds` is float64, ascending; `is_keyframe` is bool, of the same length. `width` and `height` are the
    picture's in display pixels, 0 where unknown. `kept_frames` is how many pictures of that size may be kept in
    memory between two requests; 0 leaves it to the plan. `packet_bytes` (uint32) are the coded sizes of the frames,
    None where unknown.
    """

    pts_seconds: NDArray[np.float64]
    is_keyframe: NDArray[np.bool_]
    duration_seconds: float
    width: int = 0
    height: int = 0
    kept_frames: int = 0
    packet_bytes: NDArray[np.uint32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A frame that was looked at: what the model found on it, and what it looks like as a whole.

    `repeated` tells that the frame is near-identical with one before, whose detections were taken over; `tiled` that
    parts of it were looked at again, enlarged.
    """

    pts_seconds: float
    detections: tuple[Detection, ...]
    look: Look
    repeated: bool = False
    tiled: bool = False


@dataclass(frozen=True, slots=True)
class CloserLook:
    """Parts of one sample's frame to look at again, enlarged: boxes (x1, y1, x2, y2) in display pixels."""

    sample: Sample
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """Frames to look at. `times` are ascending PTS in seconds, None means every frame.

    `keyframes_only` allows the decoder to skip everything else. With `shots`, every shot of which pictures are
    decoded on the way gets a sample. `keep` are ascending ranges in seconds whose frames will probably be asked for
    next, so that they are better kept than decoded again. `closer` asks for nothing but closer looks at samples; what
    they bring comes back as the samples they belong to. `coarse` is true for requests that belong to the plan's
    coarse pass, to which a budget gives its first share; `between` where they fill gaps that an earlier one left.
    """

    times: tuple[float, ...] | None
    keyframes_only: bool = False
    shots: bool = False
    keep: tuple[tuple[float, float], ...] = ()
    closer: tuple[CloserLook, ...] = ()
    coarse: bool = False
    between: bool = False


class Plan(Protocol):
    """The contract of a sampling plan; an instance serves one scan of one clip."""

    @property
    def name(self) -> str: ...

    @property
    def cadence_seconds(self) -> float | None:
        """The cadence asked for; None where the plan has none."""
        ...

    @property
    def options(self) -> Mapping[str, float]:
        """Everything that decides where the plan looks, for the report; times in seconds."""
        ...

    @property
    def asks_once(self) -> bool:
        """Whether the first request is the only one, so that its samples are all there will be."""
        ...

    def first(self, timeline: Timeline) -> Request:
        """The frames to start with."""
        ...

    def more(self, samples: Sequence[Sample]) -> Request | None:
        """The frames to look at next, given what the last request brought; None ends the scan.

        The samples need not be all that were asked for: decoding may fail, and time may run out.
        """
        ...

    def left_out(self) -> tuple[LeftOut, ...]:
        """What the plan would still have looked at, had the scan gone on, and what it gave up by itself."""
        ...


class _Fixed:
    """What the plans have in common that never ask twice."""

    cadence_seconds: float | None = None
    asks_once = True

    @property
    def options(self) -> Mapping[str, float]:
        return {} if self.cadence_seconds is None else {"every_s": self.cadence_seconds}

    def more(self, samples: Sequence[Sample]) -> Request | None:
        return None

    def left_out(self) -> tuple[LeftOut, ...]:
        return ()


@dataclass(frozen=True)
class Interval(_Fixed):
    """The frame on display at every N seconds of presentation time.

    Taking the frame *on display* at kN, rather than the first one after it, is what makes the promise hold on
    variable frame rates: whatever stays on screen for N seconds is on screen at some kN.
    """

    cadence_seconds: float = DEFAULT_CADENCE_SECONDS["interval"]
    name: str = field(default="interval", init=False)

    def first(self, timeline: Timeline) -> Request:
        pts = timeline.pts_seconds
        if not len(pts):
            return Request(None)
        start, end = pts[:1], np.array([timeline.duration_seconds])
        return Request(tuple(pts[_is_on_display(pts, start, end, self.cadence_seconds)].tolist()))


@dataclass(frozen=True)
class Keyframes(_Fixed):
    """Every keyframe, and fill-ins at the cadence wherever two of them lie further apart than that."""

    cadence_seconds: float = DEFAULT_CADENCE_SECONDS["keyframes"]
    name: str = field(default="keyframes", init=False)

    def first(self, timeline: Timeline) -> Request:
        pts = timeline.pts_seconds
        keys = pts[timeline.is_keyframe]
        if not len(keys):
            return Interval(self.cadence_seconds).first(timeline)
        edges = np.unique(np.concatenate([pts[:1], keys, [max(timeline.duration_seconds, float(pts[-1]))]]))
        before = np.searchsorted(edges, pts, side="right") - 1
        start, end = edges[before], edges[np.minimum(before + 1, len(edges) - 1)]
        fills = (end - start > self.cadence_seconds) & _is_on_display(pts, start, end, self.cadence_seconds)
        chosen = {*pts[:1].tolist(), *keys.tolist(), *pts[fills].tolist()}
        return Request(tuple(sorted(chosen)), keyframes_only=chosen == set(keys.tolist()))


@dataclass(frozen=True)
class KeyframesOnly(_Fixed):
    """Every keyframe and nothing else: the fastest pass, with gaps as long as the encoder made them."""

    name: str = field(default="keyframes-only", init=False)

    def first(self, timeline: Timeline) -> Request:
        return Request(None, keyframes_only=True)


@dataclass(frozen=True)
class EveryFrame(_Fixed):
    """Every frame that can be decoded."""

    name: str = field(default="every-frame", init=False)

    def first(self, timeline: Timeline) -> Request:
        return Request(None)


def checked_cadence(seconds: float) -> float:
    """`seconds`, if they can be the distance of samples; else raises BadOption."""
    if not SHORTEST_CADENCE_SECONDS <= seconds <= LONGEST_CADENCE_SECONDS:
        raise BadOption(
            f"A cadence of {seconds} s cannot be used; give a number of seconds from "
            f"{SHORTEST_CADENCE_SECONDS} to {LONGEST_CADENCE_SECONDS:.0f}."
        )
    return seconds


def _is_on_display(
    pts: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64], cadence: float
) -> NDArray[np.bool_]:
    """Whether each frame is the one shown at start, start + cadence, … before `end`.

    `start` and `end` are those of the stretch that the frame lies in, which begins with a frame.
    """
    last_step = np.maximum(1, np.ceil((end - start) / cadence - 1e-9)) - 1
    # By frames and not by steps: a time that jumps far ahead may leave room for billions of those.
    step = np.maximum(0.0, np.ceil((pts - 1e-6 - start) / cadence))
    step += start + step * cadence + 1e-6 < pts
    gone = np.append(pts[1:], np.inf)
    is_shown: NDArray[np.bool_] = (start + step * cadence + 1e-6 < gone) & (step <= last_step)
    return is_shown
