from math import ceil, inf, log2

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from detector.appearances.boxes import affinity
from detector.sampling import seen
from detector.sampling.adaptive import (
    GRID_PER_SECOND,
    MOST_CLOSER_LOOKS,
    MOST_EDGE_SAMPLES,
    NEAR_LEAST,
    NEAR_SHARE,
)
from detector.sampling.coarse import keyframes_at_cuts

from .fake_clip import FakeClip, shown_seconds

BOX = (100.0, 100.0, 200.0, 180.0)
ELSEWHERE = (400.0, 200.0, 500.0, 280.0)


@st.composite
def timelines(draw):
    steps = draw(st.lists(st.sampled_from([1, 17, 33, 40, 42, 100, 500, 2500]), min_size=0, max_size=150))
    start = draw(st.sampled_from([0.0, 0.5, 10.0]))
    pts = (start + np.cumsum([0, *steps]) / 1000).tolist()
    keys = draw(st.lists(st.integers(0, len(pts) - 1), max_size=12))
    return FakeClip(pts, sorted({*keys}), duration=pts[-1] + draw(st.sampled_from([0.0, 0.04, 3.0])))


def clip_of(seconds, rate=25.0, gop=50, objects=()):
    pts = [round(number / rate, 6) for number in range(round(seconds * rate))]
    return FakeClip(pts, list(range(0, len(pts), gop)), list(objects), pts[-1] + 1 / rate)


@given(timelines(), st.sampled_from([0.1, 0.25, 1.0, 4.0]), st.data())
def test_whatever_is_shown_for_the_cadence_is_sampled(clip, cadence, data):
    sampled = set(clip.coarse(cadence))
    assert sampled <= set(clip.pts)
    first = data.draw(st.integers(0, len(clip.pts) - 1))
    last = data.draw(st.integers(first, len(clip.pts) - 1))
    assume(shown_seconds(clip, first, last) >= cadence)
    assert sampled & set(clip.pts[first : last + 1])


@given(timelines(), st.sampled_from([0.25, 1.0, 4.0]))
def test_the_coarse_pass_is_sparse(clip, cadence):
    sampled = clip.coarse(cadence)
    at_cuts = keyframes_at_cuts(np.asarray(clip.keys, np.intp))
    # Of three samples in a row the outer two lie a cadence apart, if no keyframe of a cut is among them.
    seconds = max(clip.duration, clip.pts[-1]) - clip.pts[0]
    assert len(sampled) <= 2 + 2 * seconds / cadence + 2 * len(at_cuts) + len(clip.keys)


def test_keyframes_are_preferred_and_gaps_filled_from_their_end():
    assert clip_of(10, gop=25).coarse() == tuple(float(n) for n in range(10))
    assert clip_of(4, gop=40).coarse()[:4] == (0.0, 0.6, 1.6, 2.2)


def test_groups_of_pictures_a_little_over_two_seconds_get_one_fill_in_each():
    clip = clip_of(20, rate=30000 / 1001, gop=60)
    assert len(clip.coarse()) == 20


def test_a_keyframe_at_a_cut_is_sampled():
    clip = clip_of(20, gop=10)
    clip.keys = sorted({*clip.keys, 123})
    assert clip.pts[123] in clip.coarse()


@given(
    st.sampled_from([(24.0, 24), (25.0, 250), (29.97, 60), (60.0, 120)]),
    st.floats(0.0, 18.0),
    st.floats(1.0, 12.0),
)
def test_the_exact_first_and_last_frame_are_found(kind, start, length):
    rate, gop = kind
    clip = clip_of(20, rate, gop)
    first, last = ceil(start * rate), min(ceil((start + length) * rate), len(clip.pts) - 1)
    assume(last - first >= rate)
    clip.objects = [(first, last, 0.9, BOX)]
    _, samples = clip.scan()
    seen = [pts for pts, sample in sorted(samples.items()) if sample.detections]
    assert (seen[0], seen[-1]) == (clip.pts[first], clip.pts[last])
    inside = np.diff(seen)
    assert inside.max() <= 1 / GRID_PER_SECOND + 2 / rate
    coarse = len(clip.coarse())
    steps = length + 3
    assert len(samples) <= coarse + GRID_PER_SECOND * steps + steps + 2 * ceil(log2(rate / GRID_PER_SECOND + 1))


def test_nothing_there_costs_nothing_more_than_the_coarse_pass():
    clip = clip_of(60)
    plan, samples = clip.scan()
    assert len(samples) == len(clip.coarse()) == len(clip.asked)
    assert plan.left_out() == ()


def test_a_weak_detection_leads_to_a_short_strong_one():
    clip = clip_of(20, objects=[(240, 260, 0.2, BOX), (262, 270, 0.9, BOX)])
    _, samples = clip.scan()
    strong = [pts for pts, sample in sorted(samples.items()) if any(d.score > 0.5 for d in sample.detections)]
    assert (strong[0], strong[-1]) == (clip.pts[262], clip.pts[270])


def test_an_object_that_takes_anothers_turn_elsewhere_is_told_from_it():
    clip = clip_of(20, objects=[(100, 206, 0.9, BOX), (207, 330, 0.9, ELSEWHERE)])
    _, samples = clip.scan()
    assert {clip.pts[206], clip.pts[207]} <= set(samples)


def test_the_tail_of_an_appearance_ends_on_its_weak_frames():
    clip = clip_of(20, objects=[(100, 200, 0.9, BOX), (201, 288, 0.3, BOX)])
    _, samples = clip.scan()
    assert {clip.pts[288], clip.pts[289]} <= set(samples)


def test_a_hit_before_a_cut_does_not_vouch_for_something_weak_after_it():
    clip = clip_of(20, objects=[(100, 206, 0.9, BOX), (207, 288, 0.3, BOX)])
    clip.cuts = [207]
    _, samples = clip.scan()
    assert {clip.pts[206], clip.pts[207]} <= set(samples)
    assert not {clip.pts[288], clip.pts[289]} <= set(samples)


def test_a_quick_pan_that_looks_like_a_cut_from_afar_does_not_end_an_appearance():
    clip = clip_of(20, objects=[(100, 203, 0.9, BOX), (204, 288, 0.3, BOX)])
    clip.cuts = [204, 205]
    _, samples = clip.scan()
    assert {clip.pts[288], clip.pts[289]} <= set(samples)


def test_many_things_that_are_never_sure_are_each_followed_once_from_sample_to_sample(monkeypatch):
    compared = 0

    def counted(*boxes):
        nonlocal compared
        compared += 1
        return affinity(*boxes)

    monkeypatch.setattr(seen, "affinity", counted)
    boxes = [(60.0 * n, 0.0, 60.0 * n + 40, 40.0) for n in range(20)]
    clip = clip_of(60, objects=[(0, 1499, 0.3, box) for box in boxes])
    _, samples = clip.scan()
    assert compared <= 4 * len(samples) * len(boxes) ** 2


@given(st.integers(0, 2**32 - 1))
def test_samples_stay_within_the_stated_bound_whatever_the_detector_says(seed):
    clip = clip_of(30)
    noise = np.random.default_rng(seed)
    clip.objects = [
        (number, number, float(noise.uniform(0.05, 1.0)), tuple(noise.choice([BOX, ELSEWHERE])))
        for number in range(len(clip.pts))
        if noise.random() < 0.5
    ]
    plan, samples = clip.scan()
    coarse = len(clip.coarse())
    assert len(samples) <= coarse + 30 * GRID_PER_SECOND + coarse * MOST_EDGE_SAMPLES
    assert len(clip.asked) == len(set(clip.asked))
    assert all("without" in each.what for each in plan.left_out())


def test_weak_detections_everywhere_are_followed_from_the_best_one_as_far_as_they_may_cost():
    clip = clip_of(300, objects=[(0, 3000, 0.1, BOX), (3001, 3030, 0.4, BOX), (3031, 7499, 0.1, BOX)])
    plan, samples = clip.scan()
    coarse = len(clip.coarse())
    assert len(samples) <= coarse + max(NEAR_LEAST, NEAR_SHARE * coarse)
    assert sum(119.5 <= pts <= 122 for pts in samples) >= 2 * GRID_PER_SECOND
    assert "weak detection" in plan.left_out()[0].what


def test_small_weak_detections_in_large_pictures_get_a_closer_look():
    clip = clip_of(300, objects=[(0, 7499, 0.4, (1000.0, 500.0, 1100.0, 560.0))])
    clip.width, clip.height = 1920, 1080
    requests = []

    def look(clip, request):
        requests.append(request)
        return [clip.sample(pts) for pts in request.times]

    clip.scan(look=look)
    closer = [each for request in requests for each in request.closer]
    assert len(closer) == MOST_CLOSER_LOOKS
    clip.width, clip.height = 640, 360
    requests.clear()
    clip.scan(look=look)
    assert not any(request.closer for request in requests)


def test_with_a_budget_the_best_hits_are_looked_at_before_the_others():
    clip = clip_of(100, objects=[(500, 560, 0.3, BOX), (2000, 2060, 0.9, BOX)])
    requests = []

    def look(clip, request):
        requests.append(request)
        return [clip.sample(pts) for pts in request.times]

    _, samples = clip.scan(time_left=lambda: inf, look=look)
    assert sorted(pts for request in requests if request.coarse for pts in request.times) == list(clip.coarse())
    assert all(list(request.times) == sorted(request.times) for request in requests)
    assert {clip.pts[2000], clip.pts[2060]} <= set(samples)


@pytest.mark.parametrize("gop", [25, 50, 250])
@pytest.mark.parametrize("affordable", [12, 16, 30, 60, 100])
def test_a_budget_widens_the_coarse_pass_over_the_whole_clip(gop, affordable):
    clip = clip_of(120, gop=gop)
    left = float(affordable)

    def look(clip, request):
        nonlocal left
        times = request.times[: max(0, int(left))]
        left -= len(times)
        return [clip.sample(pts) for pts in times]

    _, samples = clip.scan(time_left=lambda: left, look=look)
    gaps = np.diff([0.0, *sorted(samples), 120.0])
    assert gaps.max() <= 8 * 120 / affordable
    assert len(samples) == affordable


def test_first_pictures_that_are_neighbours_widen_no_pass_for_which_there_is_time():
    clip = clip_of(120)
    clip.keys = [0, *range(1, len(clip.pts), 50)]
    left, passes = 400.0, []

    def look(clip, request):
        nonlocal left
        left -= len(request.times)
        passes.extend(() if request.between else request.times)
        return [clip.sample(pts) for pts in request.times]

    clip.scan(time_left=lambda: left, look=look)
    assert clip.coarse()[1] - clip.coarse()[0] < 0.1
    assert passes == list(clip.coarse())


def test_a_budget_that_suffices_is_as_good_as_none():
    clip = clip_of(60, gop=250)
    _, samples = clip.scan(time_left=lambda: 1000.0)
    assert sorted(samples) == list(clip.coarse())


def test_a_plan_whose_samples_fail_still_ends():
    clip = clip_of(20, objects=[(100, 200, 0.9, BOX)])
    _, samples = clip.scan(look=lambda clip, request: [clip.sample(pts) for pts in request.times if request.coarse])
    assert set(samples) == set(clip.coarse())
    _, samples = clip.scan(look=lambda clip, request: [])
    assert samples == {}


@pytest.mark.parametrize("pts", [[0.0], [5.0], [0.0, 0.04, 0.08], [0.0, 3600.0]])
def test_clips_shorter_than_the_cadence(pts):
    clip = FakeClip(pts, [0], duration=pts[-1] + 0.04)
    _, samples = clip.scan()
    assert pts[0] in samples
