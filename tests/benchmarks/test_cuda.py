"""`ordnance bench cuda`: what it does without a GPU, and the whole of its measuring with stand-ins on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.cuda.contenders import Decoding, Form, decodings, letterbox_on_device
from benchmarks.cuda.run import Settings, measure, run_cuda_benchmark
from benchmarks.cuda.table import result_table
from benchmarks.growth.clips import repeated_clip
from detector.models.backend import resolve_device
from detector.models.letterbox import letterbox

SIZE = 64


def has_cuda() -> bool:
    return resolve_device("auto") != "cpu"


def settings(clip: Path | None = None, device: str = "cpu", batches: tuple[int, ...] = (1, 4)) -> Settings:
    return Settings(
        batches=batches,
        seconds=0.05,
        clip_seconds=4,
        rounds=1,
        model="default",
        device=device,
        clip=clip,
        price_per_hour=2.5,
    )


class Blank:
    """A network that sees nothing."""

    def infer(self, batch: np.ndarray) -> np.ndarray:
        return np.zeros((len(batch), 1, 6), np.float32)

    def infer_on_device(self, pixels: Any) -> Any:
        import torch

        return torch.zeros((len(pixels), 1, 6))


def fails() -> Blank:
    raise RuntimeError("no such device\nand more")


def cannot_decode(clip: Path, batch: int) -> Iterator[Any]:
    raise RuntimeError("no such decoder")
    yield


@pytest.mark.skipif(has_cuda(), reason="there is a CUDA device")
def test_without_cuda_it_says_that_nothing_was_measured(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "service", "bench", "cuda", "--quick", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("Nothing was measured: The device 'cuda:0'")
    result = json.loads((tmp_path / "cuda.json").read_text())
    assert result["measured"] is False
    assert result["reason"] in finished.stdout
    assert result["machine"]["cores"] >= 1


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_what_is_not_a_cuda_device_is_refused(tmp_path: Path, device: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "service", "bench", "cuda", "--device", device, "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 2
    assert f"'{device}' is not a" in finished.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cuda")
    return repeated_clip(folder / "clip.mp4", width=160, height=90, seconds=2, base_frames=50)


@pytest.mark.needs_torch
def test_ceilings_shares_and_costs(clip: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    (pyav, _) = decodings("cpu", SIZE, 0.5, one_to_one=True)
    networks = [Form("blank", "fp32", Blank), Form("broken", "fp16", fails)]
    ways = [pyav, Decoding("broken", cannot_decode, pyav.look)]
    result = measure(settings(clip), networks, ways, clip, SIZE, lambda line: None)
    assert [row["batch"] for row in result["model"]] == [1, 4]
    assert [row["frames"] for row in result["together"]] == [50, 50]
    assert result["clip"]["frames_a_second"] == pytest.approx(25)
    for row in result["together"]:
        assert row["of_ceiling"] > 0
        assert row["cost_an_hour_of_video"] == pytest.approx(2.5 * 25 / row["frames_per_second"])
    assert result["not_measured"] == [
        {"what": "decoding by broken", "reason": "RuntimeError: no such decoder"},
        {"what": "broken, fp16", "reason": "RuntimeError: no such device"},
    ]
    gpu = {"name": "none", "memory_gib": 0, "driver": None, "cuda": None}
    table = result_table(json.loads(json.dumps({"measured": True, "gpu": gpu, **result})))
    assert table.count("blank, fp32, batch 4") == 2
    assert "not measured: broken, fp16" in table


@pytest.mark.needs_torch
@pytest.mark.parametrize("shape", [(90, 160), (160, 90), (64, 64), (33, 47)])
def test_the_letterbox_for_tensors_is_that_of_the_scan(shape: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    image = np.stack([128 + 100 * np.sin(columns / 9 + shift) * np.cos(rows / 11) for shift in range(3)], axis=-1)
    picture = image.astype(np.uint8)
    expected, _ = letterbox([picture], SIZE)
    got = letterbox_on_device(torch.from_numpy(picture[None]), SIZE).numpy()
    assert np.abs(got.astype(int) - expected).max() <= 2


@pytest.mark.needs_gpu
def test_on_a_gpu_every_form_is_measured(cuda_device: str, clip: Path) -> None:
    result = run_cuda_benchmark(settings(clip, device=cuda_device, batches=(1, 8)), lambda line: None)
    assert result["measured"]
    assert result["not_measured"] == []
    assert {row["decode"] for row in result["together"]} == {"PyAV, host memory", "NVDEC, device memory"}
    boxes = {(row["decode"], row["form"], row["precision"]): row["boxes"] for row in result["together"]}
    assert len(boxes) == 12
