"""`ordnance evaluate`: how well a model finds what it should."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detector.cli.training_options import Data, data_folder
from detector.errors import BadOption


def evaluate_command(
    model: Annotated[str, typer.Option(help="A model of `ordnance models`, or the path of an .onnx file.")] = "default",
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N.")] = "auto",
    composites: Annotated[
        Path | None, typer.Option(help="Folder of `ordnance dataset composites`, measured apart.")
    ] = None,
    renders: Annotated[Path | None, typer.Option(help="Folder of `ordnance dataset render`, measured apart.")] = None,
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
    out: Annotated[Path | None, typer.Option(help="JSON file for all figures; SVG pictures go beside it.")] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write the figures into the manifest and the model card.")
    ] = False,
    data: Data = None,
) -> None:
    """Measure a model: AP, precision and recall, sizes, sources, damage, false alarms, look-alikes, calibration."""
    from detector.models import load_model
    from detector.models.manifest import find_weights
    from detector.training.measure import measure, with_baseline, write_measures
    from detector.training.model_card import measures_markdown, record_measures

    if record and quick:
        raise BadOption("Quick figures are not recorded; leave --record or --quick out.")
    entry, path = find_weights(model)
    folders = {name: folder for name, folder in (("composite", composites), ("render", renders)) if folder}
    done = measure(
        load_model(model, device=device),
        entry,
        data=data,
        split=split,
        folders=folders,
        negative_video=negative_video,
        damages=tuple(word.strip() for word in damage.split(",") if word.strip()),
        video_alarms=video,
        quick=quick,
    )
    if baseline is not None:
        done = with_baseline(done, baseline, data_folder(data))
    typer.echo(measures_markdown(done))
    if out is not None:
        typer.echo("written: " + ", ".join(str(each) for each in write_measures(done, out)), err=True)
    if record:
        typer.echo(f"recorded in {record_measures(done, path.parent)}", err=True)
