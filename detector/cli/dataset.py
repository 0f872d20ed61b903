"""`ordnance dataset build`, `check`, `card` and `import`: the pictures that models learn from."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from detector.cli.exit_codes import ExitCode
from detector.cli.training import Config, Data, dataset_app
from detector.errors import DataError

app = dataset_app
SPLITS = ("train", "val", "test")


class Format(StrEnum):
    """The annotation formats that `import` reads."""

    COCO = "coco"
    YOLO = "yolo"
    VOC = "voc"
    CVAT = "cvat"
    LABELSTUDIO = "labelstudio"


class Split(StrEnum):
    """Where imported pictures go."""

    AUTO = "auto"
    TRAIN = "train"
    VAL = "val"
    TEST = "test"


@dataset_app.command("build")
def build_command(
    config: Config,
    out: Annotated[Path, typer.Option(help="Folder for the YOLO-format set and its dataset.json.")],
    renders: Annotated[
        list[Path] | None, typer.Option(help="Folder of `ordnance dataset render`; may be given again.")
    ] = None,
    extra: Annotated[
        list[Path] | None, typer.Option(help="Further data folder, such as one of `import`; may be given again.")
    ] = None,
    corrections: Annotated[
        list[Path] | None,
        typer.Option(help="Label corrections to apply instead of the committed ones; may be given again."),
    ] = None,
    data: Data = None,
) -> None:
    """Build the YOLO-format set: photographs by their split, renders for training only."""
    from collections import Counter

    from detector.training.config import read_config
    from detector.training.dataset import build_dataset

    settings = read_config(config)
    built = build_dataset(settings, _required(data), renders or [], out, extra=extra or (), corrections=corrections)
    typer.echo(f"{len(built.pictures)} pictures in {out}, set {built.sha256[:12]}")
    _print_counts({name: {split: built.counts[split][name] for split in SPLITS} for name in settings.classes})
    for correction in built.corrections:
        typer.echo(f"corrected: {correction}")
    for note in built.notes:
        typer.echo(f"note: {note}")
    summary = Counter((each.kind, each.split) for each in built.left_out)
    for (kind, split), number in sorted(summary.items()):
        typer.echo(f"left out of {split}: {number} ({kind})")
    if summary:
        typer.echo(f"each picture left out is listed with its reason by: ordnance dataset card {out}")


@dataset_app.command("check")
def check_command(
    folder: Annotated[
        Path | None, typer.Argument(help="A built set or a data folder; ORDNANCE_DATA by default.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print counts and problems as JSON.")] = False,
    data: Data = None,
) -> int:
    """Check hashes, files, labels, class names and near-copies across splits; exit code 1 where something is wrong."""
    import json
    from dataclasses import asdict

    from detector.training.dataset_check import check_folder

    result = check_folder(folder or _required(data))
    if as_json:
        typer.echo(json.dumps(asdict(result), indent=1))
    else:
        _print_counts({**result.counts, "(pictures)": result.pictures, "(without a box)": result.empty})
        for problem in result.problems:
            typer.echo(f"{problem.kind}: {problem.file}: {problem.message}")
        typer.echo(f"{len(result.problems)} problems" if result.problems else "no problems")
    return ExitCode.FAILED if result.problems else ExitCode.DONE


@dataset_app.command("card")
def card_command(
    dataset: Annotated[Path, typer.Argument(help="The data set built by `ordnance dataset build`.")],
    out: Annotated[Path | None, typer.Option(help="File for the sheet; standard output by default.")] = None,
) -> None:
    """Write the data sheet of a built set: sources, licences, counts, gaps, corrections, what was left out."""
    from detector.training.data_card import data_card
    from detector.training.dataset import read_built

    sheet = data_card(read_built(dataset))
    if out is None:
        typer.echo(sheet, nl=False)
        return
    try:
        out.write_text(sheet, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{out} cannot be written: {error.strerror}.") from error


@dataset_app.command("import")
def import_command(
    source: Annotated[Path, typer.Argument(help="Annotation file, or folder for yolo and voc.")],
    format_: Annotated[Format, typer.Option("--format", help="How the source is written.")],
    classes: Annotated[Path, typer.Option(help="Class map: YAML lines 'their label: our_class', or 'drop'.")],
    out: Annotated[Path, typer.Option(help="New folder, to be given to build with --extra.")],
    images: Annotated[Path | None, typer.Option(help="Folder of the pictures, if not beside the annotations.")] = None,
    split: Annotated[
        Split, typer.Option(help="auto: the source's own, else a tenth each to val and test by near-copy cluster.")
    ] = Split.AUTO,
    complete_for: Annotated[
        str | None,
        typer.Option(help="Classes boxed exhaustively, or 'all' if no other weapon is in view; default: the map's."),
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the pictures, for the data sheet.")] = "not stated",
) -> None:
    """Take over a set of your own: COCO, YOLO, Pascal VOC, CVAT for images or Label Studio."""
    from detector.training.imports import READERS, read_class_map, write_layout
    from detector.training.imports.layout import Terms

    if not source.exists():
        raise DataError(f"{source} does not exist.")
    class_map = read_class_map(classes)
    known = complete_for or ",".join(sorted({name for name in class_map.classes.values() if name}))
    pictures = READERS[format_.value](source, images)
    terms = Terms(source.resolve().name, licence, known)
    imported = write_layout(pictures, class_map, out, terms, split=split.value)
    _print_counts({**imported.counts, "(pictures)": imported.pictures})
    for label, number in imported.dropped.items():
        typer.echo(f"dropped: {number} boxes of '{label}'")
    typer.echo(f"in {out}, complete for {known}; build with --extra {out}")
    if complete_for is None:
        typer.echo(
            "build uses only pictures that are complete for all its classes: if yours are, say --complete-for all"
        )


def _print_counts(counts: Mapping[str, Mapping[str, int]]) -> None:
    typer.echo(f"{'boxes':<24}{'train':>7}{'val':>7}{'test':>7}")
    for name, by_split in counts.items():
        typer.echo(f"{name:<24}" + "".join(f"{by_split[split]:>7}" for split in SPLITS))


def _required(data: Path | None) -> Path:
    if data is None:
        raise DataError("No data folder is given; set ORDNANCE_DATA or use --data.")
    return data
