"""`ordnance dataset`: the pictures that models learn from."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.exit_codes import ExitCode
from detector.cli.printable import printable
from detector.cli.synthetic import composites_command, render_command, synthetic_command
from detector.cli.training_options import (
    DATASET,
    DEFAULT_CONFIG,
    SYNTHETIC,
    Config,
    Data,
    Dataset,
    data_folder,
)
from detector.cli.verdicts import import_verdicts_command
from detector.errors import DataError, UnusableAnnotations

if TYPE_CHECKING:
    from detector.training.config import TrainingConfig

dataset_app = typer.Typer(no_args_is_help=True)
dataset_app.command("synthetic")(synthetic_command)
dataset_app.command("render")(render_command)
dataset_app.command("composites")(composites_command)
dataset_app.command("import-verdicts")(import_verdicts_command)
SPLITS = ("train", "val", "test")


class _Told(logging.Handler):
    """What takes long says on stderr how far it is."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"ordnance: {printable(record.getMessage())}", file=sys.stderr, flush=True)


@dataset_app.callback()
def dataset_options() -> None:
    """Render and build the data that models learn from."""
    log = logging.getLogger("detector.training")
    log.setLevel(logging.INFO)
    log.handlers = [_Told()]


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
    config: Config = DEFAULT_CONFIG,
    out: Annotated[Path, typer.Option(help="Folder for the YOLO-format set and its dataset.json.")] = DATASET,
    renders: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of `ordnance dataset render` or `composites`, instead of --synthetic; may be given again."
        ),
    ] = None,
    synthetic: Annotated[
        Path,
        typer.Option(help="Folder of `ordnance dataset synthetic`: the parts of the settings that are there go in."),
    ] = SYNTHETIC,
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
    parts, lacking = (renders, []) if renders else _made_parts(settings, synthetic)
    built = build_dataset(settings, data_folder(data), parts, out, extra=extra or (), corrections=corrections)
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
    if lacking:
        typer.echo(
            f"ordnance: the set has no {', '.join(lacking)}, which the settings name; `ordnance dataset synthetic` "
            f"makes them in {synthetic}, then build again.",
            err=True,
        )


def _made_parts(settings: TrainingConfig, synthetic: Path) -> tuple[list[Path], list[str]]:
    """The folders of the settings' parts that were made, and the names of those that were not."""
    from datasets.parts import is_made

    made = [part.name for part in settings.synthetic if is_made(part, synthetic)]
    return [synthetic / name for name in made], [part.name for part in settings.synthetic if part.name not in made]


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

    result = check_folder(folder or data_folder(data))
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
    dataset: Annotated[Path, typer.Argument(help="The data set built by `ordnance dataset build`.")] = DATASET,
    out: Annotated[Path | None, typer.Option(help="File for the sheet; standard output by default.")] = None,
) -> None:
    """Write the data sheet of a built set: sources, licences, counts, gaps, corrections, what was left out."""
    from detector.training.built_set import read_built
    from detector.training.data_card import data_card

    sheet = data_card(read_built(dataset))
    if out is None:
        typer.echo(sheet, nl=False)
        return
    try:
        out.write_text(sheet, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{out} cannot be written: {error.strerror}.") from error


@dataset_app.command("mine")
def mine_command(
    dataset: Dataset = DATASET,
    model: Annotated[
        str, typer.Option(help="A model of `ordnance models`, an .onnx file, or a .pt of `ordnance train`.")
    ] = "default",
    floor: Annotated[float, typer.Option(min=0.01, max=1.0, help="Score from which the model fires.")] = 0.25,
    with_weapons: Annotated[
        bool,
        typer.Option(
            "--with-weapons",
            help="Look at pictures with labelled weapons too: where a model is sure and overlaps no label, a label may "
            "be missing.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="JSON file for the listing; runs/STAGE-hard.json is what `train` repeats in that stage."),
    ] = None,
    show: Annotated[int, typer.Option(min=0, help="How many to print, the surest first.")] = 20,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N.")] = "auto",
) -> None:
    """List the weapon-free training pictures on which a model fires most: hard negatives.

    A stage with `repeat_hard` in the settings repeats them: `train` mines with the weights that the stage starts from,
    a round for each such stage, or takes the listing that is there.
    """
    from detector.training.built_set import read_built
    from detector.training.hard_negatives import mine, write_mined
    from detector.training.onnx_file import open_weights
    from detector.training.whole_file import check_writable

    if out is not None:
        check_writable(out)
    built = read_built(dataset)
    with open_weights(model, device=device) as opened:
        mined = mine(opened, dataset, built, floor=floor, with_weapons=with_weapons)
    for each in mined.firings[:show]:
        typer.echo(f"{each.score:.2f} {each.class_name:<24} {each.file}{' (has weapons)' if each.has_weapons else ''}")
    typer.echo(f"{len(mined.firings)} of {mined.looked_at} training pictures fire from {floor:.2f} up")
    if out is not None:
        write_mined(mined, out)
        typer.echo(f"listed in {out}")


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
    from zipfile import is_zipfile

    from detector.training.imports import READERS, read_class_map, write_layout
    from detector.training.imports.layout import Terms

    if not source.exists():
        raise DataError(f"{source} does not exist.")
    if source.is_file() and is_zipfile(source):
        raise DataError(
            f"{source} is an archive; unpack it, and give the annotation file or the folder that was in it."
        )
    class_map = read_class_map(classes)
    known = complete_for or ",".join(sorted({name for name in class_map.classes.values() if name}))
    pictures = READERS[format_.value](source, images)
    terms = Terms(source.resolve().name, licence, known)
    try:
        imported = write_layout(pictures, class_map, out, terms, split=split.value)
    except UnusableAnnotations as error:
        for fault in error.faults[1:]:
            typer.echo(printable(fault), err=True)
        raise
    _print_counts({**imported.counts, "(pictures)": imported.pictures, "(without a box)": imported.empty})
    typer.echo(f"splits: {imported.splits_by}")
    for label, number in imported.dropped.items():
        typer.echo(f"dropped: {number} boxes of '{label}'")
    if unnamed := imported.unnamed:
        typer.echo(f"left out: {len(unnamed)} pictures that the annotations do not name, the first {unnamed[0]}")
    typer.echo(f"in {out}, complete for {known}; build with --extra {out}, or --data {out} without other data")
    if complete_for is None:
        typer.echo(
            "build uses only pictures that are complete for all its classes: if yours are, say --complete-for all"
        )


def _print_counts(counts: Mapping[str, Mapping[str, int]]) -> None:
    typer.echo(f"{'boxes':<24}{'train':>7}{'val':>7}{'test':>7}")
    for name, by_split in counts.items():
        typer.echo(f"{name:<24}" + "".join(f"{by_split[split]:>7}" for split in SPLITS))
