"""YOLO labels as ultralytics reads them: images/ and labels/ side by side, names in data.yaml or classes.txt.

A line is `class_number cx cy w h`, or `class_number x1 y1 x2 y2 x3 y3 …` for an outline, of which the extent is taken;
all in 0..1. Where data.yaml has a `kpt_shape`, key points follow the box and are passed over. A picture without a label
file has no object. The split is what data.yaml lists, folders or files of names, or else what folders are named.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from detector.errors import DataError
from detector.training.imports.annotations import AnnotatedPicture, SourceBox, files_below, read_text, tails
from detector.training.imports.splits import SPLIT_NAMES, split_listed, split_of_folders
from detector.training.photographs import PICTURE_SUFFIXES
from detector.training.yaml_text import not_yaml


def read_yolo(source: Path, images: Path | None = None) -> list[AnnotatedPicture]:
    """The pictures below the folder `source`, or of the data.yaml that it is. `images` narrows them to a folder.

    Raises DataError that names the file and line of a wrong label, a label file without a picture or in a wrong place,
    or of two pictures.
    """
    folder = (source.parent if source.is_file() else source).resolve()
    below = (images or folder).resolve()
    root = folder if below.is_relative_to(folder) else below.parent if below.name == "images" else below
    listing = source.resolve() if source.is_file() else folder / "data.yaml"
    settings = _settings(listing) if listing.is_file() else {}
    names = _names(folder, listing, settings, has_listing=source.is_file())
    points = _point_values(listing, settings)
    pictures = [path for path in files_below(below) if _is_picture(path, root)]
    if not pictures:
        raise DataError(f"{below} holds no pictures in a folder named images/.")
    _check_labels(pictures, root, below)
    stated = _stated(settings, folder, root)
    return [
        AnnotatedPicture(
            path,
            _boxes(_label_file(path), names, points),
            None,
            split_listed((*path.parents, path.resolve(), *path.resolve().parents), stated)
            or split_of_folders(path.relative_to(root).parts[:-1]),
        )
        for path in pictures
    ]


def _is_picture(path: Path, root: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and "images" in path.relative_to(root).parts[:-1]


def _swapped(path: Path, was: str, folder: str) -> Path:
    """`path` with its last folder named `was` named `folder`."""
    parts = list(path.parts)
    parts[len(parts) - 2 - parts[-2::-1].index(was)] = folder
    return Path(*parts)


def _label_file(picture: Path) -> Path:
    return _swapped(picture, "images", "labels").with_suffix(".txt")


def _check_labels(pictures: Sequence[Path], root: Path, below: Path) -> None:
    labels: dict[Path, Path] = {}
    for picture in pictures:
        other = labels.setdefault(_label_file(picture), picture)
        if other is not picture and _label_file(picture).is_file():
            raise DataError(f"{other} and {picture} have one label file, {_label_file(picture)}; rename one of them.")
        beside = picture.with_suffix(".txt")
        if beside.is_file() and not _label_file(picture).is_file():
            raise DataError(f"The label file {beside} lies beside its picture; move it to {_label_file(picture)}.")
    is_inside = "images" in below.relative_to(root).parts
    folder = _swapped(below / "*", "images", "labels").parent if is_inside else below
    for label in files_below(folder) if folder.is_dir() else ():
        is_text = label.suffix == ".txt" and label.name != "classes.txt"
        if is_text and "labels" in label.relative_to(root).parts[:-1] and label not in labels:
            raise DataError(_without_picture(label))
    if not any(label.is_file() for label in labels):
        raise DataError(
            f"{below} has no label file beside it in a folder named labels/; if nothing is in its pictures, "
            "add an empty label file for each."
        )


def _without_picture(label: Path) -> str:
    picture = _swapped(label, "labels", "images").with_suffix("")
    for other in picture.parent.iterdir() if picture.parent.is_dir() else ():
        if other.stem == picture.name:
            return f"The labelled picture {other} is of a type that is not read; make a .jpg or .png of it."
    return f"The label file {label} has no picture {picture}.jpg; add the picture or remove the label file."


def _boxes(path: Path, names: dict[int, str], points: int) -> tuple[SourceBox, ...]:
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
        if len(values) in (4, 4 + points):
            cx, cy, width, height = values[:4]
            corners = (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
        elif points:
            raise DataError(
                f"{where}: {len(values)} numbers are neither a box nor one with the key points of kpt_shape."
            )
        elif len(values) >= 6 and len(values) % 2 == 0:
            xs, ys = values[::2], values[1::2]
            corners = (min(xs), min(ys), max(xs), max(ys))
        else:
            raise DataError(f"{where}: {len(values)} numbers are neither a box nor an outline.")
        boxes.append(SourceBox(name, *corners, where))
    return tuple(boxes)


def _settings(path: Path) -> dict[str, Any]:
    """data.yaml with every value as it is written, so that a class may be named 007 or no."""
    try:
        content = yaml.load(read_text(path), yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise not_yaml(f"{path} is", error) from error
    return content if isinstance(content, dict) else {}


def _names(folder: Path, path: Path, settings: dict[str, Any], *, has_listing: bool) -> dict[int, str]:
    classes = folder / "classes.txt"
    if classes.is_file() and not has_listing:
        lines = [line.strip() for line in read_text(classes).rstrip().splitlines()]
        if "" in lines:
            raise DataError(f"{classes}, line {lines.index('') + 1} is blank and would shift the numbers below it.")
        listed = dict(enumerate(lines))
        _check_agreement(classes, listed, path, settings)
        return listed
    if not path.is_file():
        raise DataError(
            f"{folder} holds neither data.yaml nor classes.txt to name its classes; give the .yaml file that does "
            "instead of the folder if it has another name."
        )
    pairs = _named(settings)
    if not pairs:
        raise DataError(f"{path} does not list the class names under 'names'.")
    for number, name in pairs:
        if not str(number).isdecimal() or not isinstance(name, str) or not name:
            raise DataError(f"{path} names a class '{number}: {name}' under 'names'; write 'number: name'.")
    return {int(number): name for number, name in pairs}


def _named(settings: dict[str, Any]) -> list[tuple[Any, Any]]:
    names = settings.get("names")
    return list(names.items() if isinstance(names, dict) else enumerate(names if isinstance(names, list) else ()))


def _check_agreement(classes: Path, listed: dict[int, str], path: Path, settings: dict[str, Any]) -> None:
    """LabelImg writes a classes.txt of its own beside whatever data.yaml there is."""
    for number, name in _named(settings):
        other = listed.get(int(number)) if str(number).isdecimal() else None
        if other is not None and other != name:
            raise DataError(
                f"{classes} calls class {number} '{other}', {path} calls it '{name}'; remove the file that is wrong."
            )


def _point_values(path: Path, settings: dict[str, Any]) -> int:
    """How many numbers of key points follow a box; 0 where the set has none."""
    if "kpt_shape" not in settings:
        return 0
    shape = settings["kpt_shape"]
    if not isinstance(shape, list) or len(shape) != 2 or not all(str(value).isdecimal() for value in shape):
        raise DataError(f"{path}: kpt_shape is not [points, numbers of each].")
    return int(shape[0]) * int(shape[1])


def _stated(settings: dict[str, Any], folder: Path, root: Path) -> dict[str, set[Path]]:
    """The folders and pictures that data.yaml lists for each split."""
    home = settings.get("path")
    roots = [*([folder / home] if isinstance(home, str) and home else []), folder, root]
    stated: dict[str, set[Path]] = defaultdict(set)
    for key, value in settings.items():
        if key not in SPLIT_NAMES:
            continue
        for entry in value if isinstance(value, list) else [value]:
            for place in _places(str(entry), roots):
                stated[SPLIT_NAMES[key]].update(_listed(place, roots) if place.is_file() else {place})
    return stated


def _listed(listing: Path, roots: Sequence[Path]) -> Iterator[Path]:
    for line in read_text(listing).splitlines():
        yield from _places(line.strip(), [listing.parent, *roots])


def _places(entry: str, roots: Sequence[Path]) -> set[Path]:
    """Where `entry` lies below `roots`, by as much of its path as there is: the path may be that of another machine."""
    for tail in tails(entry):
        found = {(root / tail).resolve() for root in roots if (root / tail).exists()}
        if found:
            return found
    return set()
