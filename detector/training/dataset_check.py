"""Checks a data folder or a built set: hashes, files, labels, class names, near-copies across splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.errors import DataError
from detector.training.built_set import (
    INDEX,
    NEEDED_SPLITS,
    RENDERED,
    BuiltSet,
    check_files,
    label_of,
    read_built,
    read_numbered_labels,
)
from detector.training.labels import read_labels
from detector.training.leaks import find_leaks
from detector.training.near_duplicates import read_grey
from detector.training.photographs import (
    SPLITS,
    Photograph,
    file_sha256,
    listed_rows,
    photograph_files,
    read_photograph,
    unknown_classes,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a file. `kind` is file, label, class, listing, split or near-copy."""

    file: str
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """`counts` are boxes by class and split, `pictures` pictures by split, `empty` those without a box."""

    folder: str
    pictures: dict[str, int]
    empty: dict[str, int]
    counts: dict[str, dict[str, int]]
    problems: tuple[Problem, ...]


def check_folder(folder: Path) -> CheckResult:
    """Check a folder with photos/sources.csv, or one that `ordnance dataset build` wrote.

    Goes on after a problem and returns them all. A data folder may lack a split, since further ones can join it; a
    built set needs train and val, as a build does. Raises DataError only where the folder is neither of the two.
    """
    if (folder / INDEX).is_file():
        return _check_built(folder, read_built(folder))
    return _check_data(folder)


def _check_data(folder: Path) -> CheckResult:
    problems: list[Problem] = []
    photographs: list[Photograph] = []
    names: set[Path] = set()
    for row in listed_rows(folder):
        picture, label = photograph_files(row, folder)
        is_shared = label in names
        names.update((picture, label))
        if is_shared:
            problems.append(
                Problem(
                    str(picture), "listing", f"Another row of the split has the label file {label.name}; rename it."
                )
            )
            continue
        try:
            photograph = read_photograph(row, folder)
        except DataError as error:
            problems.append(Problem(str(picture), _kind(str(error)), str(error)))
            continue
        for word in unknown_classes(photograph.complete_for):
            problems.append(Problem(str(picture), "class", f"complete_for names the unknown class '{word}'."))
        photographs.append(photograph)
    for split in SPLITS:
        for part in ("images", "labels"):
            here = folder / "photos" / split / part
            for path in sorted(here.iterdir()) if here.is_dir() else ():
                if path not in names:
                    problems.append(Problem(str(path), "listing", "No row of sources.csv names it."))
    if not photographs:
        problems.append(Problem(str(folder), "split", "No split has a picture."))
    return _result(folder, photographs, _check_rendered(folder / "rendered", problems), problems)


def _check_rendered(folder: Path, problems: list[Problem]) -> list[Photograph]:
    renders = []
    for picture in sorted((folder / "images").glob("*.jpg")):
        label = folder / "labels" / f"{picture.stem}.txt"
        try:
            boxes = read_labels(label)
            renders.append(
                Photograph(picture, label, "train", file_sha256(picture), "all", folder.name, RENDERED, "", boxes)
            )
        except DataError as error:
            problems.append(Problem(str(picture), _kind(str(error)), str(error)))
    return renders


def _check_built(folder: Path, built: BuiltSet) -> CheckResult:
    problems: list[Problem] = []
    photographs: list[Photograph] = []
    renders: list[Photograph] = []
    for each in built.pictures:
        picture = folder / each.split / "images" / each.file
        label = label_of(folder, each)
        try:
            check_files(folder, each)
            boxes = read_numbered_labels(label, built.classes)
        except DataError as error:
            problems.append(Problem(str(picture), _kind(str(error)), str(error)))
            continue
        group = photographs if each.set_name == "photos" else renders
        group.append(Photograph(picture, label, each.split, each.sha256, "all", each.source, each.licence, "", boxes))
    for split in NEEDED_SPLITS:
        if not any(each.split == split for each in photographs):
            problems.append(Problem(str(folder), "split", f"The split '{split}' has no photograph."))
    return _result(folder, photographs, renders, problems)


def _result(
    folder: Path, photographs: Sequence[Photograph], renders: Sequence[Photograph], problems: list[Problem]
) -> CheckResult:
    photographs, renders = _decodable(photographs, problems), _decodable(renders, problems)
    readable = [*photographs, *renders]
    for leak in find_leaks(photographs):
        problems.append(
            Problem(
                str(leak.lower.picture),
                "near-copy",
                f"A near-copy of {leak.higher.picture.name} in {leak.higher.split} ({leak.evidence}).",
            )
        )
    pictures = Counter(each.split for each in readable)
    boxes = Counter((box.class_name, each.split) for each in readable for box in each.boxes)
    counts = {name: {split: boxes[name, split] for split in SPLITS} for name in sorted({name for name, _ in boxes})}
    empty = Counter(each.split for each in readable if not each.boxes)
    return CheckResult(
        str(folder),
        {split: pictures[split] for split in SPLITS},
        {split: empty[split] for split in SPLITS},
        counts,
        tuple(problems),
    )


def _decodable(pictures: Sequence[Photograph], problems: list[Problem]) -> list[Photograph]:
    good = []
    for each in pictures:
        try:
            read_grey(each.picture)
            good.append(each)
        except DataError as error:
            problems.append(Problem(str(each.picture), "file", str(error)))
    return good


def _kind(message: str) -> str:
    if "the class '" in message:
        return "class"
    return "label" if ".txt" in message else "file"
