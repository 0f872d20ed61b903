"""`ordnance dataset synthetic` and `render`: the parts that training settings name, and sets to measure on."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.cli.app import run

pytest.importorskip("mitsuba", reason="mitsuba is not installed: pip install 'ordnance[render]'")

SETTINGS = """
name: tiny
start: start/none.pt
classes: [tank, humvee]
input_size: 160
synthetic:
  - {name: scenes-4, kind: scenes, count: 1, seed: 4, classes: [humvee]}
  - {name: composites-5, kind: composites, count: 2, seed: 5, classes: [tank], objects_of: [scenes-4]}
stages: [{name: only, sets: [photos, synthetic], epochs: 1, input_size: 64}]
"""


def meadow(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 12, (320, 400, 3))
    return np.clip(np.array([60, 140, 70]) + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two tanks and two meadows of each split, and settings that name two parts."""
    rows = []
    for number, split in enumerate(("train", "val", "test")):
        for part in ("images", "labels"):
            (tmp_path / "data" / "photos" / split / part).mkdir(parents=True)
        for each in range(4):
            picture = meadow(10 * number + each)
            if each < 2:
                corners = np.array([(120, 260), (140, 150), (280, 150), (300, 260)], np.int32)
                cv2.fillPoly(picture, [corners + 9 * number + each], (40, 40, 230))
            path = tmp_path / "data" / "photos" / split / "images" / f"{split}{each}.png"
            cv2.imwrite(str(path), picture)
            label = "tank 0.525 0.64 0.45 0.345\n" if each < 2 else ""
            (path.parent.parent / "labels" / f"{split}{each}.txt").write_text(label)
            rows.append((path.name, split, hashlib.sha256(path.read_bytes()).hexdigest(), "all"))
    with (tmp_path / "data" / "photos" / "sources.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows([("file", "split", "sha256", "complete_for"), *rows])
    (tmp_path / "tiny.yaml").write_text(SETTINGS)
    monkeypatch.setenv("ORDNANCE_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_parts_of_the_settings_are_made_once_and_built_in(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dataset", "build", "--config", "tiny.yaml"]) == 0
    assert "the set has no scenes-4, composites-5" in capsys.readouterr().err
    assert run(["dataset", "synthetic", "--config", "tiny.yaml"]) == 0
    assert "3 pictures in runs/synthetic" in capsys.readouterr().out
    made = contents(data / "runs" / "synthetic")
    times = {path: path.stat().st_mtime_ns for path in (data / "runs" / "synthetic").rglob("*")}
    assert run(["dataset", "synthetic", "--config", "tiny.yaml"]) == 0
    assert times == {path: path.stat().st_mtime_ns for path in (data / "runs" / "synthetic").rglob("*")}
    assert run(["dataset", "build", "--config", "tiny.yaml"]) == 0
    assert "the set has no" not in capsys.readouterr().err
    index = json.loads((data / "runs" / "set" / "dataset.json").read_text())
    sources = sorted(row["source"] for row in index["pictures"] if row["set_name"] == "synthetic")
    assert sources == ["composites-5", "composites-5", "scenes-4"]
    scenes = {row["scene"] for row in json.loads(made["composites-5/manifest.json"])["images"]}
    assert scenes <= {"train2.png", "train3.png"}


def test_a_part_of_look_alikes_is_not_mixed_with_one_that_was_made_otherwise(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenes = "{name: scenes-4, kind: scenes, count: 2, seed: 4, classes: [humvee], negative_share: 0.65}"
    lines = [line for line in SETTINGS.splitlines() if "composites-5" not in line and "scenes-4" not in line]
    lines.insert(lines.index("synthetic:") + 1, f"  - {scenes}")
    (data / "quiet.yaml").write_text("\n".join(lines))
    assert run(["dataset", "synthetic", "--config", "quiet.yaml"]) == 0
    manifest = json.loads((data / "runs" / "synthetic" / "scenes-4" / "manifest.json").read_text())
    assert manifest["negative_share"] == 0.65
    assert "negative" in {record["kind"] for record in manifest["images"]}
    capsys.readouterr()
    assert run(["dataset", "synthetic", "--config", "tiny.yaml"]) == 1
    assert "remove it first" in capsys.readouterr().err


def test_a_part_of_other_proportions_is_not_taken_for_one_without(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["dataset", "synthetic", "--config", "tiny.yaml"]) == 0
    other = "{name: scenes-4, kind: scenes, count: 2, seed: 4, classes: [humvee], other_proportions: true}"
    lines = [line for line in SETTINGS.splitlines() if "composites-5" not in line and "scenes-4" not in line]
    lines.insert(lines.index("synthetic:") + 1, f"  - {other}")
    (data / "other.yaml").write_text("\n".join(lines))
    capsys.readouterr()
    assert run(["dataset", "synthetic", "--config", "other.yaml"]) == 1
    assert "remove it first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("before", "after"),
    [("objects_of: [scenes-4]", "objects_of: [rendered, scenes-4]"), ("objects_of: [scenes-4]", "objects_of: []")],
)
def test_a_part_with_objects_of_others_is_not_taken_for_what_the_settings_say(
    before: str, after: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["dataset", "synthetic", "--config", "tiny.yaml"]) == 0
    made = contents(data / "runs" / "synthetic")
    (data / "other.yaml").write_text(SETTINGS.replace(before, after))
    capsys.readouterr()
    assert run(["dataset", "synthetic", "--config", "other.yaml"]) == 1
    assert "composites-5 holds other pictures than the settings say" in capsys.readouterr().err
    assert contents(data / "runs" / "synthetic") == made


def test_a_set_to_measure_on_takes_other_models_and_the_splits_own_photographs(data: Path) -> None:
    options = ["--held-out", "--backgrounds-of", "test", "--negative-share", "0", "--count", "2", "--seed", "6"]
    assert run(["dataset", "render", "--out", "scenes", "--classes", "mlrs", *options]) == 0
    manifest = json.loads((data / "scenes" / "manifest.json").read_text())
    assert manifest["held_out"] is True
    assert {record["backdrop"] for record in manifest["images"]} <= {None, "test2.png", "test3.png"}
    assert {record["weapon"] for record in manifest["images"] if record["kind"] == "mlrs"} == {"himars"}


def test_scenes_that_cannot_be_are_refused(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dataset", "render", "--out", "x", "--classes", "apc_ifv"]) == 2
    assert "no scenes for apc_ifv" in capsys.readouterr().err
    assert run(["dataset", "render", "--out", "x", "--backgrounds", "data", "--backgrounds-of", "test"]) == 2
    assert "not both" in capsys.readouterr().err
