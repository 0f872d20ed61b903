"""Odd clips through the whole pipeline, with a model that sees red things: times and effort are known exactly."""

import time
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from detector.best_pictures import BestPictures
from detector.errors import ClipChanged, TooLong
from detector.frame import Boxes
from detector.models.letterbox import Square
from detector.sampling.cuts import CutWatch
from detector.scanner import Scanner, ScanOptions
from detector.video import open_video
from detector.video.guard import GuardLimits, open_guarded
from detector.video.reader import Picture

INPUT_PX = 416
RED = (230, 20, 20)


class RedModel:
    """Sees red pixels as a tank: surely if they are 40 px wide in its input, else weakly."""

    name, sha256, backend_name, device = "red", "0" * 64, "none", "cpu"
    second = None
    classes, thresholds, score_floor = ("tank",), {"tank": 0.5}, 0.05
    input_size, smallest_side_px = INPUT_PX, 12.0

    def __init__(self):
        self.inferred = 0

    def detect(self, images):
        self.inferred += len(images)
        return [self._on_square(image) if isinstance(image, Square) else self._boxes(image) for image in images]

    def calibrate(self, class_name, score):
        return score

    def _on_square(self, square):
        boxes = self._boxes(square.pixels)
        return replace(boxes, xyxy=square.placement.to_picture(boxes.xyxy))

    def _boxes(self, image):
        rows, columns = np.nonzero((image[..., 0] > 170) & (image[..., 1] < 90) & (image[..., 2] < 90))
        if len(rows) < 9:
            return Boxes(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int64))
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        wide = (box[2] - box[0]) * min(1.0, INPUT_PX / max(image.shape[:2])) >= 40
        return Boxes(np.array([box], np.float32), np.array([0.9 if wide else 0.3], np.float32), np.array([0]))


def grey(number, size):
    """A picture of soft stripes that move a little from frame to frame."""
    width, height = size
    stripes = 110 + 30 * np.sin((np.arange(width) + 2 * number) / 17)
    return np.repeat(np.broadcast_to(stripes, (height, width))[..., None], 3, axis=2).astype(np.uint8)


def write(path, frames, picture, *, rate=10, gop=10_000, size=(320, 240), codec="libx264", x264=""):
    with av.open(str(path), "w") as container:
        params = f"keyint={gop}:min-keyint={gop}:scenecut=0:{x264}"
        options = {
            "libx264": {"x264-params": params, "preset": "veryfast", "crf": "12"},
            "libx265": {"x265-params": f"{params}log-level=none", "preset": "ultrafast"},
        }
        stream = container.add_stream(codec, rate=rate, options=options.get(codec, {"b": "4M"}))
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, rate)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def scan(path, **options):
    model = RedModel()
    report = Scanner(model, ScanOptions(**options)).scan(path).report
    return report, model.inferred


def with_red(first, last, *, size=(320, 240), side=80):
    def picture(number):
        image = grey(number, size)
        if first <= number <= last:
            image[100 : 100 + side, 120 : 120 + side] = RED
        return image

    return picture


@pytest.mark.parametrize("gop", [10, 20, 10_000])
@pytest.mark.parametrize(("first", "last"), [(0, 599), (301, 333), (5, 14), (590, 599)])
def test_the_exact_first_and_last_frame_with_keyframes_near_or_one_alone(tmp_path, gop, first, last):
    path = write(tmp_path / "long.mp4", 600, with_red(first, last), gop=gop)
    report, inferred = scan(path)
    (found,) = report.appearances
    assert (found.first_seen_s, found.last_seen_s) == pytest.approx((first / 10, last / 10))
    assert report.coverage.guarantee_s <= 1.0
    assert inferred <= 60 + 1.5 * 4 * (last - first + 20) / 10 + 10


@pytest.mark.parametrize(
    "matrix", ["bt2020c", "YCgCo", "smpte2085", "chroma-derived-nc:colorprim=bt709", "chroma-derived-c", "ICtCp"]
)
def test_colours_told_in_a_way_that_ffmpeg_does_not_convert_are_looked_at(tmp_path, matrix):
    path = write(tmp_path / "odd.mp4", 30, with_red(5, 14), x264=f"colormatrix={matrix}")
    for plan in ("adaptive", "every-frame"):
        report, _ = scan(path, plan=plan)
        (found,) = report.appearances
        assert (found.first_seen_s, found.last_seen_s) == pytest.approx((0.5, 1.4))
        assert report.errors == ()


def test_a_picture_that_cannot_be_converted_ends_no_search_for_cuts():
    watch = CutWatch(0.25)
    assert watch(Picture(av.VideoFrame(64, 64, "rgb4"), 0.0, is_keyframe=True), True) is None
    assert watch.shots(1.0) == []


@pytest.mark.parametrize("plan", ["adaptive", "keyframes", "keyframes-only", "interval"])
def test_two_scans_agree_however_many_processors_they_have(tmp_path, plan):
    path = write(tmp_path / "clip.mp4", 300, with_red(101, 203), gop=20)
    # How many frames are decoded on the way depends on what reading on and seeking cost at the time.
    unlike = {"scan": True, "coverage": {"frames_decoded"}}
    one, *others = (
        Scanner(RedModel(), ScanOptions(plan=plan), threads=threads).scan(path).report.model_dump(exclude=unlike)
        for threads in (1, 1, 4)
    )
    assert one["appearances"]
    assert others == [one, one]


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_clips_shorter_than_the_cadence(tmp_path, frames):
    report, _ = scan(write(tmp_path / "short.mp4", frames, with_red(0, 9)))
    (found,) = report.appearances
    assert (found.first_seen_s, found.last_seen_s) == pytest.approx((0.0, (frames - 1) / 10))


def test_a_frozen_picture_is_looked_at_throughout_and_inferred_once(tmp_path):
    still = with_red(0, 9)(0)
    report, inferred = scan(write(tmp_path / "frozen.mp4", 300, lambda _: still))
    coverage = report.coverage
    assert coverage.guarantee_s <= 1.0
    assert coverage.near_identical == coverage.samples - inferred
    assert inferred <= 4
    (found,) = report.appearances
    assert (found.first_seen_s, found.last_seen_s) == pytest.approx((0.0, 29.9))


def test_a_small_thing_on_a_frozen_picture_is_no_repetition(tmp_path):
    still = grey(0, (320, 240))
    changed = still.copy()
    changed[100:110, 120:130] = RED
    path = write(tmp_path / "frozen.mp4", 300, lambda number: changed if number >= 151 else still)
    report, _ = scan(path, threshold=0.2)
    assert [each.first_seen_s for each in report.appearances] == [pytest.approx(15.1)]


def test_black_video_is_looked_at_and_nothing_is_found(tmp_path):
    report, inferred = scan(write(tmp_path / "black.mp4", 100, lambda _: np.zeros((240, 320, 3), np.uint8)))
    assert (report.appearances, inferred) == ((), 1)
    assert report.coverage.guarantee_s <= 1.0


def shots(lengths, red_shot=None):
    """Shots of so many frames, each with a look of its own; one of them shows something red."""
    bounds = np.cumsum(lengths)
    noise = np.random.default_rng(7)
    looks = [np.kron(noise.integers(0, 150, (6, 8, 3)), np.ones((40, 40, 1))).astype(np.uint8) for _ in lengths]

    def picture(number):
        shot = int(np.searchsorted(bounds, number, side="right"))
        image = looks[shot].copy()
        if shot == red_shot:
            image[100:180, 120:200] = RED
        return image

    return picture


@pytest.mark.parametrize("gop", [4, 20])
def test_the_keyframes_plan_keeps_its_promise_without_keyframes(tmp_path, gop):
    """Pictures that are refreshed bit by bit have places to begin at, which containers call keyframes, decoders not."""
    path = write(tmp_path / "refreshed.mp4", 100, with_red(41, 63), gop=gop, x264="intra-refresh=1")
    report, _ = scan(path, plan="keyframes", cadence_seconds=0.5)
    assert report.coverage.guarantee_s <= 0.5
    assert report.errors == ()
    (found,) = report.appearances
    assert (found.first_seen_s, found.last_seen_s) == pytest.approx((4.1, 6.3), abs=0.5)


def test_a_shot_between_two_samples_gets_one_of_its_own(tmp_path):
    lengths = [52, 9, 20, 5, 114]
    path = write(tmp_path / "cuts.mp4", sum(lengths), shots(lengths, red_shot=1), rate=25)
    report, _ = scan(path, cadence_seconds=4.0)
    (found,) = report.appearances
    assert (found.first_seen_s, found.last_seen_s) == pytest.approx((52 / 25, 60 / 25))
    assert (report.coverage.shots, report.coverage.shots_unsampled) == (5, 1)
    assert report.coverage.longest_unsampled_shot.from_s == pytest.approx(81 / 25, abs=0.1)


def test_thousands_of_cuts_a_minute_stay_within_the_bound(tmp_path):
    path = write(tmp_path / "flicker.mp4", 500, shots([1] * 500), rate=25)
    report, inferred = scan(path)
    assert inferred <= 20 + 20 / 0.25
    assert report.coverage.guarantee_s <= 1.0
    assert report.coverage.shots_unsampled > 200


def test_something_small_in_a_large_picture_is_found_by_a_closer_look(tmp_path):
    size = (1920, 1080)
    path = write(tmp_path / "large.mp4", 30, with_red(0, 29, size=size, side=60), size=size)
    report, _ = scan(path)
    (found,) = report.appearances
    assert report.coverage.tiled >= 2
    assert found.class_name == "tank"
    assert found.best.box == pytest.approx((120, 100, 180, 160), abs=3)


def test_a_budget_is_kept_to_and_spent_on_the_whole_clip(tmp_path):
    path = write(tmp_path / "clip.mp4", 600, with_red(301, 333), gop=20)
    report, _ = scan(path, budget="1000s")
    assert report.coverage.guarantee_s <= 1.0
    assert [each.first_seen_s for each in report.appearances] == [pytest.approx(30.1)]
    assert report.coverage.left_out == ()
    without, _ = scan(path)
    assert report.coverage.sampled == without.coverage.sampled
    assert report.appearances == without.appearances


def test_a_shot_that_lies_whole_between_two_keyframes_is_sampled(tmp_path):
    textures = np.random.default_rng(3).integers(60, 160, (2, 240, 320, 1), np.uint8).repeat(3, axis=3)

    def picture(number):
        image = textures[int(203 <= number <= 208)].copy()
        if 203 <= number <= 208:
            image[100:180, 120:200] = RED
        return image

    report, inferred = scan(write(tmp_path / "clip.mp4", 400, picture, gop=10))
    (found,) = report.appearances
    assert found.first_seen_s == pytest.approx(20.3)
    assert found.last_seen_s == pytest.approx(20.8)
    assert inferred < 60


class SlowModel(RedModel):
    """Needs far longer for a picture than any budget here leaves."""

    def detect(self, images):
        time.sleep(0.1 * len(images))
        return super().detect(images)


def test_a_budget_far_too_small_is_spent_over_the_clip_and_the_rest_told_in_numbers(tmp_path):
    path = write(tmp_path / "clip.mp4", 3000, with_red(0, 0), gop=20)
    coverage = Scanner(SlowModel(), ScanOptions(budget="4s")).scan(path).report.coverage
    assert 0 < coverage.samples < 150
    (left_out,) = [each for each in coverage.left_out if "coarse pass" in each.what]
    count, _, what = left_out.what.partition(" ")
    assert int(count) >= 150
    assert what == "samples of the coarse pass (the budget of 4s was used up)"
    assert coverage.guarantee_s > 1
    assert f"{coverage.samples} pictures looked at" in coverage.statement


def test_a_budget_whose_first_pass_was_too_wide_tells_the_shots_that_it_looks_at_later(tmp_path):
    textures = np.random.default_rng(3).integers(0, 160, (40, 24, 32, 3), np.uint8)

    def picture(number):
        # In every four seconds, a shot of 0.6 s that lies whole between two samples.
        is_short = 22 <= number % 40 < 28
        return textures[number // 40 * 2 + is_short].repeat(10, axis=0).repeat(10, axis=1)

    class WarmingUp(RedModel):
        def detect(self, images):
            if self.inferred < 8:
                time.sleep(0.5 * len(images))
            return super().detect(images)

    path = write(tmp_path / "clip.mp4", 600, picture, gop=40)
    plain = scan(path)[0].coverage
    coverage = Scanner(WarmingUp(), ScanOptions(budget="20s")).scan(path).report.coverage
    assert coverage.left_out == ()
    assert plain.shots == 45
    assert coverage.shot_starts_s == plain.shot_starts_s
    assert coverage.shots_unsampled == 0


def test_pictures_kept_on_the_way_are_those_that_decoding_again_gives(tmp_path, monkeypatch):
    path = tmp_path / "clip.mp4"

    def picture(number):
        image = grey(number, (320, 240))
        if 12 <= number < 40:
            image[60:120, 20 + number : 90 + number] = RED
        return image

    write(path, 60, picture)
    was_kept = []
    at = BestPictures.at
    monkeypatch.setattr(BestPictures, "at", lambda *where: was_kept.append(at(*where)) or was_kept[-1])
    kept = Scanner(RedModel(), ScanOptions()).scan(path)
    assert was_kept and None not in was_kept
    monkeypatch.setattr(BestPictures, "at", lambda *_: None)
    again = Scanner(RedModel(), ScanOptions()).scan(path)
    assert len(kept.pictures) == 2
    assert kept.pictures == again.pictures


def test_a_clip_may_be_named_by_a_string(tmp_path):
    path = tmp_path / "clip.mp4"
    write(path, 30, lambda number: grey(number, (320, 240)))
    assert Scanner(RedModel(), ScanOptions()).scan(str(path)).report.clip.name == "clip.mp4"


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


def test_a_stray_time_is_no_second_recording(tmp_path):
    clip = write(tmp_path / "clip.ts", 150, with_red(75, 99), rate=25, gop=12)
    content = bytearray(clip.read_bytes())
    starts = [
        at for at in range(0, len(content), 188) if content[at + 1] & 0x40 and b"\0\0\1\xe0" in content[at : at + 188]
    ]
    stamp = content.index(b"\0\0\1\xe0", starts[60]) + 9
    for field in range(stamp, stamp + 5 * (content[stamp - 2] >> 7) + 5 * (content[stamp - 2] >> 6 & 1), 5):
        # Bits 21 to 15 of a 33-bit time at 90 kHz, and a marker: what is left is less than 0.4 s.
        content[field + 2] = 1
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
