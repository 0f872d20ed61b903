"""`ordnance dataset`, `train`, `export`, `calibrate`, `optimise` and `evaluate`: how weights are made and measured."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from detector.errors import BadOption, DataError

Data = Annotated[Path | None, typer.Option(envvar="ORDNANCE_DATA", help="Folder with photos/, rendered/ and start/.")]
Config = Annotated[Path, typer.Option(help="Training settings, such as datasets/configs/ordnance-n.yaml.")]
Dataset = Annotated[Path, typer.Option(help="The data set built by `ordnance dataset build`.")]


class SmallPrecision(StrEnum):
    """What `optimise` makes of an FP32 file."""

    FP16 = "fp16"
    INT8 = "int8"


dataset_app = typer.Typer(no_args_is_help=True, help="Render and build the data that models learn from.")


@dataset_app.command("render")
def render_command(
    out: Annotated[Path, typer.Option(help="Folder for images/, labels/ and manifest.json.")],
    count: Annotated[int, typer.Option(min=1, help="Scenes to render.")] = 600,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal scenes.")] = 1,
    classes: Annotated[
        str,
        typer.Option(
            help="Comma-separated weapon classes; where TOW launchers are among them, most scenes are theirs."
        ),
    ] = "tow_launcher,tank,rocket_launcher,howitzer,humvee,machine_gun",
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    backgrounds: Annotated[
        Path | None, typer.Option(help="Folder of photographs without weapons to stand behind the scenes.")
    ] = None,
) -> None:
    """Render scenes with exact boxes; goes on where an earlier run stopped."""
    from datasets.synthetic import render_set
    from detector.taxonomy import weapon_class

    names = tuple(weapon_class(word).id for word in classes.split(",") if word.strip())
    render_set(out, count=count, seed=seed, classes=names, workers=workers, backgrounds=backgrounds)
    typer.echo(f"{count} scenes in {out}")


@dataset_app.command("composites")
def composites_command(
    out: Annotated[Path, typer.Option(help="Folder for images/, labels/ and manifest.json.")],
    split: Annotated[str, typer.Option(help="train, val or test: where objects and scenes come from.")] = "test",
    count: Annotated[int, typer.Option(min=1, help="Pictures to make.")] = 300,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal pictures.")] = 1,
    classes: Annotated[
        str, typer.Option(help="Comma-separated weapon classes to paste, each as often as the others.")
    ] = "tank,rocket_launcher,howitzer,humvee,machine_gun",
    renders: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of `ordnance dataset render` whose objects are pasted too; may be given again."),
    ] = None,
    data: Data = None,
) -> None:
    """Paste weapons cut out of the photographs of a split into its weapon-free ones, with exact boxes."""
    from datasets.composites import build_composites
    from detector.taxonomy import weapon_class

    names = tuple(weapon_class(word).id for word in classes.split(",") if word.strip())
    boxes = build_composites(
        _required(data), out, split=split, classes=names, count=count, seed=seed, renders=renders or []
    )
    typer.echo(f"{count} pictures in {out}: " + ", ".join(f"{name} {number}" for name, number in boxes.items()))


def train_command(
    config: Config,
    dataset: Dataset,
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and curves.")] = Path("runs"),
    device: Annotated[str, typer.Option(help="cpu, or the number of a CUDA device.")] = "cpu",
    threads: Annotated[int | None, typer.Option(min=1, help="Processors to use; all by default.")] = None,
    data: Data = None,
) -> None:
    """Train the stages of the settings; after a kill the same command goes on at the last finished epoch."""
    from detector.training.config import read_config
    from detector.training.train import train

    weights = train(read_config(config), _required(data), dataset, out, device=device, threads=threads)
    typer.echo(f"weights: {weights}")


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
        done = with_baseline(done, baseline, _required(data))
    typer.echo(measures_markdown(done))
    if out is not None:
        typer.echo("written: " + ", ".join(str(each) for each in write_measures(done, out)), err=True)
    if record:
        typer.echo(f"recorded in {record_measures(done, path.parent)}", err=True)


def calibrate_command(
    model: Annotated[str, typer.Argument(help="A model of the manifest.")] = "default",
    out: Annotated[Path | None, typer.Option(help="Folder of the manifest; the installed weights by default.")] = None,
    false_alarms: Annotated[
        float, typer.Option(min=0.0, max=100.0, help="Allowed on 100 weapon-free photographs of the val split.")
    ] = 3.0,
    data: Data = None,
) -> None:
    """Choose thresholds and fit calibration of an exported model again, on the val split."""
    from detector.training.export import calibrate_model

    entry = calibrate_model(model, _required(data), out, false_alarms_per_100=false_alarms)
    typer.echo(f"{'class':<26}{'threshold':>9}{'a':>9}{'b':>9}")
    for name, threshold in entry.thresholds.items():
        scaling = (entry.calibration or {})[name]
        typer.echo(f"{name:<26}{threshold:>9.3f}{scaling.a:>9.3f}{scaling.b:>9.3f}")


def export_command(
    weights: Annotated[Path, typer.Argument(help="Weights of `ordnance train`, such as runs/ordnance-n.pt.")],
    config: Config,
    dataset: Dataset,
    out: Annotated[Path | None, typer.Option(help="Folder of the manifest; the installed weights by default.")] = None,
    head: Annotated[
        Literal["one-to-one", "one-to-many"],
        typer.Option(help="Which of YOLO26's heads to export: one-to-many is better after a short training."),
    ] = "one-to-many",
    precision: Annotated[
        list[SmallPrecision] | None, typer.Option(help="Make this smaller file too; may be given again.")
    ] = None,
    data: Data = None,
) -> None:
    """Export weights to ONNX, choose thresholds and fit calibration on the val split, list them in the manifest."""
    from detector.training.config import read_config
    from detector.training.export import export_model

    entry = export_model(weights, read_config(config), dataset, _required(data), out, head=head)
    typer.echo(f"{entry.name}: {entry.file}, {entry.bytes / 1e6:.1f} MB, sha256 {entry.sha256}")
    for each in dict.fromkeys(precision or ()):
        optimise_command(each, entry.name, out, data)


def optimise_command(
    precision: Annotated[SmallPrecision, typer.Argument(help="fp16 or int8.")],
    model: Annotated[str, typer.Option(help="A model of the manifest.")] = "default",
    out: Annotated[Path | None, typer.Option(help="Folder of the manifest; the installed weights by default.")] = None,
    data: Data = None,
) -> None:
    """Make the FP16 or INT8 form of an exported model; an INT8 file that loses 0.01 of AP50 is not kept."""
    from detector.training.export import add_precision

    entry, kept = add_precision(model, precision.value, _required(data), out)
    val = entry.metrics["val"]
    assert isinstance(val, dict)
    typer.echo(
        f"{entry.name}: {entry.bytes / 1e6:.1f} MB, mean AP50 on val {val['mean_ap50']}, "
        f"{val['mean_ap50_lost']} less than before, {'kept' if kept else 'not kept'}"
    )


def _required(data: Path | None) -> Path:
    if data is None:
        raise DataError("No data folder is given; set ORDNANCE_DATA or use --data.")
    return data
