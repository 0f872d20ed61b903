from __future__ import annotations

import math

import numpy as np
import pytest

from detector.models import PlattScaling
from detector.training.calibrate import calibrate, confidences, fit_platt, reliability, reliability_of, reliability_svg
from detector.training.matching import match

from .labelled import picture, predictions

BOX, AWAY = (100.0, 100.0, 180.0, 160.0), (250.0, 250.0, 330.0, 310.0)


def drawn(a: float, b: float, count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and hits whose chance is sigmoid(a * logit(score) + b)."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0.02, 0.98, count)
    chances = 1 / (1 + np.exp(-(a * np.log(scores / (1 - scores)) + b)))
    return scores, rng.random(count) < chances


@pytest.mark.parametrize(("a", "b"), [(1.0, 0.0), (0.5, -1.5), (2.0, 0.8)])
def test_the_curve_that_made_the_hits_is_found_again(a: float, b: float) -> None:
    fitted = fit_platt(*drawn(a, b, 20_000))
    assert (fitted.a, fitted.b) == (pytest.approx(a, abs=0.08), pytest.approx(b, abs=0.08))


def test_a_few_boxes_that_are_all_right_promise_less_than_certainty() -> None:
    fitted = fit_platt(np.array([0.6, 0.7, 0.8]), np.ones(3, bool))
    assert 0.5 < float(confidences(np.array([0.8]), fitted)[0]) < 0.99


def test_a_better_score_is_never_a_lower_confidence() -> None:
    scores = np.linspace(0.1, 0.9, 50)
    fitted = fit_platt(scores, scores < 0.3)
    assert np.all(np.diff(confidences(scores, fitted)) > 0)


def test_confidences_are_what_the_model_says() -> None:
    expected = 1 / (1 + math.exp(-(2 * math.log(0.8 / 0.2) - 0.5)))
    assert confidences(np.array([0.8]), PlattScaling(a=2, b=-0.5))[0] == pytest.approx(expected)
    assert confidences(np.array([0.8]), None)[0] == 0.8


def test_calibration_lowers_the_error_on_scores_not_fitted_on() -> None:
    fitted = fit_platt(*drawn(0.5, -1.5, 5000, seed=1))
    scores, hits = drawn(0.5, -1.5, 5000, seed=2)
    before, after = reliability_of(scores, hits).ece, reliability_of(confidences(scores, fitted), hits).ece
    assert before is not None and after is not None
    assert after < 0.03 < 0.15 < before


def test_the_error_is_the_gap_weighted_by_boxes() -> None:
    result = reliability_of(np.array([0.95] * 10 + [0.15] * 30), np.array([True] * 5 + [False] * 35))
    assert result.ece == pytest.approx((10 * 0.45 + 30 * 0.15) / 40)
    assert [(each.findings, each.right) for each in result.bins] == [(30, 0.0), (10, 0.5)]


def test_no_findings_have_no_error() -> None:
    result = reliability_of(np.empty(0), np.empty(0, bool))
    assert (result.ece, result.findings) == (None, 0)


def test_a_confidence_of_one_lies_in_the_last_bin() -> None:
    assert reliability_of(np.array([1.0]), np.array([True])).bins[0].low == pytest.approx(0.9)


def test_classes_with_few_boxes_share_one_curve() -> None:
    rng = np.random.default_rng(3)
    pictures = [
        picture([("tank", BOX)], [("tank", BOX if rng.random() < 0.5 else AWAY, float(rng.uniform(0.2, 0.9)))])
        for _ in range(120)
    ]
    pictures.append(picture([("machine_gun", BOX)], [("machine_gun", BOX, 0.7), ("tow_launcher", AWAY, 0.4)]))
    done = calibrate(match(predictions(pictures)), floor=0.2)
    assert done.pooled == ("tow_launcher", "machine_gun")
    assert done.scalings["tow_launcher"] == done.scalings["machine_gun"]
    assert set(done.scalings) == {"tow_launcher", "tank", "machine_gun"}


def test_reliability_looks_at_what_each_class_reports() -> None:
    pictures = [picture([("tank", BOX)], [("tank", BOX, 0.9), ("tank", AWAY, 0.3), ("machine_gun", AWAY, 0.8)])]
    matches = match(predictions(pictures))
    floors = {"tow_launcher": 0.5, "tank": 0.5, "machine_gun": 0.9}
    result = reliability(matches, None, floors, matches.predictions.classes)
    assert (result.findings, result.ece) == (1, pytest.approx(0.1))


def test_the_diagram_is_an_svg_with_a_bar_for_each_bin() -> None:
    result = reliability_of(np.array([0.95, 0.15]), np.array([True, False]))
    text = reliability_svg({"reported": result}, "a model")
    assert text.startswith("<svg") and "ECE 0.100" in text
