"""The one YAML file that says how a model is made: classes, stages, sampling, seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from detector.errors import DataError
from detector.models.manifest import SecondView
from detector.taxonomy import TAXONOMY
from detector.training.yaml_text import not_yaml

SET_BY_THE_STAGE = frozenset(
    {
        "amp",
        "batch",
        "data",
        "device",
        "epochs",
        "exist_ok",
        "imgsz",
        "mode",
        "model",
        "name",
        "plots",
        "project",
        "resume",
        "save",
        "save_dir",
        "seed",
        "task",
        "trainer",
    }
)
"""Arguments of the ultralytics trainer that `train` gives itself, or that would have it do something else."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stage(_Strict):
    """One run of the trainer; a stage starts from the weights that the stage before it left."""

    name: str
    sets: tuple[str, ...] = Field(description="parts of the data set to learn from: photos, rendered, synthetic")
    epochs: int = Field(ge=1)
    input_size: int = Field(ge=64, multiple_of=32, description="side of the square input, pixels")
    balance: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="repeat-factor threshold t: a class on a share f < t of the pictures has them repeated "
        "sqrt(t / f) times (LVIS, Gupta et al. 2019, section 4); 0 switches it off",
    )
    repeat_limit: int = Field(default=6, ge=1)
    common: tuple[str, ...] = Field(
        default=(), description="classes that the stage has had enough of; pictures with no other count as empty"
    )
    keep_empty: float = Field(
        default=1.0, ge=0, le=1, description="share of the photographs without a box that the stage learns from"
    )
    repeat_hard: int = Field(
        default=1,
        ge=1,
        description="how often a weapon-free picture is repeated on which the weights fire that the stage starts from",
    )
    hard_score: float = Field(default=0.25, ge=0.01, le=1, description="score from which those weights fire")
    damage: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of the pictures that are compressed, shrunk or darkened anew each time they are learned "
        "from; weapon-free pictures are then mined recompressed, too",
    )
    learned_share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="share of what the stage learned in its weights; the rest is of those that it began with",
    )
    averaged_with: str | None = Field(
        default=None,
        description="with learned_share: the earlier stage whose weights are the rest, instead of those it began with",
    )
    settings: dict[str, Any] = Field(default_factory=dict, description="further arguments of the ultralytics trainer")

    @field_validator("settings")
    @classmethod
    def _leaves_the_rest_alone(cls, settings: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(SET_BY_THE_STAGE & set(settings)):
            raise ValueError(f"'{taken[0]}' is not to be given here: the stage, the settings or the command set it")
        return settings


class SyntheticPart(_Strict):
    """Pictures that `ordnance dataset synthetic` makes, for the set `synthetic`."""

    name: str = Field(pattern="^[a-z0-9][a-z0-9-]*$", description="its folder")
    kind: Literal["scenes", "composites"]
    count: int = Field(ge=1)
    seed: int
    classes: tuple[str, ...] = Field(min_length=1)
    negative_share: float | None = Field(
        default=None,
        ge=0,
        le=0.65,
        description="scenes: share that shows look-alikes only; unnamed, the generator's own",
    )
    other_proportions: bool = Field(
        default=False, description="scenes: weapons are a little longer, wider or taller than their models"
    )
    objects_of: tuple[str, ...] = Field(
        default=(), description="composites: earlier parts, or `rendered`, whose objects are pasted beside photographs'"
    )


class _SecondView(SecondView):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainingConfig(_Strict):
    """Everything that decides what the weights become, apart from the pictures themselves."""

    name: str
    start: str = Field(description="starting weights, a path below the data folder")
    classes: tuple[str, ...] = Field(min_length=1)
    negatives_complete_for: tuple[str, ...] = Field(
        default=(),
        description="values of `complete_for` whose pictures hold no weapon of ours and may stand as background",
    )
    input_size: int = Field(ge=160, le=2048, multiple_of=32, description="side of the square input that ships, pixels")
    second_view: _SecondView | None = Field(
        default=None, description="what the model that ships looks at twice: `longer_side`, `from_score`, `model`"
    )
    batch: int = Field(default=16, ge=1)
    seed: int = 0
    synthetic: tuple[SyntheticPart, ...] = ()
    stages: tuple[Stage, ...] = Field(min_length=1)

    @field_validator("classes")
    @classmethod
    def _weapon_classes(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        known = [each.id for each in TAXONOMY]
        if unknown := [name for name in classes if name not in known]:
            raise ValueError(f"'{unknown[0]}' is no weapon class; use some of {', '.join(known)}")
        if len(set(classes)) < len(classes):
            raise ValueError("a class is named twice")
        return classes

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        earlier = {"rendered"}
        for part in self.synthetic:
            if unknown := set(part.objects_of) - earlier:
                raise ValueError(f"the part '{part.name}' takes objects of '{min(unknown)}', which is no earlier part")
            if part.name in earlier:
                raise ValueError(f"there are two parts '{part.name}'")
            earlier.add(part.name)
        names: list[str] = []
        for stage in self.stages:
            if stage.name in names:
                raise ValueError("two stages have the same name")
            if stage.averaged_with not in (None, *names):
                raise ValueError(f"'{stage.name}' is averaged with '{stage.averaged_with}', which is no earlier stage")
            if stage.averaged_with is not None and stage.learned_share == 1:
                raise ValueError(f"'{stage.name}' is averaged with '{stage.averaged_with}' but keeps all it learned")
            if unknown := set(stage.common) - set(self.classes):
                raise ValueError(f"'{stage.name}' has had enough of '{min(unknown)}', which is none of the classes")
            names.append(stage.name)
        view = self.second_view
        if view is not None and view.model is None and view.longer_side > self.input_size:
            raise ValueError("the second view is larger than the input")
        if view is not None and view.model == self.name:
            raise ValueError("the second view names the model itself; leave its `model` out")
        return self


def read_config(path: Path) -> TrainingConfig:
    """The settings in the YAML file `path`; raises DataError that names the wrong field."""
    try:
        return TrainingConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(f"The training settings {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"The training settings {path} are not text in UTF-8; save them as such.") from error
    except yaml.YAMLError as error:
        raise not_yaml(f"The training settings {path} are", error) from error
    except ValidationError as error:
        # What a misspelt name leaves out is said to be missing, too.
        first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        said = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            said = "there is no such setting; correct its name"
        raise DataError(f"The training settings {path} are wrong at '{where}': {said}.") from error
