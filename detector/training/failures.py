"""The worst misses and false alarms of a model as one picture, from scenes of our own alone.

Photographs, and scenes with a photograph behind them, belong to other people: they are counted, and never shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.training.confusion import pair
from detector.training.predictions import LabelledFile, Picture, Predictions, read_rgb

MOST_OF_A_KIND = 6
COLUMNS = 3
TILE_WIDTH, TILE_HEIGHT = 320, 180
JPEG_QUALITY = 78
THERE, REPORTED = (70, 200, 70), (60, 60, 235)
"""Colours of true and of reported boxes, BGR."""


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """One failure on a rendered scene. `kind` is missed, false alarm or mistaken.

    `class_name` is the one that is there (missed, mistaken) or that was reported; `taken_for` and `score` are those of
    the report. `box` is left, top, right, bottom in pixels of the picture, `side_px` its longer side in pixels of the
    network's input.
    """

    kind: str
    file: Path
    class_name: str
    taken_for: str | None
    score: float | None
    side_px: float
    box: tuple[float, ...]
    scene: str
    truth: NDArray[np.float64]
    reported: NDArray[np.float64]

    def line(self) -> str:
        """What it is, for a caption."""
        score = "" if self.score is None else f" at {self.score:.2f}"
        what = {
            "missed": f"missed: {self.class_name}",
            "false alarm": f"false alarm: {self.class_name}{score}",
            "mistaken": f"{self.class_name} taken for {self.taken_for}{score}",
        }[self.kind]
        return f"{what}, {self.side_px:.0f} px ({', '.join(part for part in (self.scene, self.file.name) if part)})"


def failures(
    predictions: Predictions, files: Sequence[LabelledFile], thresholds: Mapping[str, float]
) -> tuple[Failure, ...]:
    """The largest boxes missed, then the surest false and mistaken reports: MOST_OF_A_KIND each, one a picture.

    Only of pictures that `ordnance dataset render` made without a photograph in them. `files` are those of the
    predictions, in their order.
    """
    least = np.array([thresholds[name] for name in predictions.classes])
    missed: list[Failure] = []
    wrong: list[Failure] = []
    for picture, file in zip(predictions.pictures, files, strict=True):
        scene = _own_scene(file.picture)
        if scene is not None:
            here = _of_picture(picture, file.picture, scene, predictions.classes, least)
            missed += sorted((each for each in here if each.kind == "missed"), key=lambda each: -each.side_px)[:1]
            wrong += sorted((each for each in here if each.kind != "missed"), key=lambda each: -(each.score or 0))[:1]
    missed.sort(key=lambda each: -each.side_px)
    wrong.sort(key=lambda each: -(each.score or 0))
    return (*missed[:MOST_OF_A_KIND], *wrong[:MOST_OF_A_KIND])


def contact_sheet(shown: Sequence[Failure]) -> bytes:
    """A numbered tile for each failure (JPEG): what is there in green, what was reported in red, the failure thick."""
    import cv2

    rows = -(-len(shown) // COLUMNS)
    sheet = np.full((rows * TILE_HEIGHT, COLUMNS * TILE_WIDTH, 3), 255, np.uint8)
    for number, each in enumerate(shown):
        row, column = divmod(number, COLUMNS)
        tile = sheet[row * TILE_HEIGHT : (row + 1) * TILE_HEIGHT, column * TILE_WIDTH : (column + 1) * TILE_WIDTH]
        tile[:] = _tile(each, number + 1)
    _, coded = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return coded.tobytes()


def _of_picture(
    picture: Picture, file: Path, scene: str, classes: Sequence[str], least: NDArray[np.float64]
) -> list[Failure]:
    paired = pair(picture, least)
    reported = picture.found[picture.scores >= least[picture.found_ids]]

    def failure(kind: str, box: NDArray[np.float64], name: int, found: int | None, taken_for: str | None) -> Failure:
        side = float(max(box[2] - box[0], box[3] - box[1])) * picture.scale
        score = None if found is None else float(picture.scores[found])
        corners = tuple(float(value) for value in box)
        return Failure(kind, file, classes[name], taken_for, score, side, corners, scene, picture.truth, reported)

    return [
        *(failure("missed", picture.truth[true], picture.truth_ids[true], None, None) for true in paired.missed),
        *(failure("false alarm", picture.found[n], picture.found_ids[n], n, None) for n in paired.alarms),
        *(
            failure("mistaken", picture.found[n], picture.truth_ids[true], n, classes[picture.found_ids[n]])
            for n, true in paired.confused
        ),
    ]


def _own_scene(picture: Path) -> str | None:
    """What the record of a rendered scene says of it; None without a record, or with a photograph in the scene."""
    path = picture.parent.parent / "records" / f"{picture.stem}.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["backdrop"] is not None or record["file"] != picture.name:
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    facts = (record.get(name) for name in ("weapon", "setting", "weather"))
    return ", ".join(str(fact) for fact in facts if fact)


def _tile(each: Failure, number: int) -> NDArray[np.uint8]:
    import cv2

    picture = np.ascontiguousarray(read_rgb(each.file)[:, :, ::-1])
    height, width = picture.shape[:2]
    scale = min(TILE_WIDTH / width, TILE_HEIGHT / height)
    tile = np.full((TILE_HEIGHT, TILE_WIDTH, 3), 255, np.uint8)
    small = cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    tile[: small.shape[0], : small.shape[1]] = small
    marks = [(box, THERE, 1) for box in each.truth] + [(box, REPORTED, 1) for box in each.reported]
    marks.append((np.array(each.box), THERE if each.kind == "missed" else REPORTED, 2))
    for box, colour, thickness in marks:
        x1, y1, x2, y2 = (round(float(value) * scale) for value in box)
        cv2.rectangle(tile, (x1, y1), (x2, y2), colour, thickness)
    cv2.rectangle(tile, (0, 0), (22, 18), (255, 255, 255), -1)
    cv2.putText(tile, str(number), (3, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return tile
