"""Measures a model on photographs by the COCO protocol (pycocotools): AP at IoU 0.5 and averaged over 0.5:0.95."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import DataError
from detector.frame import Boxes
from detector.training.dataset import complete_rows, photograph_files, rendered_files

BATCH = 8
NEGATIVES_COMPLETE_FOR = ("construction_machine",)
"""Pictures boxed for excavators only, which hold no weapon."""


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class on one split. AP is None where the split has no box of the class.

    `precision` and `recall` hold at `threshold` and IoU 0.5; precision is None where nothing was reported.
    """

    boxes: int
    ap50: float | None
    ap50_95: float | None
    threshold: float
    precision: float | None
    recall: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model scored on a split. `false_alarm_pictures` of `negatives` weapon-free pictures had a report."""

    split: str
    pictures: int
    negatives: int
    false_alarm_pictures: int
    classes: dict[str, ClassScore]

    def mean_ap50(self, names: Sequence[str]) -> float:
        """mAP50 over those of `names` that the split has boxes of."""
        known = [score.ap50 for name in names if (score := self.classes[name]).ap50 is not None]
        return float(np.mean(known)) if known else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Truth and findings of one split, in COCO's form, so that thresholds can be tried without a new run."""

    split: str
    classes: tuple[str, ...]
    images: list[dict[str, Any]]
    truth: list[dict[str, Any]]
    found: list[dict[str, Any]]


def predict_split(
    detect: Callable[[Sequence[NDArray[np.uint8]]], list[Boxes]],
    classes: Sequence[str],
    data: Path,
    split: str,
) -> Predictions:
    """Run `detect` (RGB pictures in, boxes out) over the photographs of `split` that are labelled completely."""
    rows = [row for row in complete_rows(NEGATIVES_COMPLETE_FOR, data) if row["split"] == split]
    if not rows:
        raise DataError(f"{data} has no photographs of the split '{split}'; use train, val or test.")
    return _predict(detect, classes, [photograph_files(row, data) for row in rows], split)


def predict_renders(
    detect: Callable[[Sequence[NDArray[np.uint8]]], list[Boxes]], classes: Sequence[str], folder: Path
) -> Predictions:
    """The same over a folder of `ordnance dataset render`, apart from the photographs and never mixed with them."""
    return _predict(detect, classes, rendered_files(folder), "rendered")


def _predict(
    detect: Callable[[Sequence[NDArray[np.uint8]]], list[Boxes]],
    classes: Sequence[str],
    files: Sequence[tuple[Path, Path]],
    split: str,
) -> Predictions:
    predictions = Predictions(split, tuple(classes), [], [], [])
    for start in range(0, len(files), BATCH):
        batch = files[start : start + BATCH]
        pictures = [_read_rgb(picture) for picture, _ in batch]
        for (_, label), picture, boxes in zip(batch, pictures, detect(pictures), strict=True):
            _note(predictions, label, picture, boxes)
    return predictions


def score(predictions: Predictions, thresholds: Mapping[str, float]) -> Evaluation:
    """AP of every class, and precision and recall at the given thresholds."""
    coco = _coco_eval(predictions)
    classes = {}
    for number, name in enumerate(predictions.classes):
        boxes = sum(truth["category_id"] == number for truth in predictions.truth)
        scores, hits = _matches(coco, number)
        reported = scores >= thresholds[name]
        right = int(hits[reported].sum())
        classes[name] = ClassScore(
            boxes,
            _average(coco.eval["precision"][0, :, number, 0, -1]) if boxes else None,
            _average(coco.eval["precision"][:, :, number, 0, -1]) if boxes else None,
            thresholds[name],
            right / int(reported.sum()) if reported.any() else None,
            right / boxes if boxes else None,
        )
    with_truth = {truth["image_id"] for truth in predictions.truth}
    alarmed = {
        found["image_id"]
        for found in predictions.found
        if found["score"] >= thresholds[predictions.classes[found["category_id"]]]
    }
    negatives = {image["id"] for image in predictions.images} - with_truth
    return Evaluation(predictions.split, len(predictions.images), len(negatives), len(alarmed & negatives), classes)


def choose_thresholds(
    predictions: Predictions, *, fallback: float, lowest: float, highest: float, enough: int = 10
) -> dict[str, float]:
    """The score at which each class has its best F1 on these predictions, kept within `lowest`..`highest`.

    A class with fewer than `enough` boxes gets `fallback`: its best F1 would be chance.
    """
    coco = _coco_eval(predictions)
    chosen = {}
    for number, name in enumerate(predictions.classes):
        boxes = sum(truth["category_id"] == number for truth in predictions.truth)
        scores, hits = _matches(coco, number)
        if boxes < enough or not len(scores):
            chosen[name] = fallback
            continue
        right = np.cumsum(hits)
        f1 = 2 * right / (np.arange(1, len(scores) + 1) + boxes)
        chosen[name] = round(float(np.clip(scores[int(np.argmax(f1))], lowest, highest)), 3)
    return chosen


def _read_rgb(path: Path) -> NDArray[np.uint8]:
    import cv2

    picture = cv2.imread(str(path))
    if picture is None:
        raise DataError(f"The picture {path} is missing or damaged.")
    return np.asarray(picture[:, :, ::-1], dtype=np.uint8)


def _note(predictions: Predictions, label: Path, picture: NDArray[np.uint8], boxes: Boxes) -> None:
    number = len(predictions.images)
    height, width = picture.shape[:2]
    predictions.images.append({"id": number, "width": width, "height": height})
    for line in label.read_text(encoding="utf-8").splitlines():
        name, *numbers = line.split()
        if name in predictions.classes:
            cx, cy, w, h = (float(n) * side for n, side in zip(numbers, (width, height) * 2, strict=True))
            predictions.truth.append(
                {
                    "id": len(predictions.truth) + 1,
                    "image_id": number,
                    "category_id": predictions.classes.index(name),
                    "bbox": [cx - w / 2, cy - h / 2, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                }
            )
    for (x1, y1, x2, y2), value, class_id in zip(boxes.xyxy, boxes.scores, boxes.class_ids, strict=True):
        predictions.found.append(
            {
                "image_id": number,
                "category_id": int(class_id),
                "bbox": [float(x1), float(y1), float(x2 - x1), float(y2 - y1)],
                "score": float(value),
            }
        )


def _coco_eval(predictions: Predictions) -> Any:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": predictions.images,
            "annotations": predictions.truth,
            "categories": [{"id": n, "name": name} for n, name in enumerate(predictions.classes)],
        }
        truth.createIndex()
        found = truth.loadRes(predictions.found) if predictions.found else COCO()
        if not predictions.found:
            found.dataset = {**truth.dataset, "annotations": []}
            found.createIndex()
        run = COCOeval(truth, found, "bbox")
        run.evaluate()
        run.accumulate()
    return run


def _matches(coco: Any, number: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores of a class's findings, best first, and whether each matched a true box at IoU 0.5."""
    whole_range = coco.params.areaRng[0]
    rows = [row for row in coco.evalImgs if row and row["category_id"] == number and row["aRng"] == whole_range]
    if not rows:
        return np.empty(0), np.empty(0, dtype=np.bool_)
    scores = np.concatenate([np.asarray(row["dtScores"], dtype=np.float64) for row in rows])
    hits = np.concatenate([np.asarray(row["dtMatches"][0] > 0, dtype=np.bool_) for row in rows])
    order = np.argsort(-scores, kind="stable")
    return scores[order], hits[order]


def _average(precision: NDArray[np.float64]) -> float:
    known = precision[precision > -1]
    return float(known.mean()) if len(known) else 0.0
