"""The confidence of an appearance does not depend on how often it was looked at."""

import math
from itertools import pairwise
from statistics import median_low

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.appearances import Linker
from detector.appearances.track import weighted_median
from detector.frame import Detection

THRESHOLD = 0.3
BOX = (100.0, 100.0, 180.0, 140.0)

scores = st.floats(0.2, 0.99).map(lambda score: round(score, 3))
several_scores = st.lists(scores, min_size=1, max_size=12).filter(lambda values: max(values) >= THRESHOLD)
moments = st.integers(1, 4000).map(lambda milliseconds: milliseconds / 1000)


def calibrate(name, score):
    return score**2


def confidence(samples):
    linker = Linker({"tank": THRESHOLD}, calibrate)
    ended = []
    for time, score in samples:
        ended.extend(linker.add(time, [Detection("tank", score, BOX, time)], new_shot=False))
    ended.extend(linker.finish())
    (appearance,) = ended
    return appearance.confidence


def at_gaps(values, data):
    gaps = data.draw(st.lists(st.floats(0.04, 1.5), min_size=len(values), max_size=len(values)))
    return [(math.fsum(gaps[: n + 1]), score) for n, score in enumerate(values)]


@given(several_scores, st.sampled_from([3, 5, 9]), st.data())
def test_the_same_scores_looked_at_more_often(values, times, data):
    """Between every two samples stand more, each with the score of the sample that is nearer."""
    samples = at_gaps(values, data)
    often = samples[:1]
    for (start, before), (end, after) in pairwise(samples):
        steps = [(start + (end - start) * n / times, before if 2 * n < times else after) for n in range(1, times)]
        often += [*steps, (end, after)]
    assert confidence(often) == pytest.approx(confidence(samples))


@given(scores.filter(lambda score: score >= THRESHOLD), st.lists(moments, min_size=1, max_size=30, unique=True))
def test_one_score_at_any_times_is_that_score(score, times):
    ascending = sorted(times)
    assert confidence([(time / 2, score) for time in ascending]) == pytest.approx(calibrate("tank", score))


def test_a_look_that_says_the_same_changes_nothing_where_exactly_half_of_the_time_lies_on_either_side():
    samples = [(0.0, 0.75), (1.0, 0.75), (2.0, 0.5), (3.0, 0.5)]
    assert confidence(samples) == pytest.approx(calibrate("tank", 0.5))
    more = sorted([*samples, (0.001, 0.5)])
    assert confidence(more) == pytest.approx(calibrate("tank", 0.5))


@given(several_scores, st.lists(moments, max_size=8, unique=True), st.data())
def test_looks_that_say_the_same_change_nothing_wherever_they_fall(values, moments, data):
    samples = at_gaps(values, data)
    before = confidence(samples)
    taken = {time for time, _ in samples}
    inside = [time for time in moments if samples[0][0] < time < samples[-1][0] and time not in taken]
    more = sorted([*samples, *((time, math.sqrt(before)) for time in inside)])
    assert confidence(more) == pytest.approx(before)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 6)), min_size=1, max_size=15))
def test_the_weighted_median_is_the_lower_median_of_each_value_so_often(pairs):
    plain = median_low([value for value, weight in pairs for _ in range(weight)])
    assert weighted_median([value for value, _ in pairs], [weight / 7 for _, weight in pairs]) == plain


def test_a_lucky_look_among_many_does_not_raise_it():
    steady = [(float(n), 0.4) for n in range(10)]
    lucky = sorted([*steady, *((4 + n / 25, 0.95) for n in range(1, 20))])
    assert confidence(lucky) == pytest.approx(calibrate("tank", 0.4))
