"""Sampling plans: which frames of a clip the model looks at.

A plan is asked for a first request, is told what came of every sample, and may then ask for more; a plan
that has seen enough answers None. The fixed plans here never ask twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from detector.errors import BadOption, UnknownPlan
from detector.sampling.names import DEFAULT_CADENCE_SECONDS, PLAN_NAMES

SHORTEST_CADENCE_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Timeline:
    """What the container says about the clip's frames, before any is decoded.

    `pts_seconds` is float64, ascending; `is_keyframe` is bool, of the same length.
    """

    pts_seconds: NDArray[np.float64]
    is_keyframe: NDArray[np.bool_]
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class Request:
    """Frames to look at. `times` are ascending PTS in seconds, None means every frame.

    `keyframes_only` allows the decoder to skip everything else.
    """

    times: tuple[float, ...] | None
    keyframes_only: bool = False


@dataclass(frozen=True, slots=True)
class SampleScore:
    """What the model said of one sample: its best score, 0 where it found nothing."""

    pts_seconds: float
    score: float


class Plan(Protocol):
    """The contract of a sampling plan; an instance serves one scan of one clip."""

    @property
    def name(self) -> str: ...

    @property
    def cadence_seconds(self) -> float | None:
        """The cadence asked for; None where the plan has none."""
        ...

    def first(self, timeline: Timeline) -> Request:
        """The frames to start with."""
        ...

    def more(self, scores: Sequence[SampleScore]) -> Request | None:
        """The frames to look at next, given what the last request brought; None ends the scan."""
        ...


@dataclass(frozen=True, slots=True)
class Interval:
    """The frame on display at every N seconds of presentation time.

    Taking the frame *on display* at kN, rather than the first one after it, is what makes the promise hold on
    variable frame rates: whatever stays on screen for N seconds is on screen at some kN.
    """

    cadence_seconds: float = DEFAULT_CADENCE_SECONDS
    name: str = "interval"

    def first(self, timeline: Timeline) -> Request:
        pts = timeline.pts_seconds
        if not len(pts):
            return Request(None)
        return Request(_on_display(pts, float(pts[0]), timeline.duration_seconds, self.cadence_seconds))

    def more(self, scores: Sequence[SampleScore]) -> Request | None:
        return None


@dataclass(frozen=True, slots=True)
class Keyframes:
    """Every keyframe, and fill-ins at the cadence wherever two of them lie further apart than that."""

    cadence_seconds: float = DEFAULT_CADENCE_SECONDS
    name: str = "keyframes"

    def first(self, timeline: Timeline) -> Request:
        pts = timeline.pts_seconds
        keys = pts[timeline.is_keyframe]
        if not len(keys):
            return Interval(self.cadence_seconds).first(timeline)
        edges = sorted({float(pts[0]), *keys.tolist(), timeline.duration_seconds})
        chosen = set(keys.tolist()) | {float(pts[0])}
        for left, right in pairwise(edges):
            if right - left > self.cadence_seconds:
                chosen.update(_on_display(pts, left, right, self.cadence_seconds))
        return Request(tuple(sorted(chosen)), keyframes_only=chosen == set(keys.tolist()))

    def more(self, scores: Sequence[SampleScore]) -> Request | None:
        return None


@dataclass(frozen=True, slots=True)
class EveryFrame:
    """Every frame that can be decoded."""

    cadence_seconds: None = None
    name: str = "every-frame"

    def first(self, timeline: Timeline) -> Request:
        return Request(None)

    def more(self, scores: Sequence[SampleScore]) -> Request | None:
        return None


_PLANS: dict[str, Callable[[float], Plan]] = dict(
    zip(PLAN_NAMES, (Interval, Keyframes, lambda _: EveryFrame()), strict=True)
)


def make_plan(name: str, cadence_seconds: float = DEFAULT_CADENCE_SECONDS) -> Plan:
    """The plan called `name`. Raises UnknownPlan or, for a cadence that is not a positive time, BadOption."""
    if name not in _PLANS:
        raise UnknownPlan(f"'{name}' is not a sampling plan; use one of: {', '.join(PLAN_NAMES)}.")
    if not SHORTEST_CADENCE_SECONDS <= cadence_seconds < float("inf"):
        raise BadOption(
            f"A cadence of {cadence_seconds} s cannot be used; give a number of seconds of at least "
            f"{SHORTEST_CADENCE_SECONDS}."
        )
    return _PLANS[name](cadence_seconds)


def _on_display(pts: NDArray[np.float64], start: float, end: float, cadence: float) -> tuple[float, ...]:
    """PTS of the frames shown at start, start + cadence, … before `end`, each once."""
    steps = np.arange(max(1, int(np.ceil((end - start) / cadence - 1e-9))))
    shown = np.searchsorted(pts, start + steps * cadence + 1e-6, side="right") - 1
    return tuple(float(time) for time in pts[np.unique(shown[shown >= 0])])
