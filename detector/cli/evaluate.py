"""`ordnance evaluate` and `compare`: how well a model finds what it should."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detector.cli.training_options import Data, data_folder, words
from detector.errors import BadOption

Split = Annotated[str, typer.Option(help="train, val or test.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda:N.")]
Backend = Annotated[str, typer.Option(help="As of `ordnance scan`; auto takes the fastest of the exact ones.")]
Composites = Annotated[
    list[Path] | None,
    typer.Option(help="Folder of `ordnance dataset composites`, measured apart; may be given again."),
]
Renders = Annotated[
    list[Path] | None,
    typer.Option(help="Folder of `ordnance dataset render`, measured apart; may be given again."),
]


def evaluate_command(
    model: Annotated[str, typer.Option(help="A model of `ordnance models`, or the path of an .onnx file.")] = "default",
    split: Split = "test",
    device: Device = "auto",
    backend: Backend = "auto",
    composites: Composites = None,
    renders: Renders = None,
    negative_video: Annotated[
        Path | None,
        typer.Option(help="Folder of clips without weapons; without it a clip is made of weapon-free photographs."),
    ] = None,
    damage: Annotated[
        str, typer.Option(help="Comma-separated damages done to copies of the photographs; empty for none.")
    ] = "recompressed,dark,240p",
    video: Annotated[
        bool,
        typer.Option("--video/--no-video", help="Count false alarms on a clip of weapon-free photographs."),
    ] = True,
    baseline: Annotated[
        Path | None, typer.Option(help="COCO-trained ultralytics weights to compare with (extra train).")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out the damaged copies, the bootstrap intervals and the video.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="JSON file for all figures; pictures go beside it.")] = None,
    record: Annotated[
        bool,
        typer.Option(
            "--record", help="Write the figures into the manifest, those of its default model into the model card too."
        ),
    ] = False,
    data: Data = None,
) -> None:
    """Measure a model: AP, precision and recall, sizes, sources, damage, false alarms, look-alikes, calibration.

    Photographs, composites and renders are sets of their own. Those of the model card were made by `ordnance dataset
    composites --split test --count 160 --seed 1` and by `ordnance dataset render`; datasets/README.md has the lines.
    With renders, --out and --record also write a picture of the worst failures among scenes without a photograph.
    """
    from detector.models import load_model
    from detector.models.manifest import find_weights
    from detector.training.measure import check_baseline, measure, with_baseline, write_measures
    from detector.training.measures_markdown import measures_markdown
    from detector.training.model_card import check_recordable, record_measures
    from detector.training.whole_file import check_writable

    if record and quick:
        raise BadOption("Quick figures are not recorded; leave --record or --quick out.")
    if out is not None:
        check_writable(out)
    baseline_data = None
    if baseline is not None:
        check_baseline(baseline)
        baseline_data = data_folder(data)
    entry, path = find_weights(model)
    if record:
        check_recordable(entry.name, path.parent)
    done = measure(
        load_model(model, device=device, backend=backend),
        entry,
        data=data,
        split=split,
        folders=_folders(composites, renders),
        negative_video=negative_video,
        damages=words(damage),
        video_alarms=video,
        quick=quick,
    )
    if baseline is not None and baseline_data is not None:
        done = with_baseline(done, baseline, baseline_data)
    typer.echo(measures_markdown(done))
    if out is not None:
        typer.echo("written: " + ", ".join(str(each) for each in write_measures(done, out)), err=True)
    if record:
        typer.echo(f"recorded in {record_measures(done, path.parent)}", err=True)


def compare_command(
    weights: Annotated[
        list[str], typer.Argument(help="Models of the manifest, .onnx files, .pt files of `train`; or LABEL=FILE.")
    ],
    split: Split = "test",
    input_size: Annotated[
        int | None,
        typer.Option(min=160, help="Input of the .pt files, px; by default that of their last training."),
    ] = None,
    composites: Composites = None,
    renders: Renders = None,
    device: Device = "auto",
    out: Annotated[Path | None, typer.Option(help="JSON file for all figures.")] = None,
    record: Annotated[
        Path | None, typer.Option(help="Model card with a comparison section to write the tables into.")
    ] = None,
    data: Data = None,
) -> None:
    """AP50 of several weights on the same pictures, side by side: what each stage or part of the data buys."""
    from detector.training.compare import classes_of, compare, weights_by_label, write_comparison
    from detector.training.measure import labelled_sets
    from detector.training.measures_markdown import comparison_markdown
    from detector.training.model_card import comparison_around, record_comparison
    from detector.training.whole_file import check_writable

    if out is not None:
        check_writable(out)
    if record is not None:
        comparison_around(record)
    labelled = weights_by_label(weights)
    sets = labelled_sets(data, split, _folders(composites, renders), classes_of(labelled))
    compared = compare(labelled, sets, input_size=input_size, device=device)
    typer.echo(comparison_markdown(compared))
    if out is not None:
        write_comparison(compared, out)
        typer.echo(f"written: {out}", err=True)
    if record is not None:
        record_comparison(compared, record)
        typer.echo(f"recorded in {record}", err=True)


def _folders(composites: list[Path] | None, renders: list[Path] | None) -> dict[str, list[Path]]:
    return {name: given for name, given in (("composite", composites), ("render", renders)) if given}
