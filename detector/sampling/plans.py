"""Makes the plan that a user asked for by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from detector.errors import BadOption, UnknownPlan
from detector.sampling.adaptive import Adaptive
from detector.sampling.names import DEFAULT_CADENCE_SECONDS, DEFAULT_PLAN, PLAN_NAMES, SHORTEST_SHOT_SECONDS
from detector.sampling.plan import (
    LONGEST_CADENCE_SECONDS,
    EveryFrame,
    Interval,
    Keyframes,
    KeyframesOnly,
    Plan,
    checked_cadence,
)


@dataclass(frozen=True, slots=True)
class PlanChoice:
    """A plan by name and its options; None stands for the plan's own default.

    `shortest_shot_seconds` counts for the adaptive plan alone.
    """

    name: str = DEFAULT_PLAN
    cadence_seconds: float | None = None
    shortest_shot_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the adaptive plan must know of the model: score thresholds by class, and its input's side in px."""

    thresholds: Mapping[str, float]
    input_px: int


def make_plan(choice: PlanChoice, model: ModelFacts, *, time_left: Callable[[], float] | None = None) -> Plan:
    """The plan of that name. `time_left`, where there is a budget, tells the seconds left for a coarse pass.

    Raises UnknownPlan, or BadOption for an option that is out of its range or that the plan has no use for.
    """
    name = choice.name
    if name not in PLAN_NAMES:
        raise UnknownPlan(f"'{name}' is not a sampling plan; use one of: {', '.join(PLAN_NAMES)}.")
    if time_left is not None and name != "adaptive":
        raise BadOption(f"The plan {name} cannot keep to a budget; use the adaptive plan, or leave the budget out.")
    if choice.shortest_shot_seconds is not None and name != "adaptive":
        raise BadOption(f"The plan {name} does not look for shots; use the adaptive plan for a shortest shot.")
    if name not in DEFAULT_CADENCE_SECONDS:
        if choice.cadence_seconds is not None:
            raise BadOption(f"The plan {name} has no cadence; leave the cadence out, or use the adaptive plan.")
        return KeyframesOnly() if name == "keyframes-only" else EveryFrame()
    asked = choice.cadence_seconds
    cadence = checked_cadence(DEFAULT_CADENCE_SECONDS[name] if asked is None else asked)
    if name == "interval":
        return Interval(cadence)
    if name == "keyframes":
        return Keyframes(cadence)
    shortest = SHORTEST_SHOT_SECONDS if choice.shortest_shot_seconds is None else choice.shortest_shot_seconds
    if not 0 <= shortest <= LONGEST_CADENCE_SECONDS:
        raise BadOption(f"A shortest shot of {shortest} s cannot be used; give a number of seconds from 0 on.")
    return Adaptive(cadence, shortest, model.thresholds, model.input_px, time_left=time_left)
