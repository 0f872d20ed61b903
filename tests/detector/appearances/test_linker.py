import pytest

from detector.appearances import Linker
from detector.frame import Detection

THRESHOLDS = {"tank": 0.4, "humvee": 0.4}


def box_at(x, y=100.0, width=80.0, height=40.0):
    return (x, y, x + width, y + height)


def link(samples, cuts=(), calibrate=lambda name, score: score):
    linker = Linker(THRESHOLDS, calibrate)
    found = []
    for time, detections in samples:
        placed = [Detection(name, score, box, time) for name, score, box in detections]
        found.extend(linker.add(time, placed, new_shot=time in cuts))
    found.extend(linker.finish())
    return sorted(found, key=lambda appearance: appearance.first_seen_seconds)


def tank(score=0.8, x=100.0):
    return ("tank", score, box_at(x))


def test_one_moving_object_is_one_appearance():
    samples = [(n / 2, [tank(x=100.0 + 15 * n)]) for n in range(10)]
    (appearance,) = link([*samples, (5.0, []), (5.5, [])])
    assert (appearance.class_name, appearance.first_seen_seconds, appearance.last_seen_seconds) == ("tank", 0.0, 4.5)
    assert len(appearance.detections) == 10


def test_a_missed_sample_does_not_split_an_appearance():
    assert len(link([(0.0, [tank()]), (0.5, []), (1.0, [tank()])])) == 1


def test_a_long_absence_does():
    first, second = link([(n / 2, [tank()] if n in (0, 1, 12, 13) else []) for n in range(14)])
    assert first.last_seen_seconds == 0.5
    assert second.first_seen_seconds == 6.0


def test_a_cut_starts_new_tracks_even_at_the_same_place():
    first, second = link([(0.0, [tank()]), (0.5, [tank()]), (1.0, [tank()])], cuts={1.0})
    assert (first.last_seen_seconds, second.first_seen_seconds) == (0.5, 1.0)


def test_two_objects_of_a_class_stay_apart():
    samples = [(n / 2, [tank(x=50.0), tank(x=400.0)]) for n in range(4)]
    assert [len(appearance.detections) for appearance in link(samples)] == [4, 4]


def test_two_opinions_on_one_box_are_one_object():
    (appearance,) = link([(0.0, [tank(0.8), ("humvee", 0.5, box_at(102.0))])])
    assert appearance.class_name == "tank"


def test_the_class_is_voted_over_the_track():
    sequence = [("tank", 0.9), ("humvee", 0.5), ("tank", 0.7)]
    samples = [(n / 2, [(name, score, box_at(100.0))]) for n, (name, score) in enumerate(sequence)]
    (appearance,) = link(samples)
    assert appearance.class_name == "tank"


def test_weak_scores_extend_a_find_but_do_not_make_one():
    (appearance,) = link([(0.0, [tank(0.25)]), (0.5, [tank(0.8)]), (1.0, [tank(0.25)])])
    assert (appearance.first_seen_seconds, appearance.last_seen_seconds) == (0.0, 1.0)
    assert link([(0.0, [tank(0.39)]), (0.5, [tank(0.39)])]) == []


def test_confidence_is_calibrated_and_does_not_rise_with_the_number_of_samples():
    def halve(name, score):
        return score / 2

    few = link([(n / 2, [tank(0.8)]) for n in range(2)], calibrate=halve)
    many = link([(n / 2, [tank(0.8)]) for n in range(50)], calibrate=halve)
    assert few[0].confidence == many[0].confidence == pytest.approx(0.4)


def test_the_best_frame_is_the_one_with_the_best_score_among_equal_sizes():
    (appearance,) = link([(0.0, [tank(0.5)]), (0.5, [tank(0.9)]), (1.0, [tank(0.6)])])
    assert appearance.best.pts_seconds == appearance.peak.pts_seconds == 0.5


def test_sparse_samples_still_link():
    assert len(link([(float(n * 10), [tank()]) for n in range(5)])) == 1


def test_finds_are_counted_while_the_clip_runs():
    linker = Linker(THRESHOLDS, lambda name, score: score)
    linker.add(0.0, [Detection("tank", 0.9, box_at(0.0), 0.0)], new_shot=False)
    assert linker.finds == 1
    linker.add(0.5, [], new_shot=True)
    assert linker.finds == 1
