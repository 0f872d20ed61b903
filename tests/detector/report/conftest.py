"""A report as a scan would build it, small enough to read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import cv2
import numpy as np
import pytest

from detector.frame import Appearance, Detection
from detector.report import (
    AppearanceInfo,
    ClipInfo,
    CoverageInfo,
    ErrorInfo,
    ModelInfo,
    PlanInfo,
    Report,
    ScanInfo,
    UndecodedInfo,
)

WIDTH, HEIGHT = 1280, 720


def track(id: str, class_name: str, first: float, last: float, score: float = 0.9) -> Appearance:
    """An appearance with a detection at its start, in its middle (the best) and at its end."""
    box = (100.0, 200.5, 300.25, 400.125)
    detections = tuple(
        Detection(class_name, each, box, time)
        for each, time in ((score / 2, first), (score, (first + last) / 2), (score / 3, last))
    )
    return Appearance(id, class_name, score, detections, best=detections[1])


@pytest.fixture
def tracked() -> Callable[..., Appearance]:
    return track


@pytest.fixture
def make_report() -> Callable[..., Report]:
    def make(*appearances: Appearance, **clip: Any) -> Report:
        facts: dict[str, Any] = {
            "name": "patrol.mp4",
            "sha256": "ab" * 32,
            "bytes": 12_345_678,
            "container": "mov,mp4,m4a,3gp,3g2,mj2",
            "codec": "h264",
            "width": WIDTH,
            "height": HEIGHT,
            "duration_s": 185.0333333,
            "first_pts_s": 0.0,
        }
        return Report(
            clip=ClipInfo(**(facts | clip)),
            scan=ScanInfo(
                tool_version="0.1.0",
                model=ModelInfo(name="ordnance-n", sha256="cd" * 32),
                plan=PlanInfo(name="interval", options={"every_s": 1.0, "adaptive": False}),
                backend="onnxruntime",
                device="cpu",
                classes=("tow_launcher", "tank", "humvee"),
                thresholds={"tow_launcher": 0.4, "tank": 0.35, "humvee": 0.5},
                score_floor=0.05,
                started_at=datetime(2026, 7, 30, 12, 0, tzinfo=UTC),
                elapsed_s=12.3456789,
            ),
            appearances=tuple(AppearanceInfo.of(each, width=WIDTH, height=HEIGHT) for each in appearances),
            coverage=CoverageInfo(
                samples=186,
                frames_decoded=4600,
                decode_errors=3,
                promise_s=1.0,
                guarantee_s=1.04,
                longest_gap_s=1.04,
                longest_gap_at_s=59.96,
                undecoded=(UndecodedInfo(from_s=90.0, to_s=95.5, reason="3 damaged packets"),),
                statement="Anything visible for at least 1.04 s was sampled at least once.",
            ),
            errors=(ErrorInfo(code="video_error", message="3 packets were damaged."),),
        )

    return make


@pytest.fixture
def report(make_report: Callable[..., Report]) -> Report:
    return make_report(
        track("a1", "humvee", 12.0, 20.5, 0.71),
        track("a2", "tank", 14.0, 33.0, 0.64),
        track("a3", "tow_launcher", 148.1, 161.6, 0.91),
    )


@pytest.fixture
def thumbnails(report: Report) -> dict[str, bytes]:
    """Real JPEGs under the names that the report cites; each is a flat colour of its own."""
    names = [f"{each.id}-{kind}.jpg" for each in report.appearances for kind in ("frame", "crop")]
    return {
        name: cv2.imencode(".jpg", np.full((9, 16, 3), 40 * number, np.uint8))[1].tobytes()
        for number, name in enumerate(names)
    }
