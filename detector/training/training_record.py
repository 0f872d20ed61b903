"""What a training did, stage by stage, beside its weights: `training.json`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from detector._version import __version__
from detector.errors import DataError
from detector.training.config import Stage, TrainingConfig
from detector.training.photographs import file_sha256
from detector.training.stages import StagePlan

RECORD = "training.json"
BEGUN, DONE = "begun.json", "done"


def begin_stage(folder: Path, stage: Stage, dataset_sha256: str) -> None:
    """Write down with what settings and data the stage in `folder` begins."""
    folder.mkdir(parents=True, exist_ok=True)
    begun = {"settings": stage.model_dump(mode="json"), "dataset_sha256": dataset_sha256}
    (folder / BEGUN).write_text(json.dumps(begun, indent=1) + "\n", encoding="utf-8")


def check_begun(folder: Path, stage: Stage, dataset_sha256: str) -> None:
    """Raises DataError where the stage in `folder` was begun with other settings, or (unless done) with other data."""
    path = folder / BEGUN
    if not path.is_file():
        return
    begun = json.loads(path.read_text(encoding="utf-8"))
    before, now = begun["settings"], stage.model_dump(mode="json")
    changed = [name for name in now if before.get(name) != now[name]]
    if changed:
        name = changed[0]
        raise DataError(
            f"{folder} was trained with {name}: {before.get(name)}, and now {name}: {now[name]} is asked for; "
            f"give another --out, or delete {folder} and the stages after it."
        )
    if begun["dataset_sha256"] != dataset_sha256 and not (folder / DONE).exists():
        raise DataError(
            f"{folder} was begun with another data set ({begun['dataset_sha256'][:12]}, now {dataset_sha256[:12]}); "
            f"build that one again, give another --out, or delete {folder}."
        )


def finish_stage(folder: Path, dataset_sha256: str) -> None:
    """Mark the stage in `folder` as complete."""
    (folder / DONE).write_text(json.dumps({"dataset_sha256": dataset_sha256}) + "\n", encoding="utf-8")


def write_record(
    out: Path,
    config: TrainingConfig,
    plan: StagePlan,
    *,
    start: tuple[str, Path],
    dataset_sha256: str,
    versions: dict[str, str],
) -> Path:
    """Write `out`/training.json: data, seed, versions, and of each stage what was done, left out (why), or is to do.

    `start` is what the training began with: its name and the file.
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
        "start": {"file": start[0], "sha256": file_sha256(start[1])},
        "dataset_sha256": dataset_sha256,
        "seed": config.seed,
        "stages": stages,
        "versions": {"ordnance": __version__, **versions},
    }
    path = out / RECORD
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return path


def _last_epoch(folder: Path) -> dict[str, str]:
    """The last line of the trainer's results.csv."""
    path = folder / "results.csv"
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, skipinitialspace=True))
    return {key.strip(): value for key, value in rows[-1].items()} if rows else {}
