import os
import signal
import socket
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest

from detector.errors import (
    ClipNotFound,
    DecoderEnded,
    NotAVideo,
    TooLarge,
    TooLong,
    TooManyStreams,
    UnsupportedCodec,
    VideoError,
)
from detector.sampling.cuts import CutWatch
from detector.video import open_video
from detector.video.guard import GuardLimits, open_guarded

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the guard's limits are Linux's")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "e2e"))
    from made_clips import write_clip

    return write_clip(tmp_path_factory.mktemp("guard") / "bands.mp4", seconds=4.0)


def test_frames_are_those_of_an_unguarded_clip(clip):
    times = [0.0, 0.45, 1.0, 1.05, 3.0, 99.0]
    with open_video(clip) as plain, open_guarded(clip) as guarded:
        assert guarded.probe.duration_seconds == plain.probe.duration_seconds
        np.testing.assert_array_equal(guarded.probe.pts_seconds, plain.probe.pts_seconds)
        pairs = list(zip(plain.frames_at(times), guarded.frames_at(times), strict=True))
        for (target, one), (other_target, other) in pairs:
            assert (target, one.pts_seconds, one.is_keyframe) == (other_target, other.pts_seconds, other.is_keyframe)
            np.testing.assert_array_equal(one.image, other.image)
        assert len(list(guarded.frames())) == 40
        assert [f.pts_seconds for f in guarded.frames(keyframes_only=True)] == [
            f.pts_seconds for f in plain.frames(keyframes_only=True)
        ]


def test_cuts_are_watched_in_the_decoder_process(clip):
    plain_watch, guarded_watch = CutWatch(0.25), CutWatch(0.25)
    times = [1.0, 2.0, 3.0]
    with open_video(clip) as plain, open_guarded(clip) as guarded:
        plain_times = [frame.pts_seconds for _, frame in plain.frames_at(times, plain_watch)]
        assert [frame.pts_seconds for _, frame in guarded.frames_at(times, guarded_watch)] == plain_times
    assert guarded_watch.shots(4.0) == plain_watch.shots(4.0)


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ({"max_duration_seconds": 1.0}, TooLong),
        ({"max_pixels": 1000}, TooLarge),
        ({"max_streams": 0}, TooManyStreams),
        ({"codecs": ("vp9",)}, UnsupportedCodec),
    ],
)
def test_clips_beyond_the_limits_are_refused_in_a_sentence(clip, limits, error):
    with pytest.raises(error, match=r"bands\.mp4: .*; .*\.$"):
        open_guarded(clip, replace(GuardLimits(), **limits))


def test_what_is_no_clip_is_refused_as_without_a_guard(tmp_path):
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(NotAVideo, match="text file"):
        open_guarded(tmp_path / "text.mp4")
    with pytest.raises(ClipNotFound):
        open_guarded(tmp_path / "missing.mp4")


def test_a_killed_decoder_is_told_apart_from_a_crashed_one_and_the_next_reading_works(clip):
    with open_guarded(clip) as video:
        for number, by_clip in ((signal.SIGKILL, False), (signal.SIGSEGV, True)):
            frames = video.frames()
            next(frames)
            os.kill(video.pid, number)
            with pytest.raises(DecoderEnded) as ended:
                list(frames)
            assert ended.value.fault_of_clip is by_clip
            assert ended.value.code == "decoder_ended"
        assert len(list(video.frames())) == 40


def test_a_decoder_that_stalls_is_ended(clip):
    with open_guarded(clip, replace(GuardLimits(), stall_seconds=1.0)) as video:
        os.kill(video.pid, signal.SIGSTOP)
        with pytest.raises(DecoderEnded, match="nothing came from it"):
            list(video.frames())


def test_a_picture_that_needs_more_memory_than_allowed_is_an_error(clip, tmp_path):
    from made_clips import write_clip

    large = write_clip(tmp_path / "large.mp4", seconds=0.3, size=(4096, 4096))
    with pytest.raises(VideoError), open_guarded(large, replace(GuardLimits(), memory_bytes=300 * 1024**2)) as video:
        list(video.frames())


def test_the_decoder_ends_with_its_keeper(clip):
    script = f"""
        import os, time
        from detector.video.guard import open_guarded
        video = open_guarded({str(clip)!r})
        print(video.pid, flush=True)
        os._exit(0)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    pid = int(done.stdout)
    for _ in range(100):
        if not os.path.exists(f"/proc/{pid}"):
            return
        with open(f"/proc/{pid}/stat") as stat:
            if stat.read().rsplit(")", 1)[1].split()[0] == "Z":
                return
        import time

        time.sleep(0.1)
    raise AssertionError("the decoder process outlived its keeper")


LOCKED = """
    import os, socket, subprocess, sys
    from pathlib import Path
    from detector.video.guard_child import _lock_down
    limits = dict(memory_bytes=4 << 30, cpu_seconds=100, open_files=64)
    print(_lock_down(Path(sys.argv[1]), limits))
    def attempt(name, do):
        try:
            do()
            print(name, "done")
        except OSError as error:
            print(name, "refused")
    attempt("clip", lambda: open(sys.argv[1], "rb").read(1))
    attempt("other", lambda: open(sys.argv[2], "rb").read(1))
    attempt("passwd", lambda: open("/etc/passwd").read(1))
    attempt("write", lambda: open(sys.argv[1] + ".new", "wb"))
    attempt("socket", lambda: socket.socket())
    attempt("program", lambda: subprocess.run(["/bin/true"]))
    attempt("signal", lambda: os.kill(os.getppid(), 0))
"""


def test_the_process_can_read_the_clip_and_nothing_else(clip, tmp_path):
    (tmp_path / "neighbour.mp4").write_bytes(b"x")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LOCKED), str(clip), str(tmp_path / "neighbour.mp4")],
        capture_output=True,
        text=True,
        check=True,
    )
    enforced, *answers = done.stdout.splitlines()
    if "files" not in enforced or "network" not in enforced:
        pytest.skip(f"this kernel enforces only {enforced}")
    refused = [f"{name} refused" for name in ("other", "passwd", "write", "socket", "program", "signal")]
    assert answers == ["clip done", *refused]


def test_the_decoder_is_told_no_secret(clip, monkeypatch):
    monkeypatch.setenv("ORDNANCE_WEBHOOK_SECRET", "between-us")
    with open_guarded(clip) as video, open(f"/proc/{video.pid}/environ", "rb") as environ:
        assert b"between-us" not in environ.read()


def test_answers_that_make_no_sense_end_the_reading(clip):
    from detector.video import guard_wire as wire

    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"\xff" * 64)
        with pytest.raises(wire.WireBroken):
            wire.receive(ours, 1000)
    with open_video(clip) as video:
        header, columns = wire.pack_probe(video.probe)
    body = bytearray(b"".join(columns))
    for wrong in ({"packets": 7}, {"width": 0}, {"time_base": [1, 0]}, {"duration_seconds": float("nan")}):
        with pytest.raises(wire.WireBroken):
            wire.unpack_probe({**header, **wrong}, body, clip)
