"""Chooses each class's threshold for a stated rate of false alarms, shared out where it costs the least recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.errors import DataError
from detector.taxonomy import NAMED_CLASSES
from detector.training.allowed_alarms import FALSE_ALARMS_PER_100
from detector.training.evaluate import LOOK_ALIKE_LABELS
from detector.training.logit import logit
from detector.training.matching import Matches, match
from detector.training.predictions import Predictions

LOWEST, HIGHEST = 0.2, 0.7
STEP = 0.005
PRIOR_BOXES = 10
"""A class's own curve counts as many boxes as it has, the pooled curve as this many; in the pooled curve a class
counts by its share of the same sum, so that no class outweighs the others by its boxes alone."""

WIDTHS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25)
"""Widths, on the logit of the score, to which an alarm may be smeared: just above an alarm is not yet rid of it.

Wider ones buy few alarms with much recall of the classes that the val split hardly shows."""
FOLDS, ROUNDS, SEED = 5, 4, 0
BUDGET_STEPS = 400
"""Into so many steps the alarms that are allowed are divided."""

DEARER = {**dict.fromkeys(NAMED_CLASSES, 2.0), "tow_launcher": 4.0}
"""A named weapon overlooked counts as so many boxes of the classes that are there to tell it apart; a launcher, which
the project began with, as twice as many."""

BETA = {"tow_launcher": 2.0}
"""The beta of the F-measure below whose best no class is reported; 1 if not named. F2 holds recall to be worth twice
what precision is (van Rijsbergen, Information Retrieval, 1979)."""

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

    No class is reported below its best F1, tow_launcher not below its best F2 (BETA). From there up, those thresholds
    are taken that keep the most recall with no more alarms than that, a class counting as DEARER says. Recall is that
    of the class's own boxes mixed with that of the classes together (PRIOR_BOXES), so that a class with two boxes on
    the val split is not sacrificed because nothing is known about it. Alarms are counted smeared (a logistic kernel on
    the logit of the score): thresholds that hug the alarms of few pictures fail on others. The width is the smallest of
    WIDTHS for which thresholds that were chosen without a fifth of the weapon-free pictures keep the rate on that fifth
    (cross-validation, FOLDS and ROUNDS), or else the widest.
    `copies` are findings on changed copies of the same pictures, in the same order, such as recompressed or mirrored
    ones: alarms and recall are then the mean of those on the pictures and on their copies.
    Then tow_launcher is raised until at most LOOK_ALIKE_SHARE of the look-alike pictures are called one.
    Raises DataError without weapon-free pictures.
    """
    predictions = matches.predictions
    free = [number for number, picture in enumerate(predictions.pictures) if picture.is_weapon_free]
    if not free:
        raise DataError(
            f"The set '{predictions.name}' has no weapon-free picture to choose thresholds by; add photographs "
            "without a weapon to it, each with an empty label file and `all` in complete_for."
        )
    grid = np.round(np.arange(LOWEST, HIGHEST + STEP / 2, STEP), 6)
    counts = _counts((matches, *(match(each) for each in copies)), grid)
    recall, start = _recall(counts), _start(counts)
    rate = false_alarms_per_100 / 100
    seen = (predictions, *copies)
    exact = _alarms(seen, free, grid, 0.0)

    def chosen_on(alarms: Curves, rows: NDArray[np.int64]) -> dict[str, int]:
        return _best_within(
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


@dataclass(frozen=True, slots=True)
class _Counts:
    """What one class has at each threshold: boxes found, boxes reported, and boxes there are."""

    right: NDArray[np.float64]
    reported: NDArray[np.float64]
    boxes: float

    @property
    def say(self) -> float:
        """How much of the class's own figures counts, 0..1."""
        return self.boxes / (self.boxes + PRIOR_BOXES)


def _counts(matches: Sequence[Matches], grid: NDArray[np.float64]) -> dict[str, _Counts]:
    """The mean over `matches`, which are of the same pictures."""
    counts = {}
    for name in matches[0].predictions.classes:
        found = [each.of(name) for each in matches]
        counts[name] = _Counts(
            np.mean([_at_least(each.scores[each.hits], grid) for each in found], axis=0),
            np.mean([_at_least(each.scores, grid) for each in found], axis=0),
            matches[0].boxes(name),
        )
    return counts


def _pooled(counts: Mapping[str, _Counts]) -> _Counts:
    """All classes together, each weighted by its say instead of its boxes."""
    weights = {name: each.say / max(each.boxes, 1) for name, each in counts.items()}
    return _Counts(
        np.sum([weights[name] * each.right for name, each in counts.items()], axis=0),
        np.sum([weights[name] * each.reported for name, each in counts.items()], axis=0),
        sum(each.say for each in counts.values()),
    )


def _recall(counts: Mapping[str, _Counts]) -> dict[str, NDArray[np.float64]]:
    together = _pooled(counts)
    prior = together.right / max(together.boxes, 1e-9)
    return {name: each.say * each.right / max(each.boxes, 1) + (1 - each.say) * prior for name, each in counts.items()}


def _start(counts: Mapping[str, _Counts]) -> dict[str, int]:
    """Places on the grid: the class's best F_beta, drawn to that of the classes together the fewer boxes it has."""
    together = _pooled(counts)
    start = {}
    for name, each in counts.items():
        beta = BETA.get(name, 1.0)
        start[name] = round(each.say * _best_f(each, beta) + (1 - each.say) * _best_f(together, beta))
    return start


def _best_f(counts: _Counts, beta: float) -> int:
    """Where F = (1 + beta^2) right / (reported + beta^2 boxes) is best; the middle if nothing is found."""
    if not counts.right.any():
        return len(counts.right) // 2
    weight = beta**2
    return int(np.argmax((1 + weight) * counts.right / np.maximum(counts.reported + weight * counts.boxes, 1e-9)))


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
    distance = (logit(scores)[:, None] - logit(grid)) / width
    return np.asarray((0.5 * (1 + np.tanh(distance / 2))).sum(axis=0), np.float64)


def _best_within(alarms: Curves, recall: Curves, start: Mapping[str, int], budget: float) -> dict[str, int]:
    """Places from `start` up with the most recall, weighted by DEARER, whose alarms are at most `budget`.

    A knapsack with one choice for each class, solved exactly but for alarms rounded down to BUDGET_STEPS. Where even
    the highest thresholds have more alarms, no more than those have.
    """
    names = list(start)
    ahead = {name: np.asarray(alarms[name][start[name] :]) for name in names}
    budget = max(budget, sum(float(each.min()) for each in ahead.values()), 1e-9)
    cost = {name: np.floor(each / budget * BUDGET_STEPS + 1e-6).astype(int) for name, each in ahead.items()}
    # best[s]: the most recall of the classes so far with s steps spent.
    best = np.zeros(BUDGET_STEPS + 1)
    chosen: list[NDArray[np.int64]] = []
    for name in names:
        worth = DEARER.get(name, 1.0) * recall[name][start[name] :]
        options = np.full((len(worth), BUDGET_STEPS + 1), -np.inf)
        for option, price, value in zip(options, cost[name], worth, strict=True):
            if price <= BUDGET_STEPS:
                option[price:] = best[: BUDGET_STEPS + 1 - price] + value
        places = np.argmax(options, axis=0)
        chosen.append(places)
        best = options[places, np.arange(BUDGET_STEPS + 1)]
    at, left = {}, BUDGET_STEPS
    for name, places in zip(reversed(names), reversed(chosen), strict=True):
        at[name] = start[name] + int(places[left])
        left -= int(cost[name][places[left]])
    return {name: at[name] for name in names}


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
