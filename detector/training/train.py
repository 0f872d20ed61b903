"""Trains a model in stages with ultralytics; after a kill it goes on at the last finished epoch."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detector.errors import BackendUnavailable, DataError
from detector.models.offline import import_ultralytics
from detector.training.config import Stage, TrainingConfig
from detector.training.dataset import Picture, read_dataset


def load_ultralytics(settings_folder: Path) -> Any:
    """The ultralytics package, offline and with its settings file in `settings_folder`.

    Raises BackendUnavailable with the install command where the `train` extra is missing.
    """
    settings_folder.mkdir(parents=True, exist_ok=True)
    try:
        ultralytics = import_ultralytics(settings_folder)
    except ImportError as error:
        raise BackendUnavailable(
            "Training needs the extra 'train'; install it with: pip install 'ordnance[train]'."
        ) from error
    ultralytics.settings.update({"sync": False})
    return ultralytics


def train(
    config: TrainingConfig,
    data: Path,
    dataset: Path,
    out: Path,
    *,
    device: str = "cpu",
    threads: int | None = None,
) -> Path:
    """Run every stage of `config` that is not finished yet; returns the final weights, `out`/NAME.pt.

    `data` is the folder that holds the starting weights, `dataset` a set built by `build_dataset`. Each stage
    leaves `out`/STAGE with a checkpoint of every epoch and a file `done` when it is complete. `threads` is how
    many processors torch may use, all of them unless given; ultralytics would leave one idle.
    """
    ultralytics = load_ultralytics(out / "settings")
    pictures, dataset_sha256 = read_dataset(dataset)
    weights = data / config.start
    if not weights.is_file():
        raise DataError(f"The starting weights {weights} do not exist; set ORDNANCE_DATA or --data.")
    for stage in config.stages:
        folder = out / stage.name
        last = folder / "weights" / "last.pt"
        if not (folder / "done").exists():
            if last.exists():
                _network(ultralytics, last, threads).train(resume=True, device=device)
            else:
                description = _write_description(config, stage, pictures, dataset, out)
                _network(ultralytics, weights, threads).train(
                    data=str(description),
                    epochs=stage.epochs,
                    imgsz=stage.input_size,
                    batch=config.batch,
                    seed=config.seed,
                    device=device,
                    project=str(out),
                    name=stage.name,
                    exist_ok=True,
                    amp=device != "cpu",
                    plots=False,
                    **stage.settings,
                )
            (folder / "done").write_text(json.dumps({"dataset_sha256": dataset_sha256}) + "\n")
        weights = last
    final = out / f"{config.name}.pt"
    shutil.copyfile(weights, final)
    return final


def _network(ultralytics: Any, weights: Path, threads: int | None) -> Any:
    import torch

    network = ultralytics.YOLO(weights)
    network.add_callback("on_train_start", lambda trainer: torch.set_num_threads(threads or os.cpu_count() or 1))
    network.add_callback("on_train_start", _compute_in_bfloat16)
    return network


def _compute_in_bfloat16(trainer: Any) -> None:
    """On a processor that computes in bfloat16, let the network do so; the loss stays in float32.

    ultralytics mixes precisions on CUDA alone. Measured on two cores of an EPYC with AVX512-BF16, a batch of 16
    at 416 px: 0.9 s against 1.4 s in float32.
    """
    import torch

    if trainer.device.type != "cpu" or not torch.cpu.get_capabilities().get("avx512_bf16"):
        return
    predict = trainer.model.predict

    def predict_in_bfloat16(*inputs: Any, **options: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            outputs = predict(*inputs, **options)
        return _in_float32(outputs)

    trainer.model.predict = predict_in_bfloat16


def _in_float32(outputs: Any) -> Any:
    if isinstance(outputs, dict):
        return {key: _in_float32(value) for key, value in outputs.items()}
    if isinstance(outputs, (list, tuple)):
        return type(outputs)(_in_float32(value) for value in outputs)
    return outputs.float()


def repeat_factors(pictures: Sequence[Picture], threshold: float, limit: int) -> list[int]:
    """How often each picture stands in the list of an epoch, so that rare classes are seen more often.

    Repeat-factor sampling (LVIS, Gupta et al. 2019, section 4): class c on a share f(c) of the pictures has
    the factor max(1, sqrt(threshold / f(c))), a picture that of its rarest class. The frequency is counted
    within photographs and renders apart, because a class that is plentiful in renders can still be rare in
    photographs, which is where it has to work.
    """
    factors = [1] * len(pictures)
    for photographs in (True, False):
        group = [p for p in pictures if (p.set_name == "photos") is photographs]
        frequency = Counter(name for p in group for name in p.classes)
        for position, picture in enumerate(pictures):
            if (picture.set_name == "photos") is photographs and picture.classes:
                rarest = min(frequency[name] for name in picture.classes) / len(group)
                factors[position] = min(limit, max(1, round(math.sqrt(threshold / rarest))))
    return factors


def _is_kept(picture: Picture, stage: Stage) -> bool:
    """Whether a picture is in the stage's share of empty ones; the same ones every time, chosen by their hash."""
    is_empty = picture.set_name == "photos" and not set(picture.classes) - set(stage.common)
    return not is_empty or int(picture.sha256[:8], 16) / 2**32 < stage.keep_empty


def _write_description(
    config: TrainingConfig, stage: Stage, pictures: Sequence[Picture], dataset: Path, out: Path
) -> Path:
    learn = [p for p in pictures if p.split == "train" and p.set_name in stage.sets and _is_kept(p, stage)]
    if not learn:
        raise DataError(f"The data set {dataset} has no training picture of {', '.join(stage.sets)}.")
    missing = set(stage.sets) - {p.set_name for p in learn}
    if missing:
        raise DataError(f"Stage '{stage.name}' learns from {', '.join(sorted(missing))}, which {dataset} lacks.")
    factors = repeat_factors(learn, stage.balance, stage.repeat_limit)
    root = dataset.resolve()
    lines = [f"{root / 'train' / 'images' / p.file}\n" for p, n in zip(learn, factors, strict=True) for _ in range(n)]
    out.mkdir(parents=True, exist_ok=True)
    listing = out.resolve() / f"{stage.name}.txt"
    listing.write_text("".join(lines), encoding="utf-8")
    description = out / f"{stage.name}.yaml"
    description.write_text(
        json.dumps(
            {
                "path": str(root),
                "train": str(listing),
                "val": "val/images",
                "test": "test/images",
                "names": dict(enumerate(config.classes)),
            },
            indent=1,
        ),
        encoding="utf-8",
    )
    return description
