"""Damaged files, and one that is still being written, through the whole pipeline, with a model that sees red things."""

from fractions import Fraction

import av
import numpy as np
import pytest
from red_clips import RedModel, grey, retimed, scan, with_red, write

from detector.errors import ClipChanged
from detector.scanner import Scanner, ScanOptions
from detector.video import open_video


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


@pytest.mark.parametrize("suffix", ["ts", "mkv", "webm", "vob", "flv"])
def test_what_is_lost_with_a_damaged_part_of_the_file_is_told_of(tmp_path, suffix):
    codec = {"webm": "libvpx", "mkv": "libx264", "flv": "libx264"}.get(suffix, "mpeg2video")
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


@pytest.mark.parametrize("movflags", ["frag_keyframe+empty_moov+default_base_moof", "dash+delay_moov"])
@pytest.mark.parametrize("damage", ["zeros", "inserted", "removed"])
def test_fragments_behind_a_damaged_part_are_told_of(tmp_path, movflags, damage):
    """FFmpeg ends a file at what is no box."""
    path = write(tmp_path / "clip.mp4", 300, with_red(-1, -1), gop=10, movflags=movflags)
    assert scan(path)[0].errors == ()
    content = path.read_bytes()
    third, length = len(content) // 3, len(content) // 30
    between = {"zeros": bytes(length), "inserted": b"?" * length, "removed": b""}[damage]
    path.write_bytes(content[:third] + between + content[third + (0 if damage == "inserted" else length) :])
    for plan in ("every-frame", "adaptive", "keyframes-only"):
        report, _ = scan(path, plan=plan)
        lost = report.coverage.undecoded[-1]
        assert 8 < lost.from_s < 12 and "damaged" in lost.reason
        # The beginning of the last fragment, a second before the end.
        assert lost.to_s == pytest.approx(29.0, abs=0.31)
        assert report.coverage.guarantee_s >= lost.to_s - lost.from_s
        assert "could not be decoded" in report.coverage.statement


@pytest.mark.parametrize("codec", ["mjpeg", "mpeg4"])
def test_what_an_avi_file_has_lost_leaves_the_times_behind_it_as_they_were(tmp_path, codec):
    """It states no times: FFmpeg counts the packets that it finds."""
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write(tmp_path / "clip.avi", 300, with_red(150, 219), codec=codec, pixels=pixels)
    with av.open(str(path)) as read:
        places = [packet.pos for packet in read.demux(video=0) if packet.size]
    content = path.read_bytes()
    # From the middle of one picture to the middle of another, and with it the headers between them.
    start, end = (places[62] + places[63]) // 2, (places[122] + places[123]) // 2
    path.write_bytes(content[:start] + bytes(end - start) + content[end:])
    for plan in ("every-frame", "adaptive", "keyframes-only"):
        report, _ = scan(path, plan=plan)
        (found,) = report.appearances
        assert found.first_seen_s == pytest.approx(15.0, abs=1.2 if plan == "keyframes-only" else 0.01)
        assert found.last_seen_s == pytest.approx(21.9, abs=1.2 if plan == "keyframes-only" else 0.01)
        assert report.clip.duration_s == pytest.approx(30.0)
        (lost,) = [each for each in report.coverage.undecoded if each.to_s - each.from_s > 2]
        assert (lost.from_s, lost.to_s) == pytest.approx((6.3, 12.3), abs=0.11)
        assert "damaged" in lost.reason


def test_packets_that_are_refused_leave_the_times_behind_them_as_they_were(tmp_path):
    path = write(tmp_path / "clip.avi", 300, with_red(150, 219), x264="bframes=0")
    report, _ = scan(damaged(path, range(65, 71)), plan="every-frame")
    (found,) = report.appearances
    # The first picture of such a file is the second that its header counts.
    assert (found.first_seen_s, found.last_seen_s) == pytest.approx((15.1, 22.0), abs=0.01)
    assert report.coverage.decode_errors == 6


def test_a_long_pause_in_a_whole_file_is_no_loss(tmp_path):
    clip = write(tmp_path / "clip.mp4", 60, with_red(-1, -1), gop=10, x264="bframes=3")
    path = retimed(clip, tmp_path / "pause.ts", lambda n, pts, dts: (pts + 40 * (n >= 30), dts + 40 * (n >= 30)))
    assert scan(path)[0].coverage.undecoded == ()


@pytest.mark.parametrize(("suffix", "codec", "sound"), [("mkv", "libx264", "aac"), ("vob", "mpeg2video", "pcm_s16be")])
def test_a_pause_in_which_only_the_sound_goes_on_is_no_loss(tmp_path, suffix, codec, sound):
    path = tmp_path / f"pause.{suffix}"
    with av.open(str(path), "w") as container:
        pictures, samples = container.add_stream(codec, rate=25), container.add_stream(sound, rate=48000)
        pictures.width, pictures.height, pictures.pix_fmt = 320, 240, "yuv420p"
        for number in range(500):
            if not 100 <= number < 300:
                frame = av.VideoFrame.from_ndarray(grey(number, (320, 240)), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(pictures.encode(frame))
            noise = np.random.default_rng(number).integers(-9000, 9000, (1, 2 * 1920)).astype(np.int16)
            heard = av.AudioFrame.from_ndarray(noise, format="s16", layout="stereo")
            heard.sample_rate, heard.pts = 48000, 1920 * number
            container.mux(samples.encode(heard))
        container.mux(pictures.encode(None))
    report, _ = scan(path)
    assert report.coverage.undecoded == report.errors == ()
    assert report.clip.duration_s == pytest.approx(20.0, abs=0.1)


def test_pictures_that_are_few_and_small_are_no_loss(tmp_path):
    """Slides: the headers between them take more bytes than they do."""
    path = tmp_path / "slides.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=30)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(100):
            frame = av.VideoFrame.from_ndarray(grey(0, (32, 32)), format="rgb24")
            frame.pts, frame.time_base = 1000 * number, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open_video(path) as video:
        assert video.probe.missing == ()


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
