import csv
import hashlib

import cv2
import numpy as np
import pytest

from detector.errors import DataError
from detector.training.config import TrainingConfig, read_config
from detector.training.dataset import build_dataset, read_dataset
from detector.training.train import repeat_factors

CONFIG = TrainingConfig.model_validate(
    {
        "name": "tiny",
        "start": "start/none.pt",
        "classes": ["tow_launcher", "tank"],
        "negatives_complete_for": ["construction_machine"],
        "input_size": 64,
        "stages": [{"name": "only", "sets": ["photos"], "epochs": 1, "input_size": 64}],
    }
)


def add_picture(path, shade):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((40, 60, 3), shade, np.uint8))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def data(tmp_path):
    root = tmp_path / "data"
    rows = []
    pictures = (
        ("train", "a.jpg", "tank 0.5 0.5 0.4 0.4\nsoldier 0.1 0.1 0.1 0.1\n", "all"),
        ("train", "b.jpg", "", "construction_machine"),
        ("train", "c.jpg", "missile 0.5 0.5 0.2 0.2\n", "missile"),
        ("test", "d.jpg", "tow_launcher 0.5 0.5 0.2 0.2\n", "all"),
    )
    for shade, (split, name, label, complete_for) in enumerate(pictures):
        digest = add_picture(root / "photos" / split / "images" / name, 40 * shade)
        labels = root / "photos" / split / "labels"
        labels.mkdir(exist_ok=True)
        (labels / name).with_suffix(".txt").write_text(label)
        rows.append(
            {"file": name, "split": split, "source_repo": "x/y", "sha256": digest, "complete_for": complete_for}
        )
    with (root / "photos" / "sources.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    add_picture(root / "rendered" / "images" / "r.jpg", 200)
    (root / "rendered" / "labels").mkdir()
    (root / "rendered" / "labels" / "r.txt").write_text("tow_launcher 0.5 0.5 0.3 0.3\n")
    return root


def test_labels_are_mapped_and_unknown_classes_dropped(data, tmp_path):
    out = tmp_path / "set"
    build_dataset(CONFIG, data, [], out)
    assert (out / "train" / "labels" / "a.txt").read_text() == "1 0.5 0.5 0.4 0.4\n"
    assert (out / "train" / "labels" / "b.txt").read_text() == ""
    assert (out / "train" / "images" / "a.jpg").read_bytes() == (data / "photos/train/images/a.jpg").read_bytes()


def test_a_picture_labelled_for_something_else_only_is_left_out(data, tmp_path):
    build_dataset(CONFIG, data, [], tmp_path / "set")
    assert not (tmp_path / "set" / "train" / "images" / "c.jpg").exists()


def test_renders_never_reach_val_or_test(data, tmp_path):
    pictures = build_dataset(CONFIG, data, [], tmp_path / "set")
    assert {p.split for p in pictures if p.set_name == "rendered"} == {"train"}
    assert [p.file for p in pictures if p.split == "test"] == ["d.jpg"]


def test_the_hash_says_what_went_in(data, tmp_path):
    build_dataset(CONFIG, data, [], tmp_path / "one")
    build_dataset(CONFIG, data, [], tmp_path / "two")
    assert read_dataset(tmp_path / "one")[1] == read_dataset(tmp_path / "two")[1]
    (data / "rendered" / "labels" / "r.txt").write_text("tank 0.5 0.5 0.3 0.3\n")
    build_dataset(CONFIG, data, [], tmp_path / "two")
    assert read_dataset(tmp_path / "one")[1] != read_dataset(tmp_path / "two")[1]


def test_a_changed_picture_is_refused(data, tmp_path):
    add_picture(data / "photos" / "train" / "images" / "a.jpg", 99)
    with pytest.raises(DataError, match=r"a\.jpg is not the picture that sources\.csv lists"):
        build_dataset(CONFIG, data, [], tmp_path / "set")


def test_a_folder_without_data_is_refused(tmp_path):
    with pytest.raises(DataError, match="ORDNANCE_DATA"):
        build_dataset(CONFIG, tmp_path, [], tmp_path / "set")


def test_rare_classes_are_repeated_up_to_the_limit(data, tmp_path):
    pictures = build_dataset(CONFIG, data, [], tmp_path / "set")
    common = [p for p in pictures if p.file == "a.jpg"] * 99
    rare = [p for p in pictures if p.file == "d.jpg"]
    factors = repeat_factors([*common, *rare], threshold=0.16, limit=3)
    assert factors == [1] * 99 + [3]
    assert repeat_factors([*common, *rare], threshold=0.16, limit=9)[-1] == 4


def test_the_committed_settings_are_valid():
    assert "tow_launcher" in read_config_of_repository().classes


def read_config_of_repository():
    from pathlib import Path

    return read_config(Path(__file__).parents[3] / "datasets" / "configs" / "ordnance-n.yaml")


def test_a_wrong_setting_is_named(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text("name: x\nstart: y\nclasses: [tank]\ninput_size: 100\nstages: []\n")
    with pytest.raises(DataError, match="input_size"):
        read_config(path)
