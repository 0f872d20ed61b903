"""Trains a model in stages with ultralytics; after a kill it goes on at the last finished epoch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.errors import DataError
from detector.training.average import average_weights
from detector.training.bfloat16 import compute_in_bfloat16
from detector.training.built_set import BuiltSet, read_built
from detector.training.checkpoints import drop_checkpoints, keep_checkpoint, newest_checkpoint
from detector.training.config import Stage, TrainingConfig
from detector.training.damaged_reading import damaging_trainer
from detector.training.hard_negatives import hard_negatives
from detector.training.listing import epoch_of, write_listing
from detector.training.load_ultralytics import load_ultralytics
from detector.training.stages import StagePlan, plan_stages
from detector.training.training_record import DONE, begin_stage, check_begun, finish_stage, write_record
from detector.training.warm_start import weights_to_train


def train(
    config: TrainingConfig,
    data: Path,
    dataset: Path,
    out: Path,
    *,
    plan: StagePlan | None = None,
    go_on_from: str | Path | None = None,
    device: str = "cpu",
    threads: int | None = None,
) -> Path:
    """Run every stage of `plan` (by default of `config`) that is not finished yet; returns the weights, `out`/NAME.pt.

    `data` is the folder that holds the starting weights, `dataset` a set built by `build_dataset`. A stage starts from
    the weights that the stage before it left, stages that the plan leaves out being passed over. With `go_on_from`,
    a model by name, an .onnx file beside its manifest or a .pt of a training, the first stage of the plan starts from
    that one instead, and the stages before it are not needed. Each leaves `out`/STAGE with a checkpoint of every epoch
    and a file `done` when it is complete; `out`/training.json says what was done. `threads` is how many processors
    torch may use, all of them unless given; ultralytics would leave one idle.

    Raises DataError for missing weights or parts of the set, for a stage whose predecessor is not trained, for a stage
    that was begun with other settings, and when the disk is full.
    """
    out = out.resolve()
    built = read_built(dataset)
    plan = plan or plan_stages(config, built.pictures)
    for stage in plan.run:
        check_begun(out / stage.name, stage, built.sha256)
    _check_averages(plan, out)
    try:
        training = _Training(config, dataset, built, out, device, threads, load_ultralytics(out / "settings"))
        if go_on_from is None:
            start, names = data / config.start, _up_to_last(config, plan)
            if not start.is_file():
                raise DataError(f"The starting weights {start} do not exist; set ORDNANCE_DATA or --data.")
            _check_order(config, plan, out)
        else:
            start, names = weights_to_train(go_on_from, dataset, built, out), [each.name for each in plan.run]
        return _train(training, plan, start, names, begun_from=str(go_on_from or config.start))
    except OSError as error:
        raise DataError(
            f"The training in {out} stopped: {error}; mend that (room on the disk, leave to write), then the same "
            "command goes on at the last finished epoch."
        ) from error


@dataclass(frozen=True, slots=True)
class _Training:
    config: TrainingConfig
    dataset: Path
    built: BuiltSet
    out: Path
    device: str
    threads: int | None
    ultralytics: Any


def _up_to_last(config: TrainingConfig, plan: StagePlan) -> list[str]:
    """The names of the stages up to the last one of the plan; those after it do not count for its weights."""
    names = [stage.name for stage in config.stages]
    return names[: names.index(plan.run[-1].name) + 1]


def _check_order(config: TrainingConfig, plan: StagePlan, out: Path) -> None:
    asked = [stage.name for stage in plan.run]
    for name in _up_to_last(config, plan):
        if name not in asked and name not in plan.left_out and not (out / name / DONE).exists():
            raise DataError(
                f"The stage '{asked[-1]}' goes on from '{name}', which {out} does not hold; "
                f"train that one too (--stages {','.join((name, *asked))})."
            )


def _check_averages(plan: StagePlan, out: Path) -> None:
    asked = [stage.name for stage in plan.run]
    for stage in plan.run:
        earlier = stage.averaged_with
        if earlier and earlier not in asked and not (out / earlier / DONE).exists():
            raise DataError(
                f"The stage '{stage.name}' is averaged with '{earlier}', which {out} does not hold; train that one, "
                "too, or take `averaged_with` out of the stage's settings."
            )


def _train(training: _Training, plan: StagePlan, start: Path, names: Sequence[str], *, begun_from: str) -> Path:
    config, out, sha256 = training.config, training.out, training.built.sha256

    def record() -> None:
        version = {"ultralytics": str(training.ultralytics.__version__)}
        write_record(out, config, plan, start=(begun_from, start), dataset_sha256=sha256, versions=version)

    record()
    weights = start
    asked = {stage.name: stage for stage in plan.run}
    for name in names:
        folder = out / name
        if name in asked and not (folder / DONE).exists():
            _train_stage(training, asked[name], weights)
            finish_stage(folder, sha256)
            drop_checkpoints(folder)
            record()
        if (folder / DONE).exists():
            weights = folder / "weights" / "last.pt"
    final = out / f"{config.name}.pt"
    shutil.copyfile(weights, final)
    record()
    return final


def _train_stage(training: _Training, stage: Stage, weights: Path) -> None:
    folder = training.out / stage.name
    checkpoint = newest_checkpoint(folder)
    if checkpoint is None:
        _begin(training, stage, weights)
    else:
        path, epochs = checkpoint
        if epochs is not None and epochs >= stage.epochs:
            shutil.copyfile(path, folder / "weights" / "last.pt")
        else:
            _network(training, path).train(resume=True, device=training.device, trainer=damaging_trainer(stage.damage))
    if stage.learned_share < 1:
        earlier = training.out / stage.averaged_with / "weights" / "last.pt" if stage.averaged_with else weights
        average_weights(earlier, folder / "weights" / "last.pt", stage.learned_share)


def _begin(training: _Training, stage: Stage, weights: Path) -> None:
    config, built, out = training.config, training.built, training.out
    hard = hard_negatives(
        stage,
        weights,
        config.classes,
        training.dataset,
        built,
        out,
        device="cpu" if training.device == "cpu" else f"cuda:{training.device}",
    )
    epoch = epoch_of(stage, built.pictures, hard)
    description = write_listing(stage, epoch, training.dataset, out, config.classes)
    begin_stage(out / stage.name, stage, built.sha256)
    _network(training, weights).train(
        data=str(description),
        epochs=stage.epochs,
        imgsz=stage.input_size,
        batch=config.batch,
        seed=config.seed,
        device=training.device,
        project=str(out),
        name=stage.name,
        exist_ok=True,
        amp=training.device != "cpu",
        plots=False,
        trainer=damaging_trainer(stage.damage),
        **stage.settings,
    )


def _network(training: _Training, weights: Path) -> Any:
    import torch

    threads = training.threads or os.cpu_count() or 1
    network = training.ultralytics.YOLO(weights)
    network.add_callback("on_train_start", lambda trainer: torch.set_num_threads(threads))
    network.add_callback("on_train_start", compute_in_bfloat16)
    network.add_callback("on_model_save", keep_checkpoint)
    return network
