"""The whole of `ordnance bench service` with a few uploads to a real service."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from benchmarks.service.clips import build_clips, pad_clip
from benchmarks.service.goals import goals
from benchmarks.service.run import Settings, run_service_benchmark
from benchmarks.service.table import result_table


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    settings = Settings(uploads=5, minutes=1, workers=1, threads=1, large_mib=4, rounds=1, quick=True)
    return run_service_benchmark(settings, lambda line: None)


def test_every_upload_ends_as_the_library_says(result: dict[str, Any]) -> None:
    uploads = result["uploads"]
    assert uploads["taken"] == uploads["done"] == uploads["same_appearances"] == uploads["count"] == 5
    assert uploads["appearances"] > 0
    assert {way: row["taken"] for way, row in uploads["by_way"].items()} == {"raw POST": 3, "tus": 2}
    assert result["troubles"] == []


def test_status_is_read_while_it_scans(result: dict[str, Any]) -> None:
    assert result["status"]["reads"] > 0
    assert result["status"]["errors"] == 0
    assert result["status"]["p50_s"] <= result["status"]["p99_s"] <= result["status"]["slowest_s"]


def test_every_contender_is_measured(result: dict[str, Any]) -> None:
    assert {len(row["seconds"]) for row in result["throughput"].values()} == {1}
    assert result["throughput"]["copy with hashing"]["of_copy"] == 1
    for row in ("overhead", "overhead_of_minutes"):
        assert result[row]["local_s"] > 0
        assert result[row]["service_s"] > 0
    if Path("/proc/self/stat").exists():
        assert result["memory"]["workers"]["peak_mb"] > result["memory"]["api"]["peak_mb"] > 0
        assert result["overhead"]["service_cpu_by_kind_s"]["decoders"] > 0


def test_result_is_json_and_says_where_it_was_measured(result: dict[str, Any]) -> None:
    again = json.loads(json.dumps(result))
    assert again["machine"]["cores"] >= 1
    assert len(again["model"]["sha256"]) == 64


def test_table_has_a_line_for_every_goal(result: dict[str, Any]) -> None:
    table = result_table(result)
    for each in result["goals"]:
        assert each["goal"] in table
    assert max(map(len, table.splitlines())) < 260


def test_goals_are_missed_where_something_is_lost(result: dict[str, Any]) -> None:
    worse = deepcopy(result)
    worse["uploads"] |= {"done": 4, "same_appearances": 3}
    worse["status"] |= {"p99_s": 0.1, "errors": 1}
    worse["overhead"]["wall"] = 0.11
    worse["memory"] = {}
    judged = [each["reached"] for each in goals(worse)]
    assert judged[:6] == [True, False, False, None, None, False]
    assert judged[-5] is False


def test_no_two_clips_have_the_same_bytes(tmp_path: Path) -> None:
    clips = build_clips(tmp_path, 60)
    digests = {hashlib.sha256(clip.path.read_bytes()).hexdigest() for clip in clips}
    assert len(digests) == 60
    large = pad_clip(clips[0].path, tmp_path / "large.mp4", 3_000_000)
    assert large.stat().st_size == 3_000_000


def test_command_refuses_too_few_uploads(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "service", "bench", "service", "--uploads", "1"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=dict(os.environ),
        check=False,
    )
    assert finished.returncode == 2
    assert "Traceback" not in finished.stderr
    assert not list(tmp_path.iterdir())
