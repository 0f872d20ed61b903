"""`ordnance bench growth`: clips made by repeating packets, and what is said about how costs grow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.growth.clips import GOP_FRAMES, RATE, repeated_clip
from benchmarks.growth.run import Settings, goals, line, run_growth_benchmark
from benchmarks.growth.table import result_table
from detector.video import open_video


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    settings = Settings(
        minutes=(0.1, 0.3),
        clips=(2,),
        sizes=((320, 180),),
        size_seconds=4,
        boxes=(0, 3),
        finds_minutes=0.2,
        rounds=1,
        model="default",
    )
    return run_growth_benchmark(settings, lambda line: None)


def axis(result: dict[str, Any], name: str, plan: str = "keyframes-only") -> list[dict[str, Any]]:
    (found,) = (each for each in result["axes"] if (each["name"], each["plan"]) == (name, plan))
    return found["points"]


def test_a_repeated_clip_is_whole_and_its_times_never_pause(tmp_path: Path) -> None:
    clip = repeated_clip(tmp_path / "clip.mp4", width=160, height=90, seconds=20)
    with open_video(clip) as video:
        times = [frame.pts_seconds for frame in video.frames()]
        assert video.errors == []
        assert list(video.probe.keyframe_seconds) == pytest.approx(np.arange(0, 20, GOP_FRAMES / RATE))
    assert times == pytest.approx(np.arange(20 * RATE) / RATE)
    assert list(tmp_path.iterdir()) == [clip]


def test_every_point_is_measured(result: dict[str, Any]) -> None:
    assert [row["samples"] for row in axis(result, "length")] == [4, 10]
    assert [row["x"] for row in axis(result, "clips")] == [2]
    assert len(axis(result, "resolution", "adaptive")) == 1
    for each in result["axes"]:
        assert all(row["cpu_seconds"] > 0 for row in each["points"])


def test_finds_are_appearances_of_the_report(result: dict[str, Any]) -> None:
    samples = axis(result, "finds")[0]["samples"]
    assert [row["x"] for row in axis(result, "finds")] == [0, 3 * samples]


def test_result_is_json_with_a_line_for_each_axis(result: dict[str, Any]) -> None:
    again = json.loads(json.dumps(result))
    table = result_table(again)
    assert table.count("CPU:") == len(again["axes"]) == 6
    assert table.count("not measured") == 4


@pytest.mark.parametrize(
    ("costs", "straight"),
    [([1, 2, 3, 4], True), ([1, 4, 9, 16], False), ([5, 5, 5, 5], True), ([1, 1.9, 2.7, 3.4], True), ([1, 2], None)],
)
def test_a_line_that_bends_upwards_is_not_straight(costs: list[float], straight: bool | None) -> None:
    assert line([(float(x), float(y)) for x, y in enumerate(costs, start=1)])["straight"] is straight


@pytest.mark.parametrize(("peak", "reached"), [(200.0, [True, True]), (230.0, [False, True]), (800.0, [False, False])])
def test_goals_are_judged_by_the_longest_clip(peak: float, reached: list[bool]) -> None:
    points = [{"x": 10.0, "peak_mb": 200.0}, {"x": 240.0, "peak_mb": peak}]
    judged = goals([{"name": "length", "plan": "adaptive", "points": points}])
    assert [each["reached"] for each in judged] == reached
