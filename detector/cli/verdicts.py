"""`ordnance dataset import-verdicts`: what reviewers said in the service, for the next model to learn from."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from detector.errors import DataError


def import_verdicts_command(
    sources: Annotated[
        list[Path],
        typer.Argument(help="verdicts.json (with --clip) or verdicts.yolo.zip of a scan; as many as wanted."),
    ],
    out: Annotated[Path, typer.Option(help="New folder, to be given to build with --extra.")],
    clips: Annotated[
        list[Path] | None, typer.Option("--clip", help="A clip that a verdicts.json is about; may be given again.")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, max=50, help="Most frames of an appearance, with --clip.")] = 5,
    split: Annotated[
        str, typer.Option(help="train, val, test, or auto: a tenth each to val and test by near-copy cluster.")
    ] = "train",
    complete_for: Annotated[
        str | None,
        typer.Option(
            help="'all' where reviewers looked at whole frames for weapons that the scan missed; default: the classes "
            "that are boxed."
        ),
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the pictures, for the data sheet.")] = "not stated",
) -> None:
    """Take over verdicts: confirmed and corrected boxes, and frames on which the model was wrong as hard negatives."""
    from tempfile import TemporaryDirectory

    from detector.training.imports.layout import Terms, write_layout
    from detector.training.imports.verdicts import own_classes, read_verdicts

    if split not in ("auto", "train", "val", "test"):
        raise DataError(f"'{split}' is no split; use auto, train, val or test.")
    for each in (*sources, *(clips or ())):
        if not each.exists():
            raise DataError(f"{each} does not exist.")
    with TemporaryDirectory(prefix="ordnance-verdicts-") as folder:
        judged = read_verdicts(sources, clips or (), Path(folder), frames)
        if not judged.pictures:
            raise DataError(f"The verdicts allow no frame to be used ({_reasons(judged.left_out) or 'none is given'}).")
        boxed = sorted({box.label for picture in judged.pictures for box in picture.boxes})
        known = complete_for or ",".join(boxed)
        terms = Terms(", ".join(each.name for each in sources), licence, known)
        imported = write_layout(judged.pictures, own_classes(sources[0]), out, terms, split=split)
    negatives = sum(not picture.boxes for picture in judged.pictures)
    counts: Counter[str] = Counter()
    for name, by_split in imported.counts.items():
        counts[name] = sum(by_split.values())
    for name, number in counts.most_common():
        typer.echo(f"{name:<24}{number:>7} boxes")
    typer.echo(f"{len(judged.pictures)} pictures in {out}, {negatives} of them hard negatives without a box")
    for reason, number in judged.left_out.items():
        typer.echo(f"left out: {number} {reason}")
    typer.echo(f"complete for {known or 'nothing'}; build with --extra {out}, or --data {out} without other data")
    if complete_for is None:
        typer.echo(
            "build uses only pictures that are complete for all its classes: if your reviewers looked at whole frames, "
            "say --complete-for all"
        )


def _reasons(left_out: dict[str, int]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in left_out.items())
