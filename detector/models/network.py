"""A network on a backend: letterboxed pictures in, boxes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.frame import Boxes
from detector.models.backend import Backend, not_usable
from detector.models.letterbox import Letterbox, Square, trimmed
from detector.models.manifest import ManifestEntry
from detector.models.nms import non_maximum_suppression


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """What a network said of one square: `rows` as its head gives them, `placement` of the picture in what it saw."""

    rows: NDArray[np.float32]
    placement: Letterbox


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """The weights that `entry` describes, on a backend."""

    entry: ManifestEntry
    backend: Backend

    def outputs(self, squares: Sequence[Square]) -> list[Output]:
        """What the network says of each square, of its input's size."""
        answers: dict[int, Output] = {}
        for part in trimmed(squares):
            said = self.backend.infer(part.pixels)
            for position, rows, placement in zip(part.positions, said, part.placements, strict=True):
                answers[position] = Output(rows, placement)
        return [answers[position] for position in range(len(squares))]

    def best_score(self, output: Output) -> float:
        """The highest score of any class anywhere, 0 where there is none."""
        scores = output.rows[4:] if self.entry.head == "one-to-many" else output.rows[:, 4]
        return float(scores.max(initial=0.0))

    def boxes(self, output: Output, floor: float) -> Boxes:
        """The boxes with scores from `floor` up, in pixels of the picture, best first.

        Raises ModelError for a class that the manifest does not list: one-to-one rows do not tell how many there are.
        """
        is_raw = self.entry.head == "one-to-many"
        rows = non_maximum_suppression(output.rows, floor=floor) if is_raw else output.rows
        rows = rows[rows[:, 4] >= floor]
        rows = rows[np.argsort(-rows[:, 4], kind="stable")]
        xyxy = output.placement.to_picture(rows[:, :4])
        visible = (xyxy[:, 2] > xyxy[:, 0]) & (xyxy[:, 3] > xyxy[:, 1])
        class_ids = rows[visible, 5].astype(np.int64)
        if class_ids.max(initial=0) >= len(self.entry.classes):
            raise not_usable(
                self.backend.name,
                None,
                f"it gives class number {class_ids.max()}, but its manifest lists {len(self.entry.classes)} from 0",
            )
        return Boxes(
            xyxy=np.ascontiguousarray(xyxy[visible]),
            scores=np.ascontiguousarray(rows[visible, 4]),
            class_ids=class_ids,
        )
