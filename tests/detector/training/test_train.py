"""`ordnance train` on a handful of pictures: what it leaves, that it goes on after a kill, what it refuses."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.cli.app import run
from detector.errors import DataError
from detector.models.backend import missing_torch_packages
from detector.training.built_set import read_built
from detector.video import open_video

from .conftest import DataFolder

pytestmark = [pytest.mark.needs_torch, pytest.mark.filterwarnings("ignore")]

SETTINGS = """
name: tiny
start: start/yolo.pt
classes: [tank, humvee]
input_size: 160
batch: 4
synthetic: [{name: scenes-1, kind: scenes, count: 1, seed: 1, classes: [tank]}]
stages:
  - {name: first, sets: [photos], epochs: 2, input_size: 64, settings: &quick {workers: 0, save_period: -1}}
  - {name: second, sets: [photos], epochs: 3, input_size: 160, repeat_hard: 3, hard_score: 0.01, damage: 0.5,
     learned_share: 0.25, settings: *quick}
  - {name: third, sets: [photos, synthetic], epochs: 1, input_size: 64, settings: *quick}
"""
COMMAND = [sys.executable, "-c", "import sys; from detector.cli.app import run; sys.exit(run(sys.argv[1:]))"]
LONGEST_WAIT_S = 600
"""For fifteen seconds of processor time: beside a dozen busy processes on two cores they take two minutes."""


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained weights, as a training starts from."""
    if missing := missing_torch_packages():
        pytest.skip(f"training needs {', '.join(missing)} (extra train)")
    from detector.training.load_ultralytics import load_ultralytics

    folder = tmp_path_factory.mktemp("start")
    path = folder / "yolo.pt"
    load_ultralytics(folder / "settings").YOLO("yolo26n.yaml", verbose=False).save(path)
    return path


@pytest.fixture
def tiny(folder: DataFolder, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with settings, and with a data folder that ORDNANCE_DATA names; the set is built."""
    for number in range(6):
        folder.add("train", f"t{number}.jpg", "tank 0.5 0.5 0.4 0.4\n" if number % 2 else "")
    folder.add("val", "v.jpg", "tank 0.5 0.5 0.4 0.4\n")
    folder.add("test", "e.jpg", "humvee 0.5 0.5 0.4 0.4\n")
    (folder.root / "start").mkdir()
    (folder.root / "start" / "yolo.pt").hardlink_to(start)
    monkeypatch.setenv("ORDNANCE_DATA", str(folder.root))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(SETTINGS)
    assert run(["dataset", "build", "--config", "tiny.yaml"]) == 0
    return tmp_path


def train(*options: str) -> list[str]:
    return ["train", "--config", "tiny.yaml", "--threads", "1", *options]


def epochs_of(stage: str) -> list[int]:
    with Path("runs", stage, "results.csv").open(newline="") as lines:
        return [int(row["epoch"]) for row in csv.DictReader(lines, skipinitialspace=True)]


def states() -> dict[str, str]:
    return {row["name"]: row["state"] for row in json.loads(Path("runs/training.json").read_text())["stages"]}


def test_build_and_one_epoch_need_no_further_option(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(train("--epochs", "1")) == 0
    said = capsys.readouterr()
    assert "the stage third is left out: the data set has no picture of synthetic" in said.err
    assert Path("runs/tiny.pt").stat().st_size > 1_000_000
    assert (epochs_of("first"), epochs_of("second")) == ([1], [1])
    assert states() == {"first": "done", "second": "done", "third": "left out"}


def test_a_stage_repeats_what_the_weights_before_it_fire_on(tiny: Path) -> None:
    assert run(train("--epochs", "1")) == 0
    mined = json.loads(Path("runs/second/hard.json").read_text())
    fired = {row["file"] for row in mined["firings"]}
    assert mined["looked_at"] == 3
    seen = [Path(line).name for line in Path("runs/second.txt").read_text().split()]
    for number in range(6):
        name = f"t{number}.jpg"
        assert seen.count(name) == (3 if name in fired else 1)
        assert name not in fired or number % 2 == 0


def test_a_stage_that_begins_anew_mines_anew_and_a_listing_given_must_reach_as_low(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(train("--epochs", "1")) == 0
    shutil.rmtree("runs/second")
    mined = {"dataset_sha256": read_built(Path("runs/set")).sha256, "model_sha256": "0" * 64, "looked_at": 3}
    Path("runs/second-hard.json").write_text(json.dumps({**mined, "floor": 0.6, "firings": []}))
    assert run(train("--epochs", "1")) == 1
    assert "second-hard.json lists what scores 0.6 and more, and the stage asks for 0.01" in capsys.readouterr().err
    Path("runs/second-hard.json").unlink()
    Path("runs/second").mkdir(exist_ok=True)
    Path("runs/second/hard.json").write_text(json.dumps({**mined, "floor": 0.6, "firings": []}))
    assert run(train("--epochs", "1")) == 0
    assert json.loads(Path("runs/second/hard.json").read_text())["floor"] == 0.01


def test_a_share_of_weights_for_other_classes_is_refused_before_the_first_epoch(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Path("tiny.yaml")
    settings.write_text(settings.read_text().replace("name: first,", "name: first, learned_share: 0.5,"))
    assert run(train("--stages", "first", "--epochs", "1")) == 1
    assert "'first' is to keep part of" in (said := capsys.readouterr().err)
    assert "which knows 80 classes instead of 2; take `learned_share` out" in said
    assert not Path("runs/first").exists()


def test_after_a_kill_it_goes_on_at_the_last_finished_epoch(tiny: Path) -> None:
    process = subprocess.Popen([*COMMAND, *train("--stages", "first,second")], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + LONGEST_WAIT_S
    try:
        while not Path("runs/second/weights/epoch-0001.pt").exists():
            assert process.poll() is None and time.monotonic() < deadline, "the second stage never finished an epoch"
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    last = Path("runs/second/weights/last.pt")
    last.write_bytes(last.read_bytes()[:1000])
    begun = Path("runs/first/weights/last.pt").stat().st_mtime_ns
    assert run(train("--stages", "first,second", "--resume")) == 0
    assert Path("runs/first/weights/last.pt").stat().st_mtime_ns == begun
    assert epochs_of("second") == [1, 2, 3]
    assert not list(Path("runs/second/weights").glob("epoch-*"))
    assert states()["second"] == "done"


def test_a_stage_may_keep_part_of_the_weights_that_it_began_with(tiny: Path, start: Path) -> None:
    import torch
    from ultralytics.nn.tasks import load_checkpoint

    from detector.training.average import average_weights

    settings = Path("tiny.yaml")
    settings.write_text(settings.read_text().replace("learned_share: 0.25", "learned_share: 1"))
    assert run(train("--stages", "first,second", "--epochs", "1")) == 0
    begun, learned = (load_checkpoint(f"runs/{stage}/weights/last.pt")[0].state_dict() for stage in ("first", "second"))
    shutil.rmtree("runs/second")
    settings.write_text(settings.read_text().replace("learned_share: 1", "learned_share: 0.25"))
    assert run(train("--stages", "second", "--epochs", "1")) == 0
    kept = load_checkpoint("runs/second/weights/last.pt")[0].state_dict()
    for name, value in kept.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * begun[name] + 0.25 * learned[name], rtol=2e-3, atol=1e-4)
    with pytest.raises(
        DataError, match=r"last\.pt cannot be averaged with .+yolo\.pt, whose network has other classes"
    ):
        average_weights(start, Path("runs/second/weights/last.pt"), 0.5)


def test_other_settings_do_not_go_on_with_an_earlier_training(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(train("--stages", "first", "--epochs", "1")) == 0
    assert run(train("--stages", "first")) == 1
    assert "was trained with epochs: 1, and now epochs: 2 is asked for" in capsys.readouterr().err


def test_a_missing_part_a_missing_predecessor_and_nothing_to_resume_are_said(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(train()) == 1
    assert "`ordnance dataset synthetic`" in capsys.readouterr().err
    assert run(train("--stages", "second")) == 1
    assert "goes on from 'first'" in capsys.readouterr().err
    assert run(train("--stages", "first", "--resume")) == 1
    assert "holds no training to go on with" in capsys.readouterr().err


def test_starting_weights_that_know_other_classes_cannot_be_mined_with(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Path("tiny.yaml")
    settings.write_text(settings.read_text().replace("name: first,", "name: first, repeat_hard: 2,"))
    assert run(train("--stages", "first", "--epochs", "1")) == 1
    assert "none of ours" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_said(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(train("--stages", "first", "--out", "tiny.yaml/runs")) == 1
    assert "tiny.yaml/runs stopped: [Errno 20] Not a directory" in capsys.readouterr().err


@contextmanager
def a_disk_full_after_one_epoch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from detector.training import checkpoints

    copy = checkpoints.shutil.copyfile

    def copy_while_there_is_room(source: Path, target: Path) -> None:
        if Path(target).name.startswith("epoch-0002"):
            raise OSError(28, "No space left on device")
        copy(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.shutil, "copyfile", copy_while_there_is_room)
        yield


def test_a_disk_that_fills_up_keeps_the_finished_epochs(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with a_disk_full_after_one_epoch(monkeypatch):
        assert run(train("--stages", "first")) == 1
    assert "No space left on device; mend that" in capsys.readouterr().err
    assert run(train("--stages", "first")) == 0
    assert epochs_of("first")[-1] == 2


def test_a_training_that_was_taken_to_another_disk_goes_on_there(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_disk_full_after_one_epoch(monkeypatch):
        assert run(train("--stages", "first")) == 1
    shutil.copytree("runs", "larger")
    before = {path: path.stat().st_mtime_ns for path in Path("runs/first").rglob("*")}
    Path("larger/first/weights/last.pt").unlink()
    assert run(train("--stages", "first", "--out", "larger")) == 0
    assert {path: path.stat().st_mtime_ns for path in Path("runs/first").rglob("*")} == before
    assert Path("larger/first/weights/last.pt").is_file()


def test_a_disk_without_room_for_the_weights_to_begin_with_is_said(tiny: Path) -> None:
    limited = ["bash", "-c", 'ulimit -f 2000; exec "$@"', "bash", *COMMAND]
    asked = train("--stages", "first", "--epochs", "1", "--go-on-from", "default")
    done = subprocess.run([*limited, *asked], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "runs stopped: weights cannot be written; mend that (room on the disk" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_checkpoint_that_was_torn_in_the_first_epoch_is_not_gone_on_with(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from detector.training import train as training

    def full(trainer: Any) -> None:
        trainer.last.write_bytes(trainer.last.read_bytes()[:1000])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(training, "keep_checkpoint", full)
        assert run(train("--stages", "first")) == 1
    assert run(train("--stages", "first", "--resume")) == 0
    assert epochs_of("first") == [1, 2]


def test_a_stage_is_averaged_with_an_earlier_one_that_must_be_there(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ultralytics.nn.tasks import load_checkpoint

    settings = Path("tiny.yaml")
    averaged = "sets: [photos, synthetic], epochs: 1, input_size: 64, learned_share: 0.0001, averaged_with: first"
    settings.write_text(
        settings.read_text()
        .replace("sets: [photos, synthetic], epochs: 1, input_size: 64", averaged)
        .replace("third, sets: [photos, synthetic]", "third, sets: [photos]")
    )
    assert run(train("--stages", "third", "--go-on-from", "default")) == 1
    assert "'third' is averaged with 'first', which" in capsys.readouterr().err
    assert run(train("--epochs", "1")) == 0
    first, third = (load_checkpoint(f"runs/{stage}/weights/last.pt")[0].state_dict() for stage in ("first", "third"))
    assert all(value.allclose(first[name], atol=1e-2) for name, value in third.items() if "conv.weight" in name)


def test_the_first_stage_goes_on_from_a_shipped_model(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORDNANCE_DATA")
    assert run(train("--stages", "first", "--epochs", "1", "--go-on-from", "default")) == 0
    assert states() == {"first": "done", "second": "not asked for", "third": "not asked for"}
    assert json.loads(Path("runs/training.json").read_text())["start"]["file"] == "default"


def test_weights_to_go_on_from_find_what_the_model_finds(folder: DataFolder, start: Path, tmp_path: Path) -> None:
    from detector.models import load_model
    from detector.models.manifest import find_weights, read_weights
    from detector.training.onnx_file import open_weights
    from detector.training.warm_start import trainable_weights

    entry, path = find_weights("default")
    for number in range(2):
        folder.add("train", f"t{number}.jpg")
    pictures = sorted((folder.root / "photos" / "train" / "images").iterdir())
    weights = trainable_weights(entry, read_weights(entry, path), pictures, tmp_path / "go-on.pt")
    demo = Path(__file__).parents[3] / "datasets" / "demo" / "demo.mp4"
    with open_video(demo) as clip:
        ((_, frame),) = clip.frames_at([155.0])
    (one,) = load_model("default").with_one_view().detect([frame.image], floor=0.001)
    with open_weights(weights, input_size=entry.input_size) as again:
        (other,) = again.detect([frame.image], floor=0.001)
    assert one.scores[0] > 0.3
    np.testing.assert_allclose(other.scores[0], one.scores[0], atol=0.01)
    np.testing.assert_allclose(other.xyxy[0], one.xyxy[0], atol=1)
