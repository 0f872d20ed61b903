from __future__ import annotations

import numpy as np
import pytest

from detector.training.bootstrap import interval
from detector.training.matching import match
from detector.training.smallest_side import smallest_side

from .labelled import CLASSES, Picture, picture, predictions

THRESHOLDS = dict.fromkeys(CLASSES, 0.5)


def square(side: float, left: float = 20.0) -> tuple[float, float, float, float]:
    return (left, 20.0, left + side, 20.0 + side)


def random_pictures(count: int, seed: int = 4) -> list[Picture]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        truth = [("tank", square(60, left)) for left in (20.0, 200.0)[: rng.integers(0, 3)]]
        found = [("tank", box, float(rng.uniform(0.05, 0.95))) for _, box in truth if rng.random() < 0.7]
        found += [("tank", square(50, 300.0), float(rng.uniform(0.05, 0.7)))] if rng.random() < 0.4 else []
        made.append(picture(truth, found))
    return made


def test_average_precision_is_pycocotools_own() -> None:
    matches = match(predictions(random_pictures(60)))
    assert matches.of("tank").average_precision() == pytest.approx(matches.ap50("tank"), abs=1e-9)


def test_a_picture_drawn_twice_counts_as_two_pictures() -> None:
    pictures = random_pictures(20)
    twice = match(predictions([*pictures, *pictures[:5]])).of("tank").average_precision()
    weights = np.array([2.0] * 5 + [1.0] * 15)
    assert match(predictions(pictures)).of("tank").average_precision(weights) == pytest.approx(twice, abs=1e-6)


@pytest.mark.parametrize(
    ("side", "scale", "size"),
    [
        (20, 1.0, "under 24 px"),
        (20, 2.0, "24-96 px"),
        (60, 1.0, "24-96 px"),
        (120, 1.0, "over 96 px"),
        (120, 0.1, "under 24 px"),
    ],
)
def test_sizes_are_those_at_the_input(side: float, scale: float, size: str) -> None:
    matches = match(predictions([picture([("tank", square(side))], scale=scale)]))
    inside = {name for name in ("under 24 px", "24-96 px", "over 96 px") if matches.boxes("tank", name)}
    assert inside == {size}
    assert matches.boxes("tank", "from 24 px") == (size != "under 24 px")


def test_small_boxes_do_not_count_against_large_ones() -> None:
    small = picture([("machine_gun", square(10))])
    large = picture([("machine_gun", square(80))], [("machine_gun", square(80), 0.9)])
    matches = match(predictions([small, large]))
    assert matches.ap50("machine_gun") == pytest.approx(0.5, abs=0.02)
    assert matches.ap50("machine_gun", "from 24 px") == pytest.approx(1)
    assert matches.ap50("machine_gun", "under 24 px") == 0
    assert matches.ap50("tow_launcher") is None


def test_what_lies_where_nobody_labelled_counts_neither_way() -> None:
    wrong = ("machine_gun", square(30, 200.0), 0.9)
    right = picture([("machine_gun", square(30))], [("machine_gun", square(30), 0.5)])
    counted = match(predictions([right, picture([], [wrong])]))
    left_out = match(predictions([right, picture([], [wrong], ignored=[("machine_gun", (150.0, 0.0, 300.0, 200.0))])]))
    assert counted.ap50("machine_gun") == pytest.approx(0.5)
    assert left_out.ap50("machine_gun") == pytest.approx(1)


def test_truth_knows_the_score_that_found_it() -> None:
    matches = match(
        predictions([picture([("tank", square(40)), ("tank", square(60, 200.0))], [("tank", square(40), 0.7)])])
    )
    sides, scores = matches.truth_scores("tank")
    assert sorted(zip(sides.round(3), scores, strict=True)) == [(40, 0.7), (60, 0.0)]


def test_the_smallest_side_is_where_half_are_found() -> None:
    pictures = []
    for side in range(10, 200):
        box = square(side)
        pictures.append(picture([("tank", box)], [("tank", box, 0.9)] if side >= 80 else []))
    assert smallest_side(match(predictions(pictures)), THRESHOLDS) == pytest.approx(80)


def test_chance_finds_among_the_small_do_not_make_a_model_see_small() -> None:
    pictures = [picture([("tank", square(20))], [("tank", square(20), 0.9)])]
    pictures += [picture([("tank", square(side))]) for side in range(21, 60)]
    pictures += [picture([("tank", square(side))], [("tank", square(side), 0.9)]) for side in range(60, 120)]
    assert smallest_side(match(predictions(pictures)), THRESHOLDS) == pytest.approx(60)


def test_a_model_that_finds_nothing_has_no_smallest_side() -> None:
    assert smallest_side(match(predictions([picture([("tank", square(40))])])), THRESHOLDS) is None


def test_an_interval_is_repeatable_and_holds_the_figure() -> None:
    pictures = random_pictures(60)
    found = match(predictions(pictures)).of("tank")
    first = interval(found.average_precision, len(pictures), draws=200)
    assert first is not None and first == interval(found.average_precision, len(pictures), draws=200)
    whole = found.average_precision()
    assert whole is not None and first[0] < whole < first[1]
    more = match(predictions(random_pictures(600))).of("tank")
    narrow = interval(more.average_precision, 600, draws=200)
    assert narrow is not None and narrow[1] - narrow[0] < first[1] - first[0]


def test_the_mean_of_a_share_has_the_interval_of_a_share() -> None:
    hits = np.array([1.0] * 70 + [0.0] * 30)
    found = interval(lambda weights: float(weights @ hits / weights.sum()), 100, draws=2000)
    assert found == (pytest.approx(0.61, abs=0.015), pytest.approx(0.79, abs=0.015))


def test_a_figure_that_is_mostly_missing_has_no_interval() -> None:
    assert interval(lambda weights: 1.0 if weights[0] > 1 else None, 10, draws=100) is None
