"""What the starting weights, trained on COCO only, make of our pictures: the figures that training must beat.

COCO has no weapons. Each of our classes is compared with the COCO classes that an untrained eye would name; a box of
any of them counts as the class. Only ranking is compared (AP50), no threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from detector.errors import DataError
from detector.frame import Boxes
from detector.training.matching import match
from detector.training.onnx_file import open_network
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


def open_coco(weights: Path, scratch: Path) -> Any:
    """The network in the ultralytics weights `weights`; `scratch` holds ultralytics' settings.

    Raises DataError where there is no such file or it holds no weights that know the COCO classes.
    """
    if not weights.is_file():
        raise DataError(f"The weights {weights} do not exist; give the COCO-trained ones, start/yolo26n_coco.pt.")
    network = open_network(weights, scratch)
    if missing := {name for names in NEAREST.values() for name in names} - set(network.names.values()):
        raise DataError(f"{weights} does not know the COCO class '{min(missing)}'; give COCO-trained weights.")
    return network


def coco_ap50(
    weights: Path, files: Sequence[LabelledFile], scratch: Path, *, input_size: int
) -> dict[str, tuple[int, float | None]]:
    """Boxes and AP50 of each class of NEAREST for the ultralytics weights `weights` (80 COCO classes).

    Raises what `open_coco` raises.
    """
    network = open_coco(weights, scratch)
    numbers = {name: number for number, name in network.names.items()}
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
