"""FP16 and INT8 forms of the shipped weights find what the FP32 file finds."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.errors import BackendUnavailable
from detector.models import WEIGHTS_FOLDER, Manifest, load_model, read_manifest, write_manifest
from detector.training.optimise import optimise

pytest.importorskip("onnx")
if importlib.util.find_spec("nncf") is None:
    pytest.skip("nncf is not installed (extra train)", allow_module_level=True)

PIXELS, SHARE, SCORE = 1.0, 0.01, 0.02
"""A box may be off by so many pixels, or by this share of its longer side."""
STRONG = 0.3


@pytest.fixture(scope="module")
def photographs(ordnance_data: Path) -> list[Path]:
    folder = ordnance_data / "photos" / "val" / "images"
    return sorted(folder.glob("obulka26*.jpg"))[:12]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, photographs: list[Path]) -> Path:
    made_in = tmp_path_factory.mktemp("weights")
    entry = read_manifest(WEIGHTS_FOLDER / "manifest.json").entry("default")
    assert entry is not None
    shutil.copyfile(WEIGHTS_FOLDER / entry.file, made_in / entry.file)
    entry = entry.model_copy(update={"precision": "fp32", "made_from": None})
    small = [optimise(entry, made_in, precision, photographs) for precision in ("fp16", "int8")]
    write_manifest(Manifest(default=entry.name, models=(entry, *small)), made_in / "manifest.json")
    return made_in


def read(paths: list[Path]) -> list[np.ndarray]:
    return [np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1]) for path in paths]


@pytest.mark.needs_data
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_fp16_finds_the_same_boxes(backend: str, folder: Path, photographs: list[Path]) -> None:
    models = {entry.precision: folder / entry.file for entry in read_manifest(folder / "manifest.json").models}
    exact, half = (
        load_model(str(models[precision]), backend=backend, device="cpu", threads=1).detect(read(photographs))
        for precision in ("fp32", "fp16")
    )
    compared = 0
    for before, after in zip(exact, half, strict=True):
        for box, score, class_id in zip(before.xyxy, before.scores, before.class_ids, strict=True):
            if score < STRONG:
                continue
            off = np.where(after.class_ids == class_id, np.abs(after.xyxy - box).max(axis=1), np.inf)
            nearest = int(off.argmin())
            assert off[nearest] <= max(PIXELS, SHARE * (box[2:] - box[:2]).max())
            assert abs(float(after.scores[nearest]) - float(score)) <= SCORE
            compared += 1
    assert compared > 5


@pytest.mark.needs_data
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_int8_is_smaller_and_finds_most_of_the_strong_boxes(
    backend: str, folder: Path, photographs: list[Path]
) -> None:
    models = {entry.precision: folder / entry.file for entry in read_manifest(folder / "manifest.json").models}
    assert models["int8"].stat().st_size < 0.4 * models["fp32"].stat().st_size
    exact, small = (
        load_model(str(models[precision]), backend=backend, device="cpu", threads=1).detect(read(photographs))
        for precision in ("fp32", "int8")
    )
    strong = found = 0
    for before, after in zip(exact, small, strict=True):
        for box, class_id in zip(before.xyxy[before.scores > 0.5], before.class_ids[before.scores > 0.5], strict=True):
            strong += 1
            sides = np.maximum(box[2:] - box[:2], 1).max()
            off = np.abs(after.xyxy[after.class_ids == class_id] - box)
            found += bool(len(off)) and bool((off.max(axis=1) < 0.1 * sides).any())
    assert strong > 3
    assert found >= 0.8 * strong


@pytest.mark.needs_data
@pytest.mark.needs_torch
def test_the_torch_backend_says_which_file_to_use(folder: Path) -> None:
    with pytest.raises(BackendUnavailable, match="use the model 'ordnance-n'"):
        load_model(str(folder / "ordnance-n-fp16.onnx"), backend="torch", device="cpu")
