from dataclasses import replace

import pytest

from detector.appearances import Linker, numbered
from detector.frame import Detection

THRESHOLDS = {"tank": 0.4, "humvee": 0.4}


def box_at(x, y=100.0, width=80.0, height=40.0):
    return (x, y, x + width, y + height)


def link(samples, cuts=(), calibrate=lambda name, score: score, scenes=None):
    """`scenes` maps the time of a cut to the scene that it leads to; the clip starts in scene 0."""
    linker = Linker(THRESHOLDS, calibrate)
    found = []
    scene = None if scenes is None else 0
    for time, detections in samples:
        new_shot = time in cuts or (scenes is not None and time in scenes)
        scene = scenes[time] if scenes and time in scenes else scene
        placed = [Detection(name, score, box, time) for name, score, box in detections]
        found.extend(linker.add(time, placed, new_shot=new_shot, scene=scene))
    found.extend(linker.finish())
    return numbered(found)


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


def test_a_densely_sampled_second_does_not_outvote_a_sparsely_sampled_minute():
    sparse = [(float(n), [tank(0.6)]) for n in range(0, 60, 5)]
    dense = [(60 + n / 25, [("humvee", 0.9, box_at(100.0))]) for n in range(50)]
    (appearance,) = link(sparse + dense)
    assert appearance.class_name == "tank"
    assert appearance.confidence == pytest.approx(0.6)


def test_a_class_that_never_reached_its_threshold_is_not_the_answer():
    samples = [(0.0, [tank(0.5)]), *((n / 2, [("humvee", 0.39, box_at(100.0))]) for n in range(1, 9))]
    (appearance,) = link(samples)
    assert appearance.class_name == "tank"
    assert appearance.best.pts_seconds == 0.0


def test_two_labels_for_one_object_stay_one_appearance_whichever_is_on_top():
    def both(n):
        tank_score, humvee_score = (0.7, 0.5) if n % 2 else (0.45, 0.5)
        return [tank(tank_score), ("humvee", humvee_score, box_at(110.0, width=70.0))]

    (appearance,) = link([(n / 2, both(n)) for n in range(10)])
    assert appearance.class_name == "tank"
    assert [each.score for each in appearance.detections] == [0.45, 0.7] * 5


@pytest.mark.parametrize("spacing", [1 / 25, 0.2])
def test_crossing_paths_stay_apart(spacing):
    """Two boxes pass through each other; while one hides the other the model sees one box only."""
    samples = []
    for n in range(int(6 / spacing)):
        time = n * spacing
        left_to_right, right_to_left = 50 + 100 * time, 650 - 100 * time
        hidden = abs(left_to_right - right_to_left) < 16
        boxes = [tank(0.9, left_to_right)] + ([] if hidden else [tank(0.85, right_to_left)])
        samples.append((time, boxes))
    one, other = link(samples)
    for track, direction in ((one, 1), (other, -1)) if one.best.score > 0.87 else ((other, 1), (one, -1)):
        moves = [b.box[0] - a.box[0] for a, b in zip(track.detections, track.detections[1:], strict=False)]
        assert all(move * direction > 0 for move in moves)
        assert track.last_seen_seconds - track.first_seen_seconds == pytest.approx(6 - spacing)


def test_spacing_from_a_frame_to_seconds_in_one_clip():
    times = [0.0, 1.0, 2.0, *(2 + n / 25 for n in range(1, 26)), 4.0, 6.0, 10.0, 10.04, 10.08, 12.0]
    samples = [(time, [tank(x=50 + 12 * time), tank(x=500 - 12 * time)]) for time in times]
    assert [len(each.detections) for each in link(samples)] == [len(times)] * 2


def test_back_in_the_same_scene_an_object_is_linked_and_not_merged():
    times = [float(n) for n in range(16)]
    samples = [(time, [tank()] if time < 5 or time >= 10 else []) for time in times]
    first, second = link(samples, scenes={5.0: 1, 10.0: 0})
    assert (first.continues, second.continues) == (None, first.id)
    assert (first.last_seen_seconds, second.first_seen_seconds) == (4.0, 10.0)


def test_links_chain_from_return_to_return():
    samples = [(float(n), [tank()] if (n // 5) % 2 == 0 else []) for n in range(25)]
    found = link(samples, scenes={5.0: 1, 10.0: 0, 15.0: 1, 20.0: 0})
    assert [each.continues for each in found] == [None, "a0001", "a0002"]


def test_a_short_cut_away_does_not_split():
    samples = [(n / 2, [tank()] if n not in (4, 5) else []) for n in range(10)]
    (appearance,) = link(samples, scenes={2.0: 1, 3.0: 0})
    assert (appearance.first_seen_seconds, appearance.last_seen_seconds) == (0.0, 4.5)


def test_another_scene_another_object():
    samples = [(n / 2, [tank()]) for n in range(30)]
    found = link(samples, scenes={5.0: 1, 10.0: 2})
    assert [each.continues for each in found] == [None, None, None]


def test_what_stands_elsewhere_after_the_return_is_another_object():
    samples = [(float(n), [tank(x=100.0 if n < 5 else 500.0)] if n < 5 or n >= 10 else []) for n in range(16)]
    assert [each.continues for each in link(samples, scenes={5.0: 1, 10.0: 0})] == [None, None]


def test_ids_and_links_are_in_the_order_of_time():
    samples = [(float(n), [tank()] if n < 5 or n >= 10 else [tank(0.9, 400.0)]) for n in range(16)]
    found = link(samples, scenes={5.0: 1, 10.0: 0})
    assert [(each.id, each.continues) for each in found] == [("a0001", None), ("a0002", None), ("a0003", "a0001")]


def test_thousands_of_cuts_keep_nothing_behind():
    linker = Linker(THRESHOLDS, lambda name, score: score)
    for n in range(5000):
        linker.add(n / 30, [Detection("tank", 0.3, box_at(100.0), n / 30)], new_shot=True, scene=n)
    assert len(linker._left) <= 64 and len(linker._away) <= 61 and not linker.finish()


def test_of_equal_scores_the_sharp_and_large_one_is_best():
    blurred = Detection("tank", 0.8, box_at(100.0), 0.0, sharpness=8.0)
    sharp = replace(blurred, pts_seconds=0.5, sharpness=900.0)
    large = replace(sharp, pts_seconds=1.0, box=box_at(100.0, width=110.0, height=55.0))
    found = {}
    for several in ((blurred, sharp), (blurred, sharp, large), (replace(large, sharpness=8.0), sharp)):
        linker = Linker(THRESHOLDS, lambda name, score: score)
        for each in sorted(several, key=lambda detection: detection.pts_seconds):
            linker.add(each.pts_seconds, [each], new_shot=False)
        found[len(found)] = linker.finish()[0].best
    assert [found[n].pts_seconds for n in range(3)] == [0.5, 1.0, 0.5]


def test_a_second_weak_box_on_an_object_does_not_take_it_over():
    """As seen on the demo clip: a box within the box on one sample, then a cut to another view of the same object."""
    before = [(n / 4, [tank(0.75, 100.0)]) for n in range(8)]
    double = (2.0, [("tank", 0.75, box_at(100.0)), ("tank", 0.21, box_at(118.0, width=50.0))])
    after = [(2.25 + n / 4, [("tank", 0.85, box_at(112.0, width=56.0))]) for n in range(8)]
    (appearance,) = link([*before, double, *after])
    assert len(appearance.detections) == 17
