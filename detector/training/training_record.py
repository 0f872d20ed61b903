"""What a training did, stage by stage, beside its weights: `training.json`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from detector._version import __version__
from detector.errors import DataError
from detector.training.checkpoints import newest_checkpoint
from detector.training.config import Stage, TrainingConfig
from detector.training.photographs import file_sha256
from detector.training.stages import StagePlan
from detector.training.whole_file import write_whole

RECORD = "training.json"
BEGUN, DONE = "begun.json", "done"


def begin_stage(
    folder: Path, stage: Stage, config: TrainingConfig, start: tuple[str, Path], dataset_sha256: str
) -> None:
    """Write down with what settings, weights and data the stage in `folder` begins.

    `start` are those weights: the name of the stage that left them, or what the training began with, and the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    begun = {
        "settings": stage.model_dump(mode="json"),
        "training": _of_training(config),
        "start": {"file": start[0], "sha256": file_sha256(start[1])},
        "dataset_sha256": dataset_sha256,
    }
    write_whole(folder / BEGUN, json.dumps(begun, indent=1) + "\n")


def check_begun(
    folder: Path, stage: Stage, config: TrainingConfig, start: str, dataset_sha256: str, *, resume: bool = False
) -> None:
    """Raises DataError where the stage in `folder` was begun otherwise, or (unless it is done) with other data.

    `start` is the name of what it is to begin with. A stage of which no epoch was finished may begin again otherwise,
    unless it is to `resume`.
    """
    check_training(folder, config, resume=resume)
    begun = _read_begun(folder, resume=resume)
    if begun is None:
        return
    _check_same(folder, begun["settings"], stage.model_dump(mode="json"))
    if "start" in begun:
        _check_same(folder, {"start": begun["start"]["file"]}, {"start": start})
    if begun["dataset_sha256"] != dataset_sha256 and not (folder / DONE).exists():
        raise DataError(
            f"{folder} was begun with another data set ({begun['dataset_sha256'][:12]}, now {dataset_sha256[:12]}); "
            f"build that one again, give another --out, or delete {folder}."
        )


def check_training(folder: Path, config: TrainingConfig, *, resume: bool = False) -> None:
    """Raises DataError where the stage in `folder` was begun with another seed, batch or other classes.

    Stages that an earlier version began do not say with which.
    """
    begun = _read_begun(folder, resume=resume)
    if begun is not None and "training" in begun:
        _check_same(folder, begun["training"], _of_training(config))


def start_of(folder: Path) -> dict[str, str] | None:
    """Name and SHA-256 of the weights that the stage in `folder` began with; None where that is not known."""
    begun = _read_begun(folder)
    return None if begun is None else begun.get("start")


def _of_training(config: TrainingConfig) -> dict[str, Any]:
    return {"classes": list(config.classes), "batch": config.batch, "seed": config.seed}


def _read_begun(folder: Path, *, resume: bool = False) -> dict[str, Any] | None:
    path = folder / BEGUN
    counts = resume or (folder / DONE).exists() or newest_checkpoint(folder) is not None
    if not path.is_file() or not counts:
        return None
    try:
        begun: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(
            f"{path} is damaged, so that nobody knows what {folder} was trained with; delete {folder} and the stages "
            "after it."
        ) from error
    return begun


def _check_same(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    for name, value in now.items():
        if before.get(name) != value:
            raise DataError(
                f"{folder} was trained with {name}: {before.get(name)}, and now {name}: {value} is asked for; "
                f"give another --out, or delete {folder} and the stages after it."
            )


def finish_stage(folder: Path, dataset_sha256: str) -> None:
    """Mark the stage in `folder` as complete."""
    (folder / DONE).write_text(json.dumps({"dataset_sha256": dataset_sha256}) + "\n", encoding="utf-8")


def write_record(
    out: Path,
    config: TrainingConfig,
    plan: StagePlan,
    *,
    start: dict[str, str],
    dataset_sha256: str,
    versions: dict[str, str],
) -> Path:
    """Write `out`/training.json: data, seed, versions, and of each stage what was done, left out (why), or is to do.

    `start` is what the training began with: its name and SHA-256.
    """
    stages = []
    asked = {stage.name: stage for stage in plan.run}
    for stage in config.stages:
        folder = out / stage.name
        used = asked.get(stage.name, stage)
        row: dict[str, Any] = {"name": stage.name, "epochs": used.epochs, "epochs_of_settings": stage.epochs}
        if (folder / DONE).exists():
            row |= {"state": "done", "last_epoch": _last_epoch(folder)}
        elif stage.name in plan.left_out:
            row |= {"state": "left out", "why": plan.left_out[stage.name]}
        else:
            row["state"] = "to do" if stage.name in asked else "not asked for"
        stages.append(row)
    weights = out / f"{config.name}.pt"
    document = {
        "model": config.name,
        "weights_sha256": file_sha256(weights) if weights.is_file() else None,
        "start": start,
        "dataset_sha256": dataset_sha256,
        "seed": config.seed,
        "stages": stages,
        "versions": {"ordnance": __version__, **versions},
    }
    path = out / RECORD
    write_whole(path, json.dumps(document, indent=1) + "\n")
    return path


def _last_epoch(folder: Path) -> dict[str, str]:
    """The last line of the trainer's results.csv."""
    path = folder / "results.csv"
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, skipinitialspace=True))
    return {key.strip(): value for key, value in rows[-1].items()} if rows else {}
