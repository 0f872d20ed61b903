"""`ordnance compare`: several weights side by side."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.cli.app import run
from detector.errors import BadOption
from detector.models import WEIGHTS_FOLDER, Manifest, ManifestEntry, read_manifest, write_manifest
from detector.training import model_card
from detector.training.compare import weights_by_label

from .conftest import DataFolder

SHIPPED = WEIGHTS_FOLDER / read_manifest(WEIGHTS_FOLDER / "manifest.json").models[0].file


@pytest.fixture
def renders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("ORDNANCE_DATA", raising=False)
    folder = tmp_path / "renders"
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    noise = np.random.default_rng(3).integers(0, 256, (180, 320, 3), np.uint8)
    cv2.imwrite(str(folder / "images" / "0.jpg"), noise)
    (folder / "labels" / "0.txt").write_text("tank 0.5 0.5 0.4 0.4\n")
    return folder


def knows_tanks_only(folder: Path) -> Path:
    """A network that says one tank, the same on every picture, and the manifest beside it."""
    onnx = pytest.importorskip("onnx", reason="building a network needs the package onnx (extra train)")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    said = np.array([120, 120, 64, 64, 0.9], np.float32).reshape(1, 5, 1)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Unsqueeze", ["mean", "last"], ["deep"]),
            helper.make_node("Mul", ["deep", "none"], ["nought"]),
            helper.make_node("Add", ["nought", "said"], ["output0"]),
        ],
        "tank",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        [helper.make_tensor_value_info("output0", onnx.TensorProto.FLOAT, ["batch", 5, 1])],
        [
            numpy_helper.from_array(np.array([1, 2], np.int64), "last"),
            numpy_helper.from_array(np.zeros(1, np.float32), "none"),
            numpy_helper.from_array(said, "said"),
        ],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content = network.SerializeToString()
    (folder / "tank.onnx").write_bytes(content)
    entry = ManifestEntry(
        name="tank",
        file="tank.onnx",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        input_size=256,
        classes=("tank",),
        thresholds={"tank": 0.5},
        licence="CC0",
        head="one-to-many",
    )
    write_manifest(Manifest(default="tank", models=(entry,)), folder / "manifest.json")
    return folder / "tank.onnx"


def test_a_column_for_each_and_a_row_for_each_class_with_boxes(
    renders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures" / "compared.json"
    assert run(["compare", f"before={SHIPPED}", "default", "--renders", str(renders), "--out", str(out)]) == 0
    table = capsys.readouterr().out
    size = read_manifest(WEIGHTS_FOLDER / "manifest.json").models[0].input_size
    assert f"| AP50 | boxes | before ({size} px) | default ({size} px) |" in table
    assert "| tank | 1 | 0.000 | 0.000 |" in table
    assert "humvee" not in table
    assert [row["label"] for row in json.loads(out.read_text())["render"]] == ["before", "default"]


def test_the_card_has_a_section_for_it(renders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = tmp_path / "MODEL_CARD.md"
    card.write_text(f"by hand\n{model_card.COMPARISON_BEGIN}\nearlier\n{model_card.COMPARISON_END}\nmore\n")
    assert run(["compare", "default", "--renders", str(renders), "--record", str(card)]) == 0
    text = card.read_text()
    assert text.startswith("by hand\n")
    assert text.endswith("more\n")
    assert "earlier" not in text
    assert "| tank | 1 | 0.000 |" in text


def test_weights_are_called_after_their_stage() -> None:
    assert weights_by_label(["runs/first-320/weights/last.pt", "now=x.onnx"]) == {
        "first-320": Path("runs/first-320/weights/last.pt"),
        "now": Path("x.onnx"),
    }
    with pytest.raises(BadOption, match="Two weights files are called 'x'"):
        weights_by_label(["a/x.onnx", "b/x.onnx"])


@pytest.mark.parametrize("before", [[], ["default"]])
def test_missing_weights_are_named_before_anything_is_measured(
    before: list[str], renders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (renders / "images" / "0.jpg").write_bytes(b"no picture")
    assert run(["compare", *before, "no/such.pt", "--renders", str(renders)]) == 1
    assert "no/such.pt" in capsys.readouterr().err


def test_pictures_need_boxes_of_what_the_weights_know_only(
    folder: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.add("test", "a.jpg", "tank 0.5 0.5 0.4 0.4\n", complete_for="humvee, tank")
    weights = str(knows_tanks_only(tmp_path))
    assert run(["compare", weights, "--data", str(folder.root)]) == 0
    assert "| tank | 1 |" in capsys.readouterr().out
    assert run(["compare", weights, "default", "--data", str(folder.root)]) == 1
    assert "default knows other classes than the weights before it" in capsys.readouterr().err


def test_a_size_for_the_weights_that_have_one_is_left_alone(renders: Path) -> None:
    assert run(["compare", "default", "--input-size", "320", "--renders", str(renders)]) == 0
