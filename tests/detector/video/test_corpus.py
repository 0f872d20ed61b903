"""Every given corpus file is answered as its manifest row says."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

from detector.errors import NoDecodableFrame, NotAVideo, NoVideoStream, VideoError
from detector.video import open_video

pytestmark = pytest.mark.needs_data

TIME_TOLERANCE_SECONDS = 0.001
DAMAGED_COUNT_TOLERANCE = 0.05
JOINED = "mpegts__discont_back.ts"
NO_ZERO_FORMATS = ("mpegts", "mpeg", "flv")
REFUSALS: dict[str, type[VideoError]] = {
    "refuse: no video stream": NoVideoStream,
    "refuse: no decodable frame": NoDecodableFrame,
    "refuse: InvalidDataError": NotAVideo,
    "refuse: playlist": NotAVideo,
    "refuse or decode by Pillow": NotAVideo,
}


def corpus_rows() -> list[dict[str, str]]:
    manifest = Path(os.environ.get("ORDNANCE_DATA", "")) / "corpus" / "manifest_given.csv"
    if not manifest.is_file():
        return []
    with manifest.open(newline="") as file:
        return list(csv.DictReader(file))


ROWS = corpus_rows()
DECODED = [row for row in ROWS if row["expect"].startswith("decode")]
INTACT = [row for row in DECODED if row["expect"] == "decode" and row["kind"] != "huge_dims"]
REFUSED = [row for row in ROWS if not row["expect"].startswith("decode")]


def name_of(row: dict[str, str]) -> str:
    return row["file"]


@pytest.fixture(scope="session")
def true_times(ordnance_data: Path) -> dict[str, list[float]]:
    times: dict[str, list[float]] = json.loads((ordnance_data / "corpus" / "pts_given.json").read_text())
    # FFmpeg's own times: it takes the second recording, which begins 990 s before the first, for one after 26 hours.
    first, second = times[JOINED][:75], times[JOINED][75:]
    times[JOINED] = [*first, *(time - second[0] + first[-1] + 0.04 for time in second)]
    return times


def test_every_row_is_looked_at(ordnance_data: Path) -> None:
    assert len(DECODED) + len(REFUSED) == 75


@pytest.mark.parametrize("row", DECODED, ids=name_of)
def test_decodes(row: dict[str, str], ordnance_data: Path, true_times: dict[str, list[float]]) -> None:
    raw = [time for time in true_times[row["file"]] if time is not None] or [0.0]
    start = float(row["container_start"]) if row["format"] in NO_ZERO_FORMATS else 0.0
    truth = sorted(time - start for time in raw)

    with open_video(ordnance_data / "corpus" / "given" / row["file"]) as video:
        width, height = video.probe.width, video.probe.height
        times = []
        for frame in video.frames():
            times.append(frame.pts_seconds)
            assert frame.image.shape == (height, width, 3)
        errors = video.errors

    assert f"{width}x{height}" == row["display_wh"]
    assert times == sorted(times)
    assert times[0] == pytest.approx(truth[0], abs=TIME_TOLERANCE_SECONDS)
    assert times[-1] == pytest.approx(truth[-1], abs=TIME_TOLERANCE_SECONDS)
    assert video.probe.duration_seconds > times[-1]
    if row["expect"] == "decode with errors":
        assert len(times) == pytest.approx(int(row["video_frames"]), rel=DAMAGED_COUNT_TOLERANCE)
        assert errors
    else:
        assert len(times) == int(row["video_frames"])
        assert video.decode_errors == 0
        assert [error.decoded for error in errors] in ([], [False])
        assert times == pytest.approx(truth, abs=max(TIME_TOLERANCE_SECONDS, float(row["max_gap_s"])))


def test_intact_files_are_not_reported_as_damaged(ordnance_data: Path) -> None:
    """The two `decode` rows with a problem have one: a missing first keyframe, and an end that was cut off."""
    reported = {}
    for row in INTACT:
        with open_video(ordnance_data / "corpus" / "given" / row["file"]) as video:
            for _ in video.frames(lambda pts_seconds, is_keyframe: False):
                pass
            if video.errors:
                reported[row["file"]] = [error.reason for error in video.errors]
    assert reported == {
        "broken_refs__fate_mp4-init-nonkeyframe.mp4": ["91 pictures could not be decoded"],
        "truncated__webm_70pct.webm": ["the file is cut off here"],
    }


@pytest.mark.parametrize("row", [row for row in INTACT if int(row["video_frames"]) > 1], ids=name_of)
def test_chosen_times_and_keyframes_are_those_of_reading_straight(row: dict[str, str], ordnance_data: Path) -> None:
    with open_video(ordnance_data / "corpus" / "given" / row["file"]) as video:
        targets = np.linspace(0, video.probe.duration_seconds, 9)
        answers = {frame.pts_seconds: frame.image for _, frame in video.frames_at(targets)}
        keyframes = [frame.pts_seconds for frame in video.frames(keyframes_only=True)]
        times = []
        decoder_keyframes = []

        def wanted(pts_seconds: float, is_keyframe: bool) -> bool:
            times.append(pts_seconds)
            if is_keyframe:
                decoder_keyframes.append(pts_seconds)
            return pts_seconds in answers and times.count(pts_seconds) == 1

        for frame in video.frames(wanted):
            assert np.array_equal(frame.image, answers[frame.pts_seconds])

    due = {next((time for time in times if time >= target - 1e-6), times[-1]) for target in targets}
    assert set(answers) == due
    assert keyframes == (decoder_keyframes or times[:1])


@pytest.mark.parametrize("row", REFUSED, ids=name_of)
def test_refuses(row: dict[str, str], ordnance_data: Path) -> None:
    expected = next(error for start, error in REFUSALS.items() if row["expect"].startswith(start))
    with (
        pytest.raises(expected) as caught,
        open_video(ordnance_data / "corpus" / "given" / row["file"]) as video,
    ):
        next(video.frames())
    message = str(caught.value)
    assert message.startswith(row["file"] + ": ")
    assert message.endswith(".")
    assert "\n" not in message
