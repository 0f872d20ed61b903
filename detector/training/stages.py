"""Which stages of the settings a training runs, and why others are left out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from detector.errors import BadOption, DataError
from detector.training.built_set import Picture
from detector.training.config import Stage, TrainingConfig

HOW_TO_MAKE = MappingProxyType(
    {
        "photos": "the photos/ of the data folder",
        "rendered": "the rendered/ of the data folder",
        "synthetic": "`ordnance dataset synthetic`",
    }
)
"""Where the parts of a data set come from, for the error about a part that it lacks."""


@dataclass(frozen=True, slots=True)
class StagePlan:
    """`run` are the stages to train, in order; `left_out` says of each other stage that was asked for why not."""

    run: tuple[Stage, ...]
    left_out: dict[str, str] = field(default_factory=dict)


def plan_stages(
    config: TrainingConfig,
    pictures: Sequence[Picture],
    *,
    names: Collection[str] = (),
    epochs: int | None = None,
    leave_out_missing: bool = False,
) -> StagePlan:
    """The stages of `config`, or those called `names`, each with `epochs` epochs if given.

    A stage that learns from a part of the set of which `pictures` has no training picture is left out with
    `leave_out_missing`, and is an error (DataError) without. Raises BadOption for a name that is no stage.
    """
    known = [stage.name for stage in config.stages]
    if unknown := sorted(set(names) - set(known)):
        raise BadOption(f"'{unknown[0]}' is no stage of {config.name}; use {', '.join(known)}.")
    asked = [stage for stage in config.stages if not names or stage.name in names]
    here = {picture.set_name for picture in pictures if picture.split == "train"}
    lacking = {stage.name: sorted(set(stage.sets) - here) for stage in asked}
    lacking = {name: parts for name, parts in lacking.items() if parts}
    if lacking and (not leave_out_missing or len(lacking) == len(asked)):
        raise DataError(_missing(lacking, some_can=len(lacking) < len(asked)))
    left_out = {name: f"the data set has no picture of {', '.join(parts)}" for name, parts in lacking.items()}
    run = tuple(
        stage if epochs is None else stage.model_copy(update={"epochs": epochs})
        for stage in asked
        if stage.name not in lacking
    )
    return StagePlan(run, left_out)


def _missing(lacking: dict[str, list[str]], *, some_can: bool) -> str:
    parts = sorted({part for each in lacking.values() for part in each})
    made_by = " and ".join(f"{part} come from {HOW_TO_MAKE.get(part, 'a source unknown')}" for part in parts)
    return (
        f"The data set has no picture of {', '.join(parts)}, from which the stages {', '.join(lacking)} learn: "
        f"{made_by}; "
        "make them and run `ordnance dataset build` again, choose other stages with --stages, "
        + (
            "or go without these stages with --leave-out-missing."
            if some_can
            else "or give settings of your own with --config (datasets/README.md shows some)."
        )
    )
