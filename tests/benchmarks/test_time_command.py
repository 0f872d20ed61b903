"""The whole of `ordnance bench time`, on a set small enough for a test, with the shipped model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.time.contenders import Contender
from benchmarks.time.goals import goals
from benchmarks.time.pictures import held_out_photographs
from benchmarks.time.run import BenchmarkFailed, Settings, run_time_benchmark
from benchmarks.time.script import ClipSpec
from benchmarks.time.table import result_table

SMALL = ClipSpec("small", 320, 180, "25", 2.0, True, (0.3, 1.0, 1.2), gap_seconds=(0.4, 0.9))
FAST = ClipSpec("fast", 640, 360, "variable", 10.0, False, (0.5,), weapon_share=0.1)
REFERENCE, INTERVAL = (
    Contender("every-frame", "plan", "every-frame"),
    Contender("interval 1 s", "plan", "interval", 1.0),
)
ABSENT = Contender("ultralytics predict, none", "ultralytics", runtime="torch")


@pytest.fixture(scope="module")
def result(painted_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    settings = Settings(
        accuracy=(SMALL,),
        speed=(FAST,),
        pictures=held_out_photographs(painted_data, ("tank",)),
        cache=tmp_path_factory.mktemp("cache"),
        contenders=(REFERENCE, INTERVAL),
    )
    return run_time_benchmark(settings, lambda line: None)


def test_a_perfect_detector_on_every_frame_makes_no_error(result: Mapping[str, Any]) -> None:
    row = result["sampling"]["every-frame"]
    assert row["recall"] == 1
    assert row["first_seen"]["p95_frames"] == row["last_seen"]["p95_frames"] == 0
    assert row["inferred"] == result["clips"][0]["frames"]
    assert row["unreadable_samples"] == 0


def test_an_interval_samples_what_lasts_as_long_and_errs_by_less_than_itself(result: Mapping[str, Any]) -> None:
    row = result["sampling"]["interval 1 s"]
    sampled, expected = row["sampled_of_promised"]
    assert sampled == expected > 0
    assert 0 < row["first_seen"]["p95_seconds"] < 1
    assert row["inferred"] < result["clips"][0]["frames"] / 10


def test_the_reference_agrees_with_itself(result: Mapping[str, Any]) -> None:
    row = result["accuracy"]["every-frame"]
    assert row["found"] == row["expected"]
    assert row["first_seen"]["p95_frames"] in (0, None)


def test_speed_counts_every_round_and_replays_without_the_model(result: Mapping[str, Any]) -> None:
    rows = result["speed"]["fast"]
    assert rows["every-frame"]["inferred"] == result["clips"][1]["frames"]
    for row in rows.values():
        assert len(row["seconds"]) == 1
        assert row["inferred_again_in_replay"] == 0
        assert row["without_inference_s"] > 0


def test_result_says_where_it_was_measured(result: Mapping[str, Any]) -> None:
    assert result["machine"]["cores"] >= 1
    assert result["machine"]["packages"]["av"]
    assert len(result["model"]["sha256"]) == 64
    assert result["contenders"]["every-frame"]["backend"] in ("onnxruntime", "openvino", "torch")
    assert result["settings"]["pictures_sha256"]
    assert json.loads(json.dumps(result))["clips"][0]["name"] == "small"


def test_table_has_a_line_for_every_contender_and_goal(result: Mapping[str, Any]) -> None:
    table = result_table(result)
    assert table.count("\ninterval 1 s ") == 3
    assert "Sampling by itself" in table
    assert "not measured" in table
    assert max(map(len, table.splitlines())) < 220


def test_plot_is_written(result: Mapping[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.time.plot import draw

    if result["accuracy"]["every-frame"]["recall"] is None:
        pytest.skip("the model sees nothing in painted pictures")
    draw(result, tmp_path / "time.png")
    assert (tmp_path / "time.png").read_bytes().startswith(b"\x89PNG")


def test_goals_are_judged_by_the_faster_predict() -> None:
    speed = {
        "adaptive": {"inferred": 90, "times_faster_than": {"predict a": 20.0, "predict b": 11.0}},
        "predict a": {"inferred": 1000, "times_faster_than": {}},
        "predict b": {"inferred": 1000, "times_faster_than": {}},
    }
    errors = {"median_frames": 1.0, "p95_seconds": 0.3}
    judged = goals(
        {
            "sampling": {"adaptive": {"sampled_of_promised": [9, 10], "first_seen": errors}},
            "accuracy": {
                "adaptive": {
                    "true_appearances_found": 7,
                    "made_up_per_hour": 40,
                    "first_seen": {**errors, "p95_seconds": 0.2},
                },
                "predict a": {"true_appearances_found": 8, "made_up_per_hour": 41},
                "predict a, thresholds x 1.3": {"true_appearances_found": 7, "made_up_per_hour": 40},
            },
            "speed": {"1080p-gop2": speed},
        }
    )
    assert [each["reached"] for each in judged] == [False, True, False, False, True, True, False, None]


def test_a_peer_that_is_not_installed_is_not_invented(painted_data: Path, tmp_path: Path) -> None:
    try:
        import ultralytics  # noqa: F401
    except ImportError:
        pass
    else:
        pytest.skip("ultralytics is installed here")
    pictures = held_out_photographs(painted_data, ("tank",))
    settings = Settings((), (FAST,), pictures, tmp_path, contenders=(REFERENCE, ABSENT))
    result = run_time_benchmark(settings, lambda line: None)
    assert list(result["speed"]["fast"]) == ["every-frame"]
    assert result["not_measured"][0]["name"] == ABSENT.name
    assert "not installed" in result["not_measured"][0]["reason"]


def test_without_its_reference_there_is_no_result(painted_data: Path, tmp_path: Path) -> None:
    pictures = held_out_photographs(painted_data, ("tank",))
    broken = Contender("every-frame", "plan", "no such plan")
    with pytest.raises(BenchmarkFailed, match="no such plan"):
        run_time_benchmark(Settings((), (), pictures, tmp_path, contenders=(broken,)), lambda line: None)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 1, "ORDNANCE_DATA"),
        (("--data", "nowhere"), 1, "photos/sources.csv"),
        (("--renders", "nowhere"), 1, "ordnance dataset render"),
    ],
)
def test_command_says_what_it_needs(tmp_path: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    finished = ordnance(tmp_path, *arguments)
    assert finished.returncode == code
    assert words in finished.stderr
    assert "Traceback" not in finished.stderr
    assert finished.stdout == ""


def test_command_names_the_clips_and_contenders_it_knows(painted_data: Path, tmp_path: Path) -> None:
    for option, known in (("--clip", "1080p-gop10"), ("--only", "every-frame")):
        finished = ordnance(tmp_path, "--data", str(painted_data), option, "none")
        assert finished.returncode == 2
        assert "'none'" in finished.stderr
        assert known in finished.stderr


def ordnance(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "ORDNANCE_DATA"}
    return subprocess.run(
        [sys.executable, "-m", "service", "bench", "time", "--quick", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**environment, "XDG_CACHE_HOME": str(folder / "cache")},
        timeout=300,
        check=False,
    )
