"""`ordnance dataset`, `train`, `evaluate` and `export`: how weights are made and measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from detector.errors import BadOption, DataError

Data = Annotated[Path | None, typer.Option(envvar="ORDNANCE_DATA", help="Folder with photos/, rendered/ and start/.")]
Config = Annotated[Path, typer.Option(help="Training settings, such as datasets/configs/ordnance-n.yaml.")]
Dataset = Annotated[Path, typer.Option(help="The data set built by `ordnance dataset build`.")]

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


@dataset_app.command("build")
def build_command(
    config: Config,
    out: Annotated[Path, typer.Option(help="Folder for the YOLO-format set and its dataset.json.")],
    renders: Annotated[
        list[Path] | None, typer.Option(help="Folder of `ordnance dataset render`; may be given again.")
    ] = None,
    data: Data = None,
) -> None:
    """Build the YOLO-format set: photographs by their split, renders for training only."""
    from detector.training.config import read_config
    from detector.training.dataset import build_dataset, count_boxes, dataset_hash

    settings = read_config(config)
    pictures = build_dataset(settings, _required(data), renders or [], out)
    counts = count_boxes(out, settings.classes)
    typer.echo(f"{len(pictures)} pictures in {out}, set {dataset_hash(pictures)[:12]}")
    typer.echo(f"{'boxes':<24}{'train':>7}{'val':>7}{'test':>7}")
    for name in settings.classes:
        typer.echo(f"{name:<24}" + "".join(f"{counts[split][name]:>7}" for split in ("train", "val", "test")))


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
    renders: Annotated[
        Path | None, typer.Option(help="Measure on a folder of `ordnance dataset render` instead of photographs.")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write the figures into the manifest and the model card.")
    ] = False,
    data: Data = None,
) -> None:
    """Measure a model on the photographs of a split: AP50 of each class, precision and recall."""
    from detector.models import load_model
    from detector.training.evaluate import predict_renders, predict_split, score
    from detector.training.model_card import evaluation_table, record_evaluation

    loaded = load_model(model, device=device)
    if renders and record:
        raise BadOption("Only figures on photographs are recorded; leave --record or --renders out.")
    if renders:
        predictions = predict_renders(loaded.detect, loaded.classes, renders)
    else:
        predictions = predict_split(loaded.detect, loaded.classes, _required(data), split)
    evaluation = score(predictions, loaded.thresholds)
    typer.echo(evaluation_table(evaluation))
    if record:
        typer.echo(f"recorded in {record_evaluation(loaded.name, evaluation)}")


def export_command(
    weights: Annotated[Path, typer.Argument(help="Weights of `ordnance train`, such as runs/ordnance-n.pt.")],
    config: Config,
    dataset: Dataset,
    out: Annotated[Path | None, typer.Option(help="Folder of the manifest; the installed weights by default.")] = None,
    head: Annotated[
        Literal["one-to-one", "one-to-many"],
        typer.Option(help="Which of YOLO26's heads to export: one-to-many is better after a short training."),
    ] = "one-to-many",
    data: Data = None,
) -> None:
    """Export weights to ONNX, choose each class's threshold on the val split and list them in the manifest."""
    from detector.training.config import read_config
    from detector.training.export import export_model

    entry = export_model(weights, read_config(config), dataset, _required(data), out, head=head)
    typer.echo(f"{entry.name}: {entry.file}, {entry.bytes / 1e6:.1f} MB, sha256 {entry.sha256}")


def _required(data: Path | None) -> Path:
    if data is None:
        raise DataError("No data folder is given; set ORDNANCE_DATA or use --data.")
    return data
