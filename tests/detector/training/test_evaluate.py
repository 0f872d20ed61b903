import numpy as np
import pytest

from detector.training.evaluate import Predictions, choose_thresholds, score

CLASSES = ("tow_launcher", "tank", "howitzer")


def predictions(truth, found, pictures=4):
    return Predictions(
        "test",
        CLASSES,
        [{"id": n, "width": 640, "height": 480} for n in range(pictures)],
        [
            {"id": n + 1, "image_id": image, "category_id": CLASSES.index(name), "bbox": box, "area": box[2] * box[3]}
            | {"iscrowd": 0}
            for n, (image, name, box) in enumerate(truth)
        ],
        [
            {"image_id": image, "category_id": CLASSES.index(name), "bbox": box, "score": value}
            for image, name, box, value in found
        ],
    )


BOX, AWAY = [100, 100, 80, 60], [400, 300, 80, 60]
THRESHOLDS = dict.fromkeys(CLASSES, 0.4)


def test_perfect_findings_score_one():
    truth = [(0, "tank", BOX), (1, "tank", AWAY)]
    result = score(predictions(truth, [(*row, 0.9) for row in truth]), THRESHOLDS).classes["tank"]
    assert (result.ap50, result.ap50_95, result.precision, result.recall) == (1, 1, 1, 1)


def test_a_false_alarm_before_the_right_box_halves_precision():
    truth = [(0, "tank", BOX)]
    found = [(0, "tank", AWAY, 0.95), (0, "tank", BOX, 0.9)]
    result = score(predictions(truth, found), THRESHOLDS).classes["tank"]
    assert result.ap50 == pytest.approx(0.5)
    assert (result.precision, result.recall) == (0.5, 1)


def test_a_loose_box_counts_at_half_overlap_only():
    truth = [(0, "tank", BOX)]
    result = score(predictions(truth, [(0, "tank", [100, 100, 80, 40], 0.9)]), THRESHOLDS).classes["tank"]
    assert result.ap50 == pytest.approx(1)
    assert 0 < result.ap50_95 < 0.6


def test_a_class_without_boxes_has_no_ap():
    result = score(predictions([(0, "tank", BOX)], []), THRESHOLDS)
    assert result.classes["howitzer"].ap50 is None
    assert result.classes["tank"].ap50 == 0
    assert result.mean_ap50(["tank", "howitzer"]) == 0


def test_false_alarms_on_pictures_without_a_weapon_are_counted():
    found = [(1, "tank", BOX, 0.9), (1, "howitzer", BOX, 0.9), (2, "tank", BOX, 0.3)]
    result = score(predictions([(0, "tank", BOX)], found), THRESHOLDS)
    assert (result.negatives, result.false_alarm_pictures) == (3, 1)


def test_the_threshold_is_where_f1_is_best():
    truth = [(n, "tank", BOX) for n in range(20)]
    right = [(n, "tank", BOX, 0.5 + n / 100) for n in range(20)]
    wrong = [(n, "tank", AWAY, 0.3 + n / 1000) for n in range(20)]
    chosen = choose_thresholds(predictions(truth, right + wrong, 20), fallback=0.35, lowest=0.25, highest=0.6)
    assert chosen["tank"] == pytest.approx(0.5)


def test_too_few_boxes_get_the_fallback():
    truth = [(0, "howitzer", BOX)]
    chosen = choose_thresholds(predictions(truth, [(*truth[0], 0.9)]), fallback=0.35, lowest=0.25, highest=0.6)
    assert chosen == dict.fromkeys(CLASSES, 0.35)


def test_figures_agree_with_ranked_precision_by_hand():
    rng = np.random.default_rng(5)
    truth = [(n, "tank", BOX) for n in range(30)]
    found = [(n, "tank", BOX if rng.random() < 0.7 else AWAY, float(rng.uniform(0.1, 0.99))) for n in range(30)]
    result = score(predictions(truth, found, 30), THRESHOLDS).classes["tank"]
    ranked = sorted(found, key=lambda row: -row[3])
    hits = np.cumsum([row[2] == BOX for row in ranked])
    precision = np.maximum.accumulate((hits / np.arange(1, 31))[::-1])[::-1]
    recall = hits / 30
    expected = np.mean(
        [precision[np.searchsorted(recall, r)] if r <= recall[-1] else 0.0 for r in np.linspace(0, 1, 101)]
    )
    assert result.ap50 == pytest.approx(expected, abs=1e-6)
