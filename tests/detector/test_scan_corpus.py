"""Every file of the corpus, through the whole pipeline with a model that sees nothing: counts, times, errors."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

from detector.errors import VideoError
from detector.frame import Boxes
from detector.models.letterbox import Square
from detector.scanner import Scanner, ScanOptions
from detector.video.reading_cost import ReadingCost

DATA = os.environ.get("ORDNANCE_DATA")
CORPUS = Path(DATA or "") / "corpus"
JOINED = "mpegts__discont_back.ts"
ORIGIN_IS_CONTAINER_START = ("mpegts", "mpeg", "flv")
pytestmark = [
    pytest.mark.needs_data,
    pytest.mark.skipif(not DATA, reason="ORDNANCE_DATA is not set, so there is no corpus"),
]


class BlindModel:
    name, sha256, backend_name, device = "blind", "0" * 64, "none", "cpu"
    second = None
    classes, thresholds, score_floor = ("tank",), {"tank": 0.5}, 0.05
    input_size, smallest_side_px = 416, 12.0

    def __init__(self):
        self.seen = []

    def detect(self, images):
        self.seen += [hash((image.pixels if isinstance(image, Square) else image).tobytes()) for image in images]
        nothing = Boxes(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int64))
        return [nothing for _ in images]

    def calibrate(self, class_name, score):
        return score


def rows():
    if not DATA:
        return []
    with (CORPUS / "manifest_given.csv").open(newline="", encoding="utf-8") as lines:
        return [pytest.param(row, id=row["file"]) for row in csv.DictReader(lines)]


@pytest.fixture(scope="module")
def known_pts():
    pts = json.loads((CORPUS / "pts_given.json").read_text(encoding="utf-8"))
    # FFmpeg's own times: it takes the second recording, which begins 990 s before the first, for one after 26 hours.
    first, second = pts[JOINED][:75], pts[JOINED][75:]
    pts[JOINED] = [*first, *(time - second[0] + first[-1] + 0.04 for time in second)]
    return pts


def seconds_a_frame(row, known_pts):
    pts = known_pts.get(row["file"]) or [float(row["first_pts"]), float(row["last_pts"])]
    return max(float(np.median(np.diff(pts))) if len(pts) > 1 else 0.0, 0.04)


@pytest.mark.parametrize("row", rows())
def test_each_file_is_answered_as_its_manifest_row_says(row, known_pts):
    path = CORPUS / "given" / row["file"]
    scanner = Scanner(BlindModel(), ScanOptions(plan="every-frame"))
    if row["expect"].startswith("refuse"):
        with pytest.raises(VideoError) as refused:
            scanner.scan(path)
        assert path.name in str(refused.value)
        return
    report = scanner.scan(path).report
    expected = int(row["video_frames"])
    slack = 0 if row["expect"] == "decode" else round(expected * 0.05)
    assert abs(report.coverage.frames_decoded - expected) <= slack
    if row["expect"] == "decode with errors":
        assert report.errors
    if not row["first_pts"]:
        return
    start = float(row["container_start"] or 0) if row["format"] in ORIGIN_IS_CONTAINER_START else 0.0
    pts = known_pts.get(row["file"]) or [float(row["first_pts"]), float(row["last_pts"])]
    frame = seconds_a_frame(row, known_pts)
    assert report.coverage.first_sample_s == pytest.approx(min(pts) - start, abs=frame)
    assert report.coverage.last_sample_s == pytest.approx(max(pts) - start, abs=frame)


@pytest.mark.parametrize(
    "row", [each for each in rows() if each.values[0]["expect"] == "decode" and each.values[0]["first_pts"]]
)
def test_the_adaptive_plan_keeps_its_promise_with_the_pictures_of_a_full_read(row, known_pts, monkeypatch):
    path = CORPUS / "given" / row["file"]
    straight = BlindModel()
    Scanner(straight, ScanOptions(plan="every-frame")).scan(path)
    reports = []
    for seeks in (True, False):
        monkeypatch.setattr(ReadingCost, "is_seek_cheaper", lambda _cost, packets, seeks=seeks: seeks and packets > 0)
        model = BlindModel()
        reports.append(Scanner(model, ScanOptions()).scan(path).report)
        assert set(model.seen) <= set(straight.seen)
        assert len(model.seen) == reports[-1].coverage.samples - reports[-1].coverage.near_identical
    one, other = reports
    assert one.scan.plan.name == "adaptive"
    assert one.coverage.sampled == other.coverage.sampled
    if not one.coverage.undecoded:
        assert one.coverage.guarantee_s <= 1.0
