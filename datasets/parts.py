"""The synthetic parts that training settings name: scenes and composites, each in a folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datasets.composites import build_composites
from datasets.made_folder import read_made
from datasets.synthetic import render_set
from datasets.synthetic.dataset import NEGATIVE_SHARE
from detector.errors import DataError
from detector.training.config import SyntheticPart
from detector.training.photographs import weapon_free_pictures


def make_part(part: SyntheticPart, data: Path, out: Path, *, workers: int) -> None:
    """Write `part` into `out`/NAME unless it is there.

    Scenes have weapon-free photographs of the train split of `data` behind some of them; composites take objects and
    scenes of that split, and objects of the parts in `objects_of`, which must have been made before.
    Raises DataError where the folder holds pictures that were made otherwise.
    """
    if is_made(part, out):
        return
    folder = out / part.name
    earlier = read_made(folder)
    if earlier is not None and not _is_of(part, earlier):
        raise DataError(f"{folder} holds other pictures than the settings say of '{part.name}'; remove it first.")
    if part.kind == "scenes":
        render_set(
            folder,
            count=part.count,
            seed=part.seed,
            classes=part.classes,
            negative_share=_negative_share(part),
            other_proportions=part.other_proportions,
            workers=workers,
            backgrounds=weapon_free_pictures(data, "train"),
        )
    else:
        build_composites(
            data,
            folder,
            split="train",
            classes=part.classes,
            count=part.count,
            seed=part.seed,
            renders=[data / name if name == "rendered" else out / name for name in part.objects_of],
            workers=workers,
        )


def is_made(part: SyntheticPart, out: Path) -> bool:
    """Whether `out`/NAME holds all pictures of the part, made as it says."""
    manifest = read_made(out / part.name)
    return manifest is not None and _is_of(part, manifest) and len(manifest["images"]) >= part.count


def _is_of(part: SyntheticPart, manifest: dict[str, Any]) -> bool:
    made = manifest["seed"], tuple(manifest["classes"]), manifest.get("negative_share", NEGATIVE_SHARE)
    is_to_measure_on = manifest.get("held_out") or manifest.get("split", "train") != "train"
    is_stretched = manifest.get("other_proportions", False)
    is_of_objects = ("split" in manifest) == (part.kind == "composites") and (
        tuple(manifest.get("objects_of", part.objects_of)) == part.objects_of
    )
    asked = part.seed, part.classes, _negative_share(part)
    return made == asked and is_stretched == part.other_proportions and is_of_objects and not is_to_measure_on


def _negative_share(part: SyntheticPart) -> float:
    return NEGATIVE_SHARE if part.negative_share is None else part.negative_share
