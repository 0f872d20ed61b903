from __future__ import annotations

import hashlib
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

import datasets.demo
from datasets.demo.build import CLIP, TRUTH, Still, filmed, frame_times_ms
from datasets.demo.shots import SHOTS

FOLDER = Path(datasets.demo.__file__).parent
MAX_BYTES = 3_000_000
TOLERANCE_S = 0.02


@pytest.fixture(scope="module")
def truth() -> dict:
    return json.loads((FOLDER / TRUTH).read_text())


@pytest.fixture(scope="module")
def decoded() -> tuple[list[float], list[float]]:
    """PTS in seconds, and by how much each frame differs from the one before."""
    times, changes = [], []
    before = None
    with av.open(str(FOLDER / CLIP)) as container:
        for frame in container.decode(video=0):
            small = frame.reformat(80, 45, "gray").to_ndarray().astype(float)
            times.append(float(frame.pts * frame.time_base))
            changes.append(0.0 if before is None else float(np.abs(small - before).mean()))
            before = small
    return times, changes


def test_the_clip_is_the_one_that_the_truth_speaks_of(truth: dict) -> None:
    data = (FOLDER / CLIP).read_bytes()
    assert len(data) <= MAX_BYTES
    assert hashlib.sha256(data).hexdigest() == truth["sha256"]


def test_the_clip_is_small_h264_of_three_minutes(truth: dict) -> None:
    with av.open(str(FOLDER / CLIP)) as container:
        [video] = container.streams.video
        assert (video.codec_context.name, video.width, video.height) == ("h264", 640, 360)
        assert video.codec_context.pix_fmt == "yuv420p"
        assert container.duration / av.time_base == pytest.approx(truth["duration_s"], abs=0.001)
    assert truth["duration_s"] == pytest.approx(180.0, abs=0.1)


def test_the_frame_rate_is_truly_variable(decoded: tuple[list[float], list[float]], truth: dict) -> None:
    times, _ = decoded
    assert len(times) == truth["frames"]
    assert times[0] == 0
    steps = Counter(round((after - before) * 1000) for before, after in pairwise(times))
    assert min(steps) > 0
    assert len([step for step, count in steps.items() if count > 20]) >= 5


def test_the_launcher_first_shows_on_a_cut_at_2_28(decoded: tuple[list[float], list[float]], truth: dict) -> None:
    times, changes = decoded
    [launcher] = [one for one in truth["appearances"] if one["class"] == "tow_launcher"]
    assert launcher["first_seen_s"] == pytest.approx(148.0, abs=TOLERANCE_S)
    assert launcher["first_seen_s"] in truth["cuts_s"]
    first = int(np.argmin(np.abs(np.array(times) - 148.0)))
    assert times[first] == pytest.approx(148.0, abs=TOLERANCE_S)
    assert changes[first] > 5 * max(changes[first - 1], changes[first + 1])


def test_every_time_in_the_truth_is_a_frame_of_the_file(decoded: tuple[list[float], list[float]], truth: dict) -> None:
    times, changes = np.array(decoded[0]), np.array(decoded[1])
    told = [one[key] for one in truth["appearances"] for key in ("first_seen_s", "last_seen_s")]
    for moment in [*told, *truth["cuts_s"]]:
        assert np.abs(times - moment).min() < 0.001
    cuts = [int(np.argmin(np.abs(times - moment))) for moment in truth["cuts_s"]]
    assert set(np.argsort(changes)[-len(cuts) :].tolist()) == set(cuts)


def test_the_truth_is_what_the_script_says(truth: dict) -> None:
    assert [one["class"] for one in truth["appearances"]] == ["humvee", "tank", "tow_launcher"]
    assert all(before.end_ms == after.start_ms for before, after in pairwise(SHOTS))
    assert truth["frames"] == sum(len(frame_times_ms(shot)) for shot in SHOTS)


def test_the_camera_never_cuts_the_weapon_off() -> None:
    shot = next(shot for shot in SHOTS if shot.kind == "tank")
    image = np.zeros((720, 1280, 3), np.uint8)
    box = (260, 250, 960, 520)
    image[box[1] : box[3], box[0] : box[2]] = 255
    for _, frame in list(filmed(shot, Still(image, box)))[::20]:
        rows, columns = np.nonzero(frame[..., 0] > 128)
        assert columns.min() > 0 and columns.max() < frame.shape[1] - 1
        assert rows.min() > 0 and rows.max() < frame.shape[0] - 1
