"""Turns trained weights into what ships: an ONNX file and its entry in the manifest."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from detector.errors import DataError
from detector.models import WEIGHTS_FOLDER, Head, Manifest, ManifestEntry, load_model, read_manifest, write_manifest
from detector.training.config import TrainingConfig
from detector.training.dataset import read_dataset
from detector.training.evaluate import choose_thresholds, predict_split
from detector.training.train import load_ultralytics

OPSET = 18
SCORE_FLOOR = 0.05
FALLBACK_THRESHOLD = 0.35
LOWEST_THRESHOLD, HIGHEST_THRESHOLD = 0.3, 0.6
LICENCE = "AGPL-3.0-or-later"


def export_model(
    weights: Path, config: TrainingConfig, dataset: Path, data: Path, out: Path | None = None, *, head: Head
) -> ManifestEntry:
    """Export `weights` with `head` as the default model of the manifest in `out`, thresholds chosen on the val split.

    The metrics of an earlier entry of that name are dropped: they are those of other weights.
    """
    folder = out or WEIGHTS_FOLDER
    target = folder / f"{config.name}.onnx"
    digest = export_onnx(weights, target, input_size=config.input_size, head=head)
    entry = ManifestEntry(
        name=config.name,
        file=target.name,
        sha256=digest,
        bytes=target.stat().st_size,
        input_size=config.input_size,
        classes=config.classes,
        thresholds=dict.fromkeys(config.classes, FALLBACK_THRESHOLD),
        score_floor=SCORE_FLOOR,
        calibration=None,
        dataset_sha256=read_dataset(dataset)[1],
        metrics={},
        trained_with=f"ultralytics {load_ultralytics(weights.parent / 'settings').__version__}",
        licence=LICENCE,
        head=head,
    )
    _list(entry, folder)
    model = load_model(str(target), backend="onnxruntime")
    predictions = predict_split(model.detect, model.classes, data, "val")
    thresholds = choose_thresholds(
        predictions, fallback=FALLBACK_THRESHOLD, lowest=LOWEST_THRESHOLD, highest=HIGHEST_THRESHOLD
    )
    entry = entry.model_copy(update={"thresholds": thresholds})
    _list(entry, folder)
    return entry


def export_onnx(weights: Path, out: Path, *, input_size: int, head: Head) -> str:
    """Write the ONNX form of the ultralytics weights `weights` to `out`; returns its SHA-256.

    The graph takes float32 (n, 3, input_size, input_size) in 0..1, where n is free. With the one-to-one head it
    gives (n, 300, 6): x1, y1, x2, y2, score, class. With the one-to-many head it gives (n, 4 + classes, anchors):
    centre x, centre y, width, height, then a score of every class, and needs NMS after it.
    """
    if not weights.is_file():
        raise DataError(f"The weights {weights} do not exist; train them with `ordnance train`.")
    with tempfile.TemporaryDirectory() as scratch:
        ultralytics = load_ultralytics(Path(scratch) / "settings")
        copy = Path(scratch) / weights.name
        shutil.copyfile(weights, copy)
        made = ultralytics.YOLO(copy).export(
            format="onnx",
            imgsz=input_size,
            dynamic=True,
            simplify=True,
            opset=OPSET,
            # False is the head that needs no NMS, None (the default) the other one without an NMS in the graph.
            nms=False if head == "one-to-one" else None,
            device="cpu",
        )
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, out)
    return hashlib.sha256(out.read_bytes()).hexdigest()


def _list(entry: ManifestEntry, folder: Path) -> None:
    path = folder / "manifest.json"
    earlier = [each for each in read_manifest(path).models if each.name != entry.name] if path.exists() else []
    write_manifest(Manifest(schema_version="1.0", default=entry.name, models=(*earlier, entry)), path)
