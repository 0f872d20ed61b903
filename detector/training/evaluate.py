"""Scores of a model on a set of pictures: AP, precision and recall, false alarms, look-alikes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from detector.training.bootstrap import interval
from detector.training.matching import SIZES, Matched, Matches, match
from detector.training.predictions import NEGATIVES_COMPLETE_FOR, Picture, Predictions

__all__ = ["NEGATIVES_COMPLETE_FOR", "ClassScore", "FalseAlarms", "LookAlikes", "SetScore", "SizeScore", "score"]

LOOK_ALIKE_LABELS = frozenset({"atgm_launcher", "manpads", "rocket_launcher", "sam_launcher", "construction_machine"})
"""A picture with one of these and no tow_launcher is one in which a TOW launcher is easily imagined."""


@dataclass(frozen=True, slots=True)
class SizeScore:
    """A class's boxes of one size range (SIZES). None where there are none."""

    boxes: int
    ap50: float | None
    recall: float | None


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class on one set. AP is None where the set has no box of the class.

    `precision` and `recall` hold at `threshold` and IoU 0.5; precision is None where nothing was reported.
    `ap50_strict` is AP50 where regions that are not labelled for the class count as background, None if not asked for.
    `ap50_interval` is the 95 % bootstrap interval over pictures, None if not asked for or not to be had.
    """

    boxes: int
    ap50: float | None
    ap50_interval: tuple[float, float] | None
    ap50_95: float | None
    threshold: float
    precision: float | None
    recall: float | None
    sizes: dict[str, SizeScore]
    ap50_strict: float | None = None


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """Reports on weapon-free pictures at the thresholds: how many, on how many of the pictures, and of what class.

    `per_1000_interval` is the 95 % bootstrap interval of alarms on 1,000 weapon-free pictures, if asked for.
    """

    weapon_free: int
    pictures: int
    alarms: int
    classes: dict[str, int]
    per_1000_interval: tuple[float, float] | None = None

    @property
    def per_1000(self) -> float | None:
        """Alarms on 1,000 weapon-free pictures; None without such pictures."""
        return 1000 * self.alarms / self.weapon_free if self.weapon_free else None


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """Pictures with a look-alike and no TOW launcher; `called_tow` of them had a tow_launcher reported."""

    pictures: int
    called_tow: int
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SetScore:
    """What a model scored on one set of pictures."""

    name: str
    pictures: int
    classes: dict[str, ClassScore]
    false_alarms: FalseAlarms
    look_alikes: LookAlikes

    def mean_ap50(self, names: Sequence[str]) -> float | None:
        """mAP50 over those of `names` that the set has boxes of; None if it has none."""
        known = [value for name in names if name in self.classes and (value := self.classes[name].ap50) is not None]
        return float(np.mean(known)) if known else None


def score(
    predictions: Predictions,
    thresholds: Mapping[str, float],
    *,
    intervals: bool = True,
    strict: bool = False,
    matches: Matches | None = None,
) -> SetScore:
    """Score a set at the given thresholds; `strict` adds ClassScore.ap50_strict.

    `matches` saves the work where the set was matched before.
    """
    done = matches or match(predictions)
    classes = {name: _class_score(done, name, thresholds[name], intervals) for name in predictions.classes}
    if strict:
        nowhere_ignored = match(_without_ignored(predictions))
        classes = {name: replace(row, ap50_strict=nowhere_ignored.ap50(name)) for name, row in classes.items()}
    return SetScore(
        predictions.name,
        len(predictions.pictures),
        classes,
        false_alarms(predictions, thresholds, intervals=intervals),
        look_alikes(predictions, thresholds),
    )


def false_alarms(predictions: Predictions, thresholds: Mapping[str, float], *, intervals: bool = False) -> FalseAlarms:
    """Count what is reported on the weapon-free pictures of the set."""
    free = [picture for picture in predictions.pictures if picture.is_weapon_free]
    reported = [_reported(picture, predictions.classes, thresholds) for picture in free]
    ids = np.concatenate(
        [np.empty(0, np.int64), *(picture.found_ids[keep] for picture, keep in zip(free, reported, strict=True))]
    )
    counts = {name: int((ids == number).sum()) for number, name in enumerate(predictions.classes)}
    on_each = np.array([int(keep.sum()) for keep in reported], np.float64)
    spread = None
    if intervals and free:
        spread = interval(lambda weights: 1000 * float(weights @ on_each) / len(free), len(free))
    return FalseAlarms(
        len(free),
        sum(bool(keep.any()) for keep in reported),
        len(ids),
        {name: count for name, count in counts.items() if count},
        spread,
    )


def look_alikes(predictions: Predictions, thresholds: Mapping[str, float]) -> LookAlikes:
    """Count pictures with a look-alike, and those of them in which a tow_launcher is reported."""
    if "tow_launcher" not in predictions.classes:
        return LookAlikes(0, 0, ())
    tow = predictions.classes.index("tow_launcher")
    pictures = [
        picture
        for picture in predictions.pictures
        if LOOK_ALIKE_LABELS & set(picture.labels) and "tow_launcher" not in picture.labels
    ]
    called = tuple(
        picture.name
        for picture in pictures
        if (picture.scores[picture.found_ids == tow] >= thresholds["tow_launcher"]).any()
    )
    return LookAlikes(len(pictures), len(called), called)


def _without_ignored(predictions: Predictions) -> Predictions:
    none, no_ids = np.empty((0, 4)), np.empty(0, np.int64)
    pictures = tuple(replace(picture, ignored=none, ignored_ids=no_ids) for picture in predictions.pictures)
    return replace(predictions, pictures=pictures)


def _reported(picture: Picture, classes: Sequence[str], thresholds: Mapping[str, float]) -> NDArray[np.bool_]:
    least = np.array([thresholds[name] for name in classes])
    return np.asarray(picture.scores >= least[picture.found_ids], dtype=np.bool_)


def _class_score(matches: Matches, name: str, threshold: float, intervals: bool) -> ClassScore:
    found = matches.of(name)
    boxes = matches.boxes(name)
    right, reported = found.at(threshold)
    spread = None
    if intervals and boxes:
        spread = interval(partial(_ap, found), len(matches.predictions.pictures))
    sizes = {}
    for size in SIZES:
        if size != "all" and (inside := matches.boxes(name, size)):
            sizes[size] = SizeScore(inside, matches.ap50(name, size), matches.of(name, size).at(threshold)[0] / inside)
    return ClassScore(
        boxes,
        matches.ap50(name),
        spread,
        matches.ap50_95(name),
        threshold,
        right / reported if reported else None,
        right / boxes if boxes else None,
        sizes,
    )


def _ap(found: Matched, weights: NDArray[np.float64]) -> float | None:
    return found.average_precision(weights)
