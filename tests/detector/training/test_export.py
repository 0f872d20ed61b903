from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from detector.models import Head, ManifestEntry
from detector.models.backend import create_backend, missing_torch_packages

SIZE = 160
CLASSES = ("tank", "humvee", "mlrs")


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
