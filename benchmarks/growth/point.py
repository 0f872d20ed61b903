"""One measurement in a process of its own: what a scan, or a batch of scans, took."""

from __future__ import annotations

import multiprocessing
import resource
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import peak_memory_mb
from benchmarks.service.server import BenchmarkFailed
from benchmarks.stand_in import stand_in
from detector.batch import run_batch
from detector.batch_clip import BatchOptions
from detector.memory import keep_large_blocks_apart
from detector.models.backend import BackendName
from detector.models.manifest import find_weights
from detector.models.model import load_model
from detector.scanner import Scanner, ScanOptions

THREADS = 1
BATCH = 8
CONFIDENT = 0.9
COLUMNS, ROWS, CELL_STEP = 16, 9, 55
"""Boxes lie in the cells of this grid, which is that of a 16:9 picture; the next box is 55 cells on.
With 4 a picture a cell is used again after 36 pictures."""


@dataclass(frozen=True, slots=True)
class Job:
    """`path` is a clip, or with `batch` a folder of clips; `boxes` are put on every picture that the model is shown."""

    path: Path
    plan: str
    model: str
    boxes: int = 0
    batch: bool = False
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of the clock and of the processor, peak resident size in 10**6 bytes (None where nobody tells)."""

    seconds: float
    cpu_seconds: float
    peak_mb: float | None
    before_mb: float | None
    samples: int
    decoded: int
    finds: int


class ScriptedBackend:
    """Stands in for a network at no cost.

    Every picture gets `boxes` boxes, none where the pictures before it had one, so that each becomes an appearance of
    its own. The real network is loaded beside it and has run once: its memory counts. `pictures` is how many it got.
    """

    name: BackendName = "onnxruntime"
    device = "cpu"

    def __init__(self, boxes: int, classes: int) -> None:
        self._boxes = boxes
        self._classes = classes
        self.pictures = 0
        self._counting = threading.Lock()

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows = np.zeros((len(batch), max(1, self._boxes), 6), np.float32)
        with self._counting:
            begin = self.pictures
            self.pictures += len(batch)
        for number, picture in enumerate(rows if self._boxes else (), start=begin):
            first = number * self._boxes
            cells = np.arange(first, first + self._boxes) * CELL_STEP % (COLUMNS * ROWS)
            height, width = batch.shape[1:3]
            side = width / COLUMNS
            left = cells % COLUMNS * side
            top = (height - ROWS * side) / 2 + cells // COLUMNS * side
            sure = np.full(self._boxes, CONFIDENT)
            picture[:] = np.stack([left, top, left + side, top + side, sure, cells % self._classes], axis=1)
        return rows


def measure(job: Job) -> Cost:
    """Run the job in a fresh process, a daemonic one, in which batches scan by themselves and their memory is told.

    Raises BenchmarkFailed where it fails there.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(theirs, job), daemon=True)
    process.start()
    theirs.close()
    try:
        answer: Cost | str = ours.recv()
    except EOFError:
        process.join()
        raise BenchmarkFailed(f"The process that scanned {job.path.name} ended with code {process.exitcode}.") from None
    process.join()
    if isinstance(answer, str):
        raise BenchmarkFailed(f"{job.path.name} could not be scanned: {answer}")
    return answer


def _run(pipe: Connection, job: Job) -> None:
    # As `ordnance` does.
    keep_large_blocks_apart()
    try:
        pipe.send(_batch(job) if job.batch else _scan(job))
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")


def _scan(job: Job) -> Cost:
    real = load_model(job.model, device="cpu", backend="onnxruntime", threads=THREADS)
    real.detect([np.zeros((360, 640, 3), np.uint8)] * BATCH)
    entry, _ = find_weights(job.model)
    scripted = ScriptedBackend(job.boxes, len(entry.classes))
    scanner = Scanner(stand_in(entry, scripted), ScanOptions(plan=job.plan))
    before, begun, used = peak_memory_mb(), time.monotonic(), _cpu_seconds()
    report = scanner.scan(job.path).report
    return Cost(
        seconds=time.monotonic() - begun,
        cpu_seconds=_cpu_seconds() - used,
        peak_mb=peak_memory_mb(),
        before_mb=before,
        samples=report.coverage.samples,
        decoded=report.coverage.frames_decoded,
        finds=len(report.appearances),
    )


def _batch(job: Job) -> Cost:
    before, begun, used = peak_memory_mb(), time.monotonic(), _cpu_seconds()
    options = BatchOptions(scan=ScanOptions(plan=job.plan), model=job.model, device="cpu", out=job.out)
    samples = decoded = finds = 0
    for outcome in run_batch([str(job.path)], options):
        if outcome.report is None:
            raise RuntimeError(outcome.failure.message if outcome.failure else "no report")
        samples += outcome.report.coverage.samples
        decoded += outcome.report.coverage.frames_decoded
        finds += len(outcome.report.appearances)
    return Cost(
        seconds=time.monotonic() - begun,
        cpu_seconds=_cpu_seconds() - used,
        peak_mb=peak_memory_mb(),
        before_mb=before,
        samples=samples,
        decoded=decoded,
        finds=finds,
    )


def _cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
