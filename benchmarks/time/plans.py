"""Our sampling plans, run through the public API with the model's work counted."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.time.contenders import Contender, Found, Job, Outcome
from benchmarks.time.oracle import oracle_model
from benchmarks.time.truth import read_truth
from detector.models import Model, load_model
from detector.models.backend import Backend, available_threads, create_backend
from detector.models.manifest import ManifestEntry, find_second_view, find_weights, read_weights
from detector.models.model import LEAST_OF_A_VIEW
from detector.models.network import Network
from detector.scanner import Scanner, ScanOptions

HIDDEN_FLAG = "suspected_overlay"
"""Appearances that the report does not show by default count as not found."""


class PlanRunner:
    """`detector.Scanner` with one plan."""

    def __init__(self, contender: Contender, model: str, device: str) -> None:
        cadence = {} if contender.cadence_seconds is None else {"cadence_seconds": contender.cadence_seconds}
        self._options = ScanOptions(plan=contender.plan, **cadence)
        chosen = load_model(model, device=device)
        self._entry, path = find_weights(model)
        other = find_second_view(self._entry, path)
        files = [(self._entry, path)] if other is None else [(self._entry, path), other]
        self._counted = [CountingBackend(_backend_like(chosen, *file), file[0]) for file in files]
        second = None if other is None else Network(other[0], self._counted[1])
        self._model = Model(self._entry, self._counted[0], second)
        self._scanner = Scanner(self._model, self._options)
        blank = np.zeros((360, 640, 3), np.uint8)
        self._model.detect([blank] * 8)
        self._model.detect([blank])

    def facts(self) -> dict[str, object]:
        return {"backend": self._model.backend_name, "device": self._model.device, "threads": available_threads()}

    def run(self, job: Job) -> Outcome:
        if job.mode == "oracle":
            return self._run_oracle(job)
        for each in self._counted:
            each.begin(replay=job.mode == "replay", keep=job.keep_answers)
        outcome = _scan(self._scanner, job.clip)
        return Outcome(
            **outcome,
            inferred=sum(each.pictures for each in self._counted),
            inference_seconds=sum(each.seconds for each in self._counted),
            unreadable=0,
        )

    def _run_oracle(self, job: Job) -> Outcome:
        model, backend = oracle_model(self._entry, read_truth(job.truth))
        outcome = _scan(Scanner(model, self._options), job.marked)
        return Outcome(
            **outcome,
            inferred=len(backend.frames) + backend.unreadable,
            inference_seconds=None,
            inferred_frames=tuple(sorted(set(backend.frames))),
            unreadable=backend.unreadable,
        )


class CountingBackend:
    """Counts and times what goes through a network; answers a picture from memory where it is told to."""

    def __init__(self, backend: Backend, entry: ManifestEntry) -> None:
        self.name, self.device = backend.name, backend.device
        self._backend = backend
        self._entry = entry
        self._answers: dict[bytes, _Answer] = {}
        self.begin()

    def begin(self, *, replay: bool = False, keep: bool = False) -> None:
        """Start at nought; forget the answers kept so far unless they are to be replayed."""
        self.pictures, self.seconds = 0, 0.0
        self._replay, self._keep = replay, keep
        if not replay:
            self._answers = {}

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self._replay:
            known = [self._answers.get(_key(square)) for square in batch]
            if all(known):
                return np.stack([answer.whole() for answer in known])
        started = time.perf_counter()
        output = self._backend.infer(batch)
        self.seconds += time.perf_counter() - started
        self.pictures += len(batch)
        if self._keep:
            for square, answer in zip(batch, output, strict=True):
                self._answers[_key(square)] = _Answer.of(answer, self._entry)
        return output


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """What the network said of one picture, less the boxes that score too little for anybody to read them."""

    shape: tuple[int, int]
    columns: NDArray[np.intp]
    values: NDArray[np.float32]

    @classmethod
    def of(cls, answer: NDArray[np.float32], entry: ManifestEntry) -> _Answer:
        if entry.head == "one-to-one":
            return cls(answer.shape, np.arange(answer.shape[1]), answer.copy())
        columns = np.flatnonzero(answer[4:].max(axis=0) >= min(entry.score_floor, LEAST_OF_A_VIEW))
        return cls(answer.shape, columns, answer[:, columns])

    def whole(self) -> NDArray[np.float32]:
        answer = np.zeros(self.shape, np.float32)
        answer[:, self.columns] = self.values
        return answer


def _key(square: NDArray[np.uint8]) -> bytes:
    """Tells pictures apart by every eighth pixel: cheap enough to be taken while the clock runs."""
    return hashlib.blake2b(square[::8, ::8].tobytes(), digest_size=16).digest()


def _backend_like(model: Model, entry: ManifestEntry, path: Path) -> Backend:
    """The weights of `path` on the backend and device that `model` has."""
    content = read_weights(entry, path)
    return create_backend(model.backend_name, content, entry, device=model.device, threads=available_threads())


def _scan(scanner: Scanner, clip: Path) -> dict[str, Any]:
    started = time.perf_counter()
    report = scanner.scan(clip).report
    seconds = time.perf_counter() - started
    return {
        "found": tuple(
            Found(each.class_name, tuple((d.pts_s, tuple(d.box)) for d in each.detections))
            for each in report.appearances
            if HIDDEN_FLAG not in each.flags
        ),
        "seconds": seconds,
        "frames_decoded": report.coverage.frames_decoded,
        "promise_seconds": report.coverage.promise_s,
        "guarantee_seconds": report.coverage.guarantee_s,
    }
