"""What a training checks before it computes: settings, device, pictures, and what an earlier run began."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from detector.errors import BackendUnavailable, BadOption, DataError
from detector.training import hard_negatives, train, whole_file
from detector.training.config import Stage, TrainingConfig
from detector.training.dataset import build_dataset
from detector.training.hard_negatives import Mined, write_mined
from detector.training.training_record import BEGUN, DONE, begin_stage, check_begun, check_training, start_of

from .conftest import DataFolder

SETTINGS = {
    "name": "tiny",
    "start": "start.pt",
    "classes": ["tank", "humvee"],
    "input_size": 160,
    "batch": 4,
    "stages": [
        {"name": "first", "sets": ["photos"], "epochs": 1, "input_size": 64},
        {"name": "second", "sets": ["photos"], "epochs": 1, "input_size": 64},
    ],
}
CONFIG = TrainingConfig.model_validate(SETTINGS)
FIRST, SECOND = CONFIG.stages
DIGEST = "0" * 64
UNABLE = SimpleNamespace(__version__="8")
CHECK_SETTINGS = train._check_settings


def changed(**settings: object) -> TrainingConfig:
    return TrainingConfig.model_validate({**SETTINGS, **settings})


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """The folder of a stage that finished an epoch."""
    (tmp_path / "start.pt").write_bytes(b"weights")
    begin_stage(tmp_path / "first", FIRST, CONFIG, ("start.pt", tmp_path / "start.pt"), DIGEST)
    (tmp_path / "first" / "weights").mkdir()
    (tmp_path / "first" / "weights" / "epoch-0001.pt").touch()
    return tmp_path / "first"


@pytest.fixture
def data(folder: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a set built of it in `set`; ultralytics is not there to train."""
    folder.add("train", "a.jpg", "tank 0.5 0.5 0.4 0.4\n")
    folder.add("train", "b.jpg")
    folder.add("val", "v.jpg")
    build_dataset(CONFIG, folder.root, [], tmp_path / "set")
    (folder.root / "start.pt").write_bytes(b"weights")
    monkeypatch.setattr(train, "load_ultralytics", lambda folder: folder.mkdir(parents=True) or UNABLE)
    monkeypatch.setattr(train, "_check_settings", lambda _: None)
    return folder.root


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"seed": 3}, "trained with seed: 0, and now seed: 3"),
        ({"batch": 8}, "trained with batch: 4, and now batch: 8"),
        ({"classes": ["humvee", "tank"]}, r"trained with classes: \['tank', 'humvee'\], and now"),
    ],
)
def test_what_holds_for_every_stage_is_compared_too(begun: Path, settings: dict[str, object], said: str) -> None:
    check_begun(begun, FIRST, CONFIG, "start.pt", DIGEST)
    with pytest.raises(DataError, match=said):
        check_begun(begun, FIRST, changed(**settings), "start.pt", DIGEST)
    (begun / DONE).touch()
    with pytest.raises(DataError, match=said):
        check_training(begun, changed(**settings))


def test_other_starting_weights_are_compared_and_remembered(begun: Path) -> None:
    with pytest.raises(DataError, match=r"trained with start: start\.pt, and now start: default"):
        check_begun(begun, FIRST, CONFIG, "default", DIGEST)
    known = start_of(begun)
    assert known is not None
    assert known["file"] == "start.pt"


def test_what_an_earlier_version_began_is_read(begun: Path) -> None:
    document = json.loads((begun / BEGUN).read_text())
    (begun / BEGUN).write_text(json.dumps({name: document[name] for name in ("settings", "dataset_sha256")}))
    check_begun(begun, FIRST, changed(seed=3), "default", DIGEST)
    assert start_of(begun) is None
    with pytest.raises(DataError, match="trained with epochs: 1"):
        check_begun(begun, FIRST.model_copy(update={"epochs": 2}), CONFIG, "start.pt", DIGEST)


def test_a_stage_without_a_finished_epoch_may_begin_with_other_settings(begun: Path) -> None:
    (begun / "weights" / "epoch-0001.pt").unlink()
    (begun / BEGUN).write_text((begun / BEGUN).read_text()[:40])
    check_begun(begun, FIRST.model_copy(update={"epochs": 2}), changed(seed=3), "default", "1" * 64)


def test_a_stage_without_a_finished_epoch_is_resumed_as_it_began(begun: Path) -> None:
    (begun / "weights" / "epoch-0001.pt").unlink()
    check_begun(begun, FIRST, CONFIG, "start.pt", DIGEST, resume=True)
    with pytest.raises(DataError, match=r"trained with start: start\.pt, and now start: default"):
        check_begun(begun, FIRST, CONFIG, "default", DIGEST, resume=True)
    with pytest.raises(DataError, match="trained with seed: 0, and now seed: 3"):
        check_begun(begun, FIRST, changed(seed=3), "start.pt", DIGEST, resume=True)


def test_a_damaged_record_of_a_trained_stage_is_said(begun: Path) -> None:
    (begun / BEGUN).write_text((begun / BEGUN).read_text()[:40])
    with pytest.raises(DataError, match=r"begun\.json is damaged, .* delete .*first and the stages after it"):
        check_begun(begun, FIRST, CONFIG, "start.pt", DIGEST)


def test_a_kill_while_a_file_is_written_leaves_the_earlier_one(
    begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mined = tmp_path / "first-hard.json"
    write_mined(Mined(DIGEST, DIGEST, 0.25, 0, ()), mined)
    before = (begun / BEGUN).read_text(), mined.read_text()

    def cut_off(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:20])
        raise KeyboardInterrupt

    monkeypatch.setattr(whole_file.Path, "write_bytes", cut_off)
    with pytest.raises(KeyboardInterrupt):
        begin_stage(begun, FIRST, CONFIG, ("start.pt", tmp_path / "start.pt"), "1" * 64)
    with pytest.raises(KeyboardInterrupt):
        write_mined(Mined("1" * 64, DIGEST, 0.25, 0, ()), mined)
    monkeypatch.undo()
    assert ((begun / BEGUN).read_text(), mined.read_text()) == before
    assert hard_negatives.read_mined(mined).dataset_sha256 == DIGEST


def test_a_set_of_other_classes_is_not_trained_on(data: Path, tmp_path: Path) -> None:
    for classes in (["humvee", "tank"], ["tank"]):
        with pytest.raises(DataError, match=r"set was built for the classes tank, humvee, but the settings name"):
            train.train(changed(classes=classes), data, tmp_path / "set", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("part", ["images/a.jpg", "labels/a.txt"])
@pytest.mark.parametrize("damage", ["gone", "another"])
def test_a_picture_or_label_that_is_gone_or_another_is_named(
    data: Path, tmp_path: Path, part: str, damage: str
) -> None:
    file = tmp_path / "set" / "train" / part
    file.unlink()
    if damage == "another":
        file.write_bytes(b"xx")
    with pytest.raises(DataError, match=Path(part).name.replace(".", r"\.")):
        train.train(CONFIG, data, tmp_path / "set", tmp_path / "runs")
    assert not (tmp_path / "runs" / "first").exists()


def test_devices_that_are_none_or_not_there_are_said_before_anything_is_begun(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.models.backend._cuda_devices", lambda: 0)
    monkeypatch.setattr("detector.models.backend.missing_torch_packages", lambda: [])
    with pytest.raises(BadOption, match="'foo' is no device to train on; use cpu, or the number"):
        train.train(CONFIG, data, tmp_path / "set", tmp_path / "runs", device="foo")
    with pytest.raises(BackendUnavailable, match="'cuda:0' is not there"):
        train.train(CONFIG, data, tmp_path / "set", tmp_path / "runs", device="0")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["epochs", "imgsz", "device", "resume"])
def test_what_the_stage_sets_itself_is_no_setting_of_the_trainer(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' is not to be given here"):
        Stage(name="x", sets=("photos",), epochs=1, input_size=64, settings={name: 3})


@pytest.mark.needs_torch
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"nonsense": 3}, r"'only' gives the trainer 'nonsense', which it does not know"),
        ({"lr0": "fast"}, r"'only' gives the trainer a value that it cannot use: .*lr0=fast"),
    ],
)
def test_arguments_that_the_trainer_does_not_take_are_said(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], said: str
) -> None:
    from detector.training.load_ultralytics import load_ultralytics

    monkeypatch.setattr(train, "load_ultralytics", load_ultralytics)
    monkeypatch.setattr(train, "_check_settings", CHECK_SETTINGS)
    stage = {"name": "only", "sets": ["photos"], "epochs": 1, "input_size": 64, "settings": settings}
    with pytest.raises(DataError, match=said):
        train.train(changed(stages=[stage]), data, tmp_path / "set", tmp_path / "runs")
    assert not (tmp_path / "runs" / "only").exists()


def test_weights_of_other_classes_are_not_gone_on_from(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from detector.training import onnx_file

    network = SimpleNamespace(names={0: "person"}, ckpt=None)
    monkeypatch.setattr(onnx_file, "open_network", lambda *_: network)
    shutil.copyfile(data / "start.pt", tmp_path / "coco.pt")
    with pytest.raises(DataError, match=r"coco\.pt knows the class 'person', which is none of ours"):
        train.train(CONFIG, data, tmp_path / "set", tmp_path / "runs", go_on_from=tmp_path / "coco.pt")
