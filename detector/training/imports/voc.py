"""Pascal VOC XML, one file a picture. Corners are taken as LabelImg and CVAT write them: pixels counted from 0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detector.errors import DataError
from detector.training.imports.annotations import AnnotatedPicture, SourceBox, find_picture, finite, read_xml


def read_voc(source: Path, images: Path | None = None) -> list[AnnotatedPicture]:
    """The pictures of all XML files in `source` or its Annotations/. Raises DataError that names the wrong file."""
    folder = source / "Annotations" if (source / "Annotations").is_dir() else source
    files = sorted(folder.rglob("*.xml"))
    if not files:
        raise DataError(f"{folder} holds no .xml files of Pascal VOC annotations.")
    return [_read(path, _folders(source, path, images)) for path in files]


def _folders(source: Path, path: Path, images: Path | None) -> list[Path]:
    return [images] if images else [source / "JPEGImages", path.parent, source, source / "images"]


def _read(path: Path, folders: list[Path]) -> AnnotatedPicture:
    root = read_xml(path)
    if root.tag != "annotation":
        raise DataError(f"{path} is not Pascal VOC: its root is <{root.tag}>, not <annotation>.")
    width, height = (_number(root, f"size/{name}", path) for name in ("width", "height"))
    if width < 1 or height < 1:
        raise DataError(f"{path} states no size of the picture; Pascal VOC boxes need it.")
    boxes = []
    for number, thing in enumerate(root.iter("object"), 1):
        label = (thing.findtext("name") or "").strip()
        where = f"{path}, object {number}"
        if thing.find("bndbox") is None:
            boxes.append(SourceBox(label, 0, 0, 0, 0, where, "has no <bndbox>; only upright boxes are read"))
            continue
        x1, y1, x2, y2 = (_number(thing, f"bndbox/{name}", path) for name in ("xmin", "ymin", "xmax", "ymax"))
        boxes.append(SourceBox(label, x1 / width, y1 / height, x2 / width, y2 / height, where))
    name = (root.findtext("filename") or "").strip()
    if not name:
        raise DataError(f"{path} does not name its picture in <filename>.")
    return AnnotatedPicture(find_picture(name, folders, str(path)), tuple(boxes), (int(width), int(height)))


def _number(element: Any, name: str, path: Path) -> float:
    return finite(element.findtext(name), f"{path}: <{name}>")
