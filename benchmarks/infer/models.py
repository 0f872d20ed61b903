"""Ways to run the shipped ONNX file on pictures. Every runner gets a folder of PNG files and answers with its boxes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.reading import Image, letterboxed_by_hand
from benchmarks.time.contenders import NotMeasured
from benchmarks.turns import Contender, Runner, Took
from detector.models import find_weights, load_model, read_weights
from detector.models.backend import CPU_ONLY, available_threads
from detector.models.offline import import_onnxruntime, import_ultralytics

BATCHES = (1, 4, 8)
NMS_IOU, MOST_BOXES = 0.45, 300
REFERENCE = "ordnance, onnxruntime, batch 1"
BY_HAND = "OpenCV + ONNX Runtime by hand"


class Found(NamedTuple):
    """One box on the picture `picture` of the folder, in its pixels."""

    picture: int
    class_id: int
    score: float
    xyxy: tuple[float, float, float, float]


def contenders(model: str, batches: Sequence[int] = BATCHES) -> tuple[Contender, ...]:
    """Ours at every batch size, and the peers, which take a picture at a time."""
    ours = tuple(
        Contender(f"ordnance, {backend}, batch {batch}", ordnance, {"model": model, "backend": backend, "batch": batch})
        for backend in CPU_ONLY
        for batch in batches
    )
    return (
        *ours,
        Contender("ultralytics predict, ONNX Runtime", ultralytics, {"model": model, "runtime": "onnxruntime"}),
        Contender("ultralytics predict, torch", ultralytics, {"model": model, "runtime": "torch"}),
        Contender(BY_HAND, by_hand, {"model": model}),
    )


def ordnance(model: str, backend: str, batch: int) -> Runner:
    """The network once over every picture, as the peers run it: without the second view of those with finds."""
    loaded = load_model(model, device="cpu", backend=backend).with_one_view()

    def detect(images: Sequence[Image]) -> list[Found]:
        found = []
        for first in range(0, len(images), batch):
            group = images[first : first + batch]
            for number, boxes in enumerate(loaded.detect(group), start=first):
                for xyxy, score, class_id in zip(boxes.xyxy, boxes.scores, boxes.class_ids, strict=True):
                    found.append(Found(number, int(class_id), float(score), _corners(xyxy)))
        return found

    return _timed(detect)


def ultralytics(model: str, runtime: str) -> Runner:
    predict = ultralytics_predict(model, runtime)

    def detect(images: Sequence[Image]) -> list[Found]:
        found = []
        for number, image in enumerate(images):
            # ultralytics takes arrays as OpenCV reads them, blue first.
            for result in predict(image[:, :, ::-1]):
                boxes = result.boxes
                for xyxy, score, class_id in zip(
                    boxes.xyxy.cpu().numpy(), boxes.conf.cpu().numpy(), boxes.cls.cpu().numpy(), strict=True
                ):
                    found.append(Found(number, int(class_id), float(score), _corners(xyxy)))
        return found

    return _timed(detect)


def ultralytics_predict(model: str, runtime: str) -> Callable[..., Any]:
    """`YOLO.predict` of the model, on all processors, down to our lowest score of interest. Raises NotMeasured."""
    # ultralytics sets this to 1 at import unless it is set; the peer may have all processors, as we have.
    os.environ["OMP_NUM_THREADS"] = str(available_threads())
    try:
        library = import_ultralytics()
    except ImportError as error:
        raise NotMeasured(f"not installed ({error.name}); pip install 'ordnance[bench]'") from error
    from benchmarks.time.peers import torch_yolo

    entry, path = find_weights(model)
    yolo = (
        library.YOLO(str(path), task="detect")
        if runtime == "onnxruntime"
        else torch_yolo(library, entry, read_weights(entry, path))
    )

    def predict(source: object, **options: object) -> Any:
        return yolo.predict(
            source,
            stream=True,
            imgsz=entry.input_size,
            conf=entry.score_floor,
            device="cpu",
            verbose=False,
            save=False,
            **options,
        )

    return predict


def by_hand(model: str) -> Runner:
    detect_one = detect_by_hand(model)

    def detect(images: Sequence[Image]) -> list[Found]:
        return [found for number, image in enumerate(images) for found in detect_one(image[:, :, ::-1], number)]

    return _timed(detect)


def detect_by_hand(model: str) -> Callable[[Image, int], list[Found]]:
    """What a tutorial does: `blobFromImage` of the letterboxed picture (BGR), session.run, `NMSBoxesBatched`."""
    import cv2

    entry, path = find_weights(model)
    options = import_onnxruntime().SessionOptions()
    options.intra_op_num_threads = available_threads()
    session = import_onnxruntime().InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name, size = session.get_inputs()[0].name, entry.input_size

    def detect(image: Image, number: int) -> list[Found]:
        square, scale, left, top = letterboxed_by_hand(image, size)
        output = session.run(None, {name: cv2.dnn.blobFromImage(square, 1 / 255, swapRB=True)})[0]
        rows = output[0].T
        class_ids = rows[:, 4:].argmax(axis=1)
        scores = rows[np.arange(len(rows)), 4 + class_ids]
        kept = scores >= entry.score_floor
        rows, class_ids, scores = rows[kept], class_ids[kept], scores[kept]
        corners = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, 2:4]], axis=1)
        found = []
        for best in cv2.dnn.NMSBoxesBatched(
            corners.tolist(), scores.tolist(), class_ids.tolist(), entry.score_floor, NMS_IOU
        )[:MOST_BOXES]:
            x, y, w, h = corners[best]
            box = ((x - left) / scale, (y - top) / scale, (x + w - left) / scale, (y + h - top) / scale)
            found.append(Found(number, int(class_ids[best]), float(scores[best]), _corners(box)))
        return found

    return detect


def _timed(detect: Callable[[Sequence[Image]], list[Found]]) -> Runner:
    loaded: dict[Path, list[Image]] = {}

    def run(folder: Path) -> Took:
        if folder not in loaded:
            loaded[folder] = read_pictures(folder)
            detect(loaded[folder][:8])
        images = loaded[folder]
        begun = time.perf_counter()
        found = detect(images)
        return Took(time.perf_counter() - begun, {"pictures": len(images)}, found)

    return run


def read_pictures(folder: Path) -> list[Image]:
    """The PNG files of a folder in the order of their names, each uint8 (height, width, 3) RGB."""
    import cv2

    return [np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1]) for path in sorted(folder.glob("*.png"))]


def _corners(xyxy: Any) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(each) for each in xyxy)
    return x1, y1, x2, y2
