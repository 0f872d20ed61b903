"""Appearances of a real clip, decoded and sampled by a scan; the model finds pure colours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import av
import cv2
import numpy as np
import pytest

from detector import ScanOptions
from detector.frame import SUSPECTED_OVERLAY, Boxes
from detector.models.letterbox import Square
from detector.scanner import Scanner

WIDTH, HEIGHT, RATE = 640, 360, 10
SHOT_SECONDS = 5
SHOTS = "ABACDEBF"
COLOURS = {"tank": (255, 0, 255), "mlrs": (0, 255, 0)}
TANK_AT = (200, 150, 300, 210)
LOGO_AT = (540, 20, 620, 60)


class ColourModel:
    """Finds upright rectangles of the colours of COLOURS."""

    name, sha256, backend_name, device = "colours", "0" * 64, "test", "cpu"
    second = None
    classes = tuple(COLOURS)
    thresholds = MappingProxyType({"tank": 0.4, "mlrs": 0.4})
    score_floor, input_size, smallest_side_px = 0.05, 416, 10.0

    def calibrate(self, class_name: str, score: float) -> float:
        return score

    def detect(self, images):
        return [self._on_square(image) if isinstance(image, Square) else self._boxes(image) for image in images]

    def _on_square(self, square):
        boxes = self._boxes(square.pixels)
        return replace(boxes, xyxy=square.placement.to_picture(boxes.xyxy))

    def _boxes(self, image):
        found = []
        for number, colour in enumerate(COLOURS.values()):
            near = (np.abs(image.astype(np.int16) - colour).max(axis=2) < 60).astype(np.uint8)
            count, _, stats, _ = cv2.connectedComponentsWithStats(near)
            for left, top, width, height, area in stats[1:count]:
                if area > 400:
                    found.append(((left, top, left + width, top + height), 0.9, number))
        return Boxes(
            np.array([box for box, _, _ in found], np.float32).reshape(-1, 4),
            np.array([score for _, score, _ in found], np.float32),
            np.array([number for _, _, number in found], np.int64),
        )


def background(letter: str) -> np.ndarray:
    """A view of its own: blocks of muted colours."""
    blocks = np.random.default_rng(ord(letter)).integers(40, 180, (6, 8, 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((HEIGHT // 6, WIDTH // 8, 1), np.uint8))


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """Shots A B A C …: a tank in A, and a logo burnt in everywhere."""
    path = tmp_path_factory.mktemp("clip") / "shots.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "18", "g": "20"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for letter in SHOTS:
            picture = background(letter)
            for box, colour in ((TANK_AT, "tank"), (LOGO_AT, "mlrs")):
                if colour == "mlrs" or letter == "A":
                    picture[box[1] : box[3], box[0] : box[2]] = COLOURS[colour]
            for _ in range(SHOT_SECONDS * RATE):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("options", [ScanOptions(), ScanOptions(plan="interval", cadence_seconds=0.5)], ids=str)
def test_an_object_that_comes_back_is_linked_and_a_logo_is_set_apart(clip, options):
    report = Scanner(ColourModel(), options).scan(clip).report
    first, second = report.shown
    assert [each.class_name for each in report.shown] == ["tank", "tank"]
    assert (first.continues, second.continues) == (None, first.id)
    assert (first.first_seen_s, second.first_seen_s) == pytest.approx((0.0, 10.0), abs=0.5)
    assert (first.last_seen_s, second.last_seen_s) == pytest.approx((5.0, 15.0), abs=0.6)
    assert first.confidence == pytest.approx(0.9, abs=0.01)
    assert first.best.sharpness is not None
    assert {each.class_name for each in report.overlays} == {"mlrs"}
    assert all(SUSPECTED_OVERLAY in each.flags for each in report.overlays)
    assert report.overlays[0].first_seen_s == 0.0 and report.overlays[-1].last_seen_s > 39
    assert (
        report.coverage.not_found_means and sum(e.samples for e in report.coverage.sampled) == report.coverage.samples
    )
