"""`ordnance train`, `export`, `calibrate` and `optimise`: how weights are made."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from detector.cli.training_options import DATASET, DEFAULT_CONFIG, RUNS, Config, Data, Dataset, data_folder, words
from detector.errors import DataError
from detector.training.allowed_alarms import FALSE_ALARMS_PER_100

if TYPE_CHECKING:
    from detector.models import ManifestEntry


class SmallPrecision(StrEnum):
    """What `optimise` makes of an FP32 file."""

    FP16 = "fp16"
    INT8 = "int8"


def train_command(
    config: Config = DEFAULT_CONFIG,
    dataset: Dataset = DATASET,
    out: Annotated[Path, typer.Option(help="Folder for checkpoints, curves and the final weights.")] = RUNS,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Epochs of every stage instead of the settings' own: a try. It also goes without the stages that "
            "learn from a part which the data set lacks.",
        ),
    ] = None,
    stages: Annotated[str, typer.Option(help="Comma-separated stages to train; all by default.")] = "",
    leave_out_missing: Annotated[
        bool,
        typer.Option(
            "--leave-out-missing",
            help="Go without the stages that learn from a part which the data set lacks; said on stderr and recorded "
            "in OUT/training.json. Without it (and without --epochs) that is an error.",
        ),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Only go on with a training that is in --out; an error where there is none."),
    ] = False,
    go_on_from: Annotated[
        str | None,
        typer.Option(
            help="A model by name ('default' is the one that ships), an .onnx file beside its manifest.json, or a .pt "
            "of `ordnance train`: the first of the stages starts from it, and those before are not needed.",
            show_default="the settings' own start",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, or the number of a CUDA device.")] = "cpu",
    threads: Annotated[int | None, typer.Option(min=1, help="Processors to use; all by default.")] = None,
    data: Data = None,
) -> None:
    """Train the stages of the settings; after a kill the same command goes on at the last finished epoch."""
    from detector.training.built_set import read_built
    from detector.training.config import read_config
    from detector.training.stages import plan_stages
    from detector.training.train import train
    from detector.training.training_record import RECORD

    if resume and not (out / RECORD).is_file():
        raise DataError(f"{out} holds no training to go on with; leave --resume out to begin one.")
    settings = read_config(config)
    plan = plan_stages(
        settings,
        read_built(dataset).pictures,
        names=words(stages),
        epochs=epochs,
        leave_out_missing=leave_out_missing or epochs is not None,
    )
    for name, why in plan.left_out.items():
        typer.echo(f"ordnance: the stage {name} is left out: {why}; the weights are not those of the whole.", err=True)
    weights = train(
        settings,
        data_folder(data) if go_on_from is None else data,
        dataset,
        out,
        plan=plan,
        go_on_from=go_on_from,
        device=device,
        threads=threads,
        resume=resume,
    )
    typer.echo(f"weights: {weights}")
    typer.echo(f"what was done: {out / RECORD}")


def calibrate_command(
    model: Annotated[str, typer.Argument(help="A model of the manifest.")] = "default",
    out: Annotated[Path | None, typer.Option(help="Folder of the manifest; the installed weights by default.")] = None,
    false_alarms: Annotated[
        float, typer.Option(min=0.0, max=100.0, help="Allowed on 100 weapon-free photographs of the val split.")
    ] = FALSE_ALARMS_PER_100,
    data: Data = None,
) -> None:
    """Choose thresholds and fit calibration of an exported model again, on the val split."""
    from detector.training.export import calibrate_model

    entry = calibrate_model(model, data_folder(data), out, false_alarms_per_100=false_alarms)
    typer.echo(f"{'class':<26}{'threshold':>9}{'a':>9}{'b':>9}")
    for name, threshold in entry.thresholds.items():
        scaling = (entry.calibration or {})[name]
        typer.echo(f"{name:<26}{threshold:>9.3f}{scaling.a:>9.3f}{scaling.b:>9.3f}")
    _say_what_thresholds_rest_on(entry, false_alarms)


def _say_what_thresholds_rest_on(entry: ManifestEntry, per_100: float) -> None:
    val: Any = entry.metrics["val"]
    free, together = val["weapon_free"], val["calibrated_together"]
    typer.echo(
        f"thresholds: {val['false_alarms']} false alarms on the {free} weapon-free photographs of val; of 100 others "
        f"{val['false_alarms_per_100_unseen']:g} are to be expected (cross-validation)"
    )
    if together:
        typer.echo(f"calibrated together, for too few findings of their own: {', '.join(together)}")
    if per_100 and free < 100 / per_100:
        typer.echo(
            f"ordnance: {free} weapon-free photographs say little about {per_100:g} false alarms of 100: these "
            f"thresholds are a guess; add such photographs to val, {math.ceil(100 / per_100)} in all or more.",
            err=True,
        )


def export_command(
    weights: Annotated[Path, typer.Argument(help="Weights of `ordnance train`.")] = RUNS / "ordnance-n.pt",
    config: Config = DEFAULT_CONFIG,
    dataset: Dataset = DATASET,
    out: Annotated[Path | None, typer.Option(help="Folder of the manifest; the installed weights by default.")] = None,
    head: Annotated[
        Literal["one-to-one", "one-to-many"],
        typer.Option(help="Which of YOLO26's heads to export: one-to-many is better after a short training."),
    ] = "one-to-many",
    precision: Annotated[
        list[SmallPrecision] | None, typer.Option(help="Make this smaller file too; may be given again.")
    ] = None,
    keep_default: Annotated[
        bool, typer.Option("--keep-default", help="List it without making it the manifest's default model.")
    ] = False,
    data: Data = None,
) -> None:
    """Export weights to ONNX, choose thresholds and fit calibration on the val split, list them in the manifest."""
    from detector.training.config import read_config
    from detector.training.export import export_model, seen_again_by

    entry = export_model(
        weights, read_config(config), dataset, data_folder(data), out, head=head, as_default=not keep_default
    )
    typer.echo(f"{entry.name}: {entry.file}, {entry.bytes / 1e6:.1f} MB, sha256 {entry.sha256}")
    _say_what_thresholds_rest_on(entry, FALSE_ALARMS_PER_100)
    for name in seen_again_by(entry, out):
        typer.echo(
            f"ordnance: {name} has its second view by {entry.name}, so its thresholds are those of other weights; "
            f"choose them anew: ordnance calibrate {name}{f' --out {out}' if out else ''}",
            err=True,
        )
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

    entry, kept = add_precision(model, precision.value, data_folder(data), out)
    val = entry.metrics["val"]
    assert isinstance(val, dict)
    typer.echo(
        f"{entry.name}: {entry.bytes / 1e6:.1f} MB, mean AP50 on val {val['mean_ap50']}, "
        f"{val['mean_ap50_lost']} less than before, {'kept' if kept else 'not kept'}"
    )
