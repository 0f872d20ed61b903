import json

import cv2
import numpy as np
import pytest

from detector.cli.app import run
from detector.training.config import read_config
from detector.training.dataset import build_dataset
from detector.training.dataset_check import check_folder

from .conftest import drawn

CONFIG = """
name: tiny
start: start/none.pt
classes: [tank]
input_size: 160
stages: [{name: only, sets: [photos], epochs: 1, input_size: 64}]
"""


@pytest.fixture
def data(folder):
    folder.add("train", "a.jpg", "tank 0.5 0.5 0.4 0.4\n")
    folder.add("val", "b.jpg", "tank 0.5 0.5 0.4 0.4\n")
    folder.add("test", "c.jpg", "")
    return folder


def problems(data):
    return [(each.kind, each.file.rsplit("/", 1)[-1]) for each in check_folder(data.root).problems]


def test_a_good_folder_has_no_problems_and_its_counts(data):
    result = check_folder(data.root)
    assert result.problems == ()
    assert result.counts == {"tank": {"train": 1, "val": 1, "test": 0}}
    assert result.empty == {"train": 0, "val": 0, "test": 1}


def test_a_near_copy_across_splits_fails(data, capsys):
    mirrored = np.ascontiguousarray(cv2.imread(str(data.root / "photos/test/images/c.jpg"))[:, ::-1])
    data.add("train", "copy.jpg", "", picture=mirrored)
    assert problems(data) == [("near-copy", "copy.jpg")]
    assert run(["dataset", "check", str(data.root)]) == 1
    assert "A near-copy of c.jpg in test" in capsys.readouterr().out


def test_copies_within_a_split_are_no_problem(data):
    data.add("train", "copy.jpg", "", picture=cv2.imread(str(data.root / "photos/train/images/a.jpg")))
    assert problems(data) == []


def test_every_problem_is_listed_with_its_file(data):
    data.add("train", "label.jpg", "tank 0.5 0.5 2 2\n")
    data.add("train", "class.jpg", "zeppelin 0.5 0.5 0.2 0.2\n")
    data.add("train", "word.jpg", "", "tank, zeppelin")
    data.add("train", "hash.jpg")
    data.add("train", "gone.jpg")
    cv2.imwrite(str(data.root / "photos/train/images/hash.jpg"), drawn(4242))
    (data.root / "photos/train/images/gone.jpg").unlink()
    (data.root / "photos/val/images/stray.jpg").write_bytes(b"x")
    assert sorted(problems(data)) == [
        ("class", "class.jpg"),
        ("class", "word.jpg"),
        ("file", "gone.jpg"),
        ("file", "hash.jpg"),
        ("label", "label.jpg"),
        ("listing", "stray.jpg"),
    ]


def test_a_data_folder_may_lack_a_split_but_a_built_set_needs_train_and_val(data, tmp_path):
    data.rows = [row for row in data.rows if row["split"] != "test"]
    (data.root / "photos/test/images/c.jpg").unlink()
    (data.root / "photos/test/labels/c.txt").unlink()
    data.write()
    assert problems(data) == []
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    built = build_dataset(read_config(tmp_path / "tiny.yaml"), data.root, [], tmp_path / "set")
    assert "the test split has no picture" in " ".join(built.notes)
    assert check_folder(tmp_path / "set").problems == ()
    index = json.loads((tmp_path / "set" / "dataset.json").read_text())
    index["pictures"] = [each for each in index["pictures"] if each["split"] != "val"]
    (tmp_path / "set" / "dataset.json").write_text(json.dumps(index))
    assert [each.message for each in check_folder(tmp_path / "set").problems] == ["The split 'val' has no photograph."]


def test_build_check_and_card_by_command(data, tmp_path, capsys):
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    built = str(tmp_path / "set")
    build = ["dataset", "build", "--config", str(tmp_path / "tiny.yaml"), "--data", str(data.root), "--out", built]
    mirrored = np.ascontiguousarray(cv2.imread(str(data.root / "photos/test/images/c.jpg"))[:, ::-1])
    data.add("train", "copy.jpg", "", picture=mirrored)
    assert run(build) == 0
    assert "left out of train: 1 (near-copy)" in capsys.readouterr().out
    assert run(["dataset", "check", built, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["problems"] == []
    assert run(["dataset", "card", built]) == 0
    assert "`copy.jpg` (train): near-copy of c.jpg in test" in capsys.readouterr().out
    label = tmp_path / "set" / "train" / "labels" / "a.txt"
    label.write_text("0 0.5 0.5 0.1 0.1\n")
    assert run(["dataset", "check", built]) == 1
    assert "a.txt was changed since the build" in capsys.readouterr().out


def test_a_folder_that_is_neither_is_refused(tmp_path, capsys):
    assert run(["dataset", "check", str(tmp_path)]) == 1
    assert "holds no photos/sources.csv" in capsys.readouterr().err


def test_two_pictures_may_not_share_a_label_file(data):
    data.add("train", "a.png", "tank 0.5 0.5 0.2 0.2\n")
    assert problems(data) == [("listing", "a.png")]


def test_rendered_scenes_are_checked_too(data):
    for part, name, content in (("images", "r.jpg", b"no picture"), ("labels", "r.txt", b"zeppelin 0.5 0.5 2 2\n")):
        (data.root / "rendered" / part).mkdir(parents=True)
        (data.root / "rendered" / part / name).write_bytes(content)
    assert problems(data) == [("class", "r.jpg")]
    (data.root / "rendered" / "labels" / "r.txt").write_text("tank 0.5 0.5 0.2 0.2\n")
    assert problems(data) == [("file", "r.jpg")]
