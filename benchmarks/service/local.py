"""The same clips without the service: what `ordnance scan` does, in as many processes as the service has workers.

Each clip's report and pictures are written, as that command writes them; what starting takes is left out on both sides.
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

from detector.models import load_model
from detector.report import FORMATS, write_report
from detector.scan import Scanner


@dataclass(frozen=True, slots=True)
class LocalRun:
    """The reports' appearances by path, and what they took; `writing_cpu_seconds` of it to write them."""

    appearances: dict[Path, list[dict[str, Any]]]
    seconds: float
    cpu_seconds: float
    writing_cpu_seconds: float


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
            initargs=(self._barrier, warm_up, out, model, device, threads),
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
        found = {path: appearances for path, (appearances, _, _) in zip(paths, done, strict=True)}
        return LocalRun(found, seconds, sum(cpu for _, cpu, _ in done), sum(writing for _, _, writing in done))


_scanner: Scanner | None = None
_out: Path
_everyone: Any = None


def _load(barrier: Any, warm_up: Path, out: Path, model: str, device: str, threads: int) -> None:
    global _scanner, _out, _everyone
    _everyone, _out = barrier, out
    _scanner = Scanner(load_model(model, device=device, threads=threads), threads=threads)
    _scanner.scan(warm_up)


def _wait() -> None:
    """Each process takes one of these, and all go on when all have loaded."""
    _everyone.wait()


def _scan(path: Path) -> tuple[list[dict[str, Any]], float, float]:
    assert _scanner is not None
    began = _cpu_seconds()
    result = _scanner.scan(path)
    scanned = _cpu_seconds()
    write_report(result.report, result.pictures, _out / path.stem, FORMATS)
    written = _cpu_seconds()
    return json.loads(result.report.to_json())["appearances"], written - began, written - scanned


def _cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
