"""`ordnance dataset render`, `composites` and `synthetic`: the pictures that are made rather than taken."""

from __future__ import annotations

import importlib.util
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from detector.cli.training_options import DEFAULT_CONFIG, SYNTHETIC, Config, Data, data_folder, words
from detector.errors import BackendUnavailable, BadOption

Workers = Annotated[int, typer.Option(min=1, help="Processes.")]


class SplitName(StrEnum):
    """The three splits of the photographs."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


def render_command(
    out: Annotated[Path, typer.Option(help="Folder for images/, labels/, records/ and manifest.json.")],
    count: Annotated[int, typer.Option(min=1, help="Scenes to render.")] = 600,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal scenes.")] = 1,
    classes: Annotated[
        str,
        typer.Option(
            help="Comma-separated weapon classes. With TOW launchers among them 35 % of the scenes are about one; the "
            "others share the rest."
        ),
    ] = "tow_launcher,tank,rocket_launcher,howitzer,humvee,machine_gun",
    negative_share: Annotated[
        float, typer.Option(min=0.0, max=0.65, help="Share of scenes with look-alikes only, without a weapon.")
    ] = 0.2,
    held_out: Annotated[
        bool,
        typer.Option(
            "--held-out",
            help="Use the launchers, vehicles, guns, paints and skies that no other scene shows: a set to measure on, "
            "never to train on. People, ground, houses and look-alikes without a class are as in other scenes.",
        ),
    ] = False,
    workers: Workers = 1,
    backgrounds: Annotated[
        Path | None, typer.Option(help="Folder of photographs without weapons to stand behind some of the scenes.")
    ] = None,
    backgrounds_of: Annotated[
        SplitName | None,
        typer.Option(help="Take the weapon-free photographs of this split of the data folder as backgrounds."),
    ] = None,
    data: Data = None,
) -> None:
    """Render scenes with exact boxes; goes on where an earlier run stopped.

    The scenes of a test set take --held-out and --backgrounds-of test; those of a training set neither. Pictures with a
    photograph behind them carry its licence and must not be passed on.
    """
    from datasets.synthetic import render_set
    from detector.taxonomy import weapon_class
    from detector.training.photographs import weapon_free_pictures

    if backgrounds is not None and backgrounds_of is not None:
        raise BadOption("Give --backgrounds or --backgrounds-of, not both.")
    _need_renderer()
    behind: Path | list[Path] | None = backgrounds
    if backgrounds_of is not None:
        behind = weapon_free_pictures(data_folder(data), backgrounds_of.value)
    names = tuple(weapon_class(word).id for word in words(classes))
    if not names:
        raise BadOption("No class was given; name at least one, such as tow_launcher.")
    try:
        render_set(
            out,
            count=count,
            seed=seed,
            classes=names,
            workers=workers,
            backgrounds=behind,
            negative_share=negative_share,
            held_out=held_out,
        )
    except ValueError as error:
        raise BadOption(f"These scenes cannot be rendered: {error}.") from error
    typer.echo(f"{count} scenes in {out}")


def composites_command(
    out: Annotated[Path, typer.Option(help="Folder for images/, labels/ and manifest.json.")],
    split: Annotated[SplitName, typer.Option(help="Where objects and scenes come from.")] = SplitName.TEST,
    count: Annotated[int, typer.Option(min=1, help="Pictures to make.")] = 300,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal pictures.")] = 1,
    classes: Annotated[
        str,
        typer.Option(
            help="Comma-separated classes to paste, each as often as the others: weapons, or look-alikes that "
            "photographs are labelled with, such as construction_machine."
        ),
    ] = "tank,rocket_launcher,howitzer,humvee,machine_gun",
    renders: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of `ordnance dataset render` whose objects are pasted too; may be given again."),
    ] = None,
    workers: Workers = 1,
    data: Data = None,
) -> None:
    """Paste weapons cut out of the photographs of a split into its weapon-free ones, with exact boxes."""
    from datasets.composites import build_composites
    from detector.taxonomy import weapon_class
    from detector.training.labels import CONTEXT_CLASSES

    boxes = build_composites(
        data_folder(data),
        out,
        split=split.value,
        classes=tuple(word if word in CONTEXT_CLASSES else weapon_class(word).id for word in words(classes)),
        count=count,
        seed=seed,
        renders=renders or [],
        workers=workers,
    )
    typer.echo(f"{count} pictures in {out}: " + ", ".join(f"{name} {number}" for name, number in boxes.items()))


def synthetic_command(
    config: Config = DEFAULT_CONFIG,
    out: Annotated[Path, typer.Option(help="Folder for a folder of each part.")] = SYNTHETIC,
    workers: Workers = 1,
    data: Data = None,
) -> None:
    """Make every rendered and pasted part that the settings name; goes on where an earlier run stopped.

    `ordnance dataset build` puts them into the set. About 3 CPU seconds a rendered scene, 0.7 a composite;
    needs the extra 'render'.
    """
    from datasets.parts import make_part
    from detector.training.config import read_config

    _need_renderer()
    settings = read_config(config)
    if not settings.synthetic:
        raise BadOption(f"{config} names no synthetic part.")
    for part in settings.synthetic:
        typer.echo(f"{part.name}: {part.count} {part.kind} of seed {part.seed}", err=True)
        make_part(part, data_folder(data), out, workers=workers)
    typer.echo(f"{sum(part.count for part in settings.synthetic)} pictures in {out}")


def _need_renderer() -> None:
    if importlib.util.find_spec("mitsuba") is None:
        raise BackendUnavailable("Rendering needs the extra 'render'; install it with: pip install 'ordnance[render]'.")
