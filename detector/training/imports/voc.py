"""Pascal VOC XML, one file a picture. Corners are taken as LabelImg and CVAT write them: pixels counted from 0.

A rectangle that was turned in CVAT, whose export gives the box as it was before and `rotation` beside it, becomes the
upright box around it. The split is what ImageSets/Main/{train,val,test}.txt list, or else what folders are named. A
picture that is listed there and has no XML file has no object: CVAT writes none for it.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from detector.errors import DataError
from detector.training.imports.annotations import (
    AnnotatedPicture,
    SourceBox,
    files_below,
    find_picture,
    finite,
    read_text,
    read_xml,
    turned_about_centre,
)
from detector.training.imports.splits import split_listed, split_of_folders
from detector.training.photographs import PICTURE_SUFFIXES, SPLITS


def read_voc(source: Path, images: Path | None = None) -> list[AnnotatedPicture]:
    """The pictures of all XML files in `source` or its Annotations/. Raises DataError that names the wrong file."""
    if source.is_file():
        raise DataError(f"{source} is a file; give the folder of the .xml files.")
    home = source.parent if source.name == "Annotations" else source
    folder = home / "Annotations" if (home / "Annotations").is_dir() else home
    files = [path for path in files_below(folder) if path.suffix.lower() == ".xml"]
    if not files:
        raise DataError(f"{folder} holds no .xml files of Pascal VOC annotations.")
    lists = _lists(home)
    names = {path: {path.stem, path.relative_to(folder).with_suffix("").as_posix()} for path in files}
    annotated = [
        AnnotatedPicture(
            *_read(path, path.parent.relative_to(folder), _folders(home, path.parent, images)),
            split_listed(names[path], lists) or split_of_folders(path.relative_to(folder).parts[:-1]),
        )
        for path in files
    ]
    empty = set().union(*lists.values()) - set().union(*names.values())
    return annotated + [
        AnnotatedPicture(
            find_picture(name, _folders(home, folder, images), str(home / "ImageSets" / "Main")),
            (),
            split=split_listed({name}, lists),
        )
        for name in sorted(empty)
    ]


def _lists(home: Path) -> dict[str, set[str]]:
    """The names that ImageSets/Main lists for each split; trainval.txt is train's where it is not parted further."""
    folder = home / "ImageSets" / "Main"
    found = {split: folder / f"{split}.txt" for split in SPLITS}
    if not (found["train"].is_file() or found["val"].is_file()):
        found["train"] = folder / "trainval.txt"
    return {
        split: {_without_ending(line.strip()) for line in read_text(path).splitlines() if line.strip()}
        for split, path in found.items()
        if path.is_file()
    }


def _without_ending(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in PICTURE_SUFFIXES else name


def _folders(home: Path, beside: Path, images: Path | None) -> list[Path]:
    return [images] if images else [home / "JPEGImages", beside, beside / "images", home, home / "images"]


def _read(path: Path, below: Path, folders: list[Path]) -> tuple[Path, tuple[SourceBox, ...], tuple[int, int]]:
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
        if degrees := _degrees(thing, where):
            x1, y1, x2, y2 = turned_about_centre(x1, y1, x2, y2, degrees)
        boxes.append(SourceBox(label, x1 / width, y1 / height, x2 / width, y2 / height, where))
    name = (root.findtext("filename") or "").strip()
    if not name:
        raise DataError(f"{path} does not name its picture in <filename>.")
    return find_picture(f"{below.as_posix()}/{name}", folders, str(path)), tuple(boxes), (int(width), int(height))


def _degrees(thing: Any, where: str) -> float:
    """How far CVAT says that the rectangle was turned; 0 where it says nothing."""
    for attribute in thing.iterfind("attributes/attribute"):
        if attribute.findtext("name") == "rotation":
            return finite(attribute.findtext("value"), f"{where}: rotation")
    return 0.0


def _number(element: Any, name: str, path: Path) -> float:
    return finite(element.findtext(name), f"{path}: <{name}>")
