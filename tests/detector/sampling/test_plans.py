import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import BadOption, UnknownPlan
from detector.sampling.adaptive import Adaptive
from detector.sampling.budget import Budget
from detector.sampling.names import PLAN_NAMES
from detector.sampling.plan import Timeline
from detector.sampling.plans import ModelFacts, PlanChoice, make_plan


def plan_of(name, cadence=None, shortest_shot=None, **options):
    return make_plan(PlanChoice(name, cadence, shortest_shot), ModelFacts({"tank": 0.5}, 416), **options)


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
    assert plan_of("interval", 1.0).first(timeline(pts)).times == (0.0, 1.0, 2.0, 3.0)


@given(frame_times, st.integers(50, 3000))
def test_whatever_stays_on_screen_for_a_cadence_is_sampled(pts, cadence_ms):
    cadence = cadence_ms / 1000
    end = pts[-1] + 0.04
    chosen = plan_of("interval", cadence).first(timeline(pts)).times
    assert set(chosen) <= set(pts)
    for start in pts:
        if start + cadence <= end:
            shown = {on_display(pts, start)} | {p for p in pts if start <= p < start + cadence}
            assert shown & set(chosen)


def test_the_first_sample_is_the_first_frame_of_a_clip_that_starts_late():
    assert plan_of("interval", 1.0).first(timeline([5.0, 5.5, 6.0, 6.5])).times == (5.0, 6.0)


def test_keyframes_alone_where_they_are_close_enough():
    pts = np.arange(100) / 25
    request = plan_of("keyframes", 1.0).first(timeline(pts, keys=(0, 25, 50, 75)))
    assert request.times == (0.0, 1.0, 2.0, 3.0)
    assert request.keyframes_only


def test_keyframes_are_filled_in_where_they_lie_too_far_apart():
    pts = np.arange(250) / 25
    request = plan_of("keyframes", 1.0).first(timeline(pts, keys=(0, 60), duration=4.0))
    assert {0.0, 1.0, 2.0, 2.4, 3.4} <= set(request.times)
    assert not request.keyframes_only
    assert np.diff([*request.times, 4.0]).max() <= 1.0 + 1e-6


def test_every_frame_asks_for_everything():
    assert plan_of("every-frame").first(timeline([0.0, 0.04])).times is None


def test_keyframes_only_asks_for_nothing_else():
    request = plan_of("keyframes-only").first(timeline(np.arange(250) / 25, keys=(0, 125)))
    assert (request.times, request.keyframes_only) == (None, True)


def test_fixed_plans_never_ask_twice():
    for name in set(PLAN_NAMES) - {"adaptive"}:
        assert plan_of(name).more([]) is None


def test_a_plans_options_are_all_that_decides_where_it_looks():
    assert plan_of("adaptive").options == {"every_s": 1.0, "shortest_shot_s": 0.25}
    assert plan_of("adaptive", 2.0, 0.5).options == {"every_s": 2.0, "shortest_shot_s": 0.5}
    assert plan_of("interval").options == {"every_s": 0.5}
    assert plan_of("every-frame").options == plan_of("keyframes-only").options == {}


def test_the_adaptive_plan_is_the_default():
    assert isinstance(make_plan(PlanChoice(), ModelFacts({}, 416)), Adaptive)


def test_an_unknown_plan_is_refused_by_name():
    with pytest.raises(UnknownPlan, match=r"'hourly'.*adaptive, interval, keyframes, keyframes-only, every-frame"):
        plan_of("hourly")


@pytest.mark.parametrize("name", ["adaptive", "interval", "keyframes"])
@pytest.mark.parametrize("cadence", [0, -1, 1e-9, 1e9, float("nan"), float("inf")])
def test_a_cadence_must_be_a_positive_time(name, cadence):
    with pytest.raises(BadOption, match="cadence"):
        plan_of(name, cadence)


@pytest.mark.parametrize("options", [{"cadence": 1.0}, {"shortest_shot": 0.2}, {"time_left": lambda: 1.0}])
def test_an_option_that_a_plan_has_no_use_for_is_refused(options):
    with pytest.raises(BadOption, match="every-frame"):
        plan_of("every-frame", **options)


@pytest.mark.parametrize("shortest", [-0.1, float("nan"), float("inf")])
def test_a_shortest_shot_must_be_a_time(shortest):
    with pytest.raises(BadOption, match="shortest shot"):
        plan_of("adaptive", shortest_shot=shortest)


@pytest.mark.parametrize(("text", "seconds"), [("2x", 120.0), ("0.5X", 30.0), ("30s", 30.0), (" 1.5 s ", 1.5)])
def test_a_budget_is_seconds_or_a_share_of_the_clip(text, seconds):
    assert Budget.parse(text).seconds(60.0) == seconds
    assert Budget.parse(str(Budget.parse(text))) == Budget.parse(text)


@pytest.mark.parametrize("text", ["", "0s", "-1s", "30", "x", "nan s", "infx", "1e3s", "2 x 3", "9" * 400 + "s"])
def test_what_is_no_budget_is_refused(text):
    with pytest.raises(BadOption, match="budget"):
        Budget.parse(text)
