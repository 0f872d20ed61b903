"""Writes imported pictures and labels in the layout of datasets/DATA_LAYOUT.md."""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from detector.errors import DataError, UnusableAnnotations
from detector.training.imports.annotations import AnnotatedPicture, SourceBox
from detector.training.imports.class_map import ClassMap
from detector.training.labels import LabelledBox, checked_box, label_text
from detector.training.near_duplicates import clusters, fingerprint, open_picture, read_grey, told
from detector.training.photographs import (
    COLUMNS,
    PICTURE_SUFFIXES,
    SPLITS,
    check_suffix,
    file_sha256,
    unknown_classes,
)

MEASURED_SHARE = 0.1
"""Share of the pictures that go to val, and to test, where the import chooses the splits."""
FEWEST_TO_SPLIT = 5
"""Fewer scenes than this all go to train."""
ORIENTATION_TAG = 0x0112
TURNED_SIDEWAYS = (5, 6, 7, 8)


@dataclass(frozen=True, slots=True)
class ImportedSet:
    """What an import wrote: pictures by split, those of them without a box, boxes by class and split, boxes that the
    class map dropped by label.

    `splits_by` says in words how the splits came about; `unnamed` are pictures beside those taken that the source does
    not name.
    """

    folder: Path
    pictures: dict[str, int]
    empty: dict[str, int]
    counts: dict[str, dict[str, int]]
    dropped: dict[str, int]
    splits_by: str
    unnamed: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """What the rows of sources.csv say about all pictures of an import."""

    source: str
    licence: str
    complete_for: str


def write_layout(
    pictures: Sequence[AnnotatedPicture], class_map: ClassMap, out: Path, terms: Terms, *, split: str = "auto"
) -> ImportedSet:
    """Write `out`/photos with pictures (copied as they are), labels and sources.csv.

    `split` is train, val, test, or `auto`: the source's own where it states them, else a tenth each to val and test by
    near-copy cluster, the same every time. Boxes are in 0..1 of the picture as it is displayed: an EXIF
    orientation stays in the file and is applied by whoever reads it.

    A box that is given again on the same picture counts once.

    Raises DataError, before `out` exists, for a label that the class map does not name, or a picture in no split of a
    source that has its own; UnusableAnnotations for all boxes without area or off the frame, shapes that are no box,
    pictures that are missing, damaged or not of the stated size.
    """
    _check_free(out)
    _check_once(pictures)
    for word in unknown_classes(terms.complete_for):
        raise DataError(f"--complete-for names '{word}', which is no class; use 'all' or class ids.")
    _check_labels(pictures, class_map)
    dropped: Counter[str] = Counter()
    faults: list[str] = []
    boxes = [_boxes(each, class_map, dropped, faults) for each in pictures]
    for each in pictures:
        try:
            _check_picture(each)
        except DataError as error:
            faults.append(str(error))
    if faults:
        raise UnusableAnnotations(faults)
    prints = [fingerprint(each.path) for each in told(pictures)]
    groups = clusters(prints)
    splits, splits_by = _splits(pictures, groups, split)
    try:
        # An empty folder that is there may be another disk.
        beside = out if out.is_dir() else out.resolve().parent
        beside.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".ordnance-", dir=beside) as folder:
            _write(Path(folder), pictures, boxes, splits, groups, terms)
            out.mkdir(exist_ok=True)
            (Path(folder) / "photos").rename(out / "photos")
    except OSError as error:
        written = error.filename2 or error.filename or out
        raise DataError(f"{out} cannot be written: {error.strerror} ({Path(written).name}).") from error
    names = sorted({box.class_name for group in boxes for box in group})
    counted = Counter((box.class_name, where) for group, where in zip(boxes, splits, strict=True) for box in group)
    return ImportedSet(
        out,
        {name: splits.count(name) for name in SPLITS},
        {name: sum(not group and where == name for group, where in zip(boxes, splits, strict=True)) for name in SPLITS},
        {name: {where: counted[name, where] for where in SPLITS} for name in names},
        dict(sorted(dropped.items())),
        splits_by,
        _unnamed(pictures),
    )


def _unnamed(pictures: Sequence[AnnotatedPicture]) -> tuple[Path, ...]:
    taken = {each.path.resolve() for each in pictures}
    beside: list[Path] = []
    for folder in sorted({path.parent for path in taken}):
        # Pictures can be read in a folder that may not be listed.
        with suppress(PermissionError):
            beside += sorted(folder.iterdir())
    return tuple(path for path in beside if path.suffix.lower() in PICTURE_SUFFIXES and path not in taken)


def _check_free(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file; choose another --out.")
    try:
        is_free = not out.exists() or not any(out.iterdir())
    except OSError as error:
        raise DataError(f"{out} cannot be read: {error.strerror}; choose another --out.") from error
    if not is_free:
        raise DataError(f"{out} is not empty; choose another --out.")


def _check_once(pictures: Sequence[AnnotatedPicture]) -> None:
    for path, times in Counter(each.path.resolve() for each in pictures).items():
        if times > 1:
            raise DataError(
                f"{path} is listed twice; keep one. Names in several folders lead to it where those are missing."
            )


def _check_labels(pictures: Sequence[AnnotatedPicture], class_map: ClassMap) -> None:
    unknown: dict[str, str] = {}
    for each in (box for picture in pictures for box in picture.boxes if box.label not in class_map.classes):
        unknown.setdefault(each.label, each.where)
    if not unknown:
        return
    label, *others = unknown
    raise DataError(
        f"{unknown[label]}: the label '{label}' is not in the class map {class_map.path}; add it, "
        "with 'drop' to go without its boxes."
        + (f" Not in it either: {', '.join(repr(other) for other in sorted(others))}." if others else "")
    )


def _boxes(
    picture: AnnotatedPicture, class_map: ClassMap, dropped: Counter[str], faults: list[str]
) -> tuple[LabelledBox, ...]:
    boxes = []
    for each in picture.boxes:
        name = class_map[each.label]
        if name is None:
            dropped[each.label] += 1
            continue
        try:
            boxes.append(_box(each, name))
        except DataError as error:
            faults.append(str(error))
    return tuple(dict.fromkeys(boxes))


def _box(box: SourceBox, name: str) -> LabelledBox:
    if box.fault:
        raise DataError(f"{box.where}: the '{box.label}' {box.fault}.")
    where = f"{box.where} ('{box.label}')"
    checked_box(LabelledBox.from_corners(name, box.x1, box.y1, box.x2, box.y2), where)
    corners = [min(1.0, max(0.0, value)) for value in (box.x1, box.y1, box.x2, box.y2)]
    return checked_box(LabelledBox.from_corners(name, *corners), where)


def _check_picture(picture: AnnotatedPicture) -> None:
    check_suffix(picture.path)
    height, width = read_grey(picture.path).shape
    if _is_sideways(picture.path):
        width, height = height, width
        if picture.size == (height, width) and width != height:
            raise DataError(
                f"{picture.path} is displayed {width}x{height} by its EXIF orientation, but was annotated as it is "
                "stored; turn the file itself or annotate what is displayed."
            )
    if picture.size is not None and picture.size != (width, height):
        stated = "x".join(str(side) for side in picture.size)
        raise DataError(f"{picture.path} is {width}x{height}, but its annotations are for {stated}.")


def _is_sideways(path: Path) -> bool:
    with open_picture(path) as picture:
        return picture.getexif().get(ORIENTATION_TAG) in TURNED_SIDEWAYS


def _splits(pictures: Sequence[AnnotatedPicture], groups: Sequence[int], split: str) -> tuple[list[str], str]:
    """The split of each picture, and in words how it came about."""
    if split != "auto":
        return [split] * len(pictures), f"all to {split}, as --split says"
    stated = [each.split for each in pictures if each.split]
    if len(stated) == len(pictures):
        return stated, "the source's own"
    if stated:
        strays = [each.path for each in pictures if not each.split]
        raise DataError(
            f"The source has splits of its own, but {strays[0]} is in none or in several of them ({len(strays)} of "
            f"{len(pictures)} pictures are); put each into one, or choose a --split for all."
        )
    if len(set(groups)) < FEWEST_TO_SPLIT:
        return ["train"] * len(pictures), f"all to train, fewer than {FEWEST_TO_SPLIT} scenes"
    chosen = _drawn(groups, lambda group: hashlib.sha256(file_sha256(pictures[group].path).encode()).hexdigest())
    return [chosen[group] for group in groups], "drawn at random, near-copies together; the source has none of its own"


def _drawn(groups: Sequence[int], digest_of: Callable[[int], str]) -> dict[int, str]:
    """The split of each group: val and test get a tenth of the pictures, as near as groups can be had whole.

    The largest group is train's, and so are those of more than a fifth of the pictures where there are others; neither
    val nor test gets more than a fifth of the groups, or a camera that stood still would leave train no other scene.
    """
    sizes = Counter(groups)
    least = max(1, round(MEASURED_SHARE * len(groups)))
    most_groups = max(1, round(2 * MEASURED_SHARE * len(sizes)))
    order = sorted(sizes, key=digest_of)
    largest = max(reversed(order), key=lambda group: sizes[group])
    chosen = dict.fromkeys(order, "train")
    for name in ("val", "test"):
        free = [group for group in order if chosen[group] == "train" and group != largest]
        fitting = [group for group in free if sizes[group] <= 2 * least] or [min(free, key=lambda group: sizes[group])]
        taken = 0
        for group in fitting[:most_groups]:
            if taken < least and (taken == 0 or taken + sizes[group] <= 2 * least):
                chosen[group] = name
                taken += sizes[group]
    return chosen


def _write(
    folder: Path,
    pictures: Sequence[AnnotatedPicture],
    boxes: Sequence[tuple[LabelledBox, ...]],
    splits: Sequence[str],
    groups: Sequence[int],
    terms: Terms,
) -> None:
    rows = []
    for each, known, split, group in zip(pictures, boxes, splits, groups, strict=True):
        digest = file_sha256(each.path)
        images, labels = (folder / "photos" / split / part for part in ("images", "labels"))
        images.mkdir(parents=True, exist_ok=True)
        labels.mkdir(parents=True, exist_ok=True)
        name = f"{each.path.stem}__{digest[:10]}{each.path.suffix.lower()}"
        if (images / name).exists():
            raise DataError(f"{each.path} is listed twice; keep one.")
        shutil.copyfile(each.path, images / name)
        (labels / name).with_suffix(".txt").write_text(label_text(known), encoding="utf-8")
        row = (name, split, terms.source, each.path.name, "", terms.licence, digest, str(group), terms.complete_for)
        rows.append(dict(zip(COLUMNS, row, strict=True)))
    with (folder / "photos" / "sources.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: (row["split"], row["file"])))
