"""YOLO text labels as ultralytics reads them: images/ and labels/ side by side, names in data.yaml or classes.txt.

A line is `class_number cx cy w h`, or `class_number x1 y1 x2 y2 x3 y3 …` for an outline, of which the extent is taken;
all in 0..1. A picture without a label file has no object. Folders named train, val, valid or test give the split.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from detector.errors import DataError
from detector.training.imports.annotations import PICTURE_SUFFIXES, AnnotatedPicture, SourceBox, read_text

SPLIT_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def read_yolo(source: Path, images: Path | None = None) -> list[AnnotatedPicture]:
    """The pictures below the folder `source`, or of the data.yaml that it is. `images` narrows them to a folder.

    Raises DataError that names the file and line of a wrong label.
    """
    folder = source.parent if source.is_file() else source
    names = _names(source if source.is_file() else folder)
    below = images or folder
    found = []
    for path in sorted(below.rglob("*")):
        parts = path.relative_to(folder).parts if path.is_relative_to(folder) else path.parts
        if path.suffix.lower() in PICTURE_SUFFIXES and "images" in parts[:-1]:
            split = next((SPLIT_FOLDERS[part] for part in parts[:-1] if part in SPLIT_FOLDERS), None)
            found.append(AnnotatedPicture(path, _boxes(_label_file(path), names), None, split))
    if not found:
        raise DataError(f"{below} holds no pictures in a folder named images/.")
    return found


def _label_file(picture: Path) -> Path:
    parts = list(picture.parts)
    last = len(parts) - 2 - parts[-2::-1].index("images")
    parts[last] = "labels"
    return Path(*parts).with_suffix(".txt")


def _boxes(path: Path, names: dict[int, str]) -> tuple[SourceBox, ...]:
    if not path.is_file():
        return ()
    boxes = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            class_id, *text = line.split()
            name, values = names[int(class_id)], [float(value) for value in text]
        except KeyError as error:
            raise DataError(f"{where}: class {error} has no name in data.yaml or classes.txt.") from error
        except ValueError as error:
            raise DataError(f"{where}: '{line.strip()}' is not 'class_number cx cy w h'.") from error
        if len(values) == 4:
            cx, cy, width, height = values
            corners = (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
        elif len(values) >= 6 and len(values) % 2 == 0:
            xs, ys = values[::2], values[1::2]
            corners = (min(xs), min(ys), max(xs), max(ys))
        else:
            raise DataError(f"{where}: {len(values)} numbers are neither a box nor an outline.")
        boxes.append(SourceBox(name, *corners, where))
    return tuple(boxes)


def _names(place: Path) -> dict[int, str]:
    listing = place / "classes.txt"
    if place.is_dir() and listing.is_file():
        return dict(enumerate(line.strip() for line in read_text(listing).splitlines() if line.strip()))
    path = place / "data.yaml" if place.is_dir() else place
    if not path.is_file():
        raise DataError(f"{place} holds neither data.yaml nor classes.txt to name its classes.")
    try:
        names = yaml.safe_load(read_text(path))["names"]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise DataError(f"{path} does not list the class names under 'names'.") from error
    pairs = names.items() if isinstance(names, dict) else enumerate(names)
    return {int(number): str(name) for number, name in pairs}
