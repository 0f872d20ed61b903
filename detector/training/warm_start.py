"""Weights to train on from, out of an ONNX file that ships: so that what it has learned is the start of a training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detector.errors import DataError
from detector.models.letterbox import letterbox
from detector.models.manifest import Head, ManifestEntry, find_weights, read_weights
from detector.models.ultralytics_torch import SCORES, empty_network, folded_network
from detector.training.built_set import BuiltSet
from detector.training.onnx_file import check_is_there, described
from detector.training.predictions import BATCH, read_rgb

SEEN_PICTURES = 256
"""Pictures that show which values each convolution gives."""


def weights_to_train(name_or_path: str | Path, dataset: Path, built: BuiltSet, out: Path) -> Path:
    """A checkpoint that trains: the .pt file given, or `out`/go-on-from.pt made of a model that is named or in a file.

    `built` is the set in `dataset`. Raises DataError for a .pt that does not exist or knows classes that are none
    of ours, a model that is not in FP32 or a set without training pictures, and what `find_weights` raises.
    """
    weights = Path(name_or_path)
    if weights.suffix == ".pt":
        check_is_there(weights)
        described(weights, out)
        return weights
    entry, path = find_weights(name_or_path)
    if entry.precision != "fp32":
        raise DataError(
            f"{entry.name} is {entry.precision}, which has lost what a training needs; go on from {entry.made_from}."
        )
    pictures = [dataset / "train" / "images" / each.file for each in built.pictures if each.split == "train"]
    return trainable_weights(entry, read_weights(entry, path), pictures, out / "go-on-from.pt")


def trainable_weights(entry: ManifestEntry, content: bytes, pictures: Sequence[Path], out: Path) -> Path:
    """Write the weights of an ONNX file, its bytes `content`, to `out` as a checkpoint of ultralytics that trains.

    An exported file has its BatchNorm folded into the convolutions and one of the two heads. Each convolution gets
    a BatchNorm again that has the mean and the variance of what it gives on `pictures`, and takes them back: the
    network computes what the file computes, and its BatchNorm normalises. The head that is not in the file becomes a
    copy of the other. Returns `out`. Raises DataError without pictures, ModelError where the file is not `entry`'s.
    """
    import torch

    if not pictures:
        raise DataError(f"The data set has no training picture to go on from {entry.name} with; build it again.")
    folded = folded_network(content, entry).eval()
    scores = getattr(folded.model[-1], SCORES[entry.head])
    network = empty_network(entry, scores[0][-1].in_channels)
    network.nc = network.yaml["nc"] = len(entry.classes)
    network.names = dict(enumerate(entry.classes))
    with torch.no_grad():
        moments = _moments(folded, _batches(pictures, entry.input_size))
        _unfold(network, folded, moments, entry.head)
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"epoch": -1, "ema": None, "model": network.half(), "optimizer": None, "train_args": {}}, out)
    return out


def _moments(folded: Any, batches: Iterator[Any]) -> dict[str, tuple[Any, Any]]:
    """Mean and variance of what each convolution gives, by its name, float32 (channels,)."""
    import torch

    sums: dict[str, list[Any]] = {}

    def watch(name: str) -> Any:
        def keep(_module: Any, _inputs: Any, output: Any) -> None:
            values = output.double()
            seen = [values.sum((0, 2, 3)), values.square().sum((0, 2, 3)), values[:, 0].numel()]
            before = sums.get(name)
            sums[name] = seen if before is None else [one + other for one, other in zip(before, seen, strict=True)]

        return keep

    watched = [
        module.register_forward_hook(watch(name))
        for name, module in folded.named_modules()
        if isinstance(module, torch.nn.Conv2d)
    ]
    for batch in batches:
        folded(batch)
    for hook in watched:
        hook.remove()
    moments = {}
    for name, (total, squares, count) in sums.items():
        mean = total / count
        moments[name] = (mean.float(), (squares / count - mean.square()).clamp(min=0).float())
    return moments


def _batches(pictures: Sequence[Path], size: int) -> Iterator[Any]:
    import torch

    step = max(1, len(pictures) // SEEN_PICTURES)
    seen = pictures[::step][:SEEN_PICTURES]
    for start in range(0, len(seen), BATCH):
        squares, _ = letterbox([read_rgb(path) for path in seen[start : start + BATCH]], size)
        yield torch.from_numpy(squares.transpose(0, 3, 1, 2).astype(np.float32) / 255)


def _unfold(network: Any, folded: Any, moments: dict[str, tuple[Any, Any]], head: Head) -> None:
    """Copy the folded network into `network`, with a BatchNorm after each convolution that has one there."""
    convolutions: dict[str, Any] = dict(folded.named_modules())
    last = f"model.{len(network.model) - 1}"
    for name, module in network.named_modules():
        shared = name.replace(".one2one_", ".")
        in_file = shared.replace(f"{last}.cv", f"{last}.one2one_cv") if head == "one-to-one" else shared
        source: Any = convolutions.get(in_file)
        if hasattr(module, "bn"):
            mean, variance = moments[f"{in_file}.conv"]
            module.conv.weight.copy_(source.conv.weight)
            module.bn.running_mean.copy_(mean - source.conv.bias)
            module.bn.running_var.copy_(variance)
            module.bn.weight.copy_((variance + module.bn.eps).sqrt())
            module.bn.bias.copy_(mean)
        elif hasattr(module, "weight") and not name.endswith((".conv", ".bn")):
            module.weight.copy_(source.weight)
            module.bias.copy_(source.bias)
