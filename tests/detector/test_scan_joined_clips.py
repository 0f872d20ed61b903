"""Recordings joined to one file, through the whole pipeline, with a model that sees red things."""

import av
import numpy as np
import pytest
from red_clips import retimed, scan, with_red, write


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


@pytest.mark.parametrize(
    "other", [{"size": (480, 320)}, {"x264": "cabac=0:ref=1:weightp=0:8x8dct=0"}, {"codec": "libx265"}]
)
def test_matroska_that_is_coded_otherwise_than_the_first_is_told_of(tmp_path, other):
    """FFmpeg reads it with the first one's header."""
    one = write(tmp_path / "one.mkv", 60, with_red(20, 39), gop=10)
    second = write(tmp_path / "second.mkv", 60, with_red(-1, -1, size=other.get("size", (320, 240))), gop=10, **other)
    path = tmp_path / "joined.mkv"
    path.write_bytes(2 * one.read_bytes() + second.read_bytes())
    for plan in ("adaptive", "every-frame", "keyframes-only"):
        report, _ = scan(path, plan=plan)
        assert [each.code for each in report.errors] == ["unread_recordings", "joined_times"]
        assert (
            f"1 more recording, joined to the first from byte {2 * one.stat().st_size:,} on" in report.errors[0].message
        )
        assert report.clip.duration_s == pytest.approx(12.0, abs=0.31)
        assert report.coverage.undecoded == ()
        assert len(report.appearances) == 2
    assert scan(path, plan="every-frame")[0].coverage.samples == 120


def test_webm_of_another_size_is_read_on(tmp_path):
    one = write(tmp_path / "one.webm", 60, with_red(-1, -1), codec="libvpx-vp9")
    other = write(tmp_path / "other.webm", 60, with_red(20, 39, size=(480, 320)), codec="libvpx-vp9", size=(480, 320))
    path = tmp_path / "joined.webm"
    path.write_bytes(one.read_bytes() + other.read_bytes())
    report, _ = scan(path, plan="every-frame")
    (found,) = report.appearances
    assert (found.first_seen_s, found.last_seen_s) == pytest.approx((8.0, 9.9), abs=0.11)
    assert report.coverage.samples == 120


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
