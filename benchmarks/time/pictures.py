"""The photographs that clips are filmed from: held-out ones, labelled completely, never committed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.errors import DataError
from detector.training.evaluate import NEGATIVES_COMPLETE_FOR
from detector.training.photographs import complete_rows, photograph_files, rendered_files

SPLIT = "test"
CONTEXT = frozenset(("soldier", "civilian_vehicle", "construction_machine", "military_truck"))
"""Labels that are no weapon: a picture with nothing else is a negative. Rifles are not labelled, and some show one."""
MOST_OBJECTS = 3
SMALLEST_SIDE = 0.06
"""Shorter side of a labelled box, as a share of the picture's longer side; smaller ones are not filmed."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Labelled:
    """One object of a picture; `box` is x1, y1, x2, y2 as shares of the picture's width and height."""

    class_name: str
    box: Box


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture file and every weapon on it; `objects` is empty for a negative."""

    path: Path
    objects: tuple[Labelled, ...]


@dataclass(frozen=True, slots=True)
class PictureSet:
    """Pictures with one to three weapons, and pictures with none, each in the order of their file names."""

    source: str
    weapons: tuple[Picture, ...]
    negatives: tuple[Picture, ...]

    def sha256(self) -> str:
        """Over names, labels and bytes of all pictures: equal hashes give equal clips."""
        digest = hashlib.sha256()
        for picture in (*self.weapons, *self.negatives):
            digest.update(f"{picture.path.name} {picture.objects}\n".encode())
            digest.update(hashlib.sha256(picture.path.read_bytes()).digest())
        return digest.hexdigest()


def held_out_photographs(data: Path, classes: Sequence[str]) -> PictureSet:
    """The photographs of the split `test` under `data` whose labels vouch for every class of ours.

    Raises DataError where the folder holds no such photographs.
    """
    rows = complete_rows(data, SPLIT, classes, NEGATIVES_COMPLETE_FOR)
    return _sorted_out([photograph_files(row, data) for row in rows], classes, f"photos/{SPLIT}")


def rendered_pictures(folder: Path, classes: Sequence[str]) -> PictureSet:
    """The scenes of `ordnance dataset render`, for a run without photographs. Raises DataError without any."""
    return _sorted_out(rendered_files(folder), classes, "rendered")


def _sorted_out(files: Sequence[tuple[Path, Path]], classes: Sequence[str], source: str) -> PictureSet:
    weapons, negatives = [], []
    for path, label in sorted(files):
        try:
            lines = [line.split() for line in label.read_text(encoding="utf-8").splitlines()]
        except OSError as error:
            raise DataError(f"{path} has no label file {label}.") from error
        names = {line[0] for line in lines}
        if names <= CONTEXT:
            negatives.append(Picture(path, ()))
        elif names <= CONTEXT | set(classes):
            objects = tuple(_labelled(line) for line in lines if line[0] in classes)
            if len(objects) <= MOST_OBJECTS and all(_is_large(each.box) for each in objects):
                weapons.append(Picture(path, objects))
    if not weapons or not negatives:
        raise DataError(
            f"The time benchmark films {source}: it found {len(weapons)} pictures with weapons that the model knows "
            f"and {len(negatives)} without any, and needs some of both."
        )
    return PictureSet(source, tuple(weapons), tuple(negatives))


def _labelled(line: Sequence[str]) -> Labelled:
    cx, cy, w, h = (float(number) for number in line[1:5])
    left, top, right, bottom = cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
    return Labelled(line[0], (max(0.0, left), max(0.0, top), min(1.0, right), min(1.0, bottom)))


def _is_large(box: Box) -> bool:
    return min(box[2] - box[0], box[3] - box[1]) >= SMALLEST_SIDE
