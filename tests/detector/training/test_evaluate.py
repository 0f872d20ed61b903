from dataclasses import replace

import numpy as np
import pytest

from detector.training.evaluate import score
from detector.training.predictions import Picture, Predictions

CLASSES = ("tow_launcher", "tank", "machine_gun")
BOX, AWAY = (100, 100, 180, 160), (400, 300, 480, 360)
THRESHOLDS = dict.fromkeys(CLASSES, 0.4)


def columns(rows):
    ids = np.array([CLASSES.index(row[0]) for row in rows], np.int64)
    return ids, np.array([row[1] for row in rows], np.float64).reshape(-1, 4)


def picture(number, truth=(), found=(), ignored=(), labels=None, scale=1.0):
    truth_ids, truth_boxes = columns(truth)
    found_ids, found_boxes = columns(found)
    ignored_ids, ignored_boxes = columns(ignored)
    scores = np.array([row[2] for row in found], np.float64)
    labels = tuple(row[0] for row in truth) if labels is None else labels
    return Picture(
        f"{number}.jpg", "x/y", 640, 480, scale, labels, truth_boxes, truth_ids, ignored_boxes, ignored_ids,
        found_boxes, found_ids, scores,
    )  # fmt: skip


def a_set(*pictures):
    return Predictions("photo", CLASSES, tuple(pictures))


def test_perfect_findings_score_one():
    pictures = [
        picture(n, [("tank", box)], [("tank", box, 0.9)]) for n, box in enumerate((BOX, AWAY, BOX, AWAY, BOX, AWAY))
    ]
    result = score(a_set(*pictures), THRESHOLDS).classes["tank"]
    assert (result.ap50, result.ap50_95) == pytest.approx((1, 1))
    assert (result.precision, result.recall) == (1, 1)
    assert result.ap50_interval == pytest.approx((1, 1))


def test_a_false_alarm_before_the_right_box_halves_precision():
    result = score(a_set(picture(0, [("tank", BOX)], [("tank", AWAY, 0.95), ("tank", BOX, 0.9)])), THRESHOLDS)
    tank = result.classes["tank"]
    assert tank.ap50 == pytest.approx(0.5)
    assert (tank.precision, tank.recall) == (0.5, 1)


def test_a_class_without_boxes_has_no_ap():
    result = score(a_set(picture(0, [("tank", BOX)])), THRESHOLDS)
    assert result.classes["machine_gun"].ap50 is None
    assert result.classes["tank"].ap50 == 0
    assert result.mean_ap50(["tank", "machine_gun"]) == 0


def test_an_unlabelled_gun_on_a_roof_counts_neither_for_nor_against():
    roof = (80, 60, 300, 200)
    one = picture(
        0,
        [("machine_gun", AWAY)],
        [("machine_gun", BOX, 0.95), ("machine_gun", AWAY, 0.9)],
        ignored=[("machine_gun", roof)],
    )
    gun = score(a_set(one), THRESHOLDS, strict=True).classes["machine_gun"]
    assert (gun.ap50, gun.precision) == (pytest.approx(1), 1)
    assert gun.ap50_strict == pytest.approx(0.5)


def test_a_labelled_gun_on_a_roof_counts():
    one = picture(0, [("machine_gun", BOX)], [("machine_gun", BOX, 0.9)], ignored=[("machine_gun", (0, 0, 640, 480))])
    missed = picture(1, [("machine_gun", BOX)], ignored=[("machine_gun", (0, 0, 640, 480))])
    gun = score(a_set(one, missed), THRESHOLDS).classes["machine_gun"]
    assert (gun.boxes, gun.recall) == (2, 0.5)


def test_false_alarms_are_counted_on_weapon_free_pictures_only():
    result = score(
        a_set(
            picture(0, [("tank", BOX)], [("tank", AWAY, 0.9)]),
            picture(1, found=[("tank", BOX, 0.9), ("machine_gun", BOX, 0.9)]),
            picture(2, found=[("tank", BOX, 0.3)], labels=("soldier", "civilian_vehicle")),
            picture(3, found=[("tank", BOX, 0.9)], labels=("manpads",)),
        ),
        THRESHOLDS,
    ).false_alarms
    assert (result.weapon_free, result.pictures, result.alarms) == (2, 1, 2)
    assert result.classes == {"tank": 1, "machine_gun": 1}
    assert result.per_1000 == 1000


def test_the_rate_of_false_alarms_has_an_interval():
    alarmed = [picture(n, found=[("tank", BOX, 0.9)]) for n in range(5)]
    quiet = [picture(5 + n) for n in range(95)]
    result = score(a_set(*alarmed, *quiet), THRESHOLDS).false_alarms
    assert result.per_1000 == pytest.approx(50)
    assert result.per_1000_interval == (pytest.approx(10, abs=5), pytest.approx(95, abs=10))
    assert score(a_set(*quiet), THRESHOLDS, intervals=False).false_alarms.per_1000_interval is None


def test_look_alikes_called_tow_are_named():
    called = picture(0, found=[("tow_launcher", BOX, 0.6)], labels=("atgm_launcher",))
    not_called = picture(1, found=[("tow_launcher", BOX, 0.3)], labels=("manpads", "soldier"))
    real = picture(2, [("tow_launcher", BOX)], labels=("tow_launcher", "atgm_launcher"))
    result = score(a_set(called, not_called, real), THRESHOLDS).look_alikes
    assert (result.pictures, result.called_tow, result.files) == (2, 1, ("0.jpg",))


def test_sizes_go_by_the_longer_side_in_the_networks_input():
    small = picture(0, [("tank", BOX)], [("tank", BOX, 0.9)], scale=0.25)
    large = picture(1, [("tank", BOX)], scale=1.5)
    sizes = score(a_set(small, large), THRESHOLDS).classes["tank"].sizes
    assert (sizes["under 24 px"].boxes, sizes["under 24 px"].recall) == (1, 1)
    assert (sizes["over 96 px"].boxes, sizes["over 96 px"].recall) == (1, 0)
    assert "24-96 px" not in sizes


def test_figures_agree_with_ranked_precision_by_hand():
    rng = np.random.default_rng(5)
    found = [(BOX if rng.random() < 0.7 else AWAY, float(rng.uniform(0.1, 0.99))) for _ in range(30)]
    result = score(
        a_set(*(picture(n, [("tank", BOX)], [("tank", *row)]) for n, row in enumerate(found))), THRESHOLDS
    ).classes["tank"]
    ranked = sorted(found, key=lambda row: -row[1])
    hits = np.cumsum([row[0] == BOX for row in ranked])
    precision = np.maximum.accumulate((hits / np.arange(1, 31))[::-1])[::-1]
    recall = hits / 30
    expected = np.mean(
        [precision[np.searchsorted(recall, r)] if r <= recall[-1] else 0.0 for r in np.linspace(0, 1, 101)]
    )
    assert result.ap50 == pytest.approx(expected, abs=1e-6)
    low, high = result.ap50_interval
    assert low < result.ap50 < high
    assert high - low > 0.1


def test_findings_do_not_change_the_set():
    before = picture(0, [("tank", BOX)])
    after = replace(before, found=np.array([BOX], float), found_ids=np.array([1]), scores=np.array([0.9]))
    assert (
        score(a_set(before), THRESHOLDS).classes["tank"].boxes == score(a_set(after), THRESHOLDS).classes["tank"].boxes
    )
