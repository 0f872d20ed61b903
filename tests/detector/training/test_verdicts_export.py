"""The YOLO form of verdicts, as ultralytics reads it."""

from __future__ import annotations

import zipfile

import cv2
import pytest
import yaml

from detector.cli.app import run
from detector.training.verdicts import class_names, yolo_data_yaml

from .conftest import drawn


def test_data_yaml_leaves_its_folder_to_the_reader():
    """ultralytics takes a relative `path` from where it was started, and that of the file where there is none."""
    content = yaml.safe_load(yolo_data_yaml())
    assert "path" not in content
    assert list(content["names"].values()) == class_names()


@pytest.mark.parametrize(
    ("name", "said"),
    [("two.json", "no verdicts that Ordnance exported"), ("two.zip", "is no YOLO export of verdicts")],
)
def test_of_several_sources_the_wrong_one_is_named(tmp_path, capsys, name, said):
    good = tmp_path / "one"
    (good / "images").mkdir(parents=True)
    (good / "left_out.json").write_text("{}")
    wrong = tmp_path / name
    if wrong.suffix == ".json":
        wrong.write_text("{}")
    else:
        with zipfile.ZipFile(wrong, "w") as archive:
            archive.writestr("annotations.xml", "<annotations/>")
    assert run(["dataset", "import-verdicts", str(good), str(wrong), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert name in error
    assert said in error


@pytest.mark.needs_torch
@pytest.mark.filterwarnings("ignore")
def test_ultralytics_finds_the_pictures_wherever_it_is_started(tmp_path, monkeypatch):
    from detector.training.load_ultralytics import load_ultralytics

    load_ultralytics(tmp_path / "settings")
    from ultralytics.data.utils import check_det_dataset

    (tmp_path / "export" / "images").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "export" / "images" / "a.jpg"), drawn(1, 240, 180))
    (tmp_path / "export" / "data.yaml").write_text(yolo_data_yaml())
    monkeypatch.chdir(tmp_path)
    found = check_det_dataset(str(tmp_path / "export" / "data.yaml"))
    assert found["train"] == found["val"] == str(tmp_path / "export" / "images")
