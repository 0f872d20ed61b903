"""Builds the YOLO-format data set: photographs by their split, rendered scenes for training only.

A picture whose source boxed only some classes must not teach that the others are background, so it is left out unless
the configuration says that its kind holds none of our weapons, or a reviewer vouches for it in a corrections file. A
training picture that is a near-copy of one in val or test is left out too, with every picture that was made of it.
Whatever is left out is listed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from detector.errors import DataError
from detector.training.built_set import (
    NEEDED_SPLITS,
    PASTED,
    RENDERED,
    BuiltSet,
    LeftOut,
    count_boxes,
    dataset_hash,
)
from detector.training.config import TrainingConfig
from detector.training.corrections import COMMITTED, apply_corrections, read_corrections
from detector.training.labels import read_labels
from detector.training.leaks import find_leaks
from detector.training.near_duplicates import read_grey
from detector.training.photographs import (
    Photograph,
    file_sha256,
    listed_rows,
    read_photograph,
    rendered_files,
)
from detector.training.write_set import (
    NewPicture,
    add_picture,
    begin_set,
    check_names,
    check_set_folder,
    finish_set,
)

AMBIGUOUS_CLASSES = ("manpads", "sam_launcher")
"""Look like rocket_launcher and mlrs, in too few pictures to be classes: training goes without such pictures."""


def build_dataset(
    config: TrainingConfig,
    data: Path,
    renders: Sequence[Path],
    out: Path,
    *,
    extra: Sequence[Path] = (),
    corrections: Sequence[Path] | None = None,
) -> BuiltSet:
    """Write `out`/{train,val,test}/{images,labels} and `out`/dataset.json; returns what went in and what did not.

    `data` and each of `extra` have the layout of datasets/DATA_LAYOUT.md, each of `renders` that of `ordnance dataset
    render`. `corrections` are files to apply; None means the committed one, if `data` holds any of its pictures.
    Pictures are hard-linked where the file system allows, else copied: ultralytics looks for labels beside the
    *resolved* picture, so a symbolic link would pair it with the wrong ones. A set that an earlier build left in
    `out` is replaced once everything that goes into the new one has been read.

    Raises DataError for a wrong hash, a missing or damaged file, a label that cannot be used, two pictures of one
    name, a correction that matches nothing, renders that are there to measure on, a train or val split left without
    a picture, a full disk; before anything is read, for an `out` that no set can be written to.
    """
    check_set_folder(out)
    photographs = [each for folder in (data, *extra) for each in _photographs(folder)]
    photographs, applied, left_out, notes = _corrected(photographs, corrections)
    photographs, unused = _usable(config, photographs)
    left_out += unused
    leaks = find_leaks(photographs)
    leaking = {leak.lower.picture for leak in leaks}
    left_out += [
        LeftOut(
            leak.lower.picture.name,
            leak.lower.split,
            "near-copy",
            f"near-copy of {leak.higher.picture.name} in {leak.higher.split} ({leak.evidence})",
        )
        for leak in leaks
    ]
    kept = [each for each in photographs if each.picture not in leaking]
    for split in NEEDED_SPLITS:
        if not any(each.split == split for each in kept):
            raise DataError(
                f"The split '{split}' of {data} is left without a picture{_said_of(split, left_out)}; see "
                "datasets/DATA_LAYOUT.md."
            )
    if not any(each.split == "test" for each in kept):
        notes.append("the test split has no picture; a training goes without it, but measures nothing on it")
    new = [_new(each, _set_file(each, data)) for each in kept]
    folders = [(data / "rendered", "rendered")] if (data / "rendered").is_dir() else []
    copies = {leak.lower.picture.name: leak for leak in leaks if leak.lower.split == "train"}
    for folder, set_name in (*folders, *((folder, "synthetic") for folder in renders)):
        made_of = _made_of(folder)
        for each in _rendered(folder, set_name):
            if found := copies.keys() & made_of.get(each.picture.name, set()):
                leak = copies[min(found)]
                why = f"made of {min(found)}, a near-copy of {leak.higher.picture.name} in {leak.higher.split}"
                left_out.append(LeftOut(each.file, "train", "near-copy", why))
            else:
                new.append(each)
    check_names(new)
    begin_set(out)
    pictures = [add_picture(out, config.classes, each) for each in new]
    built = BuiltSet(
        config.classes,
        dataset_hash(pictures),
        count_boxes(out, config.classes),
        tuple(pictures),
        tuple(sorted(left_out, key=lambda each: (each.kind, each.split, each.file))),
        tuple(applied),
        tuple(notes),
    )
    finish_set(out, built)
    return built


def _said_of(split: str, left_out: Sequence[LeftOut]) -> str:
    reasons = [each.why for each in left_out if each.split == split]
    return f" ({len(reasons)} left out, the first of them as {reasons[0]})" if reasons else ""


def _photographs(folder: Path) -> Iterator[Photograph]:
    for row in listed_rows(folder):
        yield read_photograph(row, folder)


def _corrected(
    photographs: Sequence[Photograph], files: Sequence[Path] | None
) -> tuple[list[Photograph], list[str], list[LeftOut], list[str]]:
    notes = []
    if files is None:
        known = {each.sha256 for each in photographs}
        committed = read_corrections(COMMITTED)
        if any(known.intersection(each.pictures) for each in committed):
            corrections = committed
        else:
            corrections = []
            notes.append(f"{COMMITTED.name} was not applied: the data holds none of its pictures")
    else:
        corrections = [each for file in files for each in read_corrections(file)]
    kept, out = apply_corrections(photographs, corrections)
    reasons = {each.pictures[0]: each.entry.reason for each in corrections if each.entry.action == "leave_out"}
    left_out = [LeftOut(each.picture.name, each.split, "correction", reasons[each.sha256]) for each in out]
    return kept, [f"{each.where}: {each.entry.reason} [{each.entry.reviewer}]" for each in corrections], left_out, notes


def _usable(config: TrainingConfig, photographs: Sequence[Photograph]) -> tuple[list[Photograph], list[LeftOut]]:
    usable, left_out = [], []
    for each in photographs:
        ambiguous = sorted({box.class_name for box in each.boxes} & set(AMBIGUOUS_CLASSES))
        if not each.is_complete_for(config.classes, config.negatives_complete_for):
            why = f"boxed for {each.complete_for or 'nothing'} only"
            left_out.append(LeftOut(each.picture.name, each.split, "incomplete", why))
        elif ambiguous and each.split == "train":
            left_out.append(LeftOut(each.picture.name, each.split, "ambiguous", f"shows {', '.join(ambiguous)}"))
        else:
            usable.append(each)
    return usable, left_out


def _set_file(photograph: Photograph, data: Path) -> str:
    folder = photograph.picture.parents[3]
    return photograph.picture.name if folder == data else f"{folder.name}-{photograph.picture.name}"


def _new(each: Photograph, file: str) -> NewPicture:
    return NewPicture(each.picture, each.boxes, each.split, file, each.sha256, each.source, each.licence, "photos")


def _rendered(folder: Path, set_name: str) -> Iterator[NewPicture]:
    made = _made(folder)
    split = made.get("split", "train")
    if made.get("held_out") or split != "train":
        which = f"composites of the split '{split}'" if "split" in made else "held-out scenes"
        raise DataError(f"{folder} holds {which}, which are there to measure on and never to train on; leave it out.")
    licence = PASTED if "split" in made else RENDERED
    for picture, label in rendered_files(folder):
        read_grey(picture)
        name = f"{set_name}-{folder.name}-{picture.name}"
        boxes = read_labels(label)
        yield NewPicture(picture, boxes, "train", name, file_sha256(picture), folder.name, licence, set_name)


def _made_of(folder: Path) -> dict[str, set[str]]:
    """The names of the photographs in each picture of a folder that a command made: pasted, or behind the scene."""
    rows = _made(folder).get("images")
    return {
        each["file"]: {str(each.get("scene")), str(each.get("backdrop")), *each.get("objects", ())}
        for each in (rows if isinstance(rows, list) else ())
        if isinstance(each, dict) and "file" in each
    }


def _made(folder: Path) -> dict[str, Any]:
    """What the folder's manifest says of how its pictures were made; scenes of other programs have none."""
    try:
        made = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / 'manifest.json'} is damaged; make the folder again.") from error
    return made if isinstance(made, dict) else {}
