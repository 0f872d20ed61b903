import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
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
from detector.video import guard_memory, open_video
from detector.video import guard_wire as wire
from detector.video.guard import GuardLimits, open_guarded
from detector.video.guard_process import Decoders
from detector.video.timed import OutOfTime, TimedWatch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the guard's limits are Linux's")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "e2e"))
    from made_clips import write_clip

    return write_clip(tmp_path_factory.mktemp("guard") / "bands.mp4", seconds=4.0)


def test_reading_ends_at_a_deadline_and_the_next_one_is_whole(clip):
    times = [0.0, 1.0, 2.0, 3.0]
    watch = CutWatch(0.5)
    with open_guarded(clip) as guarded:
        with pytest.raises(OutOfTime):
            list(guarded.frames_at(times, TimedWatch(time.monotonic(), watch)))
        for inner in (watch, None):
            timed = TimedWatch(time.monotonic() + 60, inner)
            assert [frame.pts_seconds for _, frame in guarded.frames_at(times, timed)] == times
    assert vars(watch)["_seen_seconds"] >= 3.0


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


def test_cuts_that_are_known_are_not_told_again(make_clip, monkeypatch):
    """A clip that flickers for hours has so many that no message would hold them all."""
    looks = np.random.default_rng(5).integers(0, 255, (2, 6, 8, 3), np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    clip = make_clip(frames=1000, gop=1000, bframes=0, size=(64, 48), picture=lambda number: looks[number % 2])
    plain_watch, guarded_watch = CutWatch(0.25), CutWatch(0.25)
    monkeypatch.setattr(wire, "MAX_HEADER_BYTES", 10_000)
    with open_video(clip) as plain, open_guarded(clip) as guarded:
        for start in range(0, 40, 4):
            times = [float(each) for each in range(start, start + 4)]
            for video, watch in ((plain, plain_watch), (guarded, guarded_watch)):
                assert len(list(video.frames_at(times, watch))) >= 4
    assert len(guarded_watch.shots(40.0)) > 900
    assert guarded_watch.shots(40.0) == plain_watch.shots(40.0)


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


@pytest.fixture(scope="module")
def joined(clip):
    """100 s of 720p, ten recordings end to end, so that there is no seeking in it."""
    from made_clips import write_clip

    one = write_clip(clip.with_name("one.ts"), seconds=10.0, size=(1280, 720), rate=30)
    path = clip.with_name("joined.ts")
    path.write_bytes(10 * one.read_bytes())
    return path


def test_a_decoder_that_has_used_up_its_processor_time_is_no_victim_of_somebody_else(joined):
    with (
        open_guarded(joined, replace(GuardLimits(), cpu_seconds=1)) as video,
        pytest.raises(DecoderEnded, match="more than 1 s of processor time") as ended,
    ):
        list(video.frames())
    assert ended.value.fault_of_clip


def test_a_decoder_on_a_long_way_is_not_taken_for_one_that_stalls(joined):
    """Where a clip cannot be sought, the way begins at its start, and brings nothing for as long as it is."""
    with open_guarded(joined, replace(GuardLimits(), stall_seconds=0.6)) as video:
        assert video.probe.times == "joined"
        ((target, frame),) = video.frames_at([99.0])
        assert frame.pts_seconds == pytest.approx(target, abs=0.1)
        assert not video.is_seekable


def test_a_decoder_that_stalls_is_ended(clip):
    with open_guarded(clip, replace(GuardLimits(), stall_seconds=1.0)) as video:
        os.kill(video.pid, signal.SIGSTOP)
        with pytest.raises(DecoderEnded, match="nothing came from it"):
            list(video.frames())


def test_a_picture_that_needs_more_memory_than_allowed_is_an_error(clip, tmp_path):
    from made_clips import write_clip

    large = write_clip(tmp_path / "large.mp4", seconds=0.3, size=(4096, 4096))
    with pytest.raises(VideoError), open_guarded(large, replace(GuardLimits(), memory_bytes=200 * 1024**2)) as video:
        list(video.frames())


def test_decoder_and_template_end_with_their_keeper(clip):
    script = f"""
        import os, signal
        from detector.video.guard import open_guarded
        from detector.video.guard_process import Decoders
        decoders = Decoders()
        video = open_guarded({str(clip)!r}, None, decoders)
        frames = video.frames()
        next(frames)
        print(video.pid, decoders.template_pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    pids = [int(each) for each in done.stdout.split()]
    assert len(pids) == 2
    wait_until(lambda: not any(is_running(pid) for pid in pids))


def test_many_clips_at_a_time_share_a_template_which_leaves_no_zombie(clip):
    with Decoders() as decoders, ThreadPoolExecutor(4) as threads:

        def read(_):
            with open_guarded(clip, None, decoders) as video:
                return video.pid, len(list(video.frames()))

        found = list(threads.map(read, range(12)))
        assert {count for _, count in found} == {40}
        assert len({pid for pid, _ in found}) == 12
        assert children_of(decoders.template_pid) == []
        template = decoders.template_pid
    assert not os.path.exists(f"/proc/{template}")


def test_a_killed_template_is_started_again(clip):
    before = children_of(os.getpid())
    with Decoders() as decoders:
        first = decoders.template_pid
        with open_guarded(clip, None, decoders) as video:
            frames = video.frames()
            next(frames)
            os.kill(first, signal.SIGKILL)
            with pytest.raises(DecoderEnded) as ended:
                list(frames)
            assert ended.value.fault_of_clip is False
            assert len(list(video.frames())) == 40
            assert decoders.template_pid != first
    assert children_of(os.getpid()) == before


def test_a_template_serves_only_so_many_clips(clip, monkeypatch):
    before = children_of(os.getpid())
    monkeypatch.setattr("detector.video.guard_process.FORKS_OF_A_TEMPLATE", 2)
    with Decoders() as decoders:
        templates = []
        with open_guarded(clip, None, decoders) as held:
            frames = held.frames()
            next(frames)
            for _ in range(4):
                with open_guarded(clip, None, decoders):
                    templates.append(decoders.template_pid)
            assert len(set(templates)) == 3
            assert len(list(frames)) == 39
        open_guarded(clip, None, decoders).close()
    assert children_of(os.getpid()) == before


def test_a_decoder_is_forked_with_one_thread_and_nothing_open_but_its_connection(clip):
    with (
        Decoders() as decoders,
        open_guarded(clip, None, decoders) as other,
        open_guarded(clip, None, decoders) as video,
    ):
        for pid in (decoders.template_pid, video.pid, other.pid):
            assert len(os.listdir(f"/proc/{pid}/task")) == 1
        if os.geteuid() != 0:
            pytest.skip("only root may look at what a decoder has open")
        sockets = [os.readlink(f"/proc/{video.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{video.pid}/fd")]
        assert len([each for each in sockets if each.startswith("socket")]) == 1


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return children.read().split()


def wait_until(is_so):
    for _ in range(100):
        if is_so():
            return
        time.sleep(0.1)
    raise AssertionError("a decoder process outlived its keeper")


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
    for nonsense in (bytes(7), np.array([np.nan]).tobytes(), bytes(8 * (wire.MAX_FAILED + 1))):
        with pytest.raises(wire.WireBroken):
            wire.unpack_failed(bytearray(nonsense))


def test_pictures_go_through_memory_that_the_decoder_can_neither_shrink_nor_fill_in_use():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        places = guard_memory.share(ours, 6000)
        order, _ = wire.receive(theirs, 0)
        _, (handle,), _, _ = socket.recv_fds(theirs, 1, 1)
        with pytest.raises(OSError):
            os.ftruncate(handle, 0)
        os.close(handle)
        places.close()

        places = guard_memory.share(ours, 6000)
        outlet = guard_memory.Outlet(theirs)
        outlet.receive_memory(wire.receive(theirs, 0)[0])
        sent = [np.full((60, 100), number, np.uint8) for number in range(3 * order["count"])]
        done = threading.Event()

        def send_all():
            for picture in sent:
                outlet.send({}, [picture[:40], picture[40:]])
            outlet.settle()
            done.set()

        threading.Thread(target=send_all, daemon=True).start()
        for number in range(len(sent)):
            time.sleep(0.02)
            header, body = wire.receive(ours, 0)
            assert not body
            np.testing.assert_array_equal(places.take(header["place"], header["bytes"]), sent[number].ravel())
            assert not done.is_set()
            guard_memory.tell_taken(ours)
        assert done.wait(10)


@pytest.mark.parametrize("order", [(9, 10), (-1, 10), (0, 0), (0, 10**9), ("0", 10), (0, 1.5), (None, None)])
def test_a_decoder_that_names_a_place_that_is_none_is_not_believed(order):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        places = guard_memory.share(ours, 6000)
        with pytest.raises(wire.WireBroken):
            places.take(*order)


def test_a_picture_larger_than_its_place_follows_the_message():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        outlet = guard_memory.Outlet(theirs)
        guard_memory.share(ours, 100)
        outlet.receive_memory(wire.receive(theirs, 0)[0])
        picture = np.arange(90 * 90 * 3, dtype=np.uint32).astype(np.uint8)
        outlet.send({"shape": [90, 90, 3]}, [picture])
        header, body = wire.receive(ours, 90 * 90 * 3)
        assert header == {"shape": [90, 90, 3]}
        assert body == picture.tobytes()
