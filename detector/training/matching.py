"""Findings matched with truth by the COCO protocol (pycocotools); average precision for any weights of pictures."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.training.predictions import Picture, Predictions

SIZES = MappingProxyType(
    {
        "all": (0, 100_000),
        "under 24 px": (0, 24),
        "24-96 px": (24, 96),
        "over 96 px": (96, 100_000),
        "from 24 px": (24, 100_000),
    }
)
"""Ranges of a box's longer side, in pixels of the network's input."""

MOST_FINDINGS = 100
RECALL_STEPS = np.linspace(0, 1, 101)


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """The findings of one class at IoU 0.5, best score first, those that do not count left out.

    `scores` float64 (n,), `hits` bool (n,) (found a true box), `pictures` int64 (n,) positions in the set.
    `boxes` int64 (pictures,) is how many true boxes each picture has.
    """

    scores: NDArray[np.float64]
    hits: NDArray[np.bool_]
    pictures: NDArray[np.int64]
    boxes: NDArray[np.int64]

    def average_precision(self, weights: NDArray[np.float64] | None = None) -> float | None:
        """COCO's AP at IoU 0.5 (precision at 101 recalls); picture i counts `weights[i]` times. None without boxes."""
        counted = np.ones(len(self.boxes)) if weights is None else weights
        total = float(self.boxes @ counted)
        if total <= 0:
            return None
        each = counted[self.pictures]
        right, wrong = np.cumsum(each * self.hits), np.cumsum(each * ~self.hits)
        if not len(right) or right[-1] == 0:
            return 0.0
        seen = np.maximum(right + wrong, np.finfo(float).eps)
        best_from_here = np.maximum.accumulate((right / seen)[::-1])[::-1]
        at = np.searchsorted(right / total, RECALL_STEPS - 1e-12, side="left")
        return float(np.append(best_from_here, 0.0)[np.minimum(at, len(right))].mean())

    @property
    def count(self) -> int:
        """True boxes."""
        return int(self.boxes.sum())

    def at(self, threshold: float) -> tuple[int, int]:
        """How many findings at or above the threshold are right, and how many there are."""
        reported = self.scores >= threshold
        return int(self.hits[reported].sum()), int(reported.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """A set of predictions matched by pycocotools: AP as COCO defines it, and the findings behind it."""

    predictions: Predictions
    _run: Any

    def ap50(self, name: str, size: str = "all") -> float | None:
        return self._average(name, size, slice(0, 1))

    def ap50_95(self, name: str, size: str = "all") -> float | None:
        return self._average(name, size, slice(None))

    def boxes(self, name: str, size: str = "all") -> int:
        """True boxes of the class in the size range."""
        rows = self._rows(name, size)
        return int(sum((~np.asarray(row["gtIgnore"], dtype=bool)).sum() for row in rows))

    def of(self, name: str, size: str = "all") -> Matched:
        """The class's findings at IoU 0.5."""
        columns: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = []
        boxes = np.zeros(len(self.predictions.pictures), dtype=np.int64)
        for row in self._rows(name, size):
            counts = ~np.asarray(row["dtIgnore"][0], dtype=bool)
            scores = np.asarray(row["dtScores"], dtype=np.float64)[counts]
            columns.append((scores, row["dtMatches"][0][counts] > 0, np.full(len(scores), row["image_id"])))
            boxes[row["image_id"]] = (~np.asarray(row["gtIgnore"], dtype=bool)).sum()
        if not columns:
            return Matched(np.empty(0), np.empty(0, dtype=np.bool_), np.empty(0, dtype=np.int64), boxes)
        scores, hits, pictures = (np.concatenate(column) for column in zip(*columns, strict=True))
        order = np.argsort(-scores, kind="stable")
        return Matched(scores[order], hits[order].astype(np.bool_), pictures[order].astype(np.int64), boxes)

    def all(self, size: str = "all") -> dict[str, Matched]:
        """The findings of every class."""
        return {name: self.of(name, size) for name in self.predictions.classes}

    def truth_scores(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of each true box of the class: its side (square root of the area) in pixels of the network's input, and
        the score of the finding that matched it at IoU 0.5, 0 where none did."""
        sides, scores = [], []
        found = self._run.cocoDt.anns
        for row in self._rows(name, "all"):
            scale = self.predictions.pictures[row["image_id"]].scale
            for truth_id, found_id, ignored in zip(row["gtIds"], row["gtMatches"][0], row["gtIgnore"], strict=True):
                if not ignored:
                    _, _, width, height = self._run.cocoGt.anns[truth_id]["bbox"]
                    sides.append(scale * np.sqrt(width * height))
                    scores.append(found[int(found_id)]["score"] if found_id > 0 else 0.0)
        return np.array(sides, dtype=np.float64), np.array(scores, dtype=np.float64)

    def _rows(self, name: str, size: str) -> list[dict[str, Any]]:
        wanted, number = self._run.params.areaRng[list(SIZES).index(size)], self._number(name)
        return [r for r in self._run.evalImgs if r and r["category_id"] == number and r["aRng"] == wanted]

    def _average(self, name: str, size: str, overlaps: slice) -> float | None:
        if not self.boxes(name, size):
            return None
        precision = self._run.eval["precision"][overlaps, :, self._number(name), list(SIZES).index(size), -1]
        known = precision[precision > -1]
        return float(known.mean()) if len(known) else 0.0

    def _number(self, name: str) -> int:
        return self.predictions.classes.index(name)


def match(predictions: Predictions) -> Matches:
    """Run COCOeval. A region that is not labelled for a class is a crowd of it: findings there don't count."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, found = _truth(predictions), _found(predictions)
    common = {
        "info": {},
        "images": [{"id": n, "width": p.width, "height": p.height} for n, p in enumerate(predictions.pictures)],
        "categories": [{"id": n, "name": name} for n, name in enumerate(predictions.classes)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        sides = []
        for annotations in (truth, found):
            side = COCO()
            side.dataset = {**common, "annotations": annotations}
            side.createIndex()
            sides.append(side)
        run = COCOeval(*sides, "bbox")
        # "Area" is the square of the longer side in the network's input, so that ranges of it are ranges of that side.
        run.params.areaRng = [[low**2, high**2] for low, high in SIZES.values()]
        run.params.areaRngLbl = list(SIZES)
        run.params.maxDets = [MOST_FINDINGS]
        run.evaluate()
        run.accumulate()
    return Matches(predictions, run)


def _truth(predictions: Predictions) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number, picture in enumerate(predictions.pictures):
        for boxes, ids, is_crowd in (
            (picture.truth, picture.truth_ids, 0),
            (picture.ignored, picture.ignored_ids, 1),
        ):
            for box, class_id in zip(boxes, ids, strict=True):
                rows.append(_annotation(len(rows) + 1, number, picture, box, class_id) | {"iscrowd": is_crowd})
    return rows


def _found(predictions: Predictions) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number, picture in enumerate(predictions.pictures):
        for box, class_id, value in zip(picture.found, picture.found_ids, picture.scores, strict=True):
            rows.append(
                _annotation(len(rows) + 1, number, picture, box, class_id) | {"score": float(value), "iscrowd": 0}
            )
    return rows


def _annotation(number: int, image: int, picture: Picture, box: NDArray[np.float64], class_id: int) -> dict[str, Any]:
    x1, y1, x2, y2 = (float(value) for value in box)
    longer_side_px = max(x2 - x1, y2 - y1) * picture.scale
    return {
        "id": number,
        "image_id": image,
        "category_id": int(class_id),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": longer_side_px**2,
    }
