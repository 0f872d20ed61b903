"""The photographs of a data folder, laid out as datasets/DATA_LAYOUT.md says."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.errors import DataError
from detector.taxonomy import TAXONOMY
from detector.training.labels import KNOWN_CLASSES, LabelledBox, read_labels

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
PICTURE_FORMATS = frozenset({"AVIF", "BMP", "JPEG", "JPEG2000", "MPO", "PNG", "TIFF", "WEBP"})
"""By Pillow's names, those that the trainer reads whatever the ending of the file."""
LEAST_SIDE_PX = 10
"""The trainer passes over pictures with a shorter side."""
SPLITS = ("train", "val", "test")
COLUMNS = ("file", "split", "source_repo", "source_path", "commit", "licence", "sha256", "cluster", "complete_for")
NEEDED_COLUMNS = ("file", "split", "sha256", "complete_for")
FOUNDING = "six weapons, tank, apc_ifv, mlrs, atgm_launcher; not rifle, person, car"
"""What the founding data set says of most of its pictures."""
EVERYTHING = ("all", FOUNDING)
"""Values of `complete_for` that vouch for every class of the taxonomy."""
WEAPONS = tuple(each.id for each in TAXONOMY)


@dataclass(frozen=True, slots=True)
class Photograph:
    """One row of sources.csv with the boxes of its label file. `vouched` are classes that a correction vouches for."""

    picture: Path
    label: Path
    split: str
    sha256: str
    complete_for: str
    source: str
    licence: str
    cluster: str
    boxes: tuple[LabelledBox, ...]
    vouched: frozenset[str] = frozenset()

    def is_complete_for(self, classes: Sequence[str], negatives_complete_for: Sequence[str] = ()) -> bool:
        """Whether every box of `classes` on it is known, so that the rest of it may be taught as background."""
        return "all" in self.vouched or vouches_for(self.complete_for, classes, negatives_complete_for, self.vouched)


def vouches_for(
    complete_for: str,
    classes: Sequence[str],
    negatives_complete_for: Sequence[str] = (),
    vouched: Collection[str] = (),
) -> bool:
    """Whether this value of `complete_for`, or a correction (`vouched`), says that every box of `classes` is known."""
    if complete_for in (*EVERYTHING, *negatives_complete_for):
        return True
    return set(classes) <= {*vouched, *re.split(r"[\s,;]+", complete_for)}


def listed_rows(data: Path) -> list[dict[str, str]]:
    """The rows of `data`/photos/sources.csv. Raises DataError where it is missing or lacks a column or a value."""
    listing = data / "photos" / "sources.csv"
    if not listing.is_file():
        raise DataError(f"{data} holds no photos/sources.csv; point ORDNANCE_DATA or --data at the data folder.")
    try:
        with listing.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            missing = [name for name in NEEDED_COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(f"{listing} lacks the column {', '.join(missing)}; see datasets/DATA_LAYOUT.md.")
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{listing} cannot be read: {error}.") from error
    for number, row in enumerate(rows, 2):
        if any(row[name] is None for name in NEEDED_COLUMNS):
            raise DataError(f"{listing}, line {number} has too few values.")
        if row["split"] not in SPLITS:
            raise DataError(f"{listing}, line {number}: the split '{row['split']}' is none of {', '.join(SPLITS)}.")
        if Path(row["file"]).name != row["file"] or not row["file"]:
            raise DataError(f"{listing}, line {number}: '{row['file']}' is not a plain file name.")
    return rows


def photograph_files(row: dict[str, str], data: Path) -> tuple[Path, Path]:
    """The picture of a row of sources.csv and its label file."""
    folder = data / "photos" / row["split"]
    return folder / "images" / row["file"], folder / "labels" / f"{Path(row['file']).stem}.txt"


def complete_rows(
    data: Path, split: str, classes: Sequence[str], negatives_complete_for: Sequence[str] = ()
) -> list[dict[str, str]]:
    """The rows of a split in `data`/photos/sources.csv whose pictures vouch for every one of `classes`.

    Raises DataError where there is no such list.
    """
    return [
        row
        for row in listed_rows(data)
        if row["split"] == split and vouches_for(row["complete_for"], classes, negatives_complete_for)
    ]


def weapon_free_pictures(data: Path, split: str) -> list[Path]:
    """The photographs of a split without any box on which every weapon would be boxed, by name.

    Raises DataError where there is none.
    """
    files = [photograph_files(row, data) for row in complete_rows(data, split, WEAPONS)]
    free = sorted(picture for picture, label in files if not read_labels(label))
    if not free:
        raise DataError(f"The split '{split}' of {data} has no weapon-free photograph.")
    return free


def rendered_files(folder: Path) -> list[tuple[Path, Path]]:
    """The pictures of a folder of `ordnance dataset render`, each with its label file. Raises DataError without any."""
    pictures = sorted((folder / "images").glob("*.jpg"))
    if not pictures:
        raise DataError(f"{folder} holds no images/*.jpg; render some with `ordnance dataset render --out {folder}`.")
    return [(picture, folder / "labels" / f"{picture.stem}.txt") for picture in pictures]


def read_photograph(row: dict[str, str], data: Path) -> Photograph:
    """The photograph of a row. Raises DataError for a picture that is missing or not the listed one, or a bad label."""
    picture, label = photograph_files(row, data)
    check_suffix(picture)
    digest = file_sha256(picture)
    if digest != row["sha256"].lower():
        raise DataError(f"{picture} is not the picture that sources.csv lists: its SHA-256 is {digest}.")
    return Photograph(
        picture,
        label,
        row["split"],
        digest,
        row["complete_for"],
        row.get("source_repo") or "not stated",
        row.get("licence") or "not stated",
        row.get("cluster") or "",
        read_labels(label),
    )


def check_suffix(picture: Path) -> None:
    """Raises DataError for an ending under which the trainer would pass over the picture."""
    if picture.suffix.lower() not in PICTURE_SUFFIXES:
        raise DataError(
            f"{picture} is none of {', '.join(sorted(PICTURE_SUFFIXES))}, which are read; save it as one of them, or "
            "only rename it where it is one (a .jfif is a .jpg)."
        )


def check_content(picture: Path, format_: str | None, size: tuple[int, int]) -> None:
    """Raises DataError for a picture that the trainer would pass over by its format, or size in pixels."""
    if format_ not in PICTURE_FORMATS:
        raise DataError(
            f"{picture} holds a picture in the format {format_}, which the trainer does not read; save it as .jpg or "
            ".png."
        )
    if min(size) < LEAST_SIDE_PX:
        raise DataError(
            f"{picture} is {size[0]}x{size[1]} pixels; the trainer needs {LEAST_SIDE_PX} on either side: leave it out."
        )


def unknown_classes(complete_for: str) -> list[str]:
    """Words of a `complete_for` value that are no class."""
    if complete_for in EVERYTHING:
        return []
    return [word for word in re.split(r"[\s,;]+", complete_for) if word and word not in KNOWN_CLASSES]


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file. Raises DataError where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} is listed but cannot be read: {error.strerror}.") from error
