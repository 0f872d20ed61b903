"""Turns trained weights into what ships: an ONNX file and its entry in the manifest."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from detector.errors import DataError
from detector.training.train import load_ultralytics

OPSET = 18


def export_onnx(weights: Path, out: Path, *, input_size: int) -> str:
    """Write the ONNX form of the ultralytics weights `weights` to `out`; returns its SHA-256.

    The graph takes float32 (n, 3, input_size, input_size) in 0..1 and gives (n, 300, 6): x1, y1, x2, y2, score,
    class. n is free. The head is YOLO26's one-to-one head, which needs no NMS.
    """
    if not weights.is_file():
        raise DataError(f"The weights {weights} do not exist; train them with `ordnance train`.")
    with tempfile.TemporaryDirectory() as scratch:
        ultralytics = load_ultralytics(Path(scratch) / "settings")
        copy = Path(scratch) / weights.name
        shutil.copyfile(weights, copy)
        made = ultralytics.YOLO(copy).export(
            format="onnx", imgsz=input_size, dynamic=True, simplify=True, opset=OPSET, device="cpu"
        )
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, out)
    return hashlib.sha256(out.read_bytes()).hexdigest()
