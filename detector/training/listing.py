"""The pictures of a stage's epoch, each as often as it is to be seen, as files that the trainer reads."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from detector.errors import DataError
from detector.training.built_set import Picture
from detector.training.config import Stage


def repeat_factors(pictures: Sequence[Picture], threshold: float, limit: int) -> list[int]:
    """How often each picture stands in the list of an epoch, so that rare classes are seen more often.

    Repeat-factor sampling (LVIS, Gupta et al. 2019, section 4): class c on a share f(c) of the pictures has
    the factor max(1, sqrt(threshold / f(c))), a picture that of its rarest class. The frequency is counted
    within photographs and renders apart, because a class that is plentiful in renders can still be rare in
    photographs, which is where it has to work.
    """
    factors = [1] * len(pictures)
    for photographs in (True, False):
        group = [p for p in pictures if (p.set_name == "photos") is photographs]
        frequency = Counter(name for p in group for name in p.classes)
        for position, picture in enumerate(pictures):
            if (picture.set_name == "photos") is photographs and picture.classes:
                rarest = min(frequency[name] for name in picture.classes) / len(group)
                factors[position] = min(limit, max(1, round(math.sqrt(threshold / rarest))))
    return factors


def epoch_of(stage: Stage, pictures: Sequence[Picture], hard: Mapping[str, float] | None = None) -> dict[str, int]:
    """How often each training picture of the set, by its file name, is seen in an epoch of `stage`.

    `hard` are weapon-free pictures on which a model fired, with the best score; they are never among the empty ones
    that a stage leaves out, and stand `stage.repeat_hard` times from `stage.hard_score` up. Raises DataError where
    one of the stage's parts has no picture.
    """
    fired = {name for name, score in (hard or {}).items() if score >= stage.hard_score}
    learn = [
        picture
        for picture in pictures
        if picture.split == "train"
        and picture.set_name in stage.sets
        and (picture.file in fired or _is_kept(picture, stage))
    ]
    missing = set(stage.sets) - {picture.set_name for picture in learn}
    if missing:
        raise DataError(f"Stage '{stage.name}' learns from {', '.join(sorted(missing))}, which the data set lacks.")
    factors = repeat_factors(learn, stage.balance, stage.repeat_limit)
    return {
        picture.file: stage.repeat_hard if picture.file in fired and not picture.classes else factor
        for picture, factor in zip(learn, factors, strict=True)
    }


def write_listing(stage: Stage, epoch: Mapping[str, int], dataset: Path, out: Path, classes: Sequence[str]) -> Path:
    """Write `out`/STAGE.txt, a line for each time that a picture is seen, and `out`/STAGE.yaml; returns the latter."""
    root = dataset.resolve()
    out.mkdir(parents=True, exist_ok=True)
    listing = out.resolve() / f"{stage.name}.txt"
    lines = [f"{root / 'train' / 'images' / file}\n" * times for file, times in epoch.items()]
    listing.write_text("".join(lines), encoding="utf-8")
    description = {
        "path": str(root),
        "train": str(listing),
        "val": "val/images",
        "test": "test/images",
        "names": dict(enumerate(classes)),
    }
    path = out / f"{stage.name}.yaml"
    path.write_text(json.dumps(description, indent=1), encoding="utf-8")
    return path


def listed_epoch(listing: Path) -> dict[str, int]:
    """How often each picture, by its file name, stands in a listing of `write_listing`."""
    return Counter(Path(line).name for line in listing.read_text(encoding="utf-8").splitlines())


def _is_kept(picture: Picture, stage: Stage) -> bool:
    """Whether a picture is in the stage's share of empty ones; the same ones every time, chosen by their hash."""
    is_empty = picture.set_name == "photos" and not set(picture.classes) - set(stage.common)
    return not is_empty or int(picture.sha256[:8], 16) / 2**32 < stage.keep_empty
