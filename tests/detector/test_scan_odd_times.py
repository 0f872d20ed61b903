"""Clips whose times are odd, through the whole pipeline, with a model that sees red things."""

import time

import av
import pytest
from red_clips import RedModel, retimed, scan, with_red, write

from detector.errors import TooLong
from detector.scanner import Scanner, ScanOptions
from detector.video.guard import GuardLimits, open_guarded


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
