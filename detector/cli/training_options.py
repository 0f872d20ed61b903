"""What the commands that make and measure weights have in common: folders and their defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detector.errors import DataError

DEFAULT_CONFIG = Path(__file__).parents[2] / "datasets" / "configs" / "ordnance-n.yaml"
"""The settings of the weights that ship."""

RUNS = Path("runs")
SYNTHETIC = RUNS / "synthetic"
DATASET = RUNS / "set"

Data = Annotated[Path | None, typer.Option(envvar="ORDNANCE_DATA", help="Folder with photos/, rendered/ and start/.")]
Config = Annotated[
    Path, typer.Option(help="Training settings.", show_default="datasets/configs/ordnance-n.yaml, those that ship")
]
Dataset = Annotated[Path, typer.Option(help="The data set built by `ordnance dataset build`.")]


def data_folder(data: Path | None) -> Path:
    """The folder given; raises DataError that names the ways to give it where it is not."""
    if data is None:
        raise DataError("No data folder is given; set ORDNANCE_DATA or use --data.")
    return data


def words(value: str) -> tuple[str, ...]:
    """The words of a comma-separated option, without empty ones."""
    return tuple(word.strip() for word in value.split(",") if word.strip())
