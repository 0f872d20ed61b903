"""What the starting weights, trained on COCO only, make of our pictures: the figures that training must beat.

COCO has no weapons. Each of our classes is compared with the COCO classes that an untrained eye would name; a box of
any of them counts as the class. Only ranking is compared (AP50), no threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from detector.errors import DataError
from detector.frame import Boxes
from detector.training.load_ultralytics import load_ultralytics
from detector.training.matching import match
from detector.training.predictions import FLOOR, LabelledFile, Predictions, picture_of, read_rgb

NEAREST: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "tank": ("truck", "car", "train", "bus", "boat"),
        "humvee": ("car", "truck"),
        "mlrs": ("truck",),
        "apc_ifv": ("truck", "car", "bus"),
        "self_propelled_howitzer": ("truck", "car", "train"),
    }
)
"""Vehicles only: nothing in COCO is near to a launcher, a gun on a carriage or a machine gun."""


def coco_ap50(
    weights: Path, files: Sequence[LabelledFile], scratch: Path, *, input_size: int
) -> dict[str, tuple[int, float | None]]:
    """Boxes and AP50 of each class of NEAREST for the ultralytics weights `weights` (80 COCO classes).

    `scratch` holds ultralytics' settings. Raises DataError for weights that do not know the COCO classes.
    """
    network = load_ultralytics(scratch).YOLO(weights)
    numbers = {name: number for number, name in network.names.items()}
    if missing := {name for names in NEAREST.values() for name in names} - numbers.keys():
        raise DataError(f"{weights} does not know the COCO class '{min(missing)}'; give COCO-trained weights.")
    classes = tuple(NEAREST)
    pictures = []
    for file in files:
        image = read_rgb(file.picture)
        result = network.predict(
            np.ascontiguousarray(image[:, :, ::-1]), imgsz=input_size, conf=FLOOR, device="cpu", verbose=False
        )[0].boxes
        xyxy, scores, found = (np.asarray(each.cpu()) for each in (result.xyxy, result.conf, result.cls))
        rows = [
            (position, row)
            for position, name in enumerate(classes)
            for row in np.flatnonzero(np.isin(found, [numbers[near] for near in NEAREST[name]]))
        ]
        order = [row for _, row in rows]
        boxes = Boxes(
            xyxy[order].reshape(-1, 4).astype(np.float32),
            scores[order].astype(np.float32),
            np.array([position for position, _ in rows], np.int64),
        )
        pictures.append(picture_of(file, classes, image.shape[1], image.shape[0], input_size, boxes))
    matches = match(Predictions("coco", classes, tuple(pictures)))
    return {name: (matches.boxes(name), matches.ap50(name)) for name in classes}
