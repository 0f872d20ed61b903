"""What is on a set of pictures and what a model found there, kept together so that figures can be taken many ways.

Photographs, composites and renders are sets of their own and never mixed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from detector.errors import DataError
from detector.frame import Boxes
from detector.models.second_view import mirrored_back
from detector.training.corrections import with_committed_corrections
from detector.training.labels import LabelledBox, read_labels
from detector.training.photographs import FOUNDING, complete_rows, read_photograph, rendered_files

if TYPE_CHECKING:
    from detector.models import Model

BATCH = 8
FLOOR = 0.001
"""Lowest score that is kept for average precision, as ultralytics validates; a model's own `score_floor` would cut its
curve short."""

NEGATIVES_COMPLETE_FOR = ("construction_machine",)
"""Pictures boxed for excavators only, which hold no weapon."""

UNVOUCHED = ("self_propelled_howitzer",)
"""Classes of ours that the tank photographs, those with FOUNDING, are not boxed for exhaustively."""

WEAPON_FREE_LABELS = frozenset({"soldier", "civilian_vehicle", "construction_machine"})
"""A picture whose labels are all of these, or that has none, shows no weapon."""

ROOF_GUN_CARRIERS = frozenset({"tank", "apc_ifv", "self_propelled_howitzer", "humvee", "mlrs", "military_truck"})
ROOF_ABOVE, ROOF_BELOW = 0.35, 0.5
"""A carrier's roof, where small guns are not boxed everywhere: from 0.35 of the box's height above it to its middle."""

Damage = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Truth and findings of one picture; boxes are float64 (n, 4): left, top, right, bottom in its pixels.

    `truth` and `found` are of the model's classes, by position; `ignored` are regions in which a finding of that class
    is neither right nor wrong, because the picture is not labelled there. `labels` are all label names on it, ours
    and others. `scale` takes its pixels to those of the network's input.
    """

    name: str
    source: str
    width: int
    height: int
    scale: float
    labels: tuple[str, ...]
    truth: NDArray[np.float64]
    truth_ids: NDArray[np.int64]
    ignored: NDArray[np.float64]
    ignored_ids: NDArray[np.int64]
    found: NDArray[np.float64]
    found_ids: NDArray[np.int64]
    scores: NDArray[np.float64]

    def __repr__(self) -> str:
        return f"Picture({self.name!r}, {len(self.truth)} boxes, {len(self.found)} found)"

    @property
    def is_weapon_free(self) -> bool:
        return WEAPON_FREE_LABELS.issuperset(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """The pictures of one set, with what a model of `classes` found on them."""

    name: str
    classes: tuple[str, ...]
    pictures: tuple[Picture, ...]

    def only(self, keep: Callable[[Picture], bool], name: str) -> Predictions:
        """The pictures that `keep` says yes to, under another name."""
        return replace(self, name=name, pictures=tuple(picture for picture in self.pictures if keep(picture)))


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """A picture file and the boxes on it. `unvouched` are not boxed exhaustively."""

    picture: Path
    boxes: tuple[LabelledBox, ...]
    source: str
    unvouched: tuple[str, ...] = ()
    unboxed_roof_guns: bool = False


def photographs(data: Path, split: str, classes: Sequence[str]) -> list[LabelledFile]:
    """The photographs of a split that are labelled for `classes`, with the committed corrections to their labels.

    Those leave the test split alone. Raises DataError for an empty split, and for a picture that is missing or not the
    listed one.
    """
    rows = complete_rows(data, split, classes, NEGATIVES_COMPLETE_FOR)
    if not rows:
        raise DataError(
            f"{data} has no photograph of the split '{split}' on which every weapon that the model knows is boxed; "
            "use train, val or test, or see `complete_for` in datasets/DATA_LAYOUT.md."
        )
    return [
        LabelledFile(
            each.picture,
            each.boxes,
            source=each.source,
            unvouched=UNVOUCHED if each.complete_for == FOUNDING else (),
            unboxed_roof_guns=True,
        )
        for each in with_committed_corrections([read_photograph(row, data) for row in rows])
    ]


def labelled_folder(folder: Path) -> list[LabelledFile]:
    """The pictures of a folder of `ordnance dataset render` or `composites`, whose boxes are complete."""
    return [LabelledFile(picture, read_labels(label), folder.name) for picture, label in rendered_files(folder)]


def predict(
    model: Model,
    files: Sequence[LabelledFile],
    name: str,
    *,
    damage: Damage | None = None,
    mirrored: bool = False,
    floor: float = FLOOR,
) -> Predictions:
    """Run `model` over the pictures, each changed by `damage` first, which must leave their size alone.

    With `mirrored` left and right are swapped before that, and swapped back in the boxes.
    """
    pictures: list[Picture] = []
    for start in range(0, len(files), BATCH):
        batch = files[start : start + BATCH]
        images = [read_rgb(each.picture) for each in batch]
        if mirrored:
            images = [np.ascontiguousarray(image[:, ::-1]) for image in images]
        if damage is not None:
            images = [damage(image) for image in images]
        for file, image, boxes in zip(batch, images, model.detect(images, floor=floor), strict=True):
            height, width = image.shape[:2]
            if mirrored:
                boxes = mirrored_back(boxes, width)
            pictures.append(picture_of(file, model.classes, width, height, model.input_size, boxes))
    return Predictions(name, model.classes, tuple(pictures))


def picture_of(
    file: LabelledFile, classes: Sequence[str], width: int, height: int, input_size: int, boxes: Boxes
) -> Picture:
    """The truth of `file` together with `boxes`, found on the picture of that size."""
    labelled = [(each.class_name, _in_pixels(each, width, height)) for each in file.boxes]
    truth = [(classes.index(name), box) for name, box in labelled if name in classes]
    ignored = [(classes.index(name), (0.0, 0.0, float(width), float(height))) for name in file.unvouched]
    if file.unboxed_roof_guns and "machine_gun" in classes:
        gun = classes.index("machine_gun")
        ignored += [(gun, _roof(box)) for name, box in labelled if name in ROOF_GUN_CARRIERS]
    truth_ids, truth_boxes = _columns(truth)
    ignored_ids, ignored_boxes = _columns([(number, box) for number, box in ignored if number < len(classes)])
    return Picture(
        name=file.picture.name,
        source=file.source,
        width=width,
        height=height,
        scale=input_size / max(width, height),
        labels=tuple(name for name, _ in labelled),
        truth=truth_boxes,
        truth_ids=truth_ids,
        ignored=ignored_boxes,
        ignored_ids=ignored_ids,
        found=boxes.xyxy.astype(np.float64),
        found_ids=boxes.class_ids.astype(np.int64),
        scores=boxes.scores.astype(np.float64),
    )


Box = tuple[float, float, float, float]


def _in_pixels(box: LabelledBox, width: int, height: int) -> Box:
    x1, y1, x2, y2 = box.corners
    return x1 * width, y1 * height, x2 * width, y2 * height


def _roof(box: Box) -> Box:
    x1, y1, x2, y2 = box
    height = y2 - y1
    return x1, y1 - ROOF_ABOVE * height, x2, y1 + ROOF_BELOW * height


def _columns(rows: Sequence[tuple[int, Box]]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    ids = np.array([number for number, _ in rows], dtype=np.int64)
    return ids, np.array([box for _, box in rows], dtype=np.float64).reshape(-1, 4)


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """The picture at `path`, uint8 (h, w, 3). Raises DataError where it is missing or damaged."""
    import cv2

    picture = cv2.imread(str(path))
    if picture is None:
        raise DataError(f"The picture {path} is missing or damaged.")
    return np.asarray(picture[:, :, ::-1], dtype=np.uint8)
