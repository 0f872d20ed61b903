"""Smaller and faster forms of an exported ONNX file: FP16, and INT8 by static quantisation (ONNX Runtime)."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from detector.errors import BackendUnavailable, DataError
from detector.models.letterbox import letterbox
from detector.models.manifest import ManifestEntry, read_weights

Precision = Literal["fp16", "int8"]

CALIBRATION_PICTURES = 128
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
    """Write `source` with 8-bit convolutions, their ranges taken from `pictures`; what decodes the boxes stays float32.

    Weights per channel and signed, activations unsigned, ranges by minimum and maximum; QDQ form.
    """
    _need_onnx()
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quant_pre_process, quantize_static

    if not pictures:
        raise DataError("There are no photographs of the train split to quantise with; point ORDNANCE_DATA at them.")
    with tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        model = onnx.load(str(prepared))
        last = _last_convolutions(model)
        quantize_static(
            str(prepared),
            str(out),
            _Pictures(model.graph.input[0].name, input_size, pictures),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=sorted(last),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )


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


class _Pictures:
    """Feeds the quantiser one letterboxed picture at a time."""

    def __init__(self, name: str, input_size: int, paths: Sequence[Path]) -> None:
        self._name, self._input_size = name, input_size
        self._left = list(paths)

    def get_next(self) -> dict[str, Any] | None:
        import cv2

        if not self._left:
            return None
        path = self._left.pop(0)
        picture = cv2.imread(str(path))
        if picture is None:
            raise DataError(f"The picture {path} is missing or damaged.")
        batch, _ = letterbox([np.asarray(picture[:, :, ::-1], dtype=np.uint8)], self._input_size)
        return {self._name: batch.transpose(0, 3, 1, 2).astype(np.float32) / 255}


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
