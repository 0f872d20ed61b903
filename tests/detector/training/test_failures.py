from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.training.confusion import pair
from detector.training.failures import MOST_OF_A_KIND, contact_sheet, failures
from detector.training.predictions import LabelledFile

from .labelled import CLASSES, SIZE, Found, Truth, picture, predictions

THRESHOLDS = dict.fromkeys(CLASSES, 0.4)
LARGE, SMALL, AWAY = (10, 10, 210, 110), (300, 300, 340, 330), (250, 20, 390, 120)


class Scenes:
    """A folder of rendered scenes, with what a model found on each."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pictures = []
        self.files = []
        (root / "images").mkdir()
        (root / "records").mkdir()

    def add(
        self, truth: list[Truth], found: list[Found], *, backdrop: str | None = None, is_recorded: bool = True
    ) -> str:
        name = f"{len(self.files)}.jpg"
        path = self.root / "images" / name
        cv2.imwrite(str(path), np.full((SIZE, SIZE, 3), 120, np.uint8))
        if is_recorded:
            record = {"file": name, "backdrop": backdrop, "weapon": "tow_03", "weather": "dust"}
            (self.root / "records" / f"{path.stem}.json").write_text(json.dumps(record))
        self.pictures.append(picture(truth, found, name=name))
        self.files.append(LabelledFile(path, (), "scenes"))
        return name

    def worst(self):
        return failures(predictions(self.pictures), self.files, THRESHOLDS)


@pytest.fixture
def scenes(tmp_path: Path) -> Scenes:
    return Scenes(tmp_path)


def test_large_misses_come_before_small_ones_and_sure_alarms_before_unsure(scenes: Scenes) -> None:
    scenes.add([("tank", SMALL)], [("machine_gun", AWAY, 0.5)])
    scenes.add([("tow_launcher", LARGE)], [("tank", AWAY, 0.9)])
    scenes.add([("tank", LARGE)], [("tank", LARGE, 0.9)])
    assert [(each.kind, each.file.name) for each in scenes.worst()] == [
        ("missed", "1.jpg"),
        ("missed", "0.jpg"),
        ("false alarm", "1.jpg"),
        ("false alarm", "0.jpg"),
    ]
    assert scenes.worst()[0].line() == "missed: tow_launcher, 200 px (tow_03, dust, 1.jpg)"


def test_one_class_taken_for_another_is_told_as_that(scenes: Scenes) -> None:
    scenes.add([("tank", LARGE)], [("tow_launcher", LARGE, 0.8)])
    [each] = scenes.worst()
    assert each.line() == "tank taken for tow_launcher at 0.80, 200 px (tow_03, dust, 0.jpg)"


def test_what_scores_under_its_threshold_is_no_report(scenes: Scenes) -> None:
    scenes.add([], [("tank", LARGE, 0.39)])
    assert scenes.worst() == ()


def test_nothing_of_other_people_is_shown(scenes: Scenes) -> None:
    scenes.add([("tank", LARGE)], [], backdrop="photograph.jpg")
    scenes.add([("tank", LARGE)], [], is_recorded=False)
    assert scenes.worst() == ()


def test_the_sheet_has_a_tile_for_each_and_marks_the_failure(scenes: Scenes) -> None:
    for _ in range(MOST_OF_A_KIND + 2):
        scenes.add([("tank", LARGE)], [("tank", AWAY, 0.8)])
    worst = scenes.worst()
    assert len(worst) == 2 * MOST_OF_A_KIND
    sheet = cv2.imdecode(np.frombuffer(contact_sheet(worst), np.uint8), cv2.IMREAD_COLOR)
    assert sheet.shape == (4 * 180, 3 * 320, 3)
    assert contact_sheet(worst) == contact_sheet(worst)
    green = (sheet[:, :, 1].astype(int) - sheet[:, :, 2]) > 60
    assert green[:180, :320].sum() > 300
    assert not green[:180, 190:320].any()


def test_pairs_take_their_own_class_first() -> None:
    one = picture([("tank", LARGE), ("machine_gun", SMALL)], [("tow_launcher", LARGE, 0.95), ("tank", LARGE, 0.5)])
    paired = pair(one, np.full(len(CLASSES), 0.4))
    assert (paired.right, paired.confused, paired.alarms, paired.missed) == (((1, 0),), (), (0,), (1,))
