"""Other tools: ultralytics' `predict` on every frame with our weights, and openmoderate as it comes."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.time.contenders import ANY_CLASS, TIMED_ONLY, Contender, Found, Job, NotMeasured, Outcome
from benchmarks.time.pictures import Box
from benchmarks.time.truth import Truth, read_truth
from detector.models.backend import available_threads
from detector.models.manifest import find_weights, read_weights
from detector.models.offline import import_ultralytics

KEPT_SHARE = 0.5
"""Boxes count down to this share of the class's threshold, as those of an appearance do in our reports."""
STRICTER = tuple(round(1 + step / 20, 2) for step in range(1, 41))
"""How many times as high thresholds are tried for a peer, so that it can be compared at as few made up appearances."""
GROUP_GAP_SECONDS = 2.0
"""Peers report boxes, not appearances: those of a class that lie no further apart make one."""
OPENMODERATE_CATEGORY = "weapons"
WARM_RUNS = 3


class UltralyticsRunner:
    """`YOLO.predict(clip, stream=True)` on every frame, with the weights of our ONNX file.

    `onnxruntime` gives ultralytics the ONNX file itself; `torch` its own network filled from that file. It picks the
    picture's shape itself: a 16:9 frame goes in as a rectangle, with fewer pixels than our square.
    """

    def __init__(self, contender: Contender, model: str, device: str) -> None:
        # ultralytics sets this to 1 at import unless it is set; the peer may have all processors, as we have.
        os.environ["OMP_NUM_THREADS"] = str(available_threads())
        try:
            ultralytics = import_ultralytics()
            import torch
        except ImportError as error:
            raise NotMeasured(f"not installed ({error.name}); pip install 'ordnance[bench]'") from error
        self._entry, path = find_weights(model)
        self._runtime = contender.runtime
        self._device = "cpu" if device == "auto" and not torch.cuda.is_available() else device
        if contender.runtime == "onnxruntime":
            self._yolo = ultralytics.YOLO(str(path), task="detect")
        else:
            self._yolo = torch_yolo(ultralytics, self._entry, read_weights(self._entry, path))
        self._version = ultralytics.__version__
        self._confidence = KEPT_SHARE * min(self._entry.thresholds.values())
        self._threads = self._fastest_threads(torch)

    def facts(self) -> dict[str, object]:
        return {"ultralytics": self._version, "threads": self._threads, "confidence": self._confidence}

    def run(self, job: Job) -> Outcome:
        if job.mode != "scan":
            raise NotMeasured(f"a peer has no {job.mode} run")
        started = time.perf_counter()
        frames, inference = [], 0.0
        for result in self._predict(str(job.clip)):
            inference += result.speed["inference"] / 1000
            boxes = result.boxes
            frames.append((boxes.xyxy.cpu().numpy(), boxes.conf.cpu().numpy(), boxes.cls.cpu().numpy()))
        seconds = time.perf_counter() - started
        truth = read_truth(job.truth)
        return Outcome(
            found=self._appearances(frames, truth, 1.0),
            inferred=len(frames),
            seconds=seconds,
            inference_seconds=inference,
            frames_decoded=len(frames),
            own_times=_times_by_rate(job.clip, truth),
            stricter={times: self._appearances(frames, truth, times) for times in STRICTER},
        )

    def _fastest_threads(self, torch: Any) -> int:
        """How many threads to give torch: all processors or one, whichever is faster here, once it is warm."""
        picture = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
        list(self._predict(picture))
        fastest = {}
        for threads in sorted({1, available_threads()}):
            torch.set_num_threads(threads)
            list(self._predict(picture))
            fastest[threads] = min(self._seconds(picture) for _ in range(WARM_RUNS))
        chosen = min(fastest, key=lambda threads: fastest[threads])
        torch.set_num_threads(chosen)
        return chosen if self._runtime == "torch" else available_threads()

    def _seconds(self, picture: np.ndarray) -> float:
        started = time.perf_counter()
        list(self._predict(picture))
        return time.perf_counter() - started

    def _predict(self, source: object) -> Any:
        return self._yolo.predict(
            source,
            stream=True,
            imgsz=self._entry.input_size,
            conf=self._confidence,
            device=self._device,
            verbose=False,
            save=False,
        )

    def _appearances(self, frames: list[tuple[Any, Any, Any]], truth: Truth, times: float) -> tuple[Found, ...]:
        """Boxes grouped by class; each frame gets the PTS of the frame with its number, which predict does not tell.

        Thresholds are `times` those of the model.
        """
        thresholds = {name: times * threshold for name, threshold in self._entry.thresholds.items()}
        runs: dict[str, deque[tuple[float, Box, float]]] = {}
        for pts, (boxes, scores, classes) in zip(truth.pts_seconds, frames, strict=False):
            for box, score, class_id in zip(boxes, scores, classes, strict=True):
                name = self._entry.classes[int(class_id)]
                if score >= KEPT_SHARE * thresholds[name]:
                    runs.setdefault(name, deque()).append((pts, tuple(map(float, box)), float(score)))
        return grouped(runs, thresholds)


def grouped(
    boxes: Mapping[str, Sequence[tuple[float, Box | None, float]]], thresholds: Mapping[str, float]
) -> tuple[Found, ...]:
    """Each class's (PTS, box, score), ascending in time, cut at gaps; groups that never reach the threshold go."""
    found = []
    for name, rest in boxes.items():
        group: list[tuple[float, Box, float]] = []
        for each in (*rest, None):
            if group and (each is None or each[0] - group[-1][0] > GROUP_GAP_SECONDS):
                if any(score >= thresholds[name] for _, _, score in group):
                    found.append(Found(name, tuple((pts, box) for pts, box, _ in group)))
                group = []
            if each is not None:
                group.append(each)
    return tuple(found)


def torch_yolo(ultralytics: Any, entry: Any, content: bytes) -> Any:
    from detector.models.ultralytics_torch import UltralyticsTorch

    network = UltralyticsTorch(content, entry, device="cpu", threads=available_threads()).network
    network.names = dict(enumerate(entry.classes))
    yolo = ultralytics.YOLO(f"{entry.architecture}.yaml", task="detect", verbose=False)
    yolo.model = network
    return yolo


def _times_by_rate(clip: Path, truth: Truth) -> dict[float, float]:
    """For every PTS, the time that a user of OpenCV computes: frame number over the header's frame rate."""
    import cv2

    capture = cv2.VideoCapture(str(clip))
    rate = capture.get(cv2.CAP_PROP_FPS) or 25.0
    capture.release()
    return {pts: number / rate for number, pts in enumerate(truth.pts_seconds)}


class OpenmoderateRunner:
    """`openmoderate.Moderator.analyze_video` at its default of one frame a second.

    It judges whole frames ("weapons" or not) and knows neither boxes nor our classes; its times are what it says.
    Nothing is fetched during a benchmark: where its CLIP weights are not on the machine, the same network without
    training is run for the clock alone, and what it finds is not counted.
    """

    def __init__(self) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"
        try:
            import cv2  # noqa: F401  # its video part needs it
            import open_clip  # noqa: F401
            from openmoderate import Moderator
            from openmoderate.engine import ClipEngine
        except ImportError as error:
            raise NotMeasured(f"not installed ({error.name}); pip install 'openmoderate[video]'") from error
        self._why_untrained = ""
        self._moderator = Moderator(categories=[OPENMODERATE_CATEGORY], device="cpu")
        try:
            self._moderator.score_images([_blank_picture()])
        except Exception as error:
            self._why_untrained = str(error).partition(". ")[0] or type(error).__name__
            network = ClipEngine(self._moderator.config.model_name, pretrained="", device="cpu")
            self._moderator = Moderator(categories=[OPENMODERATE_CATEGORY], engine=network)
            self._moderator.score_images([_blank_picture()])

    def facts(self) -> dict[str, object]:
        facts: dict[str, object] = {
            "openmoderate": version("openmoderate"),
            "network": self._moderator.config.model_name,
            "category": OPENMODERATE_CATEGORY,
            "boxes": False,
        }
        if self._why_untrained:
            facts[TIMED_ONLY] = (
                "only timed, without trained weights: its own are not on this machine and are not fetched "
                f"({self._why_untrained})"
            )
        return facts

    def run(self, job: Job) -> Outcome:
        if job.mode != "scan":
            raise NotMeasured(f"a peer has no {job.mode} run")
        started = time.perf_counter()
        result = self._moderator.analyze_video(str(job.clip), keep_frame_scores=True)
        seconds = time.perf_counter() - started
        truth = read_truth(job.truth)
        scores = [] if self._why_untrained else result.frame_scores or []
        threshold = self._moderator.thresholds[OPENMODERATE_CATEGORY]
        own = _times_by_rate(job.clip, truth)
        flagged = deque()
        for frame in scores:
            pts = min(own, key=lambda pts, at=frame["time"]: abs(own[pts] - at))
            score = float(frame["scores"][OPENMODERATE_CATEGORY])
            if score >= threshold:
                flagged.append((pts, None, score))
        return Outcome(
            found=grouped({ANY_CLASS: flagged}, {ANY_CLASS: threshold}),
            inferred=result.frames_analyzed,
            seconds=seconds,
            inference_seconds=None,
            own_times=own,
        )


def _blank_picture() -> Any:
    from PIL import Image

    return Image.new("RGB", (64, 64))
