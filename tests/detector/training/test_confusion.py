from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from detector.training.confusion import confusion, confusion_rows, confusion_svg

from .labelled import CLASSES, picture, predictions

BOX, NEAR, AWAY = (100.0, 100.0, 200.0, 200.0), (105.0, 105.0, 205.0, 205.0), (250.0, 250.0, 330.0, 310.0)
THRESHOLDS = dict.fromkeys(CLASSES, 0.5)


def rows(*pictures):
    return confusion_rows(confusion(predictions(pictures), THRESHOLDS))


def test_right_wrong_missed_and_imagined_are_told_apart() -> None:
    counted = rows(
        picture([("tank", BOX)], [("tank", NEAR, 0.9)]),
        picture([("tank", BOX)], [("tow_launcher", NEAR, 0.9)]),
        picture([("machine_gun", BOX)], [("machine_gun", NEAR, 0.4)]),
        picture([], [("tank", AWAY, 0.8)]),
    )
    assert counted == {
        "tow_launcher": {},
        "tank": {"tank": 1, "tow_launcher": 1},
        "machine_gun": {"background": 1},
        "background": {"tank": 1},
    }


def test_the_right_class_goes_before_a_better_score() -> None:
    counted = rows(picture([("tank", BOX)], [("machine_gun", BOX, 0.9), ("tank", NEAR, 0.6)]))
    assert counted["tank"] == {"tank": 1}
    assert counted["background"] == {"machine_gun": 1}


def test_a_second_report_of_an_object_is_of_nothing() -> None:
    counted = rows(picture([("tank", BOX)], [("tank", BOX, 0.9), ("tank", NEAR, 0.8)]))
    assert (counted["tank"], counted["background"]) == ({"tank": 1}, {"tank": 1})


def test_reports_where_nobody_labelled_are_left_out() -> None:
    counted = rows(picture([], [("machine_gun", AWAY, 0.9)], ignored=[("machine_gun", (200.0, 200.0, 400.0, 400.0))]))
    assert counted["background"] == {}


def test_the_picture_is_valid_and_holds_every_number() -> None:
    pictures = [picture([("tank", BOX)], [("tank", BOX, 0.9)]) for _ in range(17)]
    root = ElementTree.fromstring(confusion_svg(confusion(predictions(pictures), THRESHOLDS), "a <model>"))
    words = [element.text for element in root.iter() if element.text]
    assert "17" in words and "background" in words and "a <model>" in words
