"""Writes the folders and files of a data set, so that a build that is cut short leaves none that looks whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from detector.errors import DataError
from detector.training.built_set import INDEX, UNFINISHED, BuiltSet, Picture
from detector.training.labels import LabelledBox
from detector.training.photographs import SPLITS
from detector.training.whole_file import check_writable

JPEG_BEGINS, JPEG_ENDS = b"\xff\xd8", b"\xff\xd9"


@dataclass(frozen=True, slots=True)
class NewPicture:
    """A picture on its way into a set, under the name `file`; `sha256` is that of the file `picture`."""

    picture: Path
    boxes: Sequence[LabelledBox]
    split: str
    file: str
    sha256: str
    source: str
    licence: str
    set_name: str


def check_names(pictures: Sequence[NewPicture]) -> None:
    """Raises DataError where two pictures of a split have one name but for its ending, and so one label file."""
    seen = set()
    for each in pictures:
        name = (each.split, Path(each.file).stem)
        if name in seen:
            raise DataError(f"{each.picture} has the name of another picture of the {each.split} split; rename it.")
        seen.add(name)


def check_set_folder(out: Path) -> None:
    """Raises DataError where no set can be written to `out`, or the pictures there are somebody else's."""
    is_ours = (out / INDEX).is_file() or (out / UNFINISHED).is_file()
    if not is_ours and any(folder.is_dir() and any(folder.iterdir()) for folder in _folders(out)):
        raise DataError(f"{out} holds pictures that no build put there; choose another --out.")
    check_writable(out / UNFINISHED)


def begin_set(out: Path) -> None:
    """Clear what an earlier build left in `out`. Raises as `check_set_folder` does."""
    check_set_folder(out)
    try:
        (out / UNFINISHED).touch()
        (out / INDEX).unlink(missing_ok=True)
        for folder in _folders(out):
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_name(f"{folder.name}.cache").unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{out} cannot be written: {error.strerror}.") from error


def _folders(out: Path) -> list[Path]:
    return [out / split / part for split in SPLITS for part in ("images", "labels")]


def add_picture(out: Path, classes: Sequence[str], new: NewPicture) -> Picture:
    """Link or copy the picture into its split and write the boxes of `classes` beside it.

    Raises DataError for a full disk.
    """
    known = [box for box in new.boxes if box.class_name in classes]
    images, labels = out / new.split / "images", out / new.split / "labels"
    target = images / new.file
    text = "".join(f"{classes.index(box.class_name)} {box.line().split(' ', 1)[1]}\n" for box in known)
    try:
        images.mkdir(parents=True, exist_ok=True)
        labels.mkdir(parents=True, exist_ok=True)
        digest = _put(new, target)
    except OSError as error:
        raise DataError(f"{target} cannot be written: {error.strerror}.") from error
    _write((labels / new.file).with_suffix(".txt"), text)
    return Picture(
        new.file,
        new.set_name,
        new.split,
        digest,
        tuple(sorted({box.class_name for box in known})),
        new.source,
        new.licence,
        hashlib.sha256(text.encode()).hexdigest(),
    )


def finish_set(out: Path, built: BuiltSet) -> None:
    """Write `out`/dataset.json, which makes the set whole."""
    _write(out / UNFINISHED, json.dumps(asdict(built), indent=1) + "\n")
    (out / UNFINISHED).replace(out / INDEX)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from error


def _put(new: NewPicture, target: Path) -> str:
    """Link or copy the picture to `target`; returns the SHA-256 of what lies there.

    A JPEG with further bytes after its end marker, as phones write them, is copied and the marker put after those,
    too: the trainer looks for it at the end of the file, and would compress anew a picture of the set that lacks it.
    """
    with new.picture.open("rb") as stream:
        begins = stream.read(len(JPEG_BEGINS))
        stream.seek(-len(JPEG_ENDS), os.SEEK_END)
        ends = stream.read()
    if begins == JPEG_BEGINS and ends != JPEG_ENDS:
        content = new.picture.read_bytes() + JPEG_ENDS
        target.write_bytes(content)
        return hashlib.sha256(content).hexdigest()
    _link(new.picture, target)
    return new.sha256


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
