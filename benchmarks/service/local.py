"""The same clips without the service: what `ordnance scan` does, in as many processes as the service has workers.

They are the processes of `ordnance scan --jobs`, and write reports as those do; what starting takes is left out on both
sides.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.service.server import BenchmarkFailed
from detector.batch_clip import BatchOptions
from detector.batch_workers import scan_in_worker, start_worker
from detector.scanner import ScanOptions


@dataclass(frozen=True, slots=True)
class LocalRun:
    """The reports' appearances by path, and what they took."""

    appearances: dict[Path, list[dict[str, Any]]]
    seconds: float
    cpu_seconds: float


class LocalScans:
    """Processes with a loaded and warm model each, which take clips from one queue and leave reports in `out`.

    Use it in a `with` statement.
    """

    def __init__(self, processes: int, warm_up: Path, out: Path, *, model: str, device: str, threads: int) -> None:
        self._barrier = multiprocessing.get_context("spawn").Barrier(processes)
        self._processes = processes
        self._pool = ProcessPoolExecutor(
            processes,
            multiprocessing.get_context("spawn"),
            initializer=_load,
            initargs=(self._barrier, warm_up, BatchOptions(ScanOptions(), model, device, out), threads),
        )

    def __enter__(self) -> LocalScans:
        for ready in [self._pool.submit(_wait) for _ in range(self._processes)]:
            ready.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def scan(self, paths: list[Path]) -> LocalRun:
        started = time.monotonic()
        done = list(self._pool.map(_scan, paths))
        seconds = time.monotonic() - started
        found = {path: appearances for path, (appearances, _) in zip(paths, done, strict=True)}
        return LocalRun(found, seconds, sum(cpu for _, cpu in done))


_everyone: Any = None


def _load(barrier: Any, warm_up: Path, options: BatchOptions, threads: int) -> None:
    global _everyone
    _everyone = barrier
    start_worker(options, threads).scan(warm_up)


def _wait() -> None:
    """Each process takes one of these, and all go on when all have loaded."""
    _everyone.wait()


def _scan(path: Path) -> tuple[list[dict[str, Any]], float]:
    before = _cpu_seconds()
    outcome = scan_in_worker(path, total=1)
    spent = _cpu_seconds() - before
    if outcome.report is None:
        raise BenchmarkFailed(f"{path.name} was not scanned without the service: {outcome.failure}")
    return json.loads(outcome.report.to_json())["appearances"], spent


def _cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
