"""Which frames are looked at, and what that covers."""

from detector.sampling.coverage import Coverage, UndecodedRange, measure_coverage
from detector.sampling.plan import (
    DEFAULT_CADENCE_SECONDS,
    PLAN_NAMES,
    Plan,
    Request,
    SampleScore,
    Timeline,
    make_plan,
)

__all__ = [
    "DEFAULT_CADENCE_SECONDS",
    "PLAN_NAMES",
    "Coverage",
    "Plan",
    "Request",
    "SampleScore",
    "Timeline",
    "UndecodedRange",
    "make_plan",
    "measure_coverage",
]
