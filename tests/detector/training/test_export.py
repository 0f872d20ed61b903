from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from detector.cli.app import run
from detector.errors import DataError
from detector.models import (
    WEIGHTS_FOLDER,
    Head,
    Manifest,
    ManifestEntry,
    SecondView,
    load_model,
    read_manifest,
    write_manifest,
)
from detector.models.backend import create_backend, missing_torch_packages
from detector.training import export as exporting
from detector.training.onnx_file import described

from .conftest import DataFolder

SIZE = 160
CLASSES = ("tank", "humvee", "mlrs")
SHIPPED = (
    read_manifest(WEIGHTS_FOLDER / "manifest.json")
    .models[0]
    .model_copy(update={"second_view": SecondView(longer_side=416, from_score=0.2)})
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A YOLO26 of three classes that starts from one of eighty, as fine-tuning makes it; it has learned nothing."""
    if missing := missing_torch_packages():
        pytest.skip(f"exporting needs {', '.join(missing)} (extra train)")
    from detector.models.offline import import_ultralytics, import_ultralytics_tasks

    tasks, ultralytics = import_ultralytics_tasks(), import_ultralytics()
    import torch

    torch.manual_seed(1)
    made = ultralytics.YOLO("yolo26n.yaml", verbose=False)
    start, made.model = made.model, tasks.DetectionModel("yolo26n.yaml", nc=len(CLASSES), verbose=False)
    made.model.load(start, verbose=False)
    for weight in made.model.parameters():
        # onnxslim makes one tensor of equal ones, and untrained biases are all nought.
        weight.data += 0.01 * torch.randn_like(weight)
    path = tmp_path_factory.mktemp("weights") / "untrained.pt"
    made.save(path)
    return path


@pytest.mark.needs_torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("head", ["one-to-one", "one-to-many"])
def test_what_is_exported_says_the_same_in_every_backend(
    head: Head, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from detector.training.export import export_onnx

    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    content_path = tmp_path / "untrained.onnx"
    digest = export_onnx(weights, content_path, input_size=SIZE, head=head)
    content = content_path.read_bytes()
    assert digest == hashlib.sha256(content).hexdigest()
    entry = ManifestEntry(
        name="untrained",
        file=content_path.name,
        sha256=digest,
        bytes=len(content),
        input_size=SIZE,
        classes=CLASSES,
        thresholds=dict.fromkeys(CLASSES, 0.5),
        licence="AGPL-3.0-or-later",
        head=head,
    )
    pictures = np.random.default_rng(5).integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    exported, built = (
        create_backend(name, content, entry, device="cpu", threads=1).infer(pictures)
        for name in ("onnxruntime", "torch")
    )
    assert built.shape == exported.shape
    # Equal scores, as untrained weights give them, leave the order of the one-to-one head's rows to the backend.
    compared = np.s_[:, :, 4] if head == "one-to-one" else np.s_[:]
    assert np.abs(built[compared] - exported[compared]).max() < 1e-3


@pytest.mark.needs_torch
@pytest.mark.filterwarnings("ignore")
def test_equal_weights_give_equal_bytes(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from detector.training.export import export_onnx

    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    digests = {
        export_onnx(weights, tmp_path / name / "untrained.onnx", input_size=SIZE, head="one-to-many")
        for name in ("first", "second")
    }
    assert len(digests) == 1
    assert str(tmp_path).encode() not in (tmp_path / "first" / "untrained.onnx").read_bytes()


@pytest.fixture
def ready(folder: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with settings, a built set and tiny.pt, which exports to the network that ships."""
    for split in ("train", "val", "test"):
        folder.add(split, f"{split}.jpg", "tank 0.5 0.5 0.4 0.4\n")
    folder.add("val", "free.jpg")
    monkeypatch.setenv("ORDNANCE_DATA", str(folder.root))
    monkeypatch.chdir(tmp_path)
    write_settings(SHIPPED.classes)
    assert run(["dataset", "build", "--config", "tiny.yaml"]) == 0
    Path("tiny.pt").touch()

    def copied(weights: Path, out: Path, *, input_size: int, head: Head) -> str:
        shutil.copyfile(WEIGHTS_FOLDER / SHIPPED.file, out)
        return SHIPPED.sha256

    monkeypatch.setattr(exporting, "export_onnx", copied)
    monkeypatch.setattr(exporting, "described", lambda *_: (SHIPPED.classes, SHIPPED.input_size))
    monkeypatch.setattr(exporting, "load_ultralytics", lambda *_: SimpleNamespace(__version__="8"))
    return tmp_path


def write_settings(classes: tuple[str, ...], **further: object) -> None:
    stage = {"name": "only", "sets": ["photos"], "epochs": 1, "input_size": 64}
    settings = {"name": "tiny", "start": "none.pt", "classes": list(classes), "input_size": SHIPPED.input_size}
    Path("tiny.yaml").write_text(yaml.safe_dump({**settings, "stages": [stage], **further}))


def export(*options: str) -> int:
    return run(["export", "tiny.pt", "--config", "tiny.yaml", "--out", "made", *options])


def contents() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path("made").iterdir()} if Path("made").exists() else {}


def no_room(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("failing", ["the set", "the classes", "the second view", "the disk", "the calibration", "val"])
def test_an_export_that_fails_leaves_what_is_there(
    failing: str,
    ready: Path,
    folder: DataFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("made").mkdir()
    shutil.copyfile(WEIGHTS_FOLDER / SHIPPED.file, "made/tiny.onnx")
    entry = SHIPPED.model_copy(update={"name": "tiny", "file": "tiny.onnx"})
    write_manifest(Manifest(default="tiny", models=(entry,)), Path("made/manifest.json"))
    Path("made/tiny.onnx").write_bytes(b"of an earlier training")
    before, options, said = contents(), (), ""
    if failing == "the set":
        options, said = ("--dataset", "nowhere"), "nowhere holds no data set"
    elif failing == "the classes":
        write_settings(SHIPPED.classes[1:])
        said = f"knows the classes tow_launcher, tank, {', '.join(SHIPPED.classes[2:])}, but the settings name tank,"
    elif failing == "the second view":
        write_settings(SHIPPED.classes, second_view={"longer_side": 416, "from_score": 0.2, "model": "other"})
        said = "lists no model 'other'"
    elif failing == "the disk":
        monkeypatch.setattr(exporting, "calibrate_model", lambda *_: entry)
        monkeypatch.setattr(exporting.shutil, "copyfile", no_room)
        monkeypatch.setattr(exporting, "export_onnx", lambda _, out, **__: out.write_bytes(b"x") and SHIPPED.sha256)
        said = "made cannot be written: No space left on device"
    elif failing == "the calibration":
        folder.rows = [row for row in folder.rows if row["file"] != "free.jpg"]
        folder.write()
        said = "no weapon-free picture to choose thresholds by"
    else:
        folder.rows = [row for row in folder.rows if row["split"] != "val"]
        folder.write()
        said = "has no photograph of the split 'val'"
    assert export(*options) == 1
    assert said in capsys.readouterr().err
    assert contents() == before


def test_an_export_is_listed_and_calibrated_and_drops_what_was_made_of_the_earlier_weights(ready: Path) -> None:
    Path("made").mkdir()
    for name in ("tiny.onnx", "tiny-int8.onnx"):
        Path("made", name).write_bytes(b"of an earlier training")
    earlier = SHIPPED.model_copy(update={"name": "tiny", "file": "tiny.onnx"})
    small = earlier.model_copy(update={"name": "tiny-int8", "file": "tiny-int8.onnx", "made_from": "tiny"})
    write_manifest(Manifest(default="tiny-int8", models=(earlier, small)), Path("made/manifest.json"))
    assert export("--keep-default") == 0
    manifest = read_manifest(Path("made/manifest.json"))
    (entry,) = manifest.models
    assert (manifest.default, entry.name, set(entry.calibration or {})) == ("tiny", "tiny", set(SHIPPED.classes))
    assert sorted(contents()) == ["manifest.json", "tiny.onnx"]
    assert load_model("made/tiny.onnx").classes == SHIPPED.classes


def test_weights_that_are_somebody_elses_are_said_before_anything_is_computed(
    ready: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("made").mkdir()
    shutil.copyfile(WEIGHTS_FOLDER / SHIPPED.file, "made/tiny.onnx")
    entry = SHIPPED.model_copy(update={"name": "tiny", "file": "tiny.onnx"})
    write_manifest(Manifest(default="tiny", models=(entry,)), Path("made/manifest.json"))
    opened = Path.open

    def shut(path: Path, mode: str = "r", **options: object) -> object:
        if mode == "a":
            raise OSError(13, "Permission denied", str(path))
        return opened(path, mode, **options)

    monkeypatch.setattr(Path, "open", shut)
    monkeypatch.setattr(exporting, "predict", lambda *_, **__: pytest.fail("it measured"))
    monkeypatch.setattr(exporting, "export_onnx", lambda *_, **__: pytest.fail("it exported"))
    assert export() == 1
    assert run(["calibrate", "tiny", "--out", "made"]) == 1
    assert run(["optimise", "fp16", "--model", "tiny", "--out", "made"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said == ["ordnance: made/manifest.json cannot be written: Permission denied."] * 3


def test_what_thresholds_rest_on_is_said(ready: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export() == 0
    assert run(["calibrate", "tiny", "--out", "made", "--false-alarms", "2"]) == 0
    out, err = capsys.readouterr()
    assert out.count("on the 1 weapon-free photographs of val") == 2
    assert "calibrated together, for too few findings of their own: tow_launcher, tank" in out
    assert "1 weapon-free photographs say little about 0.75 false alarms of 100" in err
    assert "these thresholds are a guess; add such photographs to val, 50 in all or more." in err


def test_thresholds_that_find_no_room_are_said(
    ready: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export() == 0
    monkeypatch.setattr(exporting, "write_manifest", no_room)
    assert run(["calibrate", "tiny", "--out", "made"]) == 1
    assert "made/manifest.json cannot be written: No space left on device." in capsys.readouterr().err


def test_what_gives_the_second_view_is_to_be_exported_first(ready: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_settings(SHIPPED.classes, second_view={"longer_side": 416, "from_score": 0.2, "model": "other"})
    assert export() == 1
    assert "made lists no model 'other', which the settings name for the second view" in capsys.readouterr().err
    assert not Path("made").exists()


def test_other_weights_for_a_second_view_leave_no_figures_of_the_earlier_ones(
    ready: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_settings(SHIPPED.classes, name="tiny-second")
    Path("made").mkdir()
    second = SHIPPED.model_copy(update={"name": "tiny-second", "file": "tiny-second.onnx", "second_view": None})
    view = SecondView(longer_side=416, from_score=0.2, model="tiny-second")
    first = SHIPPED.model_copy(update={"name": "tiny", "file": "tiny.onnx", "second_view": view})
    assert first.metrics
    write_manifest(Manifest(default="tiny", models=(first, second)), Path("made/manifest.json"))
    assert export("--keep-default") == 0
    assert read_manifest(Path("made/manifest.json")).models[0].metrics == {}
    assert "choose them anew: ordnance calibrate tiny --out made" in capsys.readouterr().err


def test_an_export_without_room_names_the_file_that_has_none(
    ready: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(source), None, str(target))

    monkeypatch.setattr(exporting.shutil, "copyfile", full)
    monkeypatch.setattr(exporting, "export_onnx", lambda _, out, **__: out.write_bytes(b"x") and SHIPPED.sha256)
    monkeypatch.setattr(exporting, "calibrate_model", lambda *_: SHIPPED.model_copy(update={"name": "tiny"}))
    assert export() == 1
    assert "ordnance: made/tiny.onnx.part cannot be written: No space left on device." in capsys.readouterr().err


@pytest.mark.parametrize("failing", ["measuring", "too much lost"])
def test_a_smaller_file_that_is_not_kept_leaves_the_earlier_one(
    failing: str, ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("made").mkdir()
    shutil.copyfile(WEIGHTS_FOLDER / SHIPPED.file, "made/tiny.onnx")
    Path("made/tiny-int8.onnx").write_bytes(b"an earlier one")
    entry = SHIPPED.model_copy(update={"name": "tiny", "file": "tiny.onnx", "second_view": None})
    small = entry.model_copy(update={"name": "tiny-int8", "file": "tiny-int8.onnx", "made_from": "tiny"})
    write_manifest(Manifest(default="tiny", models=(entry, small)), Path("made/manifest.json"))
    before = contents()

    def made(_: ManifestEntry, folder: Path, *__: object) -> ManifestEntry:
        content = b"no network" if failing == "measuring" else (WEIGHTS_FOLDER / SHIPPED.file).read_bytes()
        (folder / small.file).write_bytes(content)
        return small.model_copy(update={"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)})

    monkeypatch.setattr(exporting, "optimise", made)
    monkeypatch.setattr(exporting, "CPU_BACKENDS", ("onnxruntime",))
    monkeypatch.setattr(exporting, "MOST_AP50_LOST", 0.0)
    assert run(["optimise", "int8", "--model", "tiny", "--out", "made"]) == (1 if failing == "measuring" else 0)
    assert contents() == before
    if failing != "measuring":
        monkeypatch.setattr(exporting, "MOST_AP50_LOST", 0.01)
        assert run(["optimise", "int8", "--model", "tiny", "--out", "made"]) == 0
        assert load_model("made/tiny-int8.onnx").name == "tiny-int8"
        assert sorted(contents()) == sorted(before)


@pytest.mark.needs_torch
def test_a_file_that_holds_no_weights_is_said(tmp_path: Path) -> None:
    (tmp_path / "bad.pt").write_bytes(b"no weights")
    with pytest.raises(DataError, match=r"bad\.pt is damaged or holds no weights of ultralytics"):
        described(tmp_path / "bad.pt", tmp_path)
