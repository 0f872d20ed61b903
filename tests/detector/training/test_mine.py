"""`ordnance dataset mine`: which training pictures a model fires on without a label."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.demo import __file__ as demo
from detector.cli.app import run
from detector.errors import DataError
from detector.training.hard_negatives import read_mined

from .conftest import DataFolder

SETTINGS = """
name: tiny
start: start/none.pt
classes: [tow_launcher, tank, rocket_launcher, howitzer, humvee, machine_gun, mlrs, self_propelled_howitzer, apc_ifv,
  atgm_launcher]
input_size: 416
stages: [{name: only, sets: [photos], epochs: 1, input_size: 416}]
"""
TANK_AT_S = 84


@pytest.fixture(scope="module")
def tank() -> np.ndarray:
    """A frame of the demo clip in which the shipped model finds a tank."""
    clip = cv2.VideoCapture(str(Path(demo).with_name("demo.mp4")))
    clip.set(cv2.CAP_PROP_POS_MSEC, TANK_AT_S * 1000)
    has_frame, frame = clip.read()
    assert has_frame
    return frame


@pytest.fixture
def built(folder: DataFolder, tank: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A set in which the tank stands unlabelled on one picture, and far from the label on another."""
    folder.add("train", "plain.jpg", picture=np.full((180, 240, 3), 128, np.uint8))
    folder.add("train", "unlabelled.jpg", picture=tank)
    folder.add("train", "elsewhere.jpg", "tank 0.05 0.05 0.05 0.05\n", picture=tank[:, ::-1])
    folder.add("val", "v.jpg", "tank 0.5 0.5 0.4 0.4\n")
    folder.add("test", "e.jpg", "humvee 0.5 0.5 0.4 0.4\n")
    monkeypatch.setenv("ORDNANCE_DATA", str(folder.root))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(SETTINGS)
    assert run(["dataset", "build", "--config", "tiny.yaml"]) == 0
    return tmp_path / "runs" / "set"


def test_a_weapon_free_picture_that_fires_is_listed(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dataset", "mine", "--floor", "0.3", "--out", "hard.json"]) == 0
    assert "1 of 2 training pictures fire from 0.30 up" in capsys.readouterr().out
    mined = json.loads(Path("hard.json").read_text())
    [firing] = mined["firings"]
    assert (firing["file"], firing["class_name"], firing["has_weapons"]) == ("unlabelled.jpg", "tank", False)
    assert mined["looked_at"] == 2


def test_a_sure_finding_far_from_every_label_is_listed_on_request(
    built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["dataset", "mine", "--floor", "0.3", "--with-weapons"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("elsewhere.jpg (has weapons)" in line for line in lines)
    assert lines[-1].startswith("2 of 3")


def test_a_labelled_object_is_no_firing(folder: DataFolder, built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dataset", "mine", "--floor", "0.3", "--out", "hard.json"]) == 0
    x1, y1, x2, y2 = json.loads(Path("hard.json").read_text())["firings"][0]["corners"]
    label = f"tank {(x1 + x2) / 2} {(y1 + y2) / 2} {x2 - x1} {y2 - y1}\n"
    (folder.root / "photos" / "train" / "labels" / "unlabelled.txt").write_text(label)
    assert run(["dataset", "build", "--config", "tiny.yaml"]) == 0
    capsys.readouterr()
    assert run(["dataset", "mine", "--floor", "0.3", "--with-weapons"]) == 0
    assert "unlabelled.jpg" not in capsys.readouterr().out


@pytest.mark.parametrize("file", ["images/elsewhere.jpg", "labels/elsewhere.txt"])
def test_a_file_of_the_set_that_is_gone_is_named(built: Path, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    (built / "train" / file).unlink()
    assert run(["dataset", "mine", "--with-weapons"]) == 1
    assert f"train/{file} is listed but cannot be read" in capsys.readouterr().err


def test_a_listing_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hard.json").write_text("{}")
    with pytest.raises(DataError, match="is no listing of `ordnance dataset mine`"):
        read_mined(tmp_path / "hard.json")


def test_a_set_that_is_not_built_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["dataset", "mine"]) == 1
    assert "run `ordnance dataset build" in capsys.readouterr().err
