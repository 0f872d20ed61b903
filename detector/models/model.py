"""A loaded model: pictures in, boxes out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from detector.errors import BadOption, UnknownClass
from detector.frame import Boxes
from detector.models.backend import (
    CPU_ONLY,
    Backend,
    BackendName,
    available_threads,
    create_backend,
    create_cuda_backend,
    resolve_device,
)
from detector.models.letterbox import Square, letterboxed
from detector.models.manifest import ManifestEntry, find_second_view, find_weights, read_weights
from detector.models.network import Network
from detector.models.second_view import mirrored, mirrored_back, seen_once, seen_twice
from detector.models.selftest import Timing, fastest_backend, tune

BACKENDS: tuple[BackendName, ...] = get_args(BackendName)

LEAST_OF_A_VIEW = 0.001
"""Score from which a box of one view counts beside that of the other; a mean of both needs more than what is kept."""

SCORE_MARGIN = 1e-6
"""Scores are kept this far from 0 and 1, where the logit has no value."""


class Model:
    """Weights on a backend. May be used from several threads; not across a fork.

    `second` is the network that gives the second view where the entry names another model for it.
    """

    def __init__(self, entry: ManifestEntry, backend: Backend, second: Network | None = None) -> None:
        self._entry = entry
        self._first = Network(entry, backend)
        self._second = second or self._first
        self.thresholds: Mapping[str, float] = MappingProxyType(entry.thresholds)
        """For every class, the score from which a box is reported."""

    def __repr__(self) -> str:
        return f"Model({self.name!r}, backend={self.backend_name!r}, device={self.device!r})"

    @property
    def name(self) -> str:
        return self._entry.name

    @property
    def sha256(self) -> str:
        """Of the weights file, in hex."""
        return self._entry.sha256

    @property
    def second(self) -> ManifestEntry | None:
        """The other model that gives the second view; None where it sees once, or twice itself."""
        return None if self._second is self._first else self._second.entry

    @property
    def classes(self) -> tuple[str, ...]:
        """Taxonomy ids; a box's class id is a position in it."""
        return self._entry.classes

    @property
    def input_size(self) -> int:
        """Side of the square that the network sees, px."""
        return self._entry.input_size

    @property
    def score_floor(self) -> float:
        """The score below which `detect` drops a box unless told otherwise."""
        return self._entry.score_floor

    @property
    def smallest_side_px(self) -> float:
        """Side of a box, in pixels of the network's input, from which at least half of the objects are found."""
        return self._entry.smallest_side_px

    @property
    def backend_name(self) -> str:
        return self._first.backend.name

    @property
    def device(self) -> str:
        """`cpu` or `cuda:N`."""
        return self._first.backend.device

    def detect(self, images: Sequence[NDArray[np.uint8] | Square], *, floor: float | None = None) -> list[Boxes]:
        """What is on each picture (uint8 (height, width, 3) RGB of any size, or letterboxed already), run as one batch.

        Boxes are in pixels of their picture, within its edges, with raw scores from `floor` (by default the
        model's `score_floor`) up, best first. Average precision needs a floor near nought. A model with a
        `second_view` sees the pictures twice in which the first view shows something.
        """
        if not images:
            return []
        lowest = self.score_floor if floor is None else floor
        squares = letterboxed(images, self.input_size)
        first = self._first.outputs(squares)
        view = self._entry.second_view
        if view is None:
            return [self._first.boxes(each, lowest) for each in first]
        again = [number for number, each in enumerate(first) if self._first.best_score(each) >= view.from_score]
        size = self._second.entry.input_size
        mirrors = self._second.outputs([mirrored(squares[number], view.longer_side, size) for number in again])
        second = dict(zip(again, mirrors, strict=True))
        least = min(lowest, LEAST_OF_A_VIEW)
        found = []
        for number, seen in enumerate(first):
            if number in second:
                mirror = self._second.boxes(second[number], least)
                both = seen_twice(self._first.boxes(seen, least), mirrored_back(mirror, seen.placement.width))
                found.append(both.only(both.scores >= lowest))
            else:
                found.append(seen_once(self._first.boxes(seen, 2 * lowest)))
        return found

    def with_one_view(self) -> Model:
        """The same network without the second view; thresholds and calibration are not for its scores."""
        return Model(self._entry.model_copy(update={"second_view": None}), self._first.backend)

    def calibrate(self, class_name: str, score: float) -> float:
        """The calibrated confidence, 0..1, of a raw score; the score itself where the class has no calibration."""
        if class_name not in self.classes:
            raise UnknownClass(
                f"The model {self.name} does not know '{class_name}'; it knows: {', '.join(self.classes)}."
            )
        scaling = (self._entry.calibration or {}).get(class_name)
        if scaling is None:
            return score
        inside = min(max(score, SCORE_MARGIN), 1 - SCORE_MARGIN)
        return _sigmoid(scaling.a * math.log(inside / (1 - inside)) + scaling.b)


def load_model(
    name_or_path: str | Path = "default",
    *,
    device: str = "auto",
    backend: str = "auto",
    threads: int | None = None,
) -> Model:
    """Load a model of the manifest by name, or an .onnx file beside its manifest.json by path.

    `device` is auto, cpu, cuda or cuda:N; `backend` is auto or one of BACKENDS. `auto` takes TensorRT or else torch on
    a CUDA device if there is one, else the faster of ONNX Runtime and OpenVINO here, both in float32.
    `threads` (CPU only) is by default the number of processors that this process may use.

    Raises WeightsNotFound, WeightsMismatch, BackendUnavailable, BadOption, or ModelError for a file that no
    backend can use.
    """
    if backend != "auto" and backend not in BACKENDS:
        raise BadOption(f"'{backend}' is not a backend; use auto, {', '.join(BACKENDS)}.")
    if threads is not None and threads < 1:
        raise BadOption(f"threads must be at least 1, not {threads}.")
    entry, path = find_weights(name_or_path)
    content = read_weights(entry, path)
    second = find_second_view(entry, path)
    second_content = None if second is None else read_weights(*second)
    wants_cpu = backend in CPU_ONLY and device == "auto"
    place = "cpu" if wants_cpu else resolve_device(device)
    count = threads or available_threads()

    def create(name: BackendName) -> Backend:
        return create_backend(name, content, entry, device=place, threads=count)

    def whole(first: Backend) -> Model:
        if second is None or second_content is None:
            return Model(entry, first)
        again = create_backend(first.name, second_content, second[0], device=place, threads=count, at_need=True)
        return Model(entry, first, Network(second[0], again))

    for name in BACKENDS:
        if name == backend:
            return whole(create(name))
    if place != "cpu":
        return whole(create_cuda_backend(create))
    return whole(fastest_backend(entry, count, create))


def tune_model(name_or_path: str | Path = "default") -> list[Timing]:
    """Time the CPU backends with a model anew, and have `load_model` take the fastest from now on.

    Once with all threads, as a scan by itself has them, and once with one, as each of many scans side by side has it.
    Raises WeightsNotFound, WeightsMismatch or BackendUnavailable.
    """
    entry, path = find_weights(name_or_path)
    content = read_weights(entry, path)
    timings = []
    for threads in sorted({available_threads(), 1}, reverse=True):

        def create(name: BackendName, threads: int = threads) -> Backend:
            return create_backend(name, content, entry, device="cpu", threads=threads)

        timings += tune(entry, threads, create)
    return timings


def _sigmoid(logit: float) -> float:
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    return math.exp(logit) / (1 + math.exp(logit))
