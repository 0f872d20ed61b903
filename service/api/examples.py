"""Answers as the API's description shows them: of a scan of seven seconds out of the bundled clip."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

EXAMPLE_ID = "5f0c6f2d1b8e4a5c9d7e3f2a1b0c9d8e"
_BASE = f"/v1/scans/{EXAMPLE_ID}"
_PARTS = (
    *("clip", "events", "appearances", "detections", "verdicts", "still", "times"),
    *("verdicts.json", "verdicts.coco.json", "verdicts.yolo.zip"),
    *("report.json", "report.html", "report.csv", "report.vtt"),
)
_BOX: dict[str, Any] = {
    "box": [150.58, 131.1, 459.02, 283.05],
    "box_norm": [0.235281, 0.364156, 0.717213, 0.786248],
    "score": 0.8739,
}

SCAN: dict[str, Any] = {
    "id": EXAMPLE_ID,
    "state": "done",
    "clip": {
        "name": "humvee.mp4",
        "sha256": "cd54e991bb683268813484ba47ab492ad786d98e7527501f4ac7ee34a9320c1b",
        "bytes": 73750,
        "container": "mov,mp4,m4a,3gp,3g2,mj2",
        "codec": "h264",
        "width": 640,
        "height": 360,
        "duration_s": 7.162,
    },
    "options": {
        "model": "ordnance-n",
        "plan": "interval",
        "every_s": 2.0,
        "shortest_shot_s": None,
        "budget": None,
        "classes": None,
        "threshold": None,
    },
    "progress": {"position_s": 7.162, "starts_s": 0.12, "duration_s": 7.162, "samples": 4, "appearances": 1},
    "coverage": {
        "samples": 4,
        "near_identical": 0,
        "tiled": 0,
        "sampled": [
            {
                "from_s": 0.12,
                "from": "00:00:00.120",
                "to_s": 6.12,
                "to": "00:00:06.120",
                "samples": 4,
                "longest_step_s": 2.0,
            }
        ],
        "first_sample_s": 0.12,
        "last_sample_s": 6.12,
        "frames_decoded": 73,
        "decode_errors": 0,
        "promise_s": 2.0,
        "guarantee_s": 1.958,
        "longest_gap_s": 2.0,
        "longest_gap_at_s": 0.12,
        "longest_gap_at": "00:00:00.120",
        "unseen": [],
        "unseen_count": 0,
        "undecoded": [],
        "left_out": [],
        "shots": None,
        "shot_starts_s": [],
        "shots_unsampled": None,
        "longest_unsampled_shot": None,
        "smallest_object_px": 168.88,
        "statement": "Anything visible for longer than 1.96 s was sampled at least once (4 pictures looked at).",
        "not_found_means": "Not found means that the model recognised nothing on the pictures looked at: …",
    },
    "error": None,
    "created_at": "2026-12-01T03:18:56.570319Z",
    "started_at": "2026-12-01T03:18:56.717497Z",
    "finished_at": "2026-12-01T03:18:57.486701Z",
    "classes": {"humvee": 1},
    "reviewed": 0,
    "links": {"self": _BASE, **{part: f"{_BASE}/{part}" for part in _PARTS}},
}

APPEARANCE: dict[str, Any] = {
    "id": "a0001",
    "class": "humvee",
    "confidence": 0.9425,
    "first_seen_s": 0.12,
    "first_seen": "00:00:00.120",
    "last_seen_s": 6.12,
    "last_seen": "00:00:06.120",
    "peak_s": 0.12,
    "peak": "00:00:00.120",
    "flags": [],
    "continues": None,
    "best": {
        "pts_s": 6.12,
        "pts": "00:00:06.120",
        **_BOX,
        "sharpness": 303.6,
        "thumbnail": "thumbnails/a0001-frame.jpg",
        "crop": "thumbnails/a0001-crop.jpg",
    },
    "detections": [{"pts_s": 6.12, "pts": "00:00:06.120", **_BOX}],
    "number": 1,
    "links": {kind: f"{_BASE}/frames/1/{kind}" for kind in ("thumbnail", "crop", "review")},
}

DETECTION: dict[str, Any] = {
    "pts_s": 6.12,
    "class": "humvee",
    "score": 0.8739,
    "confidence": 0.9515,
    "box": _BOX["box"],
}

EVENTS = """id: 1
event: state
data: {"at": 1796095136.57, "state": "queued"}

id: 2
event: state
data: {"at": 1796095136.72, "state": "running"}

id: 3
event: progress
data: {"at": 1796095137.31, "position_s": 7.162, "duration_s": 7.162, "samples": 4, "finds": 1}

: ping - 2026-12-01 03:19:12.085091+00:00
"""


def show_examples(app: FastAPI) -> None:
    """Let the API's description hold these. FastAPI would leave out what is null in them."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        description = plain()
        for name, example in (("ScanOut", SCAN), ("AppearanceOut", APPEARANCE), ("DetectionOut", DETECTION)):
            description["components"]["schemas"][name]["examples"] = [example]
        return description

    app.openapi = described  # type: ignore[method-assign]
