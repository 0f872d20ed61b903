"""Backends on CUDA: what of them a CPU can tell, and on a GPU that recorded graphs and kept engines say the same."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

import numpy as np
import pytest

from detector.errors import BackendUnavailable
from detector.models import find_weights, load_model
from detector.models.backend import create_cuda_backend
from detector.models.fixed_batches import BATCH_SIZES, split
from detector.models.manifest import read_weights
from detector.models.tensorrt_engine import load_or_build

SIZE = 512
PLAN = b"an engine, serialised"


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 8, 31, 32, 33, 64, 70])
def test_every_picture_is_in_one_batch_of_a_known_size(count: int) -> None:
    parts = list(split(count))
    assert [place for begin, end, _ in parts for place in range(begin, end)] == list(range(count))
    assert all(end - begin <= size and size in BATCH_SIZES for begin, end, size in parts)
    assert len(parts) == -(-count // BATCH_SIZES[-1])


class Engines:
    """Stands in for TensorRT: takes what it built itself and nothing else."""

    def __init__(self) -> None:
        self.built = 0

    def build(self) -> bytes:
        self.built += 1
        return PLAN

    def load(self, plan: bytes) -> str | None:
        return "engine" if plan == PLAN else None


def test_an_engine_is_built_once(tmp_path: Path) -> None:
    engines, path = Engines(), tmp_path / "engines" / "model.engine"
    assert [load_or_build(path, engines.load, engines.build) for _ in range(3)] == ["engine"] * 3
    assert engines.built == 1
    assert sorted(each.name for each in path.parent.iterdir()) == ["model.engine", "model.lock"]


@pytest.mark.parametrize("damage", [b"", b"short", b"0" * 32 + PLAN])
def test_a_broken_engine_is_built_anew(tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    engines, path = Engines(), tmp_path / "model.engine"
    path.write_bytes(damage)
    assert load_or_build(path, engines.load, engines.build) == "engine"
    assert load_or_build(path, engines.load, engines.build) == "engine"
    assert engines.built == 1
    assert [record.message for record in caplog.records if "built anew" in record.message]


def test_an_engine_that_does_not_load_is_built_anew(tmp_path: Path) -> None:
    old, new, path = Engines(), Engines(), tmp_path / "model.engine"
    load_or_build(path, old.load, old.build)
    loads = iter([None, "newer", "newer"])
    assert load_or_build(path, lambda plan: next(loads), new.build) == "newer"
    assert new.built == 1


def test_without_a_place_for_it_an_engine_is_built_each_time(tmp_path: Path) -> None:
    engines, blocked = Engines(), tmp_path / "file"
    blocked.write_bytes(b"")
    assert load_or_build(blocked / "model.engine", engines.load, engines.build) == "engine"
    assert load_or_build(blocked / "model.engine", engines.load, engines.build) == "engine"
    assert engines.built == 2


def test_an_engine_that_never_loads_is_an_error_and_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable, match="cannot load the engine"):
        load_or_build(tmp_path / "model.engine", lambda plan: None, Engines().build)
    assert not (tmp_path / "model.engine").exists()


def test_torch_runs_where_tensorrt_cannot(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    tried = []

    def create(name: str) -> str:
        tried.append(name)
        if name == "tensorrt":
            raise BackendUnavailable("no memory")
        return name

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    with caplog.at_level(logging.WARNING):
        assert create_cuda_backend(create) == "torch"
    assert tried == ["tensorrt", "torch"]
    assert [record.message for record in caplog.records] == [
        "TensorRT is not used, torch runs the model instead: no memory"
    ]


def test_torch_runs_silently_where_tensorrt_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert create_cuda_backend(lambda name: name) == "torch"
    assert caplog.records == []


def test_tensorrt_needs_a_gpu() -> None:
    with pytest.raises(BackendUnavailable, match="runs on CUDA only"):
        load_model(device="cpu", backend="tensorrt")


def test_in_float16_boxes_move_by_less_than_a_pixel() -> None:
    pytest.importorskip("onnx", reason="onnx is not installed (extra cuda)")
    import onnxruntime

    from detector.models.half_precision import to_float16
    from detector.models.letterbox import letterbox

    from .test_agreement import demo_frames, drawn_pictures

    entry, path = find_weights("default")
    content = read_weights(entry, path)
    batch, _ = letterbox([*drawn_pictures(), *demo_frames()[:4]], entry.input_size)
    planes = (batch.transpose(0, 3, 1, 2) / np.float32(255)).astype(np.float32)
    answers = []
    for network in (content, to_float16(content)):
        session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
        answers.append(np.concatenate([session.run(None, {"images": each[None]})[0] for each in planes]))
    exact, half = answers
    assert half.dtype == np.float32
    assert not np.array_equal(exact, half)
    seen = exact[:, 4:].max(axis=1) >= entry.score_floor
    assert seen.sum() > 10
    apart = np.abs(exact - half)
    assert apart[:, 4:].max() < 0.02
    assert apart[:, :4].max(axis=1)[seen].max() < 1


@pytest.mark.needs_gpu
@pytest.mark.parametrize("half", [False, True])
def test_recorded_graphs_say_what_plain_runs_say(cuda_device: str, half: bool) -> None:
    from detector.models.ultralytics_torch import UltralyticsTorch

    entry, path = find_weights("default")
    content = read_weights(entry, path)
    plain, recorded = (
        UltralyticsTorch(content, entry, device=cuda_device, threads=1, half=half, graphs=graphs)
        for graphs in (False, True)
    )
    for count in (1, 3, 8, 1, 33, 2):  # an early graph is played again after graphs of other sizes were recorded
        batch = noise(count)
        assert recorded.infer(batch) == pytest.approx(plain.infer(batch), abs=0.5 if half else 1e-2)


@pytest.mark.needs_gpu
@pytest.mark.parametrize("name", ["torch", "tensorrt"])
def test_pictures_on_the_device_get_the_same_answer(cuda_device: str, name: str) -> None:
    import torch

    if name == "tensorrt":
        pytest.importorskip("tensorrt", reason="tensorrt is not installed (extra cuda)")
    backend = load_model(device=cuda_device, backend=name)._backend
    batch = noise(5)
    on_device = backend.infer_on_device(torch.from_numpy(batch).to(cuda_device))
    assert np.array_equal(on_device.cpu().numpy(), backend.infer(batch))


@pytest.mark.needs_gpu
def test_a_kept_engine_says_what_the_built_one_said(
    cuda_device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("tensorrt", reason="tensorrt is not installed (extra cuda)")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    batch = noise(2)
    first = load_model(device=cuda_device, backend="tensorrt")._backend.infer(batch)
    assert "builds an engine" in caplog.text
    caplog.clear()
    again = load_model(device=cuda_device, backend="tensorrt")._backend.infer(batch)
    assert "builds an engine" not in caplog.text
    assert np.array_equal(first, again)
