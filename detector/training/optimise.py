"""Smaller and faster forms of an exported ONNX file: FP16, and INT8 by static quantisation (NNCF)."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from detector.errors import BackendUnavailable, DataError
from detector.models.letterbox import letterbox
from detector.models.manifest import ManifestEntry, read_weights
from detector.models.offline import import_nncf
from detector.training.predictions import read_rgb

Precision = Literal["fp16", "int8"]

CALIBRATION_PICTURES = 300
"""Photographs of the train split that show the quantiser which values each tensor takes."""

MOST_AP50_LOST = 0.01
"""An INT8 file ships only if it loses less mean AP50 than this on the val split."""


def make_fp16(source: Path, out: Path) -> None:
    """Write `source` with half-precision weights and arithmetic; input and output stay float32."""
    _need_onnx()
    import onnx
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    model = onnx.load(str(source))
    # The decoded boxes are pixels up to the input size; half precision would round those of the far edge to 0.25 px.
    kept_exact = sorted(_after_last_convolutions(model))
    onnx.save(
        convert_float_to_float16(
            model, keep_io_types=True, op_block_list=list(DEFAULT_OP_BLOCK_LIST), node_block_list=kept_exact
        ),
        str(out),
    )


def make_int8(source: Path, out: Path, *, input_size: int, pictures: Sequence[Path]) -> None:
    """Write `source` with 8-bit arithmetic, its ranges taken from `pictures` by NNCF; what decodes boxes stays float32.

    Weights are symmetric, per output channel; activations asymmetric, per tensor; in QDQ form, every activation
    unsigned. Weights of the first layer take seven bits, so that processors without VNNI, which add two products in 16
    bits, do not overflow: with eight bits there the mean AP50 on val is 0.413 instead of 0.451 on them.
    """
    _need_onnx()
    import onnx

    if not pictures:
        raise DataError("There are no photographs of the train split to quantise with; point ORDNANCE_DATA at them.")
    try:
        nncf = import_nncf()
    except ImportError as error:
        raise BackendUnavailable(
            "Making INT8 files needs nncf; install with: pip install 'ordnance[train]'."
        ) from error
    model = onnx.load(str(source))
    name = model.graph.input[0].name
    decoding = sorted(_after_last_convolutions(model))
    with redirect_stdout(sys.stderr):
        small = nncf.quantize(
            model,
            nncf.Dataset(pictures, lambda path: {name: _network_input(path, input_size)}),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(pictures),
            ignored_scope=nncf.IgnoredScope(names=decoding),
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.FIRST_LAYER),
        )
    _make_activations_unsigned(small)
    onnx.checker.check_model(small)
    onnx.save(small, str(out))


def optimise(entry: ManifestEntry, folder: Path, precision: Precision, pictures: Sequence[Path]) -> ManifestEntry:
    """Write the file of `entry` in another precision beside it; returns its entry, without metrics."""
    import hashlib

    source = folder / entry.file
    read_weights(entry, source)
    name = f"{entry.name}-{precision}"
    out = folder / f"{name}.onnx"
    if precision == "fp16":
        make_fp16(source, out)
    else:
        make_int8(source, out, input_size=entry.input_size, pictures=pictures)
    content = out.read_bytes()
    return entry.model_copy(
        update={
            "name": name,
            "file": out.name,
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "precision": precision,
            "made_from": entry.name,
            "metrics": {},
        }
    )


def _network_input(path: Path, input_size: int) -> NDArray[np.float32]:
    """The picture as the network takes it, float32 (1, 3, input_size, input_size)."""
    batch, _ = letterbox([read_rgb(path)], input_size)
    return batch.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)


def _make_activations_unsigned(model: Any) -> None:
    """Shift the activations' signed zero points, and with them the stored integers, from -128..127 to 0..255.

    OpenVINO (2026.4) gives other values after a Concat of signed activations than ONNX Runtime does; of unsigned ones
    both give the same.
    """
    from onnx import numpy_helper

    stored = {each.name: each for each in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "QuantizeLinear" or node.input[0] in stored:
            continue
        zero_point = stored[node.input[2]]
        values = numpy_helper.to_array(zero_point)
        if values.dtype == np.int8:
            unsigned = (values.astype(np.int16) + 128).astype(np.uint8)
            zero_point.CopyFrom(numpy_helper.from_array(unsigned, zero_point.name))
    del model.graph.value_info[:]  # it names the signed type


def _last_convolutions(model: Any) -> set[str]:
    """Names of the convolutions from which no path leads to another one: they give the raw boxes and scores."""
    users: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    reaches: dict[str, bool] = {}
    for node in reversed(model.graph.node):
        reaches[node.name] = any(
            user.op_type == "Conv" or reaches.get(user.name, False)
            for out in node.output
            for user in users.get(out, [])
        )
    return {node.name for node in model.graph.node if node.op_type == "Conv" and not reaches[node.name]}


def _after_last_convolutions(model: Any) -> set[str]:
    """Names of the nodes that work on the last convolutions' output alone, down to the graph's own."""
    last = _last_convolutions(model)
    made: set[str] = {out for node in model.graph.node if node.name in last for out in node.output}
    after = set()
    for node in model.graph.node:
        if any(name in made for name in node.input):
            after.add(node.name)
            made.update(node.output)
    return after


def _need_onnx() -> None:
    if importlib.util.find_spec("onnx") is None:
        raise BackendUnavailable("Making FP16 and INT8 files needs onnx; install with: pip install 'ordnance[train]'.")
