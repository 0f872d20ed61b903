"""The measuring: model alone, decoding alone, both together, for every batch size, precision and form."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cuda.contenders import Decoding, Form, Network, decodings, forms
from benchmarks.cuda.gpu import Watch, gpu_facts, why_no_cuda
from benchmarks.growth.clips import RATE, repeated_clip
from benchmarks.machine import machine_facts
from detector.looking import Ahead
from detector.models.manifest import find_weights

GOAL_SHARE = 0.9
"""Of the lower ceiling, that decoding and model together must reach."""
SIZE = (1920, 1080)
AHEAD = 3
"""Batches that may be decoded ahead."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`seconds` is how long a model alone is measured, `clip_seconds` how long the clip is that is built."""

    batches: Sequence[int]
    seconds: float
    clip_seconds: float
    rounds: int
    model: str
    device: str
    clip: Path | None
    price_per_hour: float | None


def run_cuda_benchmark(settings: Settings, say: Callable[[str], None]) -> dict[str, Any]:
    """The result as it goes into cuda.json; `measured` is false and `reason` says why where there is no CUDA.

    Raises BadOption for a device that is not one of CUDA.
    """
    if reason := why_no_cuda(settings.device):
        return {"machine": machine_facts(), "measured": False, "reason": reason}
    entry, _ = find_weights(settings.model)
    ways = decodings(settings.device, entry.input_size, entry.score_floor, entry.head == "one-to-one")
    with tempfile.TemporaryDirectory(prefix="ordnance-cuda-") as folder:
        clip = settings.clip or repeated_clip(
            Path(folder) / "clip.mp4", width=SIZE[0], height=SIZE[1], seconds=settings.clip_seconds
        )
        result = measure(settings, forms(settings.model, settings.device), ways, clip, entry.input_size, say)
    return {"machine": machine_facts(), "measured": True, "gpu": gpu_facts(settings.device), **result}


def measure(
    settings: Settings,
    networks: Sequence[Form],
    ways: Sequence[Decoding],
    clip: Path,
    input_size: int,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """All rows. What cannot run is listed under `not_measured` with the reason."""
    missing: list[dict[str, str]] = []
    decoding = []
    for way in ways:
        say(f"decoding alone: {way.name}")
        try:
            runs = [_decode(way, clip, max(settings.batches), settings.device) for _ in range(settings.rounds)]
            decoding.append({"decode": way.name, **_summary(runs)})
        except Exception as error:
            missing.append({"what": f"decoding by {way.name}", "reason": _said(error)})
    fit = {row["decode"] for row in decoding}
    model, together = [], []
    for form in networks:
        label = f"{form.name}, {form.precision}"
        say(f"{label}: loading")
        try:
            network = form.create()
        except Exception as error:
            missing.append({"what": label, "reason": _said(error)})
            continue
        for batch in settings.batches:
            say(f"{label}, batch {batch}")
            facts = {"form": form.name, "precision": form.precision, "batch": batch}
            try:
                runs = [_infer(network, batch, input_size, settings) for _ in range(settings.rounds)]
                model.append({**facts, **_summary(runs)})
                for way in ways:
                    if way.name in fit:
                        runs = [_both(network, way, clip, batch, settings.device) for _ in range(settings.rounds)]
                        together.append({**facts, "decode": way.name, **_summary(runs)})
            except Exception as error:
                missing.append({"what": f"{label}, batch {batch}", "reason": _said(error)})
    _judge(decoding, model, together, settings.price_per_hour, _rate(clip))
    return {
        "clip": {"name": clip.name if settings.clip else f"built, {SIZE[0]}x{SIZE[1]}", "frames_a_second": _rate(clip)},
        "rounds": settings.rounds,
        "price_per_hour": settings.price_per_hour,
        "decoding": decoding,
        "model": model,
        "together": together,
        "not_measured": missing,
    }


def _judge(
    decoding: Sequence[dict[str, Any]],
    model: Sequence[dict[str, Any]],
    together: Sequence[dict[str, Any]],
    price: float | None,
    rate: float,
) -> None:
    """Add to each row of `together` its share of the lower ceiling, and what an hour of video costs."""
    decoded = {row["decode"]: row["frames_per_second"] for row in decoding}
    inferred = {(row["form"], row["precision"], row["batch"]): row["frames_per_second"] for row in model}
    for row in together:
        ceiling = min(decoded[row["decode"]], inferred[row["form"], row["precision"], row["batch"]])
        row["of_ceiling"] = round(row["frames_per_second"] / ceiling, 3)
        row["reached"] = row["of_ceiling"] >= GOAL_SHARE
        hours = rate / row["frames_per_second"]
        row["gpu_hours_an_hour_of_video"] = hours
        row["cost_an_hour_of_video"] = None if price is None else price * hours


def _infer(network: Network, batch: int, size: int, settings: Settings) -> dict[str, float]:
    """The model alone: pictures lie on the device, the answers stay there."""
    import torch

    pictures = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), np.uint8)
    pixels = torch.from_numpy(pictures).to(settings.device)
    network.infer_on_device(pixels)
    _wait(settings.device)
    with _watch(settings.device) as watch:
        runs, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < settings.seconds:
            network.infer_on_device(pixels)
            _wait(settings.device)
            runs += 1
        seconds = time.perf_counter() - begun
    return {"frames_per_second": runs * batch / seconds, **_busy(watch)}


def _decode(way: Decoding, clip: Path, batch: int, device: str) -> dict[str, float]:
    with _watch(device) as watch:
        begun, count = time.perf_counter(), 0
        for pictures in way.batches(clip, batch):
            count += len(pictures)
        _wait(device)
        seconds = time.perf_counter() - begun
    return {"frames_per_second": count / seconds, **_busy(watch)}


def _both(network: Network, way: Decoding, clip: Path, batch: int, device: str) -> dict[str, float]:
    """Decoding in a thread of its own, as in a scan, then letterbox, network and non-maximum suppression."""
    for pictures in way.batches(clip, batch):
        way.look(network, pictures)
        break
    with _watch(device) as watch:
        begun, count, boxes = time.perf_counter(), 0, 0
        with Ahead(way.batches(clip, batch), AHEAD) as ahead:
            while taken := ahead.take(1, fill=True):
                boxes += way.look(network, taken[0])
                count += len(taken[0])
        _wait(device)
        seconds = time.perf_counter() - begun
    return {"frames_per_second": count / seconds, "frames": count, "boxes": boxes, **_busy(watch)}


def _summary(runs: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Medians; and the least and most frames a second."""
    row: dict[str, Any] = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    rates = [run["frames_per_second"] for run in runs]
    return {**row, "spread": [min(rates), max(rates)]}


def _watch(device: str) -> Any:
    return Watch(device) if device != "cpu" else nullcontext()


def _busy(watch: Watch | None) -> dict[str, float]:
    return dict(watch.summary()) if watch else {}


def _wait(device: str) -> None:
    """Until the device has done what it was given."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize(device)


def _rate(clip: Path) -> float:
    from detector.video import open_video

    with open_video(clip) as video:
        return len(video.probe.pts_seconds) / video.probe.duration_seconds if video.probe.duration_seconds else RATE


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"
