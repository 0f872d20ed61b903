"""A built data set: what its dataset.json holds, and reading it again."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from detector.errors import DataError
from detector.training.labels import LabelledBox, checked_box
from detector.training.photographs import SPLITS, file_sha256

INDEX = "dataset.json"
UNFINISHED = "dataset.json.part"
RENDERED = "rendered"
"""Stands in the place of a licence for a scene that shows nobody's photograph, or whose photographs are not known."""
PASTED = "that of its photographs"
"""The licence of a composite of photographs."""

NEEDED_SPLITS = ("train", "val")
"""A set may lack the test split: nothing is learned from it, and figures are measured on data folders."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of the set. `classes` are those boxed on it that the model learns."""

    file: str
    set_name: str
    split: str
    sha256: str
    classes: tuple[str, ...]
    source: str
    licence: str = "not stated"
    label_sha256: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A photograph that is not in the set. `kind` is incomplete, near-copy, correction or ambiguous."""

    file: str
    split: str
    kind: str
    why: str


@dataclass(frozen=True, slots=True)
class BuiltSet:
    """A built set: what dataset.json holds. `corrections` are the applied ones, a line each."""

    classes: tuple[str, ...]
    sha256: str
    counts: dict[str, dict[str, int]]
    pictures: tuple[Picture, ...]
    left_out: tuple[LeftOut, ...] = ()
    corrections: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def read_built(out: Path) -> BuiltSet:
    """A set built before. Raises DataError where there is none."""
    try:
        index = json.loads((out / INDEX).read_text(encoding="utf-8"))
        return BuiltSet(
            tuple(index["classes"]),
            index["sha256"],
            index["counts"],
            tuple(Picture(**{**row, "classes": tuple(row["classes"])}) for row in index["pictures"]),
            tuple(LeftOut(**row) for row in index.get("left_out", ())),
            tuple(index.get("corrections", ())),
            tuple(index.get("notes", ())),
        )
    except OSError as error:
        raise DataError(f"{out} holds no data set; run `ordnance dataset build --out {out}` first.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{out / INDEX} is damaged; run `ordnance dataset build --out {out}` again.") from error


def read_dataset(out: Path) -> tuple[list[Picture], str]:
    """The pictures of a set built before, and its hash. Raises DataError where there is none."""
    built = read_built(out)
    return list(built.pictures), built.sha256


def check_files(out: Path, picture: Picture) -> None:
    """Raises DataError where the picture or its label file in the set is missing or not the one that was built."""
    file, label = out / picture.split / "images" / picture.file, label_of(out, picture)
    if file_sha256(file) != picture.sha256:
        raise DataError(f"{file} is not the picture that {INDEX} lists; build the set again.")
    if picture.label_sha256 and file_sha256(label) != picture.label_sha256:
        raise DataError(f"The label file {label} was changed since the build; build the set again.")


def label_of(out: Path, picture: Picture) -> Path:
    """The label file of a picture of the set in `out`."""
    return out / picture.split / "labels" / Path(picture.file).with_suffix(".txt").name


def read_numbered_labels(path: Path, classes: Sequence[str]) -> tuple[LabelledBox, ...]:
    """The boxes of a label file of a built set, whose lines begin with a class's number. Raises DataError."""
    boxes = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        where = f"The label file {path}, line {number}"
        try:
            class_id, *values = line.split()
            cx, cy, width, height = map(float, values)
            name = classes[int(class_id)]
        except (ValueError, IndexError) as error:
            raise DataError(f"{where}: '{line}' is not 'class_number cx cy w h' with a known class.") from error
        boxes.append(checked_box(LabelledBox(name, cx, cy, width, height), where))
    return tuple(boxes)


def dataset_hash(pictures: Sequence[Picture]) -> str:
    """SHA-256 over split, picture, classes and labels of each picture, independent of order and of folder."""
    lines = sorted(f"{p.split} {p.sha256} {','.join(p.classes)} {p.label_sha256}" for p in pictures)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def count_boxes(out: Path, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Boxes of each class in each split, counted from the label files that were written."""
    counts: dict[str, dict[str, int]] = {}
    for split in SPLITS:
        found: Counter[str] = Counter()
        for label in (out / split / "labels").glob("*.txt"):
            found.update(classes[int(line.split()[0])] for line in label.read_text().splitlines())
        counts[split] = {name: found[name] for name in classes}
    return counts
