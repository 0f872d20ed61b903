"""Who is measured: our plans through the public API, and other tools on the same clips with the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from benchmarks.time.pictures import Box
from detector.sampling.names import PLAN_NAMES

REFERENCE = "every-frame"
"""The plan that all others are measured against: what the same model sees on every frame."""
INTERVALS_SECONDS = (0.5, 1.0, 2.0)
ANY_CLASS = "*"
"""The class of a find by a tool that does not tell our classes apart; it counts for each of them."""
TIMED_ONLY = "timed_only"
"""The fact by which a runner says that what it finds means nothing, and why."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A plan of ours, or a peer. `cadence_seconds` None leaves the plan's own default."""

    name: str
    kind: Literal["plan", "ultralytics", "openmoderate"]
    plan: str = ""
    cadence_seconds: float | None = None
    runtime: Literal["onnxruntime", "torch", ""] = ""
    every_clip: bool = True
    """False for a peer that is only timed: another contender gives the same boxes."""


@dataclass(frozen=True, slots=True)
class Found:
    """One reported appearance: class, whether its time alone is known (no boxes), and (PTS in seconds, box)."""

    class_name: str
    detections: tuple[tuple[float, Box | None], ...]


@dataclass(frozen=True, slots=True)
class Job:
    """One clip to look at.

    `scan` is the real thing. `replay` is the same again with the model's answers from memory: everything but
    inference. `oracle` looks at the marked copy with a detector that sees what the truth says.
    """

    mode: Literal["scan", "replay", "oracle"]
    clip: Path
    marked: Path
    truth: Path
    keep_answers: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a contender said of a clip, and what it took.

    `promise_seconds` is the cadence that the plan was asked for, `guarantee_seconds` what the report says of itself;
    None for peers. `inferred_frames` are frame numbers, known for the oracle only. `own_times` gives, for
    a peer and each PTS, the time that it would say: the frame's number over the header's frame rate. `stricter` is what
    a peer would have found with every threshold so many times as high.
    """

    found: tuple[Found, ...]
    inferred: int
    seconds: float
    inference_seconds: float | None
    frames_decoded: int | None = None
    promise_seconds: float | None = None
    guarantee_seconds: float | None = None
    inferred_frames: tuple[int, ...] = ()
    unreadable: int = 0
    own_times: Mapping[float, float] = field(default_factory=dict)
    stricter: Mapping[float, tuple[Found, ...]] = field(default_factory=dict)


class NotMeasured(Exception):
    """Why a contender cannot run here."""


class Runner(Protocol):
    """A contender, loaded and warm."""

    def facts(self) -> dict[str, object]:
        """What runs, for the record."""
        ...

    def run(self, job: Job) -> Outcome: ...


def all_contenders() -> list[Contender]:
    """Every plan that this version has, the fixed intervals, and the peers; the reference first."""
    plans = [Contender(REFERENCE, "plan", REFERENCE)]
    plans += [Contender(f"interval {each:g} s", "plan", "interval", each) for each in INTERVALS_SECONDS]
    plans += [Contender(name, "plan", name) for name in PLAN_NAMES if name not in (REFERENCE, "interval")]
    return [
        *plans,
        Contender("ultralytics predict, ONNX Runtime", "ultralytics", runtime="onnxruntime"),
        Contender("ultralytics predict, torch", "ultralytics", runtime="torch", every_clip=False),
        Contender("openmoderate, 1 frame a second", "openmoderate"),
    ]


def make_runner(contender: Contender, model: str, device: str) -> Runner:
    """Load a contender. Raises NotMeasured where it is not installed or cannot run."""
    if contender.kind == "plan":
        from benchmarks.time.plans import PlanRunner

        return PlanRunner(contender, model, device)
    from benchmarks.time.peers import OpenmoderateRunner, UltralyticsRunner

    if contender.kind == "ultralytics":
        return UltralyticsRunner(contender, model, device)
    return OpenmoderateRunner()
