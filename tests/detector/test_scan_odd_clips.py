"""Odd files through the whole pipeline, with a model that sees red things: joined, damaged, with odd times."""

import time
from types import SimpleNamespace

import av
import numpy as np
import pytest
from red_clips import RedModel, grey, scan, with_red, write

from detector.errors import ClipChanged, TooLong
from detector.scanner import Scanner, ScanOptions
from detector.video import open_video
from detector.video.guard import GuardLimits, open_guarded


def retimed(source, target, times, *, container=None):
    """The packets of `source` in `target`, with `times(number, pts, dts)` in seconds for each."""
    with av.open(str(source)) as read, av.open(str(target), "w", format=container) as write_to:
        stream = read.streams.video[0]
        copied = write_to.add_stream_from_template(stream)
        for number, packet in enumerate(each for each in read.demux(stream) if each.size):
            decoded = packet.pts if packet.dts is None else packet.dts
            seconds = times(number, float(packet.pts * packet.time_base), float(decoded * packet.time_base))
            packet.pts, packet.dts = (round(each / packet.time_base) for each in seconds)
            packet.stream = copied
            write_to.mux(packet)
    return target


@pytest.mark.parametrize("plan", ["adaptive", "every-frame", "interval", "keyframes", "keyframes-only"])
@pytest.mark.parametrize("suffix", ["ts", "vob"])
def test_recordings_joined_end_to_end_follow_one_another(tmp_path, plan, suffix):
    kind = {"rate": 25, "gop": 12, "codec": "mpeg2video" if suffix == "vob" else "libx264"}
    one = write(tmp_path / f"one.{suffix}", 150, with_red(-1, -1), **kind)
    other = write(tmp_path / f"other.{suffix}", 150, with_red(50, 99), **kind)
    path = tmp_path / f"joined.{suffix}"
    path.write_bytes(one.read_bytes() + other.read_bytes())

    report, _ = scan(path, plan=plan)
    (found,) = report.appearances
    close = 0.1 if plan in ("adaptive", "every-frame") else 1.1
    assert (found.first_seen_s, found.last_seen_s) == pytest.approx((8.0, 9.96), abs=close)
    assert report.clip.duration_s == pytest.approx(12.0, abs=0.1)
    assert "joined_times" in [each.code for each in report.errors]


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_no_picture_of_joined_recordings_has_the_time_of_another(tmp_path, suffix):
    """Matroska states presentation times alone, which B-frames put behind those at which pictures are decoded."""
    one = write(tmp_path / f"one.{suffix}", 60, with_red(-1, -1), gop=10, x264="bframes=3")
    path = tmp_path / f"joined.{suffix}"
    path.write_bytes(2 * one.read_bytes())
    report, _ = scan(path, plan="every-frame")
    assert report.coverage.samples == 120
    assert report.clip.duration_s == pytest.approx(12.0, abs=0.31)
    assert [each.code for each in report.errors] == ["joined_times"]


FRAGMENTS = "frag_keyframe+empty_moov"


@pytest.mark.parametrize("plan", ["adaptive", "every-frame", "keyframes-only"])
@pytest.mark.parametrize("movflags", [f"{FRAGMENTS}+default_base_moof", "dash+delay_moov"])
def test_fragmented_recordings_whose_fragments_stand_alone_follow_one_another(tmp_path, plan, movflags):
    one = write(tmp_path / "one.mp4", 60, with_red(-1, -1), gop=10, movflags=movflags)
    other = write(tmp_path / "other.mp4", 60, with_red(20, 39), gop=10, movflags=movflags)
    path = tmp_path / "joined.mp4"
    path.write_bytes(one.read_bytes() + other.read_bytes())
    report, _ = scan(path, plan=plan)
    (found,) = report.appearances
    assert (found.first_seen_s, found.last_seen_s) == pytest.approx((8.1, 10.0), abs=1.0)
    assert report.clip.duration_s == pytest.approx(12.0, abs=0.4)
    assert [each.code for each in report.errors] == ["joined_times"]
    assert plan == "adaptive" or report.coverage.samples == {"every-frame": 120, "keyframes-only": 12}[plan]


@pytest.mark.parametrize("plan", ["adaptive", "every-frame", "keyframes-only"])
@pytest.mark.parametrize(
    ("first", "second", "size"),
    [
        ("faststart", "faststart", (320, 240)),
        (None, None, (320, 240)),
        (FRAGMENTS, FRAGMENTS, (320, 240)),
        ("frag_keyframe", FRAGMENTS, (320, 240)),
        (f"{FRAGMENTS}+default_base_moof", f"{FRAGMENTS}+default_base_moof", (480, 320)),
        (f"{FRAGMENTS}+default_base_moof", None, (320, 240)),
        (None, f"{FRAGMENTS}+default_base_moof", (320, 240)),
    ],
)
def test_a_recording_that_is_joined_and_cannot_be_read_on_is_told_of(tmp_path, plan, first, second, size):
    one = write(tmp_path / "one.mp4", 60, with_red(20, 39), gop=10, movflags=first)
    other = write(tmp_path / "other.mp4", 60, with_red(-1, -1, size=size), gop=10, size=size, movflags=second)
    path = tmp_path / "joined.mp4"
    path.write_bytes(one.read_bytes() + 2 * other.read_bytes())
    alone, _ = scan(one, plan=plan)
    report, _ = scan(path, plan=plan)
    assert alone.errors == ()
    assert (report.coverage.sampled, report.coverage.undecoded) == (alone.coverage.sampled, ())
    assert (report.appearances, report.clip.duration_s) == (alone.appearances, alone.clip.duration_s)
    (told,) = report.errors
    assert told.code == "unread_recordings"
    first_byte, size = f"{one.stat().st_size:,}", f"{2 * other.stat().st_size:,}"
    assert "2 more recordings" in told.message
    assert f"from byte {first_byte} on ({size} bytes)" in told.message


def boxes(content):
    """Those of an MP4 file, one after the other: kind and bytes."""
    while content:
        size = int.from_bytes(content[:4])
        yield content[4:8], content[:size]
        content = content[size:]


@pytest.mark.parametrize("movflags", [f"{FRAGMENTS}+default_base_moof", "dash+delay_moov"])
def test_a_piece_of_a_stream_with_its_header_is_not_cut_off(tmp_path, movflags):
    """As players fetch them (HLS, DASH): the header, and fragments from the middle on."""
    whole = write(tmp_path / "whole.mp4", 60, with_red(-1, -1), gop=10, movflags=movflags)
    parts = list(boxes(whole.read_bytes()))
    third = [number for number, (kind, _) in enumerate(parts) if kind == b"mdat"][2]
    head, fragments = [part for kind, part in parts if kind in (b"ftyp", b"moov")], [part for _, part in parts[third:]]
    path = tmp_path / "piece.mp4"
    path.write_bytes(b"".join(head + fragments[1:]))
    report, _ = scan(path, plan="every-frame")
    assert report.coverage.samples == 30
    assert report.clip.first_pts_s >= 3.0
    assert report.clip.duration_s - report.clip.first_pts_s == pytest.approx(3.0, abs=0.01)
    assert report.coverage.undecoded == report.errors == ()
    content = path.read_bytes()
    path.write_bytes(content[: (content.rindex(b"mdat") + len(content)) // 2])
    lost = scan(path, plan="every-frame")[0].coverage.undecoded[-1]
    assert "cut off" in lost.reason
    assert lost.to_s == pytest.approx(6.0, abs=0.31)


@pytest.mark.parametrize(("suffix", "codec"), [("mxf", "mpeg2video"), ("wmv", "wmv2")])
def test_an_end_that_is_missing_is_told_of_where_ffmpeg_does_not(tmp_path, suffix, codec):
    path = write(tmp_path / f"clip.{suffix}", 250, with_red(-1, -1), rate=25, gop=12, codec=codec)
    assert scan(path)[0].errors == ()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    lost = scan(path)[0].coverage.undecoded[-1]
    assert "cut off" in lost.reason
    assert lost.to_s == pytest.approx(10.0, abs=0.05)


def test_a_recording_that_has_not_ended_is_not_cut_off(tmp_path):
    """Of an MXF file whose header says no length FFmpeg makes one up of the bit rates."""
    path = tmp_path / "growing.mxf"
    with path.open("wb") as file, av.open(SimpleNamespace(write=file.write), "w", format="mxf") as container:
        rates = dict.fromkeys(("b", "minrate", "maxrate"), "2M") | {"bufsize": "1M"}
        stream = container.add_stream("mpeg2video", rate=25, options=rates)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv422p"
        sound = container.add_stream("pcm_s16le", rate=48000, layout="stereo")
        for number in range(250):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey(number, (640, 360)), format="rgb24")))
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 1920), np.int16), format="s16", layout="stereo")
            silence.sample_rate, silence.pts = 48000, 1920 * number
            container.mux(sound.encode(silence))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        assert container.duration > 10_500_000
    report, _ = scan(path)
    assert report.clip.duration_s == pytest.approx(10.0, abs=0.05)
    assert report.errors == ()


@pytest.mark.parametrize("suffix", ["flv", "wmv", "ivf", "apng", "rm"])
def test_a_recording_that_is_joined_and_passed_over_is_told_of(tmp_path, suffix):
    codec, pixels = {
        "flv": ("flv1", "yuv420p"),
        "wmv": ("wmv2", "yuv420p"),
        "ivf": ("libvpx", "yuv420p"),
        "apng": ("apng", "rgb24"),
        "rm": ("rv20", "yuv420p"),
    }[suffix]
    one = write(tmp_path / f"one.{suffix}", 60, with_red(20, 39), gop=10, codec=codec, pixels=pixels)
    other = write(tmp_path / f"other.{suffix}", 60, with_red(-1, -1), gop=10, codec=codec, pixels=pixels)
    path = tmp_path / f"joined.{suffix}"
    path.write_bytes(one.read_bytes() + other.read_bytes())
    for plan in ("adaptive", "every-frame"):
        report, _ = scan(path, plan=plan)
        (found,) = report.appearances
        assert (found.first_seen_s, found.last_seen_s) == pytest.approx((2.0, 3.9), abs=0.01)
        assert report.clip.duration_s == pytest.approx(6.0, abs=0.1)
        (told,) = report.errors
        assert f"1 more recording, joined to the first from byte {one.stat().st_size:,} on" in told.message
    assert report.coverage.samples == 60


def test_a_header_that_is_repeated_begins_no_other_recording(tmp_path):
    """As programs write it that save a stream with each piece's header."""
    whole = write(tmp_path / "whole.mp4", 60, with_red(20, 39), gop=10, movflags=f"{FRAGMENTS}+default_base_moof")
    content = whole.read_bytes()
    header, *fragments = content.partition(b"moof")[0][:-4], *content.split(b"moof")[1:]
    pieces = [b"moof" + each for each in fragments]
    pieces = [each[:-4] if number < len(pieces) - 1 else each for number, each in enumerate(pieces)]
    sizes = [int.from_bytes(content[content.index(piece) - 4 : content.index(piece)]) for piece in pieces]
    path = tmp_path / "repeated.mp4"
    path.write_bytes(b"".join(header + size.to_bytes(4) + piece for size, piece in zip(sizes, pieces, strict=True)))
    report, alone = scan(path, plan="every-frame")[0], scan(whole, plan="every-frame")[0]
    assert report.errors == ()
    assert (report.coverage, report.appearances) == (alone.coverage, alone.appearances)


def test_a_recording_in_the_middle_of_another_is_looked_at(tmp_path):
    """A break in a stream that was recorded: what comes after it goes on with the times from before it."""
    whole = write(tmp_path / "whole.ts", 200, with_red(-1, -1), gop=10).read_bytes()
    middle = write(tmp_path / "middle.ts", 60, with_red(20, 49), gop=10).read_bytes()
    half = len(whole) // 188 // 2 * 188
    path = tmp_path / "joined.ts"
    path.write_bytes(whole[:half] + middle + whole[half:])
    report, _ = scan(path)
    (found,) = report.appearances
    assert found.last_seen_s - found.first_seen_s == pytest.approx(2.9, abs=0.11)
    assert report.clip.duration_s == pytest.approx(30.0, abs=0.3)
    assert "joined_times" in [each.code for each in report.errors]


@pytest.mark.parametrize(("first", "second"), [(1000, 10), (95_430, 90_000), (60, 86_400)])
@pytest.mark.parametrize("suffix", ["ts", "vob"])
def test_recordings_joined_whose_clocks_lie_far_apart_are_not_a_day_long(tmp_path, suffix, first, second):
    """FFmpeg takes a time more than a minute before the first one for a clock that has gone round."""
    kind = {"rate": 25, "gop": 12, "codec": "mpeg2video"}
    parts = []
    for name, start, red in (("one", first, (-1, -1)), ("other", second, (50, 99))):
        clip = write(tmp_path / f"{name}.mpg", 150, with_red(*red), **kind)
        later = retimed(clip, tmp_path / f"{name}.{suffix}", lambda _, pts, dts, to=start: (pts + to, dts + to))
        parts.append(later.read_bytes())
    path = tmp_path / f"joined.{suffix}"
    path.write_bytes(b"".join(parts))

    report, _ = scan(path)
    (found,) = report.appearances
    assert (found.first_seen_s, found.last_seen_s) == pytest.approx((8.0, 9.96), abs=0.1)
    assert report.clip.duration_s == pytest.approx(12.0, abs=0.1)
    assert [each.code for each in report.errors] == ["joined_times"]


@pytest.mark.parametrize("start", [2**33 / 90_000 - 4, 2**33 / 90_000 - 80_000])
def test_a_clock_that_goes_round_in_the_middle_is_one_recording(tmp_path, start):
    """MPEG-TS counts to 26.5 hours; the second of these goes round after more than a minute, in a long pause."""
    clip = write(tmp_path / "clip.mp4", 150, with_red(100, 120), rate=25, gop=12, x264="bframes=0")
    pause = 40_000 * (start < 90_000)

    def times(number, pts, dts):
        later = start + pause * ((number >= 75) + (number >= 100))
        return pts + later, dts + later

    path = retimed(clip, tmp_path / "round.ts", times)
    report, _ = scan(path)
    (found,) = report.appearances
    assert (found.first_seen_s, found.last_seen_s) == pytest.approx((2 * pause + 4.0, 2 * pause + 4.8), abs=0.05)
    assert report.clip.duration_s == pytest.approx(2 * pause + 6.0, abs=0.1)
    assert report.errors == report.coverage.undecoded == ()


@pytest.mark.parametrize("damage", [(2, 0, 1), (0, 0xFF, 8)], ids=["bits 21 to 15 are lost", "bit 32 is flipped"])
def test_a_stray_time_is_no_second_recording(tmp_path, damage):
    clip = write(tmp_path / "clip.ts", 150, with_red(75, 99), rate=25, gop=12)
    content = bytearray(clip.read_bytes())
    starts = [
        at for at in range(0, len(content), 188) if content[at + 1] & 0x40 and b"\0\0\1\xe0" in content[at : at + 188]
    ]
    stamp = content.index(b"\0\0\1\xe0", starts[60]) + 9
    for field in range(stamp, stamp + 5 * (content[stamp - 2] >> 7) + 5 * (content[stamp - 2] >> 6 & 1), 5):
        # Of a 33-bit time at 90 kHz the first byte has bits 32 to 30, the third bits 21 to 15, each before a marker.
        byte, kept, flipped = damage
        content[field + byte] = content[field + byte] & kept ^ flipped
    clip.write_bytes(content)
    report, _ = scan(clip)
    (found,) = report.appearances
    assert (found.first_seen_s, found.last_seen_s) == pytest.approx((3.0, 3.96), abs=0.1)
    assert report.clip.duration_s == pytest.approx(6.0, abs=0.1)


@pytest.mark.parametrize("plan", ["adaptive", "every-frame"])
def test_pictures_that_all_have_one_time_follow_one_another(tmp_path, plan):
    clip = write(tmp_path / "clip.mp4", 60, with_red(30, 39), gop=10)
    path = retimed(clip, tmp_path / "equal.mkv", lambda *_: (0.0, 0.0))
    report, _ = scan(path, plan=plan)
    (found,) = report.appearances
    assert found.last_seen_s - found.first_seen_s == pytest.approx(report.clip.duration_s * 9 / 60, abs=0.02)
    assert "no_times" in [each.code for each in report.errors]


@pytest.mark.parametrize("stated", [5, 25])
@pytest.mark.parametrize("plan", ["adaptive", "every-frame", "interval"])
def test_where_only_some_pictures_have_times_the_others_follow_them(tmp_path, stated, plan):
    """Several pictures in one PES packet: only the first one's time is stated, and FFmpeg takes that for the rate."""
    clip = write(tmp_path / "clip.ts", 300, with_red(110, 189), rate=25, gop=25, x264="b-adapt=0:bframes=2")
    content = bytearray(clip.read_bytes())
    pictures = [
        found
        for at in range(0, len(content), 188)
        if content[at + 1] & 0x40 and (found := content.find(b"\0\0\1\xe0", at, at + 188)) >= 0
    ]
    for number, at in enumerate(pictures):
        if number % stated:
            stamps = 5 * (content[at + 7] >> 7) + 5 * (content[at + 7] >> 6 & 1)
            content[at + 7] &= 0x3F
            content[at + 9 : at + 9 + stamps] = b"\xff" * stamps
    clip.write_bytes(content)
    report, _ = scan(clip, plan=plan)
    (found,) = report.appearances
    slack = {"interval": 1.0, "adaptive": 0.1, "every-frame": 0.001}[plan]
    assert (found.first_seen_s, found.last_seen_s) == pytest.approx((4.4, 7.56), abs=slack)
    assert report.clip.duration_s == pytest.approx(12.0, abs=0.1)
    assert report.errors == report.coverage.undecoded == ()
    assert plan != "every-frame" or report.coverage.samples == 300


@pytest.mark.parametrize("suffix", ["mkv", "webm", "wmv"])
def test_a_late_first_picture_is_no_missing_end(tmp_path, suffix):
    codec = {"webm": "libvpx", "wmv": "wmv2"}.get(suffix, "libx264")
    clip = write(tmp_path / f"clip.{suffix.replace('mkv', 'mp4')}", 60, with_red(30, 39), codec=codec)
    path = retimed(clip, tmp_path / f"late.{suffix}", lambda _, pts, dts: (pts + 10, dts + 10))
    report, _ = scan(path)
    assert report.coverage.undecoded == ()
    assert report.coverage.guarantee_s <= 1.0
    assert len(report.appearances) == 1


def test_another_video_stream_is_told_of(tmp_path):
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=10) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for stream, picture in zip(streams, (with_red(-1, -1), with_red(0, 19)), strict=True):
            for number in range(20):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
            container.mux(stream.encode(None))
    report, _ = scan(path)
    (told,) = [each for each in report.errors if each.code == "other_video_streams"]
    assert "1 more video stream (h264)" in told.message


def test_of_an_animated_picture_all_pictures_are_looked_at(tmp_path):
    """An AVIF sequence holds its first picture twice: by itself, for what shows stills, and in the sequence."""
    path = tmp_path / "animated.avif"
    with av.open(str(path), "w", format="avif") as container:
        stream = container.add_stream("libsvtav1", rate=10, options={"preset": "12"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey(number, (320, 240)), format="rgb24")))
        container.mux(stream.encode(None))
    report, _ = scan(path, plan="every-frame")
    assert report.coverage.samples == 12


@pytest.mark.parametrize("plan", ["adaptive", "interval", "keyframes"])
def test_a_jump_far_ahead_costs_neither_time_nor_memory(tmp_path, plan):
    clip = write(tmp_path / "clip.mp4", 60, with_red(20, 40), gop=10)
    epoch = 1_700_000_000.0
    path = retimed(clip, tmp_path / "jump.mkv", lambda n, pts, dts: (pts + epoch * (n >= 30), dts + epoch * (n >= 30)))
    report, inferred = scan(path, plan=plan)
    assert report.clip.duration_s > epoch
    assert report.appearances[0].first_seen_s == pytest.approx(2.0, abs=1.0)
    assert inferred <= 70


def test_a_find_counts_on_either_of_two_pictures_of_one_time(tmp_path):
    clip = write(tmp_path / "clip.mkv", 60, lambda number: with_red(0, 59 * (number % 2 == 0) - 1)(number), gop=1)
    path = retimed(clip, tmp_path / "twice.mkv", lambda number, *_: (number // 2 / 10,) * 2)
    report, _ = scan(path, plan="every-frame")
    (found,) = report.appearances
    assert (found.first_seen_s, found.last_seen_s) == pytest.approx((0.0, 2.9))


@pytest.mark.parametrize("plan", ["adaptive", "keyframes-only"])
def test_a_stream_in_the_middle_alone_ends_no_scan_and_is_told_of(tmp_path, plan):
    """A broadcast whose programme changes: no stream of it lies where FFmpeg looks for streams beforehand."""
    silent = write(tmp_path / "silent.ts", 300, with_red(-1, -1), gop=10, codec="mpeg2video")
    clip = write(tmp_path / "clip.ts", 40, with_red(10, 29), gop=10, codec="mpeg2video")
    loud = tmp_path / "loud.ts"
    with av.open(str(clip)) as read, av.open(str(loud), "w") as out:
        pictures, sound = out.add_stream_from_template(read.streams.video[0]), out.add_stream("aac", rate=48_000)
        for packet in read.demux(video=0):
            if packet.size:
                packet.stream = pictures
                out.mux(packet)
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        silence.sample_rate = 48_000
        out.mux([*sound.encode(silence), *sound.encode(None)])
    path = tmp_path / "joined.ts"
    path.write_bytes(silent.read_bytes() + loud.read_bytes() + silent.read_bytes())

    report, _ = scan(path, plan=plan)
    (found,) = report.appearances
    assert (found.first_seen_s, found.last_seen_s) == pytest.approx((31.0, 32.9), abs=1.0)
    assert report.clip.duration_s == pytest.approx(64.0, abs=0.2)
    assert {each.code for each in report.errors} == {"joined_times", "late_streams"}


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("gop", [4, 20])
def test_keyframes_are_those_of_the_container_where_the_decoder_calls_none_so(tmp_path, gop, threads):
    path = write(tmp_path / "refreshed.mp4", 100, with_red(41, 63), gop=gop, x264="intra-refresh=1")
    report = Scanner(RedModel(), ScanOptions(plan="keyframes-only"), threads=threads).scan(path).report
    assert report.coverage.samples == 100 // gop
    assert report.coverage.guarantee_s <= gop / 10
    assert len(report.appearances) == 1


@pytest.mark.parametrize("suffix", ["ts", "mkv", "flv"])
def test_a_time_far_ahead_of_all_others_is_that_of_no_later_picture(tmp_path, suffix):
    """One bit of a time stamp is enough."""
    clip = write(tmp_path / "clip.mp4", 200, with_red(61, 83), gop=20)
    path = retimed(clip, tmp_path / f"stray.{suffix}", one_time_far_ahead)
    for plan in ("adaptive", "every-frame"):
        report, _ = scan(path, plan=plan)
        (found,) = report.appearances
        assert found.last_seen_s - found.first_seen_s == pytest.approx(2.2, abs=0.01)
        assert found.first_seen_s == pytest.approx(6.1, abs=0.25)
        assert report.clip.duration_s == pytest.approx(20.0, abs=0.3)
        assert report.coverage.undecoded == report.errors == ()
    assert report.coverage.samples == 200


def one_time_far_ahead(number, pts, dts):
    return pts + 46.6 * (number == 46), dts


def test_a_time_far_ahead_hides_no_loss(tmp_path):
    clip = write(tmp_path / "clip.mp4", 300, with_red(-1, -1), gop=10)
    path = retimed(clip, tmp_path / "stray.ts", one_time_far_ahead)
    content = path.read_bytes()
    # A multiple of 16 transport packets could not be told from none.
    fifth = (len(content) // 5 // 188 // 16 * 16 + 5) * 188
    path.write_bytes(content[: 2 * fifth] + content[3 * fifth :])
    (lost,) = [each for each in scan(path, plan="every-frame")[0].coverage.undecoded if each.to_s - each.from_s > 2]
    assert 9 < lost.from_s < 13 and 16 < lost.to_s < 24


def test_times_far_ahead_next_to_lost_transport_packets_end_nothing(tmp_path):
    clip = write(tmp_path / "clip.mp4", 200, with_red(61, 83), gop=20)
    ahead = {46: 46.6, 120: 93.2}
    path = retimed(clip, tmp_path / "stray.ts", lambda n, pts, dts: (pts + ahead.get(n, 0.0), dts))
    with av.open(str(path)) as read:
        places = [packet.pos for packet in read.demux(video=0) if packet.size]
    content = path.read_bytes()
    for number in sorted(ahead, reverse=True):
        start = places[number - 1]
        content = content[:start] + content[start + 188 :]
    path.write_bytes(content)
    report, _ = scan(path)
    (found,) = report.appearances
    assert found.last_seen_s - found.first_seen_s == pytest.approx(2.2, abs=0.01)
    assert report.clip.duration_s == pytest.approx(20.0, abs=0.3)


def test_a_time_far_ahead_hides_no_missing_end(tmp_path):
    path = write(tmp_path / "clip.mkv", 200, with_red(-1, -1), gop=20)
    with av.open(str(path)) as read:
        (place,) = [
            packet.pos for packet in read.demux(video=0) if packet.size and float(packet.pts * packet.time_base) == 4.6
        ]
    content = bytearray(path.read_bytes())
    # A block: its length in one to four bytes, track 1, its time in the cluster as two bytes in milliseconds.
    time = content.index(0x81, place) + 1
    content[time] ^= 0x40
    path.write_bytes(content[: len(content) * 6 // 10])
    assert "cut off" in scan(path, plan="every-frame")[0].coverage.undecoded[-1].reason


def damaged(path, numbers):
    """The clip with zeros for the pictures of these packets."""
    with av.open(str(path)) as read:
        places = [(packet.pos, packet.size) for packet in read.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for number in numbers:
        content[places[number][0] : sum(places[number])] = bytes(places[number][1])
    path.write_bytes(content)
    return path


def test_what_was_looked_at_is_not_called_undecoded(tmp_path):
    path = damaged(write(tmp_path / "clip.mp4", 100, with_red(-1, -1), gop=1), (30, 36, 37, 50))
    report, _ = scan(path, plan="every-frame")
    lost = [(round(each.from_s, 3), round(each.to_s, 3)) for each in report.coverage.undecoded]
    assert lost == [(3.0, 3.1), (3.6, 3.8), (5.0, 5.1)]
    assert report.coverage.samples == 96
    assert "0.40 s could not be decoded" in report.coverage.statement
    (told,) = report.errors
    assert told.message.startswith("4 damaged packets or pictures were skipped; nothing could be decoded from 3.60 s")


def test_a_keyframe_that_is_lost_costs_the_way_from_the_one_before_it_and_no_more(tmp_path):
    path = write(
        tmp_path / "clip.mp4", 300, with_red(-1, -1, size=(160, 128)), gop=25, size=(160, 128), codec="libx265"
    )
    with open_video(damaged(path, (200,))) as video:
        for target in (20.1, 10.1, 25.1, 5.1, 28.1):
            before = video.frames_decoded
            assert len(list(video.frames_at([target]))) == 1
            assert video.frames_decoded - before < 60


@pytest.mark.parametrize("plan", ["adaptive", "keyframes"])
def test_damage_that_is_read_over_again_and_again_is_counted_once(tmp_path, plan):
    path = damaged(write(tmp_path / "clip.mp4", 100, with_red(20, 70), gop=50), (30, 31, 32))
    report, _ = scan(path, plan=plan)
    assert report.coverage.decode_errors == 3


def test_a_clip_that_begins_late_is_not_a_long_one(tmp_path):
    """Live recordings count from when the camera was switched on."""
    clip = write(tmp_path / "clip.mp4", 60, with_red(-1, -1))
    path = retimed(clip, tmp_path / "late.mkv", lambda _, pts, dts: (pts + 100_000, dts + 100_000))
    with open_guarded(path, GuardLimits(max_duration_seconds=3600)) as video:
        assert video.probe.first_pts_seconds == pytest.approx(100_000)
    with pytest.raises(TooLong, match=r"lasts 6 s, more than the 5 s allowed"):
        open_guarded(path, GuardLimits(max_duration_seconds=5))


def test_progress_counts_from_the_clip_s_first_picture(tmp_path):
    clip = write(tmp_path / "clip.mp4", 80, with_red(-1, -1))
    path = retimed(clip, tmp_path / "late.mkv", lambda _, pts, dts: (pts + 3600, dts + 3600))
    notes = []
    Scanner(RedModel(), ScanOptions(plan="every-frame")).scan(path, notes.append)
    shares = [each.share for each in notes]
    assert shares == sorted(shares)
    assert shares[0] < 0.2 and 0.9 < shares[-1] <= 1


def test_a_budget_by_the_clip_s_length_does_not_count_from_zero(tmp_path):
    clip = write(tmp_path / "clip.mp4", 100, with_red(-1, -1))
    path = retimed(clip, tmp_path / "late.mkv", lambda _, pts, dts: (pts + 36_000, dts + 36_000))

    class Slow(RedModel):
        def detect(self, images):
            time.sleep(0.5)
            return super().detect(images)

    report = Scanner(Slow(), ScanOptions(budget="0.1x")).scan(path).report
    assert "the budget of 0.1x was used up" in str(report.coverage.left_out)


@pytest.mark.parametrize("suffix", ["ts", "mkv", "webm"])
def test_what_is_lost_with_a_damaged_part_of_the_file_is_told_of(tmp_path, suffix):
    codec = {"ts": "mpeg2video", "mkv": "libx264", "webm": "libvpx"}[suffix]
    path = write(tmp_path / f"clip.{suffix}", 300, with_red(-1, -1), gop=10, codec=codec)
    content = path.read_bytes()
    fifth = len(content) // 5
    path.write_bytes(content[: 2 * fifth] + bytes(fifth) + content[3 * fifth :])
    for plan in ("every-frame", "adaptive", "keyframes-only"):
        coverage = scan(path, plan=plan)[0].coverage
        (lost,) = [each for each in coverage.undecoded if each.to_s - each.from_s > 2]
        # From the damage to the next place in the file at which reading can begin again.
        assert 9 < lost.from_s < 13 and 16 < lost.to_s < 24
        assert coverage.guarantee_s >= lost.to_s - lost.from_s
        assert "Every picture" not in coverage.statement
        assert coverage.samples + 10 * (lost.to_s - lost.from_s) >= (295 if plan == "every-frame" else 0)


def test_a_long_pause_in_a_whole_file_is_no_loss(tmp_path):
    clip = write(tmp_path / "clip.mp4", 60, with_red(-1, -1), gop=10, x264="bframes=3")
    path = retimed(clip, tmp_path / "pause.ts", lambda n, pts, dts: (pts + 40 * (n >= 30), dts + 40 * (n >= 30)))
    assert scan(path)[0].coverage.undecoded == ()


@pytest.mark.parametrize("grows", [True, False])
def test_a_file_that_is_still_being_written_gets_no_report(tmp_path, grows):
    """Its hash would be that of other bytes than those that were looked at."""
    path = write(tmp_path / "growing.ts", 60, with_red(20, 40), gop=10)
    content = path.read_bytes()
    if not grows:
        # As where the copier has reserved room for all of it.
        path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))

    class Recorder(RedModel):
        def detect(self, images):
            with path.open("r+b") as file:
                if grows:
                    file.seek(0, 2)
                file.write(bytes([0x47, 0x1F, 0xFF, 0x10]) + bytes(184) if grows else content)
            return super().detect(images)

    with pytest.raises(ClipChanged, match=r"growing\.ts: the file was written to .*; scan it again .*\.$"):
        Scanner(Recorder(), ScanOptions()).scan(path)
