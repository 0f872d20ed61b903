"""A network small enough to write by hand, so that these tests need no trained weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.models import Manifest, ManifestEntry, write_manifest

SIZE = 320
"""Side of the tiny network's input, px."""

TINY_ROWS = np.array(
    [
        # x1, y1, x2, y2, score on a white square, class
        [80, 80, 240, 240, 0.9, 0],
        [0, 0, 320, 20, 0.6, 0],  # lies in the padding of a wide picture
        [100, 100, 200, 200, 0.5, 1],
        [10, 10, 20, 20, 0.04, 1],  # below the floor
    ],
    np.float32,
)
"""What the tiny network says: these boxes, with scores in proportion to the square's mean brightness."""


def describe(folder: Path, content: bytes, **changes: Any) -> ManifestEntry:
    """Put `content` into `folder`/tiny.onnx and the manifest beside it."""
    (folder / "tiny.onnx").write_bytes(content)
    fields: dict[str, Any] = {
        "name": "tiny",
        "file": "tiny.onnx",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "input_size": SIZE,
        "classes": ("tank", "humvee"),
        "thresholds": {"tank": 0.4, "humvee": 0.5},
        "licence": "AGPL-3.0-or-later",
    }
    entry = ManifestEntry(**{**fields, **changes})
    write_manifest(Manifest(default="tiny", models=(entry,)), folder / "manifest.json")
    return entry


def build_tiny_onnx(columns: int = 6) -> bytes:
    """The network of TINY_ROWS as an ONNX file; any other number of columns makes it one without that head."""
    onnx = pytest.importorskip("onnx", reason="building the tiny network needs the package onnx (extra train)")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    fixed, scored = TINY_ROWS.copy(), np.zeros_like(TINY_ROWS)
    fixed[:, 4], scored[:, 4] = 0, TINY_ROWS[:, 4]
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["images"], ["mean4"], axes=[1, 2, 3], keepdims=1),
            helper.make_node("Squeeze", ["mean4", "axis"], ["mean"]),
            helper.make_node("Mul", ["mean", "scored"], ["scaled"]),
            helper.make_node("Add", ["scaled", "fixed"], ["output0"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        [helper.make_tensor_value_info("output0", onnx.TensorProto.FLOAT, ["batch", len(fixed), columns])],
        [
            numpy_helper.from_array(np.array([3], np.int64), "axis"),
            numpy_helper.from_array(np.resize(scored, (1, len(fixed), columns)), "scored"),
            numpy_helper.from_array(np.resize(fixed, (1, len(fixed), columns)), "fixed"),
        ],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(network.SerializeToString())


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ordnance"


@pytest.fixture
def make_tiny(tmp_path: Path) -> Callable[..., Path]:
    """Writes the tiny network and its manifest, whose fields may be given; returns the path of the .onnx file."""

    def make(content: bytes | None = None, **changes: Any) -> Path:
        describe(tmp_path, build_tiny_onnx() if content is None else content, **changes)
        return tmp_path / "tiny.onnx"

    return make
