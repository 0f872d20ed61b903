"""The data sheet of a built set: what is in it, from where, under which licence, and what is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from detector.training.built_set import PASTED, BuiltSet, LeftOut, Picture
from detector.training.photographs import SPLITS

Row = TypeVar("Row", Picture, LeftOut)
Key = TypeVar("Key", str, tuple[str, str])

FEW_TRAIN_BOXES = 50
"""Fewer boxes of a class on training photographs are called a gap."""
FEW_TEST_BOXES = 20
"""Fewer boxes of a class on test photographs make its AP a rough guess."""


def data_card(built: BuiltSet) -> str:
    """The sheet as Markdown; equal sets give equal sheets, byte for byte."""
    photographs = [each for each in built.pictures if each.set_name == "photos"]
    made = [each for each in built.pictures if each.set_name != "photos"]
    pasted = sum(each.licence == PASTED for each in made)
    parts = [
        "# Data sheet",
        "",
        f"Set `{built.sha256[:12]}` (SHA-256 `{built.sha256}` over splits, pictures and labels), "
        f"{len(built.pictures)} pictures: {len(photographs)} photographs, {len(made) - pasted} rendered, "
        f"{pasted} composites.",
        "",
        "The pictures are those of the sources below, to learn from and to measure on. They are not passed on with "
        "Ordnance.",
        "",
        "## Pictures",
        *_table(
            ("part", *SPLITS, "of them without a box"),
            (
                (name, *_by_split(group), sum(not each.classes for each in group))
                for name, group in _groups(built.pictures, lambda each: each.set_name)
            ),
        ),
        "",
        "`photos` are what data folders hold as photographs (the founding one has a few game pictures among them, see",
        "the sources). Everything else is rendered, or pasted together from photographs (composites), and stands in",
        "`train` only: no figure is measured on it here.",
        "",
        "## Pictures that show a class",
        *_table(
            ("class", *(f"photos {split}" for split in SPLITS), "rendered, composites train"),
            (
                (
                    name,
                    *_by_split([each for each in photographs if name in each.classes]),
                    sum(name in each.classes for each in made),
                )
                for name in built.classes
            ),
        ),
        "",
        "## Boxes (photographs, renders and composites together)",
        *_table(
            ("class", *SPLITS), ((name, *(built.counts[split][name] for split in SPLITS)) for name in built.classes)
        ),
        "",
        "## Sources of the photographs",
        *_table(
            ("source", "licence", *SPLITS),
            (
                (source, licence, *_by_split(group))
                for (source, licence), group in _groups(photographs, lambda each: (each.source, each.licence))
            ),
        ),
        "",
        "## Rendered and composed parts",
        *_table(
            ("part", "folder", "licence", "pictures"),
            (
                (part, folder, group[0].licence, len(group))
                for (part, folder), group in _groups(made, lambda each: (each.set_name, each.source))
            ),
        ),
        "",
        "## Left out",
        *_table(
            ("kind", "why", *SPLITS),
            (
                (kind, why, *_by_split(group))
                for (kind, why), group in _groups(
                    built.left_out,
                    lambda each: (each.kind, each.why if each.kind != "near-copy" else "copy in a higher split"),
                )
            ),
        ),
        "",
        "### Near-copies left out",
        *_listed(f"`{each.file}` ({each.split}): {each.why}" for each in built.left_out if each.kind == "near-copy"),
        "",
        "## Corrections applied",
        *_listed([*built.corrections, *built.notes]),
        "",
        "## Known gaps",
        *_listed(_gaps(built.classes, photographs)),
    ]
    return "\n".join(parts) + "\n"


def _gaps(classes: Sequence[str], photographs: Sequence[Picture]) -> Iterable[str]:
    for name in classes:
        train, val, test = _by_split([each for each in photographs if name in each.classes])
        if train < FEW_TRAIN_BOXES:
            yield f"{name}: {train} training photographs, under {FEW_TRAIN_BOXES}; it is learned from renders, if any."
        if test < FEW_TEST_BOXES:
            yield f"{name}: {test} test photographs, under {FEW_TEST_BOXES}; its AP has a wide interval."
        if not val:
            yield f"{name}: no val photograph; its threshold cannot be chosen on photographs."


def _by_split(group: Iterable[Picture | LeftOut]) -> tuple[int, int, int]:
    found = Counter(each.split for each in group)
    return found["train"], found["val"], found["test"]


def _groups(rows: Iterable[Row], key: Callable[[Row], Key]) -> list[tuple[Key, list[Row]]]:
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return sorted(groups.items(), key=lambda each: each[0])


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [f"| {' | '.join(str(cell).replace('|', '/') for cell in row)} |" for row in rows]
    return ["", f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}", *lines] if lines else ["", "None."]


def _listed(lines: Iterable[str]) -> list[str]:
    return ["", *([f"- {line}" for line in lines] or ["None."])]
