"""The arithmetic of the time benchmark, by cases small enough to be counted by hand."""

from __future__ import annotations

import pytest

from benchmarks.time.contenders import ANY_CLASS, Found, Outcome
from benchmarks.time.peers import grouped
from benchmarks.time.run import as_few_made_up, sampled_of
from benchmarks.time.scoring import (
    Errors,
    Sighting,
    bucket,
    errors_of,
    frame_at,
    lasting,
    made_up,
    percentile_95,
    recall_by_bucket,
    score_clip,
    sightings,
    true_sightings,
    wrongly_named,
)
from benchmarks.time.truth import TrueAppearance, Truth

LEFT, RIGHT, NOWHERE = (0.0, 0.0, 100.0, 100.0), (200.0, 0.0, 300.0, 100.0), (400.0, 0.0, 500.0, 100.0)
STEP = 0.1


def appearance(key: str, name: str, first: int, last: int, box: tuple, lead: int = 0) -> TrueAppearance:
    """In view from `first` to `last`, its edge showing `lead` frames earlier."""
    count = last - first + 1
    return TrueAppearance(
        key, key, name, first, last, first - lead, (box,) * (lead + count), (0.2,) * lead + (1.0,) * count
    )


TRUTH = Truth(
    clip="made.mp4",
    width=640,
    height=360,
    pts_seconds=tuple(5.0 + n * STEP for n in range(100)),
    end_seconds=15.0,
    cuts_seconds=(),
    appearances=(appearance("t1", "tank", 10, 12, LEFT), appearance("t2", "humvee", 40, 69, RIGHT, lead=5)),
    glimpses=(),
)


def found(name: str, box: tuple | None, *frames: int) -> Found:
    return Found(name, tuple((TRUTH.pts_seconds[n], box) for n in frames))


def outcome(*reports: Found, **more) -> Outcome:
    return Outcome(found=reports, inferred=0, seconds=1.0, inference_seconds=None, **more)


def test_frames_are_known_by_their_time() -> None:
    assert frame_at(TRUTH, 5.0) == 0
    assert frame_at(TRUTH, 5.9005) == 9
    assert frame_at(TRUTH, 5.95) is None
    assert frame_at(TRUTH, 99.0) is None


def test_an_appearance_lasts_until_its_last_frame_is_replaced() -> None:
    assert TRUTH.seconds(TRUTH.appearances[0]) == pytest.approx(0.3)
    assert [each.id for each in lasting(TRUTH, 0.3)] == ["t1", "t2"]
    assert [each.id for each in lasting(TRUTH, 0.31)] == ["t2"]
    to_the_end = appearance("t3", "tank", 95, 99, LEFT)
    assert TRUTH.seconds(to_the_end) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("seconds", "name"), [(0.3, "<0.5 s"), (0.5, "0.5-1 s"), (0.9999, "0.5-1 s"), (1.0, "1-2 s"), (60.0, ">=15 s")]
)
def test_buckets_start_at_their_lower_edge(seconds: float, name: str) -> None:
    assert bucket(seconds) == name


def test_found_is_right_class_right_place_right_frame() -> None:
    assert sightings(TRUTH, [found("tank", LEFT, 11)]) == {"t1": Sighting(11, 11)}
    assert sightings(TRUTH, [found("humvee", LEFT, 11)]) == {}
    assert sightings(TRUTH, [found("tank", RIGHT, 11)]) == {}
    assert sightings(TRUTH, [found("tank", LEFT, 20)]) == {}


def test_one_report_may_cover_several_appearances_and_several_reports_one() -> None:
    across = Found("tank", (*found("tank", LEFT, 10, 12).detections, *found("tank", NOWHERE, 30).detections))
    pieces = [found("humvee", RIGHT, 41, 45), found("humvee", RIGHT, 60, 66)]
    assert sightings(TRUTH, [across, *pieces]) == {"t1": Sighting(10, 12), "t2": Sighting(41, 66)}


def test_an_edge_that_shows_before_the_weapon_is_in_view_counts_as_seen() -> None:
    assert sightings(TRUTH, [found("humvee", RIGHT, 36, 50)]) == {"t2": Sighting(36, 50)}


def test_a_tool_without_boxes_is_believed_by_time() -> None:
    assert sightings(TRUTH, [found(ANY_CLASS, None, 10, 30, 50)]) == {"t1": Sighting(10, 10), "t2": Sighting(50, 50)}


def test_made_up_and_wrongly_named() -> None:
    reports = [found("tank", NOWHERE, 11), found("humvee", LEFT, 11), found("tank", LEFT, 11), found("tank", LEFT, 90)]
    assert made_up(TRUTH, reports) == 2
    assert wrongly_named(TRUTH, reports) == 1


def test_errors_are_measured_against_the_reference_where_both_found_it() -> None:
    reference = {"t1": Sighting(10, 12), "t2": Sighting(42, 69)}
    score = score_clip(TRUTH, outcome(found("humvee", RIGHT, 45, 60)), reference)
    assert [frames for _, frames in score.errors("first")] == [3]
    first, last = errors_of([score], "first"), errors_of([score], "last")
    assert (first.count, first.median_frames) == (1, 3)
    assert first.median_seconds == pytest.approx(0.3)
    assert last.p95_seconds == pytest.approx(0.9)
    assert recall_by_bucket([score])["<0.5 s"] == (0, 1)
    assert recall_by_bucket([score])["2-5 s"] == (1, 1)


def test_what_the_reference_did_not_see_is_not_expected() -> None:
    score = score_clip(TRUTH, outcome(found("tank", LEFT, 11), found("humvee", RIGHT, 40)), {"t2": Sighting(40, 69)})
    assert sum(expected for _, expected in recall_by_bucket([score]).values()) == 1
    assert set(score.seen) == {"t1", "t2"}
    assert score.errors("first") == [(0.0, 0)]


def test_own_clock_takes_the_times_that_the_peer_would_say() -> None:
    own = {pts: number / 20 for number, pts in enumerate(TRUTH.pts_seconds)}
    score = score_clip(TRUTH, outcome(found("tank", LEFT, 10, 12), own_times=own), true_sightings(TRUTH))
    assert errors_of([score], "first").p95_seconds == 0
    assert errors_of([score], "first", own_clock=True).p95_seconds == pytest.approx(6.0 - 0.5)


def test_p95_is_the_smallest_error_that_95_percent_do_not_exceed() -> None:
    assert percentile_95([*range(1, 101)]) == 95
    assert percentile_95([0.0] * 19 + [7.0]) == 0.0
    assert percentile_95([0.0] * 18 + [-7.0, 1.0]) == 1.0
    assert Errors.of([], []) == Errors(0, None, None, None, None)


def test_sampled_counts_only_frames_with_the_weapon_in_view() -> None:
    assert sampled_of(TRUTH, outcome(inferred_frames=(12, 35)), 0.3) == (1, 2)
    assert sampled_of(TRUTH, outcome(inferred_frames=(12, 40)), 0.3) == (2, 2)
    assert sampled_of(TRUTH, outcome(inferred_frames=(40,)), 1.0) == (1, 1)
    assert sampled_of(TRUTH, outcome(inferred_frames=()), 60.0) == (0, 0)


def test_a_peers_boxes_become_appearances_at_gaps_of_two_seconds() -> None:
    rows = {
        "tank": [(0.0, LEFT, 0.2), (1.0, LEFT, 0.6), (3.0, LEFT, 0.2), (5.5, LEFT, 0.25)],
        "humvee": [(9.0, LEFT, 0.9)],
    }
    groups = grouped(rows, {"tank": 0.5, "humvee": 0.5})
    assert [(each.class_name, [pts for pts, _ in each.detections]) for each in groups] == [
        ("tank", [0.0, 1.0, 3.0]),
        ("humvee", [9.0]),
    ]


def test_a_peer_is_compared_at_the_lowest_thresholds_at_which_it_makes_up_no_more() -> None:
    right, wrong = found("tank", LEFT, 10), found("tank", NOWHERE, 80)
    heard = outcome(right, wrong, wrong, stricter={1.1: (right, wrong), 1.3: (right,), 1.2: (right,), 1.4: ()})
    scores = [score_clip(TRUTH, heard, true_sightings(TRUTH))]
    hour = 3600 / TRUTH.duration_seconds

    (name, row), *others = as_few_made_up("predict", scores, made_up_per_hour=0.5 * hour).items()
    assert (name, others) == ("predict, thresholds x 1.2", [])
    assert (row["true_appearances_found"], row["made_up_per_hour"]) == (1, 0)
    assert as_few_made_up("predict", scores, made_up_per_hour=2 * hour) == {}
    assert as_few_made_up("predict", [score_clip(TRUTH, outcome(wrong), {})], made_up_per_hour=0.0) == {}
