"""A detector that always finds what the truth says is in view: it measures sampling, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.stand_in import stand_in
from benchmarks.time.marks import read_number
from benchmarks.time.truth import Truth
from detector.models.backend import BackendName
from detector.models.letterbox import Letterbox
from detector.models.manifest import ManifestEntry
from detector.models.model import Model

SCORE = 0.95


class OracleBackend:
    """Stands in for a network: reads the frame's number from the marked picture and answers with the true boxes.

    `frames` are the numbers of the frames that it was shown; `unreadable` counts pictures without a number, such as
    a part of a frame that is looked at again at a larger scale.
    """

    name: BackendName = "onnxruntime"
    device = "cpu"

    def __init__(self, truth: Truth, classes: Sequence[str], size: int) -> None:
        self.frames: list[int] = []
        self.unreadable = 0
        self._truth = truth
        self._classes = list(classes)
        place = Letterbox.fit(truth.width, truth.height, size)
        window = place.window(size)
        self._shape = window.height, window.width
        self._place = place.within(window)

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        answers = [self._rows(square) for square in batch]
        most = max(map(len, answers), default=0)
        output = np.zeros((len(batch), max(1, most), 6), np.float32)
        for rows, answer in zip(output, answers, strict=True):
            rows[: len(answer)] = answer
        return output

    def _rows(self, square: NDArray[np.uint8]) -> NDArray[np.float32]:
        place = self._place
        is_whole = square.shape[:2] == self._shape
        number = read_number(square, place.left, place.top, *map(float, place.scaled_size)) if is_whole else None
        if number is None or number >= len(self._truth.pts_seconds):
            self.unreadable += 1
            return np.empty((0, 6), np.float32)
        self.frames.append(number)
        shown = [each for each in self._truth.appearances if each.is_in_view(number)]
        boxes = np.array([each.box(number) for each in shown], np.float32).reshape(-1, 4)
        classes = [[SCORE, self._classes.index(each.class_name)] for each in shown]
        return np.hstack([place.to_square(boxes), np.array(classes, np.float32).reshape(-1, 2)])


def oracle_model(entry: ManifestEntry, truth: Truth) -> tuple[Model, OracleBackend]:
    """A model like `entry` to everybody who uses it, with an oracle in place of its network."""
    backend = OracleBackend(truth, entry.classes, entry.input_size)
    return stand_in(entry, backend), backend
