import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import BadOption, UnknownPlan
from detector.sampling.plan import Timeline, make_plan


def timeline(pts, keys=(), duration=None):
    times = np.asarray(pts, dtype=np.float64)
    flags = np.isin(np.arange(len(times)), keys)
    return Timeline(times, flags, times[-1] + 0.04 if duration is None else duration)


def on_display(pts, time):
    return max((p for p in pts if p <= time + 1e-6), default=pts[0])


frame_times = st.lists(st.integers(0, 20_000), min_size=1, max_size=80, unique=True).map(
    lambda ms: [m / 1000 for m in sorted(ms)]
)


def test_interval_takes_one_frame_a_second_of_a_25_fps_clip():
    pts = np.arange(100) / 25
    assert make_plan("interval", 1.0).first(timeline(pts)).times == (0.0, 1.0, 2.0, 3.0)


@given(frame_times, st.integers(50, 3000))
def test_whatever_stays_on_screen_for_a_cadence_is_sampled(pts, cadence_ms):
    cadence = cadence_ms / 1000
    end = pts[-1] + 0.04
    chosen = make_plan("interval", cadence).first(timeline(pts)).times
    assert set(chosen) <= set(pts)
    for start in pts:
        if start + cadence <= end:
            shown = {on_display(pts, start)} | {p for p in pts if start <= p < start + cadence}
            assert shown & set(chosen)


def test_the_first_sample_is_the_first_frame_of_a_clip_that_starts_late():
    assert make_plan("interval", 1.0).first(timeline([5.0, 5.5, 6.0, 6.5])).times == (5.0, 6.0)


def test_keyframes_alone_where_they_are_close_enough():
    pts = np.arange(100) / 25
    request = make_plan("keyframes", 1.0).first(timeline(pts, keys=(0, 25, 50, 75)))
    assert request.times == (0.0, 1.0, 2.0, 3.0)
    assert request.keyframes_only


def test_keyframes_are_filled_in_where_they_lie_too_far_apart():
    pts = np.arange(250) / 25
    request = make_plan("keyframes", 1.0).first(timeline(pts, keys=(0, 60), duration=4.0))
    assert {0.0, 1.0, 2.0, 2.4, 3.4} <= set(request.times)
    assert not request.keyframes_only
    assert np.diff([*request.times, 4.0]).max() <= 1.0 + 1e-6


def test_every_frame_asks_for_everything():
    assert make_plan("every-frame").first(timeline([0.0, 0.04])).times is None


def test_fixed_plans_never_ask_twice():
    for name in ("interval", "keyframes", "every-frame"):
        assert make_plan(name).more([]) is None


def test_an_unknown_plan_is_refused_by_name():
    with pytest.raises(UnknownPlan, match=r"'hourly'.*interval, keyframes, every-frame"):
        make_plan("hourly")


@pytest.mark.parametrize("cadence", [0, -1, float("nan"), float("inf")])
def test_a_cadence_must_be_a_positive_time(cadence):
    with pytest.raises(BadOption):
        make_plan("interval", cadence)
