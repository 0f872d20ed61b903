"""FP16 and INT8 forms of the shipped weights find what the FP32 file finds."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest

from detector.errors import BackendUnavailable
from detector.models import WEIGHTS_FOLDER, Manifest, load_model, read_manifest, write_manifest
from detector.training.optimise import optimise

pytest.importorskip("onnx")

PIXELS, SHARE, SCORE = 1.0, 0.01, 0.02
"""A box may be off by so many pixels, or by this share of its longer side."""
STRONG = 0.3


@pytest.fixture(scope="module")
def photographs(ordnance_data: Path) -> list[Path]:
    folder = ordnance_data / "photos" / "val" / "images"
    return sorted(folder.glob("obulka26*.jpg"))[:12]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made_in = tmp_path_factory.mktemp("weights")
    shipped = read_manifest(WEIGHTS_FOLDER / "manifest.json")
    entry = shipped.entry("default")
    assert entry is not None
    models = tuple(each for each in shipped.models if each.precision == "fp32")
    for each in models:
        shutil.copyfile(WEIGHTS_FOLDER / each.file, made_in / each.file)
    write_manifest(Manifest(default=entry.name, models=models), made_in / "manifest.json")
    return made_in / entry.file


@pytest.fixture(scope="module")
def fp16(full: Path, photographs: list[Path]) -> Path:
    return smaller(full, "fp16", photographs)


@pytest.fixture(scope="module")
def int8(full: Path, photographs: list[Path]) -> Path:
    # Looked for, not imported: a test, too, is to import it without its telemetry, as `optimise` does.
    if importlib.util.find_spec("nncf") is None:
        pytest.skip("nncf is not installed (extra train)")
    return smaller(full, "int8", photographs)


def smaller(full: Path, precision: Literal["fp16", "int8"], photographs: list[Path]) -> Path:
    manifest = read_manifest(full.parent / "manifest.json")
    entry = manifest.entry("default")
    assert entry is not None
    made = optimise(entry, full.parent, precision, photographs)
    write_manifest(Manifest(default=entry.name, models=(*manifest.models, made)), full.parent / "manifest.json")
    return full.parent / made.file


def read(paths: list[Path]) -> list[np.ndarray]:
    return [np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1]) for path in paths]


@pytest.mark.needs_data
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_fp16_finds_the_same_boxes(backend: str, full: Path, fp16: Path, photographs: list[Path]) -> None:
    exact, half = (
        load_model(str(file), backend=backend, device="cpu", threads=1).detect(read(photographs))
        for file in (full, fp16)
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
    backend: str, full: Path, int8: Path, photographs: list[Path]
) -> None:
    assert int8.stat().st_size < 0.4 * full.stat().st_size
    exact, small = (
        load_model(str(file), backend=backend, device="cpu", threads=1).detect(read(photographs))
        for file in (full, int8)
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
def test_the_torch_backend_says_which_file_to_use(fp16: Path) -> None:
    with pytest.raises(BackendUnavailable, match="use the model 'ordnance-n'"):
        load_model(str(fp16), backend="torch", device="cpu")
