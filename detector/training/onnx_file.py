"""ONNX files made of ultralytics weights, and any weights file as a model that detects."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from detector.errors import DataError
from detector.models import Head, Manifest, ManifestEntry, Model, load_model, write_manifest
from detector.models.manifest import MANIFEST_NAME
from detector.taxonomy import TAXONOMY
from detector.training.load_ultralytics import load_ultralytics

OPSET = 18
UNTRAINED_SIZE = 640
LICENCE = "AGPL-3.0-or-later"
UNCHOSEN_THRESHOLD = 0.35


def check_is_there(weights: Path) -> None:
    """Raises DataError where there is no file `weights`."""
    if not weights.is_file():
        raise DataError(f"The weights {weights} do not exist; train them with `ordnance train`.")


def export_onnx(weights: Path, out: Path, *, input_size: int, head: Head) -> str:
    """Write the ONNX form of the ultralytics weights `weights` to `out`; returns its SHA-256.

    The graph takes float32 (n, 3, input_size, input_size) in 0..1, where n is free. With the one-to-one head it
    gives (n, 300, 6): x1, y1, x2, y2, score, class. With the one-to-many head it gives (n, 4 + classes, anchors):
    centre x, centre y, width, height, then a score of every class, and needs NMS after it.
    """
    check_is_there(weights)
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
        _drop_traces(Path(made))
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, out)
    return hashlib.sha256(out.read_bytes()).hexdigest()


def _drop_traces(path: Path) -> None:
    """Remove the date of the export and the data set's path: equal weights then give equal bytes anywhere."""
    import onnx

    model = onnx.load(path)
    kept = {each.key: each.value for each in model.metadata_props if each.key not in ("date", "description")}
    onnx.helper.set_model_props(model, kept)
    onnx.save(model, path)


@contextmanager
def open_weights(name_or_path: str | Path, *, input_size: int | None = None, device: str = "auto") -> Iterator[Model]:
    """A model of the manifest by name, or the one in a file: an .onnx beside its manifest.json, or a .pt of `train`.

    A .pt is exported with the one-to-many head for the time of the `with`, at `input_size` pixels or else at those it
    was trained at last; its thresholds are not chosen (UNCHOSEN_THRESHOLD for every class). Raises DataError for a .pt
    that is damaged or knows classes that the taxonomy lacks, and what `load_model` raises.
    """
    weights = Path(name_or_path)
    if weights.suffix != ".pt":
        model = load_model(name_or_path, device=device)
        if input_size not in (None, model.input_size):
            raise DataError(f"{weights} takes pictures of {model.input_size} px, not {input_size}; leave the size out.")
        yield model
        return
    check_is_there(weights)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        classes, trained_at = described(weights, folder)
        size = input_size or trained_at
        target = folder / "weights.onnx"
        digest = export_onnx(weights, target, input_size=size, head="one-to-many")
        entry = ManifestEntry(
            name="weights",
            file=target.name,
            sha256=digest,
            bytes=target.stat().st_size,
            input_size=size,
            classes=classes,
            thresholds=dict.fromkeys(classes, UNCHOSEN_THRESHOLD),
            licence=LICENCE,
            head="one-to-many",
        )
        write_manifest(Manifest(default=entry.name, models=(entry,)), folder / MANIFEST_NAME)
        yield load_model(target, device=device)


def described(weights: Path, scratch: Path) -> tuple[tuple[str, ...], int]:
    """The classes of ultralytics weights, and the input size they were trained at last.

    `scratch` holds ultralytics' settings. Raises DataError for a file that is damaged or knows classes that the
    taxonomy lacks.
    """
    network = open_network(weights, scratch)
    names = network.names
    size = int((network.ckpt or {}).get("train_args", {}).get("imgsz", UNTRAINED_SIZE))
    classes = tuple(names[number] for number in sorted(names))
    if unknown := sorted(set(classes) - {each.id for each in TAXONOMY}):
        raise DataError(
            f"{weights} knows the class '{unknown[0]}', which is none of ours; give weights of `ordnance train`."
        )
    return classes, size


def open_network(weights: Path, scratch: Path) -> Any:
    """The network of ultralytics in the file `weights`, with its `names`. Raises DataError for a file that is damaged.

    `scratch` holds ultralytics' settings.
    """
    ultralytics = load_ultralytics(scratch / "settings")
    try:
        network = ultralytics.YOLO(weights)
        if not network.names:
            raise ValueError("it names no classes")
        return network
    except (RuntimeError, LookupError, TypeError, ValueError, EOFError, AttributeError, UnpicklingError) as error:
        said = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise DataError(f"{weights} is damaged or holds no weights of ultralytics: {said}.") from error
