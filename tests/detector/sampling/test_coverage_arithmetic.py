"""The coverage against brute force: slow and plain, frame by frame and pair by pair."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.sampling.coverage import (
    MOST_RANGES,
    Effort,
    LeftOut,
    UndecodedRange,
    measure_coverage,
    sampled_ranges,
    smallest_object,
)

ticks = st.integers(0, 3000)


@st.composite
def clips(draw):
    """Frames at uneven hundredths of a second, some of them sampled, some shots, some of the timeline not decoded."""
    frames = sorted(draw(st.sets(ticks, min_size=1, max_size=40)))
    sampled = sorted(draw(st.sets(st.sampled_from(frames))))
    duration = frames[-1] + draw(st.integers(1, 200))
    cuts = sorted(draw(st.sets(st.sampled_from(frames), max_size=6)) | {frames[0]})
    shots = list(pairwise([*cuts, duration]))
    lost = [tuple(sorted(pair)) for pair in draw(st.lists(st.tuples(ticks, ticks), max_size=3))]
    return frames, sampled, duration, shots, lost


def measured(clip, **options):
    frames, sampled, duration, shots, lost = clip
    return measure_coverage(
        [n / 100 for n in sampled],
        [n / 100 for n in frames],
        duration / 100,
        [UndecodedRange(a / 100, b / 100, "damaged") for a, b in lost],
        shots=[(a / 100, b / 100) for a, b in shots],
        **options,
    )


def gaps_by_force(frames, sampled, duration, lost):
    start = min([frames[0], *(a for a, _ in lost)])
    end = max([duration, *(b for _, b in lost)])
    found = []
    for left, right in pairwise([start, *sampled, end]):
        unseen = [n for n in frames if left <= n <= right and n not in sampled]
        missing = [n for a, b in lost for n in range(a, b) if left <= n < right]
        if left < right and (unseen or missing):
            found.append((left, right))
    return found


@given(clips())
def test_gaps_are_those_of_brute_force(clip):
    frames, sampled, duration, _, lost = clip
    by_force = gaps_by_force(frames, sampled, duration, lost)
    coverage = measured(clip)
    assert [(g.from_seconds, g.to_seconds) for g in coverage.unseen] == [(a / 100, b / 100) for a, b in by_force]
    assert coverage.unseen_count == len(by_force)
    longest = max(by_force, key=lambda gap: gap[1] - gap[0], default=None)
    assert coverage.longest_gap_seconds == pytest.approx((longest[1] - longest[0]) / 100 if longest else 0)


@given(clips(), st.integers(0, 300))
def test_what_is_in_view_for_longer_than_the_guarantee_was_sampled(clip, start):
    frames, sampled, _, _, _ = clip
    guarantee = measured(clip).guarantee_seconds
    shown = [n for n in frames if frames[0] + start <= n]
    for last, gone in pairwise(shown):
        if not any(shown[0] <= n <= last for n in sampled):
            assert (gone - shown[0]) / 100 <= guarantee + 1e-9


@given(clips(), st.integers(1, 400))
def test_told_are_the_gaps_with_more_unseen_than_the_plan_aimed_at(clip, aim):
    frames, sampled, duration, _, lost = clip
    told = []
    for left, right in gaps_by_force(frames, sampled, duration, lost):
        is_lost = any(left <= n < right for a, b in lost for n in range(a, b))
        shown_until = left if is_lost or left not in sampled else min(n for n in frames if n > left)
        if right - shown_until > aim:
            told.append((left / 100, right / 100))
    found = measured(clip, promise_seconds=aim / 100).unseen
    assert [(gap.from_seconds, gap.to_seconds) for gap in found] == told


def test_frames_that_do_not_lie_on_the_grid_are_no_gap():
    frames = [n / 10 for n in range(300)]
    sampled = [frames[int(n * 2.5)] for n in range(120)]
    assert max(b - a for a, b in pairwise(sampled)) > 0.25
    assert measure_coverage(sampled, frames, 30.0, promise_seconds=0.25).unseen == ()


@given(clips())
def test_shots_are_those_of_brute_force(clip):
    _, sampled, _, shots, _ = clip
    missed = [(a, b) for a, b in shots if not any(a <= n < b for n in sampled)]
    found = measured(clip).shots
    assert (found.shots, found.unsampled) == (len(shots), len(missed))
    if missed:
        a, b = max(missed, key=lambda shot: shot[1] - shot[0])
        assert found.longest_unsampled.seconds == pytest.approx((b - a) / 100)
    else:
        assert found.longest_unsampled is None


@given(st.sets(ticks, max_size=60))
def test_ranges_hold_every_sample_once_and_their_steps(samples):
    times = sorted(samples)
    ranges = sampled_ranges([float(n) for n in times])
    assert sum(each.samples for each in ranges) == len(times)
    position = 0
    for each in ranges:
        part = times[position : position + each.samples]
        assert (each.from_seconds, each.to_seconds) == (part[0], part[-1])
        steps = [b - a for a, b in pairwise(part)]
        assert each.longest_step_seconds == max(steps, default=0)
        assert max(steps, default=1) <= 1.5 * min(steps, default=1)
        position += each.samples


def test_four_hours_are_a_handful_of_ranges():
    """A look a second on the frames of 29.97 pictures a second, with fifty denser stretches."""
    frame = 1001 / 30000
    coarse = {round(n / frame) * frame for n in range(4 * 3600)}
    dense = {round((200.0 * k + n / 5) / frame) * frame for k in range(1, 51) for n in range(50)}
    assert len(sampled_ranges(sorted(coarse | dense))) < 400


def test_however_uneven_the_report_stays_small():
    times = [0.0]
    for n in range(20000):
        times.append(times[-1] + (0.04, 7.0, 0.5)[n % 3])
    ranges = sampled_ranges(times)
    assert len(ranges) <= MOST_RANGES
    assert sum(each.samples for each in ranges) == len(times)
    coverage = measure_coverage(times, [n / 4 for n in range(int(times[-1] * 4))], times[-1])
    assert len(coverage.unseen) == MOST_RANGES < coverage.unseen_count
    assert coverage.longest_gap_seconds == max(gap.seconds for gap in coverage.unseen)


def test_unknown_shots_are_not_said_to_be_none():
    assert measure_coverage([0.0], [0.0, 1.0], 2.0).shots is None


@pytest.mark.parametrize(
    ("width", "height", "side"),
    [(1920, 1080, 96 * 1920 / 416), (1080, 1920, 96 * 1920 / 416), (416, 416, 96), (208, 104, 48)],
)
def test_the_smallest_object_is_scaled_as_the_letterbox_scales(width, height, side):
    assert smallest_object(96, width, height, 416) == pytest.approx(side)


def test_what_not_found_means_is_one_sentence_that_names_the_limits():
    frames = [n / 10 for n in range(200)]
    effort = Effort(smallest_object_px=443.1, left_out=(LeftOut(3.0, 9.0, "tiles, for want of budget"),))
    lost = [UndecodedRange(15.0, 16.0, "damaged")]
    said = measure_coverage(
        frames[0:100:10], frames, 20.0, lost, shots=[(0.0, 10.0), (10.0, 20.0)], effort=effort
    ).not_found_means
    for words in (
        "longer than 11.00 s",
        "about 443 px",
        "hidden or blurred",
        "shots without a sample",
        "decoded",
        "left out",
    ):
        assert words in said
    assert said.endswith(".") and said.count(". ") == 0 and said.startswith("Not found means")
    everything = measure_coverage(frames, frames, 20.0).not_found_means
    assert "every picture" in everything and "may not have been looked at" not in everything
    assert measure_coverage([], frames, 20.0).not_found_means == (
        "Not found means nothing here: no picture could be looked at."
    )
