"""Chooses each class's threshold for a stated rate of false alarms, shared out where it costs the least recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.errors import DataError
from detector.taxonomy import NAMED_CLASSES
from detector.training.evaluate import LOOK_ALIKE_LABELS
from detector.training.matching import Matches
from detector.training.predictions import Predictions

FALSE_ALARMS_PER_100 = 3.0
"""Boxes reported on 100 weapon-free pictures that were not chosen on, all classes together."""

LOWEST, HIGHEST = 0.2, 0.7
STEP = 0.005
PRIOR_BOXES = 10
"""A class's own recall curve counts as many boxes as it has, the pooled curve of all classes as this many."""

WIDTHS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25)
"""Widths, on the logit of the score, to which an alarm may be smeared: just above an alarm is not yet rid of it.

Wider ones buy few alarms with much recall of the classes that the val split hardly shows."""
FOLDS, ROUNDS, SEED = 5, 4, 0

DEARER = {**dict.fromkeys(NAMED_CLASSES, 2.0), "tow_launcher": 4.0}
"""A named weapon overlooked counts as so many boxes of the classes that are there to tell it apart; a launcher, which
the project began with, as twice as many."""

LOOK_ALIKE_SHARE = 0.1
"""Share of the look-alike pictures that may be called a TOW launcher."""

Curves = Mapping[str, NDArray[np.float64]]
"""For every class a figure at each threshold of the grid."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What was chosen and what it gave on the pictures it was chosen on.

    `per_100_unseen` is the rate on fifths of the weapon-free pictures when thresholds were chosen with the other
    four, and `width` how far alarms were smeared to keep it within the rate that was asked for.
    """

    values: dict[str, float]
    weapon_free: int
    alarms: int
    allowed: int
    width: float
    per_100_unseen: float


def choose_thresholds(
    matches: Matches, copies: Sequence[Predictions] = (), *, false_alarms_per_100: float = FALSE_ALARMS_PER_100
) -> Thresholds:
    """Thresholds from LOWEST to HIGHEST with at most so many reported boxes on 100 weapon-free pictures.

    Each class starts at its best F1. While weapon-free pictures have too many alarms, the class is raised that loses
    the least recall for each alarm it ends (see DEARER). Recall is that of the class's own boxes mixed with that of all
    classes (PRIOR_BOXES), so that a class with two boxes on the val split is not sacrificed because nothing is known
    about it. Alarms are counted smeared (a logistic kernel on the logit of the score): thresholds that hug the alarms
    of few pictures fail on others. The width is the smallest of WIDTHS for which thresholds that were chosen
    without a fifth of the weapon-free pictures keep the rate on that fifth (cross-validation, FOLDS and ROUNDS),
    or else the widest.
    `copies` are findings on changed copies of the same pictures, in the same order, such as recompressed ones: a
    picture's alarms are then the mean of those on it and on its copies.
    Then tow_launcher is raised until at most LOOK_ALIKE_SHARE of the look-alike pictures are called one.
    Raises DataError without weapon-free pictures.
    """
    predictions = matches.predictions
    free = [number for number, picture in enumerate(predictions.pictures) if picture.is_weapon_free]
    if not free:
        raise DataError(f"The set '{predictions.name}' has no weapon-free picture to choose thresholds by.")
    grid = np.round(np.arange(LOWEST, HIGHEST + STEP / 2, STEP), 6)
    recall = _recall_curves(matches, grid)
    start = _start(matches, grid)
    rate = false_alarms_per_100 / 100
    seen = (predictions, *copies)
    exact = _alarms(seen, free, grid, 0.0)

    def chosen_on(alarms: Curves, rows: NDArray[np.int64]) -> dict[str, int]:
        return _raise_cheapest(
            {name: each[rows].sum(axis=0) for name, each in alarms.items()}, recall, start, rate * len(rows)
        )

    width, unseen, smeared = WIDTHS[-1], 0.0, exact
    for width in WIDTHS:
        smeared = _alarms(seen, free, grid, width)
        unseen = float(np.mean([_count(exact, chosen_on(smeared, kept), held) for kept, held in _folds(len(free))]))
        if unseen <= rate:
            break
    at = chosen_on(smeared, np.arange(len(free)))
    if "tow_launcher" in at:
        at["tow_launcher"] = max(at["tow_launcher"], _quiet_on_look_alikes(matches, grid))
    unchanged = _alarms((predictions,), free, grid, 0.0)
    alarms = round(sum(float(unchanged[name][:, at[name]].sum()) for name in at))
    values = {name: float(grid[place]) for name, place in at.items()}
    return Thresholds(values, len(free), alarms, int(rate * len(free)), width, 100 * unseen)


def _recall_curves(matches: Matches, grid: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    right = {name: _at_least(found.scores[found.hits], grid) for name, found in matches.all().items()}
    boxes = {name: matches.boxes(name) for name in right}
    pooled = np.sum(list(right.values()), axis=0) / max(sum(boxes.values()), 1)
    return {name: (right[name] + PRIOR_BOXES * pooled) / (boxes[name] + PRIOR_BOXES) for name in right}


def _start(matches: Matches, grid: NDArray[np.float64]) -> dict[str, int]:
    """Places on the grid: the class's best F1, drawn to that of all classes together the fewer boxes it has."""
    everywhere = _best_f1(matches, matches.predictions.classes, grid)
    places = {}
    for name in matches.predictions.classes:
        own = matches.boxes(name) / (matches.boxes(name) + PRIOR_BOXES)
        places[name] = round(own * _best_f1(matches, (name,), grid) + (1 - own) * everywhere)
    return places


def _best_f1(matches: Matches, names: Sequence[str], grid: NDArray[np.float64]) -> int:
    """Where F1 = 2 right / (reported + boxes) of the classes together is best; the middle if none is found."""
    found = [matches.of(name) for name in names]
    right = np.sum([_at_least(each.scores[each.hits], grid) for each in found], axis=0)
    reported = np.sum([_at_least(each.scores, grid) for each in found], axis=0)
    boxes = sum(matches.boxes(name) for name in names)
    if not right.any():
        return len(grid) // 2
    return int(np.argmax(2 * right / np.maximum(reported + boxes, 1)))


def _alarms(
    seen: Sequence[Predictions], free: Sequence[int], grid: NDArray[np.float64], width: float
) -> dict[str, NDArray[np.float64]]:
    """For every class the alarms of each weapon-free picture at each threshold, float64 (pictures, grid)."""
    counts = {}
    for class_id, name in enumerate(seen[0].classes):
        rows = np.zeros((len(free), len(grid)))
        for row, number in zip(rows, free, strict=True):
            for picture in (each.pictures[number] for each in seen):
                row += _at_least(picture.scores[picture.found_ids == class_id], grid, width) / len(seen)
        counts[name] = rows
    return counts


def _at_least(scores: NDArray[np.float64], grid: NDArray[np.float64], width: float = 0.0) -> NDArray[np.float64]:
    """How many scores are at least each value of the grid, each smeared by `width` on its logit."""
    if width == 0:
        return np.asarray((scores[:, None] >= grid).sum(axis=0), np.float64)
    distance = (_logit(scores)[:, None] - _logit(grid)) / width
    return np.asarray((0.5 * (1 + np.tanh(distance / 2))).sum(axis=0), np.float64)


def _raise_cheapest(alarms: Curves, recall: Curves, start: Mapping[str, int], budget: float) -> dict[str, int]:
    at = dict(start)
    while sum(float(alarms[name][at[name]]) for name in at) > budget + 1e-9:
        offers = []
        for name, place in at.items():
            ended = alarms[name][place] - alarms[name][place + 1 :]
            lost = DEARER.get(name, 1.0) * (recall[name][place] - recall[name][place + 1 :])
            # A raise that ends next to nothing is none.
            prices = np.where(ended > 1e-6, (lost + 1e-4) / np.maximum(ended, 1e-6), np.inf)
            if len(prices) and np.isfinite(prices.min()):
                offers.append((float(prices.min()), name, place + 1 + int(np.argmin(prices))))
        if not offers:
            break
        _, name, place = min(offers)
        at[name] = place
    return at


def _folds(pictures: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows to choose on and rows to check on: each picture is checked once in each of ROUNDS shuffles."""
    rng = np.random.default_rng(SEED)
    made = []
    for _ in range(ROUNDS):
        parts = np.array_split(rng.permutation(pictures), min(FOLDS, max(pictures, 2)))
        made += [(np.concatenate([*parts[:n], *parts[n + 1 :]]), parts[n]) for n in range(len(parts))]
    return made


def _count(alarms: Curves, at: Mapping[str, int], rows: NDArray[np.int64]) -> float:
    """Alarms a picture."""
    return sum(float(alarms[name][rows, place].sum()) for name, place in at.items()) / max(len(rows), 1)


def _quiet_on_look_alikes(matches: Matches, grid: NDArray[np.float64]) -> int:
    """The lowest place on the grid from which at most LOOK_ALIKE_SHARE of the look-alike pictures are called a TOW."""
    tow = matches.predictions.classes.index("tow_launcher")
    best = [
        float(picture.scores[picture.found_ids == tow].max(initial=0.0))
        for picture in matches.predictions.pictures
        if LOOK_ALIKE_LABELS & set(picture.labels) and "tow_launcher" not in picture.labels
    ]
    quiet = np.flatnonzero(_at_least(np.array(best), grid) <= int(LOOK_ALIKE_SHARE * len(best)))
    return int(quiet[0]) if len(quiet) else len(grid) - 1


def _logit(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(scores, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(inside / (1 - inside)))
