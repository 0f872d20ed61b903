"""Builds the YOLO-format data set: photographs by their given split, rendered scenes for training only.

A picture whose source boxed only some classes must not teach that the others are background, so it is left
out unless the configuration says that its kind holds none of our weapons.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from detector.errors import DataError
from detector.training.config import TrainingConfig

SPLITS = ("train", "val", "test")
WEAPONS_COMPLETE = ("all", "six weapons, tank, apc_ifv, mlrs, atgm_launcher; not rifle, person, car")
"""Values of `complete_for` in sources.csv that vouch for every class we train."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of the set. `classes` are those boxed on it that the model learns."""

    file: str
    set_name: str
    split: str
    sha256: str
    classes: tuple[str, ...]
    source: str


def build_dataset(config: TrainingConfig, data: Path, renders: Sequence[Path], out: Path) -> list[Picture]:
    """Write `out`/{train,val,test}/{images,labels} and `out`/dataset.json; returns what went in.

    `data` has the layout of shared/data, each of `renders` that of `ordnance dataset render`. Pictures are
    hard-linked where the file system allows, else copied: ultralytics looks for labels beside the *resolved*
    picture, so a symbolic link would pair it with the wrong ones. Raises DataError for a wrong hash or a
    missing file.
    """
    pictures = list(_photographs(config, data, out))
    for folder in (data / "rendered", *renders):
        set_name = "rendered" if folder == data / "rendered" else "synthetic"
        pictures.extend(_rendered(config, folder, set_name, out))
    index = {
        "classes": list(config.classes),
        "sha256": dataset_hash(pictures),
        "counts": count_boxes(out, config.classes),
        "pictures": [asdict(picture) for picture in pictures],
    }
    (out / "dataset.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    return pictures


def read_dataset(out: Path) -> tuple[list[Picture], str]:
    """The pictures of a set built before, and its hash."""
    try:
        index = json.loads((out / "dataset.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{out} holds no data set; run `ordnance dataset build --out {out}` first.") from error
    pictures = [Picture(**{**row, "classes": tuple(row["classes"])}) for row in index["pictures"]]
    return pictures, index["sha256"]


def complete_rows(negatives_complete_for: Sequence[str], data: Path) -> list[dict[str, str]]:
    """The rows of `data`/photos/sources.csv whose pictures vouch for every class we train.

    Raises DataError where there is no such list.
    """
    listing = data / "photos" / "sources.csv"
    if not listing.is_file():
        raise DataError(f"{data} holds no photos/sources.csv; point ORDNANCE_DATA or --data at the data folder.")
    with listing.open(newline="", encoding="utf-8") as lines:
        return [
            row for row in csv.DictReader(lines) if row["complete_for"] in (*WEAPONS_COMPLETE, *negatives_complete_for)
        ]


def photograph_files(row: dict[str, str], data: Path) -> tuple[Path, Path]:
    """The picture of a row of sources.csv and its label file."""
    folder = data / "photos" / row["split"]
    return folder / "images" / row["file"], folder / "labels" / f"{Path(row['file']).stem}.txt"


def rendered_files(folder: Path) -> list[tuple[Path, Path]]:
    """The pictures of a folder of `ordnance dataset render`, each with its label file. Raises DataError without any."""
    pictures = sorted((folder / "images").glob("*.jpg"))
    if not pictures:
        raise DataError(f"{folder} holds no images/*.jpg; render some with `ordnance dataset render --out {folder}`.")
    return [(picture, folder / "labels" / f"{picture.stem}.txt") for picture in pictures]


def dataset_hash(pictures: Sequence[Picture]) -> str:
    """SHA-256 over split, picture hash and label classes, independent of order and of folder."""
    lines = sorted(f"{p.split} {p.sha256} {','.join(p.classes)}" for p in pictures)
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


def _photographs(config: TrainingConfig, data: Path, out: Path) -> Iterator[Picture]:
    for row in complete_rows(config.negatives_complete_for, data):
        picture, label = photograph_files(row, data)
        digest = _sha256(picture)
        if digest != row["sha256"]:
            raise DataError(f"{picture} is not the picture that sources.csv lists: its SHA-256 is {digest}.")
        yield _add(config, picture, label, out, row["split"], "photos", digest, row["source_repo"])


def _rendered(config: TrainingConfig, folder: Path, set_name: str, out: Path) -> Iterator[Picture]:
    for picture, label in rendered_files(folder):
        yield _add(config, picture, label, out, "train", set_name, _sha256(picture), folder.name)


def _add(
    config: TrainingConfig,
    picture: Path,
    label: Path,
    out: Path,
    split: str,
    set_name: str,
    digest: str,
    source: str,
) -> Picture:
    try:
        boxes = [line.split() for line in label.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise DataError(f"{picture} has no label file {label}.") from error
    known = [box for box in boxes if box[0] in config.classes]
    name = f"{set_name}-{source.replace('/', '-')}-{picture.name}" if set_name != "photos" else picture.name
    images, labels = out / split / "images", out / split / "labels"
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    _link(picture, images / name)
    text = "".join(f"{config.classes.index(box[0])} {' '.join(box[1:])}\n" for box in known)
    (labels / name).with_suffix(".txt").write_text(text, encoding="utf-8")
    return Picture(name, set_name, split, digest, tuple(sorted({box[0] for box in known})), source)


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} is listed but cannot be read: {error.strerror}.") from error
