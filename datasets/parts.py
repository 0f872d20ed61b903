"""The synthetic parts that training settings name: scenes and composites, each in a folder of its own."""

from __future__ import annotations

import json
from pathlib import Path

from datasets.composites import build_composites
from datasets.synthetic import render_set
from detector.training.config import SyntheticPart
from detector.training.photographs import weapon_free_pictures


def make_part(part: SyntheticPart, data: Path, out: Path, *, workers: int) -> None:
    """Write `part` into `out`/NAME unless it is there.

    Scenes have weapon-free photographs of the train split of `data` behind some of them; composites take objects and
    scenes of that split, and objects of the parts in `objects_of`, which must have been made before.
    """
    if is_made(part, out):
        return
    folder = out / part.name
    if part.kind == "scenes":
        render_set(
            folder,
            count=part.count,
            seed=part.seed,
            classes=part.classes,
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
    """Whether `out`/NAME holds all pictures of the part, made with its seed and classes."""
    try:
        manifest = json.loads((out / part.name / "manifest.json").read_text(encoding="utf-8"))
        same = manifest["seed"] == part.seed and tuple(manifest["classes"]) == part.classes
        return same and not manifest.get("held_out") and len(manifest["images"]) >= part.count
    except (OSError, ValueError, KeyError):
        return False
