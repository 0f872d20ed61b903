import pytest

from detector.sampling.coverage import MOST_RANGES, UndecodedRange, measure_coverage, not_looked_at

PTS_25_FPS = [n / 25 for n in range(250)]


def test_one_sample_a_second_leaves_gaps_of_a_second():
    coverage = measure_coverage([float(n) for n in range(10)], PTS_25_FPS, 10.0)
    assert coverage.samples == 10
    assert coverage.longest_gap_seconds == pytest.approx(1.0)
    assert coverage.guarantee_seconds == pytest.approx(0.96)
    assert "longer than 0.96 s" in coverage.statement


def test_every_frame_leaves_no_gap():
    coverage = measure_coverage(PTS_25_FPS, PTS_25_FPS, 10.0)
    assert coverage.longest_gap_seconds == 0
    assert coverage.statement.startswith("Every picture of the clip was sampled")


def test_a_pause_without_frames_is_no_gap():
    pts = [0.0, 0.5, 1200.0, 1200.5]
    assert measure_coverage(pts, pts, 1201.0).longest_gap_seconds == 0


def test_the_gap_is_measured_from_what_was_decoded_not_from_what_was_planned():
    decoded = [0.0, 1.0, 2.0, 6.0, 7.0, 8.0, 9.0]
    coverage = measure_coverage(decoded, PTS_25_FPS, 10.0)
    assert (coverage.longest_gap_at_seconds, coverage.longest_gap_seconds) == (2.0, pytest.approx(4.0))


def test_the_ends_of_the_clip_count():
    coverage = measure_coverage([4.0, 5.0], PTS_25_FPS, 10.0)
    assert (coverage.longest_gap_at_seconds, coverage.longest_gap_seconds) == (5.0, pytest.approx(5.0))
    assert measure_coverage([8.0, 9.0], PTS_25_FPS, 10.0).longest_gap_at_seconds == 0.0


def test_a_truncated_end_is_a_gap_and_is_said():
    pts = PTS_25_FPS[:150]
    lost = UndecodedRange(6.0, 10.0, "the file ends early")
    coverage = measure_coverage(pts, pts, 10.0, [lost])
    assert coverage.longest_gap_seconds == pytest.approx(10.0 - pts[-1])
    assert "4.00 s could not be decoded" in coverage.statement
    assert coverage.undecoded == (lost,)


def test_what_was_looked_at_within_a_long_damaged_stretch_is_not_said_to_be_lost():
    frames = [number / 25 for number in range(9100 * 25)]
    looked_at = [float(second) for second in range(9001)]
    lost = not_looked_at([UndecodedRange(10.0, 9000.0, "damaged")], looked_at, frames, 9100.0)
    coverage = measure_coverage(looked_at, frames, 9100.0, lost)
    assert "8630.40 s could not be decoded and were not looked at" in coverage.statement
    assert len(coverage.undecoded) == MOST_RANGES


def test_pictures_that_share_a_time_are_not_said_to_be_all_looked_at():
    frames = [0.0, 0.0, 0.04, 0.04]
    coverage = measure_coverage([0.0, 0.04], frames, 0.08)
    assert "Every picture" not in coverage.statement
    assert "one of the pictures that share it" in coverage.statement


def test_nothing_looked_at_is_said_plainly():
    assert measure_coverage([], PTS_25_FPS, 10.0).statement.startswith("Nothing was looked at")


def test_rounded_pts_of_a_container_are_the_same_frame():
    decoded = [round(n / 30, 3) for n in range(90)]
    assert measure_coverage(decoded, [n / 30 for n in range(90)], 3.0).longest_gap_seconds == 0
