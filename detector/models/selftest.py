"""Which CPU backend is the faster here: timed once, then remembered.

The backends give the same boxes and scores (tests/detector/models/test_agreement.py), so the choice changes
how long a scan takes and not what it finds.
"""

from __future__ import annotations

import importlib.util
import logging
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

import numpy as np

from detector.errors import BackendUnavailable, ModelError
from detector.models.backend import CPU_BACKENDS, MOST_AT_ONCE, Backend, BackendName
from detector.models.cache import read_choice, remember_choice, settle_choice
from detector.models.letterbox import trimmed_sides
from detector.models.manifest import ManifestEntry

log = logging.getLogger(__name__)

TIMED_RUNS = 2
"""Timed runs of each backend at the first start, which somebody waits for; the fastest counts, as others on the machine
can only slow a run down."""

TUNING_RUNS = 12
"""The same where the test was asked for."""

Create = Callable[[BackendName], Backend]


@dataclass(frozen=True, slots=True)
class Timing:
    """What a backend takes: `milliseconds` a picture when as many wait as it infers at a time, or why it cannot run.

    `chosen` says that it is remembered.
    """

    backend: BackendName
    threads: int
    milliseconds: float | None
    chosen: bool = False
    problem: str = ""


def fastest_backend(entry: ManifestEntry, threads: int, create: Create) -> Backend:
    """The faster CPU backend of those that can be used here.

    What cannot be used though it is installed is left out, with a warning, and nothing is remembered.
    Raises BackendUnavailable if none is installed, and the first one's ModelError if none can be used.
    """
    installed = _installed()
    if len(installed) == 1:
        return create(installed[0])
    key = _key(entry, threads, installed)
    remembered = next((name for name in installed if name == read_choice(key)), None)
    if remembered is not None:
        with suppress(ModelError):
            return create(remembered)
    able: dict[BackendName, tuple[float, Backend]] = {}
    problems: dict[BackendName, ModelError] = {}
    with ThreadPoolExecutor(len(installed)) as pool:
        creating = {name: pool.submit(create, name) for name in installed}
    for name, created in creating.items():
        try:
            backend = created.result()
            able[name] = _milliseconds(backend, entry.input_size, threads, TIMED_RUNS), backend
        except ModelError as error:
            problems[name] = error
    if not able:
        raise next(iter(problems.values()))
    winner = min(able, key=lambda name: able[name][0])
    for name, problem in problems.items():
        log.warning("%s is left out: %s", name, problem)
    settled = winner if problems else settle_choice(key, winner)
    return next((backend for name, (_, backend) in able.items() if name == settled), able[winner][1])


def tune(entry: ManifestEntry, threads: int, create: Create) -> list[Timing]:
    """Time every installed CPU backend anew, and remember which is the fastest in place of what was remembered.

    None is `chosen` where the cache folder cannot be written. Raises BackendUnavailable if none is installed.
    """
    installed = _installed()
    timings: list[Timing] = []
    for name in installed:
        try:
            backend = create(name)
            timings.append(Timing(name, threads, _milliseconds(backend, entry.input_size, threads, TUNING_RUNS)))
        except ModelError as error:
            timings.append(Timing(name, threads, None, problem=str(error)))
    able = [each for each in timings if each.milliseconds is not None]
    if not able:
        return timings
    winner = min(able, key=lambda each: each.milliseconds or 0.0)
    is_kept = remember_choice(_key(entry, threads, installed), winner.backend)
    return [replace(each, chosen=is_kept and each is winner) for each in timings]


def _installed() -> list[BackendName]:
    installed = [name for name in CPU_BACKENDS if importlib.util.find_spec(name) is not None]
    if not installed:
        raise BackendUnavailable(
            "Neither onnxruntime nor openvino is installed; install them with: pip install onnxruntime openvino."
        )
    return installed


def _milliseconds(backend: Backend, size: int, threads: int, runs: int) -> float:
    """For pictures of 16:9, which most video is."""
    shape = (min(threads, MOST_AT_ONCE), trimmed_sides(size)[0], size, 3)
    pictures = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    backend.infer(pictures)
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        backend.infer(pictures)
        times.append(time.perf_counter() - begin)
    return min(times) * 1000 / len(pictures)


def _key(entry: ManifestEntry, threads: int, installed: list[BackendName]) -> str:
    libraries = "+".join(f"{name}-{_version(name)}" for name in installed)
    return f"{_processor()}|{threads} threads|{libraries}|{entry.input_size}|{entry.sha256}"


def _version(package: str) -> str:
    """Of the distribution that holds the package, which onnxruntime-gpu is for onnxruntime; empty where none does."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "+".join(f"{name}-{version(name)}" for name in sorted(packages_distributions().get(package, ())))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
