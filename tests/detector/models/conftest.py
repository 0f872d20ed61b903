"""A network small enough to write by hand, so that these tests need no trained weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.models import Head, Manifest, ManifestEntry, write_manifest

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


def raw_rows() -> np.ndarray:
    """TINY_ROWS as the one-to-many head says it, (4 + classes, anchors): each box thrice, twice 2 px beside it."""
    anchors = []
    for shift, share in ((0, 1.0), (2, 0.9), (-2, 0.9)):
        for x1, y1, x2, y2, score, class_id in TINY_ROWS.tolist():
            scores = [share * score if position == class_id else 0.0 for position in range(2)]
            anchors.append([(x1 + x2) / 2 + shift, (y1 + y2) / 2, x2 - x1, y2 - y1, *scores])
    return np.array(anchors, np.float32).T


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


def build_tiny_onnx(
    head: Head = "one-to-one", sides: tuple[int | str, ...] = ("batch", 3, "height", "width"), kind: str = "FLOAT"
) -> bytes:
    """The network of TINY_ROWS as an ONNX file. With either head a model says the same of a picture."""
    onnx = pytest.importorskip("onnx", reason="building the tiny network needs the package onnx (extra train)")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    said = TINY_ROWS if head == "one-to-one" else raw_rows()
    scores = np.s_[:, 4] if head == "one-to-one" else np.s_[4:]
    fixed, scored = said.copy(), np.zeros_like(said)
    fixed[scores], scored[scores] = 0, said[scores]
    last = 6 if head == "one-to-one" else "anchors"
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["images"], ["images32"], to=onnx.TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["images32"], ["mean4"], axes=[1, 2, 3], keepdims=1),
            helper.make_node("Squeeze", ["mean4", "axis"], ["mean"]),
            helper.make_node("Mul", ["mean", "scored"], ["scaled"]),
            helper.make_node("Add", ["scaled", "fixed"], ["output0"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("images", getattr(onnx.TensorProto, kind), sides)],
        [helper.make_tensor_value_info("output0", onnx.TensorProto.FLOAT, ["batch", len(said), last])],
        [
            numpy_helper.from_array(np.array([3], np.int64), "axis"),
            numpy_helper.from_array(scored[None], "scored"),
            numpy_helper.from_array(fixed[None], "fixed"),
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
        describe(
            tmp_path, build_tiny_onnx(changes.get("head", "one-to-one")) if content is None else content, **changes
        )
        return tmp_path / "tiny.onnx"

    return make
