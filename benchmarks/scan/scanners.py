"""Ways to look through a whole clip. Every runner gets a clip's path; the model is loaded and warm before."""

from __future__ import annotations

import importlib.util
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.excerpt import DEMO, TANK
from benchmarks.infer.models import detect_by_hand, ultralytics_predict
from benchmarks.reading import opencv_images, squares
from benchmarks.stopwatch import Stopwatch
from benchmarks.time.contenders import NotMeasured
from benchmarks.turns import Contender, Runner, Took
from detector.looking import BATCH
from detector.models import Model, find_weights, load_model, read_manifest
from detector.models.manifest import MANIFEST_NAME
from detector.scanner import Scanner, ScanOptions
from detector.video import open_video

EVERY_FRAME, ADAPTIVE, KEYFRAMES = "ordnance, every frame", "ordnance, adaptive", "ordnance, keyframes only"
DECODING, INFERENCE = "ordnance's decoding alone", "ordnance's inference alone"
PREDICT = ("ultralytics predict, ONNX Runtime", "ultralytics predict, torch")
STRIDE = 25
PLANS = {EVERY_FRAME: "every-frame", ADAPTIVE: "adaptive", KEYFRAMES: "keyframes-only"}
EVERY_FRAME_BFLOAT16 = "ordnance, every frame, OpenVINO in bfloat16"


def contenders(model: str) -> tuple[Contender, ...]:
    """Our plans, also with the INT8 file where there is one, the two stages of a scan each by itself, and the peers."""
    small = int8_form(model)
    return (
        *(Contender(name, ordnance, {"model": model, "plan": plan}) for name, plan in PLANS.items()),
        *(
            Contender(f"{name}, INT8 file", ordnance, {"model": small, "plan": plan})
            for name, plan in PLANS.items()
            if small is not None
        ),
        Contender(EVERY_FRAME_BFLOAT16, ordnance, {"model": model, "plan": "every-frame", "backend": "openvino-bf16"}),
        Contender(DECODING, decoding, {"model": model}),
        Contender(INFERENCE, inference, {"model": model}),
        Contender(PREDICT[0], ultralytics, {"model": model, "runtime": "onnxruntime", "stride": 1}),
        Contender(PREDICT[1], ultralytics, {"model": model, "runtime": "torch", "stride": 1}),
        Contender(
            f"{PREDICT[0]}, vid_stride={STRIDE}",
            ultralytics,
            {"model": model, "runtime": "onnxruntime", "stride": STRIDE},
        ),
        Contender("OpenCV + ONNX Runtime by hand, every frame", by_hand, {"model": model}),
        Contender("PySceneDetect, shots alone", scenedetect),
    )


def int8_form(model: str) -> str | None:
    """What to ask for to get the INT8 file that was made from a model; None where its manifest lists none."""
    entry, path = find_weights(model)
    listed = read_manifest(path.parent / MANIFEST_NAME).models
    made = (each for each in listed if each.made_from == entry.name and each.precision == "int8")
    return next((str(path.parent / each.file) for each in made), None)


def ordnance(model: str, plan: str, backend: str = "auto") -> Runner:
    scanner = Scanner(_warm(model, backend), ScanOptions(plan=plan))

    def run(clip: Path) -> Took:
        with Stopwatch() as watch:
            report = scanner.scan(clip).report
        found = sorted({each.class_name for each in report.appearances})
        inferred = report.coverage.samples - report.coverage.near_identical
        counts = {"inferred": inferred, "finds": len(report.appearances)}
        return Took(watch.seconds, counts, found, watch.cpu_seconds)

    return run


def decoding(model: str) -> Runner:
    """Every frame in the model's square, as a scan of every frame reads it."""
    input_px = load_model(model, device="cpu").input_size

    def run(clip: Path) -> Took:
        with Stopwatch() as watch:
            pictures = sum(1 for _ in squares(clip, input_px))
        return Took(watch.seconds, {"decoded": pictures}, cpu_seconds=watch.cpu_seconds)

    return run


def inference(model: str) -> Runner:
    """The network and its boxes on every frame, decoded beforehand; decoding does not count."""
    loaded = _warm(model)

    def run(clip: Path) -> Took:
        watch, pictures = Stopwatch(), 0
        waiting = squares(clip, loaded.input_size)
        while group := list(islice(waiting, BATCH)):
            with watch:
                loaded.detect(group)
            pictures += len(group)
        return Took(watch.seconds, {"inferred": pictures}, cpu_seconds=watch.cpu_seconds)

    return run


def ultralytics(model: str, runtime: str, stride: int) -> Runner:
    predict = ultralytics_predict(model, runtime)
    list(predict(np.zeros((1080, 1920, 3), np.uint8)))

    def run(clip: Path) -> Took:
        with Stopwatch() as watch:
            # The boxes of every result are read, as whoever wants to know what is in the clip must.
            found = [result.boxes.cls.cpu().numpy() for result in predict(str(clip), vid_stride=stride)]
        return Took(watch.seconds, {"inferred": len(found)}, cpu_seconds=watch.cpu_seconds)

    return run


def by_hand(model: str) -> Runner:
    detect = detect_by_hand(model)
    detect(np.zeros((1080, 1920, 3), np.uint8), 0)

    def run(clip: Path) -> Took:
        with Stopwatch() as watch:
            found = [detect(image, number) for number, image in enumerate(opencv_images(clip))]
        return Took(watch.seconds, {"inferred": len(found)}, cpu_seconds=watch.cpu_seconds)

    return run


def scenedetect() -> Runner:
    if importlib.util.find_spec("scenedetect") is None:
        raise NotMeasured("not installed; pip install scenedetect-headless")
    from scenedetect import ContentDetector, detect

    def run(clip: Path) -> Took:
        with Stopwatch() as watch:
            shots = detect(str(clip), ContentDetector())
        return Took(watch.seconds, {"shots": max(1, len(shots))}, cpu_seconds=watch.cpu_seconds)

    return run


def _warm(model: str, backend: str = "auto") -> Model:
    loaded = load_model(model, device="cpu", backend=backend)
    loaded.detect([np.zeros((360, 640, 3), np.uint8)] * BATCH)
    # The network of the second view is made ready when a picture first shows something.
    with open_video(DEMO) as demo:
        loaded.detect([frame.image for _, frame in demo.frames_at([TANK[0]])])
    return loaded
