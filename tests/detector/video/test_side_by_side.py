"""What several decoders read side by side is what one reads alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.errors import OrdnanceError
from detector.sampling.adaptive import Adaptive
from detector.sampling.cuts import CutWatch
from detector.sampling.plan import Timeline
from detector.video import Probe, Readable, open_side_by_side, open_video, side_by_side
from detector.video.limits import SEEK_COST_PACKETS
from detector.video.reading_cost import ReadingCost

from .clips import HEIGHT, WIDTH, MakeClip, call_every_packet_a_keyframe, damage_packets, number_shown
from .test_corpus import DECODED, name_of

DECODERS = 3
SHORTEST_SHOT_SECONDS = 0.2


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts as short as can be, so that a clip has many."""
    monkeypatch.setattr(side_by_side, "LEAST_PACKETS", 1)
    monkeypatch.setattr(side_by_side, "LEAST_KEYFRAMES", 1)
    monkeypatch.setattr(side_by_side, "PARTS_A_DECODER", 10_000)


def coarse_times(probe: Probe) -> tuple[float, ...]:
    timeline = Timeline(probe.pts_seconds, probe.is_keyframe, probe.duration_seconds)
    return Adaptive(1.0, SHORTEST_SHOT_SECONDS, {}, 512).first(timeline).times or ()


def keyframes(video: Readable) -> list[Any]:
    return [(frame.pts_seconds, frame.image.tobytes()) for frame in video.frames(keyframes_only=True)]


def every_third(video: Readable) -> list[Any]:
    times = video.probe.pts_seconds[::3].tolist()
    return [(target, frame.pts_seconds, frame.image.tobytes()) for target, frame in video.frames_at(times)]


def coarse_pass(video: Readable) -> list[Any]:
    watch = CutWatch(SHORTEST_SHOT_SECONDS)
    times = coarse_times(video.probe)
    seen = [(target, frame.pts_seconds, frame.image.tobytes()) for target, frame in video.frames_at(times, watch)]
    return [*seen, watch.shots(video.probe.duration_seconds)]


READINGS = (keyframes, every_third, coarse_pass)
Reading = Callable[[Readable], list[Any]]


def answers(video: Readable, reading: Reading) -> tuple[list[Any], list[Any]]:
    """What reading brings, or the refusal, and what it reports as damaged."""
    try:
        brought = reading(video)
    except OrdnanceError as error:
        brought = [error.code, str(error)]
    return brought, video.errors


def assert_alike(path: Path, reading: Reading) -> int:
    """Reads with one decoder and with several; returns how many were at work at the end."""
    with open_video(path) as alone, open_side_by_side(path, decoders=DECODERS) as beside:
        expected, errors = answers(alone, reading)
        found, found_errors = answers(beside, reading)
        assert found == expected
        assert found_errors == errors
        return beside.decoders


@pytest.mark.needs_data
@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("row", DECODED, ids=name_of)
def test_corpus_files_read_as_by_one_decoder(row: dict[str, str], reading: Reading, ordnance_data: Path) -> None:
    assert_alike(ordnance_data / "corpus" / "given" / row["file"], reading)


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.avi"])
def test_several_decoders_read_a_whole_clip(make_clip: MakeClip, name: str, reading: Reading) -> None:
    bframes = 0 if name.endswith(".avi") else 2
    assert assert_alike(make_clip(name, frames=300, gop=20, bframes=bframes), reading) == DECODERS


def scenes(number: int) -> NDArray[np.uint8]:
    """A picture that changes at a time of its own every few frames, at keyframes and between them."""
    rng = np.random.default_rng((number * 7 + number % 3) // 61)
    coarse = rng.integers(0, 256, (4, 6, 3), np.uint8)
    return np.ascontiguousarray(np.kron(coarse, np.ones((HEIGHT // 4, WIDTH // 6, 1), np.uint8)))


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("gop", [40, 60, 100])
def test_cuts_are_those_that_one_decoder_sees(make_clip: MakeClip, gop: int) -> None:
    path = make_clip(frames=240, gop=gop, picture=scenes)
    with open_video(path) as video:
        *samples, shots = coarse_pass(video)
        assert len(shots) > 10
        assert len(samples) > len(coarse_times(video.probe))
    assert assert_alike(path, coarse_pass) == DECODERS


@pytest.mark.parametrize("reading", [every_third, coarse_pass])
def test_one_decoder_reads_on_from_the_first_damage(make_clip: MakeClip, reading: Reading) -> None:
    path = damage_packets(make_clip(frames=400, gop=20, bframes=0), range(195, 206))
    assert assert_alike(path, reading) == 1
    with open_side_by_side(path, decoders=DECODERS) as video:
        before = answers(video, reading)
        assert before[1]
        assert answers(video, reading) == before


def test_an_end_that_was_cut_off_is_read_by_one_decoder(make_clip: MakeClip) -> None:
    path = make_clip("clip.mkv", frames=300, gop=25)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    assert assert_alike(path, every_third) == 1


def test_a_container_that_lies_about_keyframes_is_read_by_one_decoder(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine on which seeks were measured to be dear reads on instead, and learns of no lie.
    monkeypatch.setattr(ReadingCost, "is_seek_cheaper", lambda _cost, packets: packets > SEEK_COST_PACKETS)
    path = call_every_packet_a_keyframe(make_clip(codec="mpeg4", frames=300, gop=100))
    assert assert_alike(path, every_third) == 1


def test_the_same_clip_is_read_again_and_again(make_clip: MakeClip) -> None:
    with open_side_by_side(make_clip(frames=300, gop=25), decoders=DECODERS) as video:
        first = every_third(video)
        assert keyframes(video) == keyframes(video)
        assert every_third(video) == first
        assert [number_shown(frame.image) for frame in video.frames()] == list(range(300))
        assert every_third(video) == first
        assert video.decoders == DECODERS


def decode_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("decode")}


def begun(video: Readable) -> Iterator[Any]:
    reading = iter(video.frames_at(video.probe.pts_seconds.tolist()))
    next(reading)
    return reading


def test_a_reading_that_nobody_ends_ends_with_the_next(make_clip: MakeClip) -> None:
    with open_side_by_side(make_clip(frames=300, gop=25), decoders=DECODERS) as video:
        reading = begun(video)
        assert keyframes(video)
        with pytest.raises(RuntimeError, match="this reading ended"):
            next(reading)


def test_closing_the_clip_or_the_reading_leaves_no_thread(make_clip: MakeClip) -> None:
    path = make_clip(frames=300, gop=25)
    before = decode_threads()
    with open_side_by_side(path, decoders=DECODERS) as video:
        reading = begun(video)
        assert decode_threads() > before
        del reading
        assert decode_threads() == before
        reading = begun(video)
    assert decode_threads() == before
    with pytest.raises(RuntimeError, match="this reading ended"):
        next(reading)
    with pytest.raises(ValueError, match="is closed"):
        video.frames_at([0.0])


def test_few_pictures_wait(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for a picture of each part, what was decoded is soon no more than that ahead of what was taken."""
    path = make_clip(frames=500, gop=25)
    monkeypatch.setattr(side_by_side, "WAITING_BYTES", 1)
    with open_side_by_side(path, decoders=2) as video:
        times = video.probe.pts_seconds.tolist()
        for taken, _ in enumerate(video.frames_at(times), start=1):
            assert video.frames_decoded <= taken + 2 * 25 + 50
        assert taken == 500
