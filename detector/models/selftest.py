"""Which CPU backend is the faster here: timed once, then remembered.

The backends give the same boxes and scores (tests/detector/models/test_agreement.py), so the choice changes
how long a scan takes and not what it finds.
"""

from __future__ import annotations

import importlib.util
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from detector.errors import BackendUnavailable
from detector.models.backend import CPU_BACKENDS, Backend, BackendName
from detector.models.cache import read_choice, settle_choice
from detector.models.manifest import ManifestEntry

TIMED_RUNS = 5
"""One-picture runs of each backend; the fastest counts, as others on the machine can only slow a run down."""


def fastest_backend(
    entry: ManifestEntry, threads: int, create: Callable[[BackendName], Backend]
) -> tuple[BackendName, Backend | None]:
    """The faster CPU backend, and it itself if it had to be created to know.

    Raises BackendUnavailable if none is installed.
    """
    installed = [name for name in CPU_BACKENDS if importlib.util.find_spec(name) is not None]
    if not installed:
        raise BackendUnavailable(
            "Neither onnxruntime nor openvino is installed; install them with: pip install --force-reinstall ordnance."
        )
    if len(installed) == 1:
        return installed[0], None
    key = _key(entry, threads, installed)
    remembered = read_choice(key)
    for name in installed:
        if name == remembered:
            return name, None
    backends = {name: create(name) for name in installed}
    winner = min(installed, key=lambda name: _milliseconds(backends[name], entry.input_size))
    settled = settle_choice(key, winner)
    chosen = next((name for name in installed if name == settled), winner)
    return chosen, backends[chosen]


def _milliseconds(backend: Backend, size: int) -> float:
    picture = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    backend.infer(picture)
    times = []
    for _ in range(TIMED_RUNS):
        begin = time.perf_counter()
        backend.infer(picture)
        times.append(time.perf_counter() - begin)
    return min(times) * 1000


def _key(entry: ManifestEntry, threads: int, installed: list[BackendName]) -> str:
    libraries = "+".join(f"{name}-{version(name)}" for name in installed)
    return f"{_processor()}|{threads} threads|{libraries}|{entry.input_size}|{entry.sha256}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
