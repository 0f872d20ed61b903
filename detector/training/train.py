"""Trains a model in stages with ultralytics; after a kill it goes on at the last finished epoch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.errors import BadOption, DataError
from detector.models.backend import resolve_device
from detector.training.average import average_weights, number_of_classes
from detector.training.bfloat16 import compute_in_bfloat16
from detector.training.built_set import BuiltSet, check_files, read_built
from detector.training.checkpoints import drop_checkpoints, keep_checkpoint, newest_checkpoint
from detector.training.config import Stage, TrainingConfig
from detector.training.damaged_reading import damaging_trainer
from detector.training.hard_negatives import hard_negatives
from detector.training.listing import epoch_of, listed_epoch, write_listing
from detector.training.load_ultralytics import load_ultralytics
from detector.training.photographs import file_sha256
from detector.training.stages import StagePlan, plan_stages
from detector.training.training_record import (
    DONE,
    begin_stage,
    check_begun,
    check_training,
    finish_stage,
    start_of,
    write_record,
)
from detector.training.warm_start import weights_to_train

OF_TORCHS_WRITER = ("unexpected pos", "PytorchStreamWriter")
"""What torch.save says, in a RuntimeError, of a full disk (torch 2, caffe2/serialize/inline_container.cc)."""


def train(
    config: TrainingConfig,
    data: Path | None,
    dataset: Path,
    out: Path,
    *,
    plan: StagePlan | None = None,
    go_on_from: str | Path | None = None,
    device: str = "cpu",
    threads: int | None = None,
    resume: bool = False,
) -> Path:
    """Run every stage of `plan` (by default of `config`) that is not finished yet; returns the weights, `out`/NAME.pt.

    `data` is the folder that holds the starting weights, `dataset` a set built by `build_dataset`. A stage starts from
    the weights that the stage before it left, stages that the plan leaves out being passed over. With `go_on_from`,
    a model by name, an .onnx file beside its manifest or a .pt of a training, the first stage of the plan starts from
    that one instead, and neither `data` nor the stages before it are needed. Each leaves `out`/STAGE with a checkpoint
    of every epoch and a file `done` when it is complete; `out`/training.json says what was done. `threads` is how many
    processors torch may use, all of them unless given; ultralytics would leave one idle. With `resume` a stage of which
    no epoch was finished has to begin as it did, too.

    Raises DataError for settings of other classes than the set's, weights, pictures or parts of the set that are
    missing, a stage whose predecessor is not trained or that was begun otherwise, arguments that the trainer does not
    take, and when the disk is full; BadOption or BackendUnavailable for a device that is not there.
    """
    out = out.resolve()
    _check_device(device)
    built = read_built(dataset)
    _check_classes(config, built, dataset)
    plan = plan or plan_stages(config, built.pictures)
    names = _up_to_last(config, plan) if go_on_from is None else [each.name for each in plan.run]
    begun_from = str(go_on_from or config.start)
    starts = _starts(names, plan, out, begun_from)
    for stage in plan.run:
        check_begun(out / stage.name, stage, config, starts[stage.name], built.sha256, resume=resume)
    for name in names:
        check_training(out / name, config)
    _check_averages(plan, out)
    try:
        ultralytics = load_ultralytics(out / "settings")
        _check_settings(plan)
        if go_on_from is None:
            start = (data or Path()) / config.start
            if not start.is_file():
                raise DataError(f"The starting weights {start} do not exist; set ORDNANCE_DATA or --data.")
            _check_order(config, plan, out)
        else:
            start = weights_to_train(go_on_from, dataset, built, out)
        _check_shares(plan, {name for name in starts if starts[name] == begun_from}, start, config, out)
        training = _Training(config, dataset, built, out, device, threads, ultralytics, starts)
        return _train(training, plan, start, names, begun_from=begun_from)
    except (OSError, RuntimeError) as error:
        is_torchs = isinstance(error, RuntimeError)
        if is_torchs and not any(words in str(error) for words in OF_TORCHS_WRITER):
            raise
        raise DataError(
            f"The training in {out} stopped: {'weights cannot be written' if is_torchs else error}; mend that (room on "
            "the disk, leave to write), then the same command goes on at the last finished epoch."
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
    starts: Mapping[str, str]


def _check_device(device: str) -> None:
    if device == "cpu":
        return
    if not device.isdecimal():
        raise BadOption(f"'{device}' is no device to train on; use cpu, or the number of a CUDA device.")
    resolve_device(f"cuda:{device}")


def _check_classes(config: TrainingConfig, built: BuiltSet, dataset: Path) -> None:
    if config.classes != built.classes:
        raise DataError(
            f"{dataset} was built for the classes {', '.join(built.classes)}, but the settings name "
            f"{', '.join(config.classes)}; build it again with these settings."
        )


def _check_settings(plan: StagePlan) -> None:
    from ultralytics.cfg import get_cfg
    from ultralytics.utils import DEFAULT_CFG_DICT, remove_colorstr

    for stage in plan.run:
        where = f"The stage '{stage.name}' gives the trainer"
        if unknown := sorted(set(stage.settings) - {"augmentations", *DEFAULT_CFG_DICT}):
            raise DataError(f"{where} '{unknown[0]}', which it does not know; correct it in the stage's settings.")
        try:
            get_cfg(overrides=dict(stage.settings))
        except (TypeError, ValueError) as error:
            said = remove_colorstr(str(error)).split(". ")[0].rstrip(".")
            raise DataError(f"{where} a value that it cannot use: {said}.") from error


def _starts(names: Sequence[str], plan: StagePlan, out: Path, begun_from: str) -> dict[str, str]:
    """What each stage of the plan begins with: `begun_from`, or the stage before it that is trained or will be."""
    asked = {stage.name for stage in plan.run}
    starts, latest = {}, begun_from
    for name in names:
        if name in asked:
            starts[name] = latest
        if name in asked or (out / name / DONE).exists():
            latest = name
    return starts


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


def _check_shares(
    plan: StagePlan, begin_with_it: Collection[str], start: Path, config: TrainingConfig, out: Path
) -> None:
    """Before hours of training: of weights for other classes no share can be kept."""
    for stage in plan.run:
        is_kept = stage.learned_share < 1 and stage.name in begin_with_it and not stage.averaged_with
        if is_kept and not (out / stage.name / DONE).exists() and number_of_classes(start) != len(config.classes):
            raise DataError(
                f"The stage '{stage.name}' is to keep part of {start}, which knows {number_of_classes(start)} classes "
                f"instead of {len(config.classes)}; take `learned_share` out of the stage's settings."
            )


def _train(training: _Training, plan: StagePlan, start: Path, names: Sequence[str], *, begun_from: str) -> Path:
    config, out, sha256 = training.config, training.out, training.built.sha256
    begun = start_of(out / names[0]) or {"file": begun_from, "sha256": file_sha256(start)}

    def record() -> None:
        version = {"ultralytics": str(training.ultralytics.__version__)}
        write_record(out, config, plan, start=begun, dataset_sha256=sha256, versions=version)

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
    for picture in training.built.pictures:
        if picture.split == "train" and picture.set_name in stage.sets:
            check_files(training.dataset, picture)
    checkpoint = newest_checkpoint(folder)
    if checkpoint is None:
        _begin(training, stage, weights)
    else:
        path, epochs = checkpoint
        if epochs >= stage.epochs:
            shutil.copyfile(path, folder / "weights" / "last.pt")
        else:
            _go_on(training, stage, path)
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
    begin_stage(out / stage.name, stage, config, (training.starts[stage.name], weights), built.sha256)
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


def _go_on(training: _Training, stage: Stage, checkpoint: Path) -> None:
    """The checkpoint names the folders as they were; training and set may have been moved since."""
    out = training.out
    epoch = listed_epoch(out / f"{stage.name}.txt")
    description = write_listing(stage, epoch, training.dataset, out, training.config.classes)
    _network(training, checkpoint).train(
        resume=True,
        data=str(description),
        save_dir=str(out / stage.name),
        device=training.device,
        trainer=damaging_trainer(stage.damage),
    )


def _network(training: _Training, weights: Path) -> Any:
    import torch

    threads = training.threads or os.cpu_count() or 1
    network = training.ultralytics.YOLO(weights)
    network.add_callback("on_train_start", lambda trainer: torch.set_num_threads(threads))
    network.add_callback("on_train_start", compute_in_bfloat16)
    network.add_callback("on_model_save", keep_checkpoint)
    return network
