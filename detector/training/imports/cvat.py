"""CVAT for images 1.1 (docs.cvat.ai, "XML annotation format"): one XML file, boxes in pixels of the upright picture.

A turned rectangle (`rotation`, degrees clockwise about its centre) becomes the upright box around it; of a polygon the
extent is taken. Other shapes are refused where the class map wants their label. A project is exported with its pictures
in images/SUBSET/. The split is the subset, or else what the folders in a picture's name say.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from detector.errors import DataError
from detector.training.imports.annotations import (
    AnnotatedPicture,
    SourceBox,
    find_picture,
    finite,
    picture_folders,
    read_xml,
    turned_about_centre,
)
from detector.training.imports.splits import split_named, split_of_name

OTHER_SHAPES = ("polyline", "points", "cuboid", "ellipse", "mask", "skeleton")


def read_cvat(source: Path, images: Path | None = None) -> list[AnnotatedPicture]:
    """The pictures of annotations.xml, or of the folder that holds it. Raises DataError that names the picture."""
    path = source / "annotations.xml" if source.is_dir() else source
    root = read_xml(path)
    if root.tag != "annotations":
        raise DataError(f"{path} is not CVAT XML: its root is <{root.tag}>, not <annotations>.")
    if root.find("track") is not None:
        raise DataError(f"{path} is CVAT for video; export the task as 'CVAT for images 1.1'.")
    folders = picture_folders(path, images)
    pictures = [_picture(element, path, folders) for element in root.iter("image")]
    if not pictures:
        raise DataError(f"{path} lists no <image>.")
    return pictures


def _picture(element: Any, path: Path, folders: list[Path]) -> AnnotatedPicture:
    name = element.get("name") or ""
    where = f"{path}, image '{name}'"
    width, height = (_number(element, key, where) for key in ("width", "height"))
    if width < 1 or height < 1:
        raise DataError(f"{where} has no size.")
    boxes = []
    for shape in element:
        label = shape.get("label") or ""
        if shape.tag == "box":
            x1, y1, x2, y2 = (_number(shape, key, where) for key in ("xtl", "ytl", "xbr", "ybr"))
            degrees = _number(shape, "rotation", where) if shape.get("rotation") else 0.0
            if degrees:
                x1, y1, x2, y2 = turned_about_centre(x1, y1, x2, y2, degrees)
        elif shape.tag == "polygon":
            numbers = [finite(text, f"{where}: points") for text in re.split("[,;]", shape.get("points") or "")]
            if len(numbers) % 2:
                raise DataError(f"{where}: a polygon's points are not pairs of numbers.")
            x1, x2 = min(numbers[::2]), max(numbers[::2])
            y1, y2 = min(numbers[1::2]), max(numbers[1::2])
        elif shape.tag in OTHER_SHAPES:
            boxes.append(SourceBox(label, 0, 0, 0, 0, where, f"is a {shape.tag}; draw a rectangle or polygon"))
            continue
        else:
            continue
        boxes.append(SourceBox(label, x1 / width, y1 / height, x2 / width, y2 / height, where))
    subset = element.get("subset") or ""
    picture = find_picture(f"{subset}/{name}", folders, str(path))
    split = split_named(subset) or split_of_name(name)
    return AnnotatedPicture(picture, tuple(boxes), (int(width), int(height)), split)


def _number(element: Any, name: str, where: str) -> float:
    return finite(element.get(name), f"{where}: {name}")
