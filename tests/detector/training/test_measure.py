"""`ordnance evaluate` on a small data folder: what it writes, and where."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.cli.app import run
from detector.models import WEIGHTS_FOLDER, read_manifest
from detector.training.model_card import BEGIN, END


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    shipped = read_manifest(WEIGHTS_FOLDER / "manifest.json")
    full = [each.file for each in shipped.models if each.precision == "fp32"]
    for name in ("manifest.json", *full):
        shutil.copyfile(WEIGHTS_FOLDER / name, folder / name)
    (folder / "MODEL_CARD.md").write_text(f"# Card\n\nby hand\n\n{BEGIN}\nearlier figures\n{END}\n\nmore by hand\n")
    return folder / shipped.entry("default").file


@pytest.fixture
def renders(tmp_path: Path) -> Path:
    folder = tmp_path / "renders"
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    rng = np.random.default_rng(3)
    for number, label in enumerate(("tank 0.5 0.5 0.4 0.4\n", "", "")):
        noise = cv2.resize(rng.integers(0, 256, (18, 32, 3), np.uint8), (320, 180))
        cv2.imwrite(str(folder / "images" / f"{number}.jpg"), noise)
        (folder / "labels" / f"{number}.txt").write_text(label)
    return folder


@pytest.fixture(autouse=True)
def no_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORDNANCE_DATA", raising=False)


def test_figures_go_to_the_screen_and_to_a_file(
    weights: Path, renders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures" / "all.json"
    assert run(["evaluate", "--model", str(weights), "--renders", str(renders), "--out", str(out)]) == 0
    assert "| tank | 1 |" in capsys.readouterr().out
    document = json.loads(out.read_text())
    assert list(document["sets"]) == ["render"]
    render = document["sets"]["render"]
    assert (render["pictures"], render["false_alarms"]["weapon_free"]) == (3, 2)
    assert "bootstrap" in document["method"]["interval"]
    assert (tmp_path / "figures" / "all-render-confusion.svg").read_text().startswith("<svg")
    assert (tmp_path / "figures" / "all-render-reliability.svg").exists()


def test_recording_leaves_the_words_by_hand_alone(weights: Path, renders: Path) -> None:
    assert run(["evaluate", "--model", str(weights), "--renders", str(renders), "--record"]) == 0
    card = (weights.parent / "MODEL_CARD.md").read_text()
    assert card.startswith("# Card\n\nby hand\n")
    assert card.endswith("more by hand\n")
    assert "earlier figures" not in card
    metrics = read_manifest(weights.parent / "manifest.json").models[0].metrics
    assert metrics["render"]["boxes"]["tank"] == 1


def test_figures_of_a_smaller_file_go_into_the_manifest_alone(weights: Path, renders: Path) -> None:
    shipped = read_manifest(WEIGHTS_FOLDER / "manifest.json").models
    made = next(each for each in shipped if each.made_from is not None)
    small = Path(shutil.copyfile(WEIGHTS_FOLDER / made.file, weights.parent / made.file))
    card = (weights.parent / "MODEL_CARD.md").read_text()
    assert run(["evaluate", "--model", str(small), "--renders", str(renders), "--record"]) == 0
    assert (weights.parent / "MODEL_CARD.md").read_text() == card
    metrics = read_manifest(weights.parent / "manifest.json").entry(made.name).metrics
    assert metrics["render"]["boxes"]["tank"] == 1


def test_figures_of_the_model_of_the_second_view_go_into_the_manifest_alone(weights: Path, renders: Path) -> None:
    second = read_manifest(weights.parent / "manifest.json").models[0].second_view
    card = (weights.parent / "MODEL_CARD.md").read_text()
    model = str(weights.with_name(f"{second.model}.onnx"))
    assert run(["evaluate", "--model", model, "--renders", str(renders), "--record"]) == 0
    assert (weights.parent / "MODEL_CARD.md").read_text() == card
    metrics = read_manifest(weights.parent / "manifest.json").entry(second.model).metrics
    assert metrics["render"]["boxes"]["tank"] == 1


def test_figures_name_both_networks(weights: Path, renders: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.json"
    assert run(["evaluate", "--model", str(weights), "--renders", str(renders), "--out", str(out), "--record"]) == 0
    first, second = (read_manifest(weights.parent / "manifest.json").models[place] for place in (0, 2))
    assert json.loads(out.read_text())["model"]["second_view"] == {"name": second.name, "sha256": second.sha256}
    card = (weights.parent / "MODEL_CARD.md").read_text()
    for each in (first, second):
        assert f"`{each.name}` (SHA-256 {each.sha256[:12]}…)" in card


def test_recording_beside_weights_without_a_card_begins_one(weights: Path, renders: Path) -> None:
    card = weights.with_name("MODEL_CARD.md")
    card.unlink()
    assert run(["evaluate", "--model", str(weights), "--renders", str(renders), "--record"]) == 0
    assert card.read_text().startswith("# Model card: ordnance-n\n\n<!-- evaluation:begin -->\nModel `ordnance-n`")
    again = card.read_text()
    assert run(["evaluate", "--model", str(weights), "--renders", str(renders), "--record"]) == 0
    assert card.read_text() == again


def test_what_cannot_be_recorded_is_said_before_anything_is_measured(
    weights: Path, renders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card = weights.with_name("MODEL_CARD.md")
    card.write_text("# Card by hand\n")
    monkeypatch.setattr("detector.training.measure.measure", lambda *_, **__: pytest.fail("it measured"))
    monkeypatch.setattr("detector.training.compare.compare", lambda *_, **__: pytest.fail("it measured"))
    assert run(["evaluate", "--model", str(weights), "--renders", str(renders), "--record"]) == 1
    assert "MODEL_CARD.md has no section between <!-- evaluation:begin -->" in capsys.readouterr().err
    assert run(["compare", "default", "--renders", str(renders), "--record", str(card)]) == 1
    assert "MODEL_CARD.md has no section between <!-- comparison:begin -->" in capsys.readouterr().err


def test_a_folder_without_clips_is_said_before_anything_is_measured(
    weights: Path, renders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("detector.training.measure.predict", lambda *_, **__: pytest.fail("it measured"))
    options = ["--renders", str(renders), "--negative-video", str(tmp_path / "nowhere")]
    assert run(["evaluate", "--model", str(weights), *options]) == 1
    assert "nowhere holds no clips" in capsys.readouterr().err


def test_a_clip_that_cannot_be_read_is_said_before_anything_is_measured(
    weights: Path, renders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("detector.training.measure.predict", lambda *_, **__: pytest.fail("it measured"))
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "quiet.wmv").write_bytes(b"no film")
    options = ["--renders", str(renders), "--negative-video", str(tmp_path / "clips")]
    assert run(["evaluate", "--model", str(weights), *options]) == 1
    assert "quiet.wmv" in capsys.readouterr().err


def test_an_unknown_damage_is_refused(weights: Path, renders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "--model", str(weights), "--renders", str(renders), "--damage", "rain"]) == 2
    assert "'rain' is no damage" in capsys.readouterr().err


def test_quick_figures_are_not_recorded(weights: Path, renders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "--model", str(weights), "--renders", str(renders), "--quick", "--record"]) == 2
    assert "leave --record or --quick out" in capsys.readouterr().err


def test_nothing_to_measure_on_is_said(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "--model", str(weights)]) == 1
    assert "ORDNANCE_DATA" in capsys.readouterr().err


def test_a_broken_label_is_named(weights: Path, renders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (renders / "labels" / "1.txt").write_text("tank 0.5 0.5\n")
    assert run(["evaluate", "--model", str(weights), "--renders", str(renders), "--quick"]) == 1
    assert "1.txt" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["evaluate"], ["compare", "default"]])
def test_a_file_that_cannot_be_written_is_said_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    (tmp_path / "file").touch()
    assert run([*command, "--data", str(tmp_path / "no-data"), "--out", str(tmp_path / "file" / "out.json")]) == 1
    assert "out.json cannot be written" in capsys.readouterr().err


@pytest.mark.needs_torch
def test_a_baseline_that_holds_no_weights_is_said_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.pt").write_bytes(b"no weights")
    (tmp_path / "out.json").write_text("earlier figures")
    options = ["--baseline", str(tmp_path / "bad.pt"), "--out", str(tmp_path / "out.json")]
    assert run(["evaluate", "--data", str(tmp_path / "no-data"), *options]) == 1
    assert "bad.pt is damaged or holds no weights of ultralytics" in capsys.readouterr().err
    assert (tmp_path / "out.json").read_text() == "earlier figures"
