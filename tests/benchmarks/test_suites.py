"""The suites decode and infer on tiny clips; who cannot run is listed, and one suite that fails stops no other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from benchmarks import suites
from benchmarks.decode.command import measure as measure_decoding
from benchmarks.excerpt import Excerpt, build_excerpt
from benchmarks.infer.agreement import shared
from benchmarks.infer.command import measure as measure_inference
from benchmarks.infer.models import Found
from benchmarks.outcome import at_least, begin_result, write_result
from benchmarks.time.contenders import NotMeasured
from benchmarks.turns import Contender, Runner, Took, take_turns
from detector.cli import run
from detector.errors import DataError
from detector.models import WEIGHTS_FOLDER, read_manifest
from detector.video import open_video

TINY = Excerpt(320, 180, 1, 60)


def doubling() -> Runner:
    return lambda job: Took(0.5, {"twice": 2 * job}, os.getpid())


def absent() -> Runner:
    raise NotMeasured("not installed; pip install it")


def interrupted() -> Runner:
    def run(job: int) -> Took:
        # As a terminal's Ctrl-C does, which goes to all processes.
        os.kill(os.getpid(), signal.SIGINT)
        return Took(0.5, {"twice": 2 * job})

    return run


def failing() -> Runner:
    def run(job: int) -> Took:
        raise ValueError(f"no {job}\nand a second line")

    return run


def ending() -> Runner:
    return lambda job: os._exit(3)


def test_a_result_names_both_networks() -> None:
    first, _, second = read_manifest(WEIGHTS_FOLDER / "manifest.json").models
    model = begin_result("decode", quick=True, model="default")["model"]
    assert (model["sha256"], model["second_view"]["sha256"]) == (first.sha256, second.sha256)


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_an_interrupt_is_heard_by_the_program_and_not_by_its_contenders() -> None:
    turns = take_turns([Contender("interrupted", interrupted)], {"one": 1}, 1, lambda _: None)
    assert turns.not_measured == []
    assert turns.rows["one"]["interrupted"]["twice"] == 2


def test_contenders_run_in_processes_of_their_own_and_those_that_cannot_are_listed() -> None:
    who = [Contender(make.__name__, make) for make in (doubling, absent, failing, ending)]
    turns = take_turns([*who, Contender("again", doubling)], {"a": 1, "b": 2}, 3, lambda line: None)
    assert {job: sorted(row) for job, row in turns.rows.items()} == {job: ["again", "doubling"] for job in "ab"}
    assert turns.rows["b"]["doubling"]["twice"] == 4
    assert turns.rows["b"]["doubling"]["rounds"] == 3
    assert len({os.getpid(), turns.answers["a"]["doubling"], turns.answers["a"]["again"]}) == 3
    assert {each["name"]: each["reason"] for each in turns.not_measured} == {
        "absent": "not installed; pip install it",
        "failing": "failed at a: ValueError: no 1",
        "ending": "failed at a: its process ended with exit code 3",
    }


def test_an_excerpt_has_its_frames_keyframes_and_tank_at_the_end(tmp_path: Path) -> None:
    with open_video(build_excerpt(TINY, tmp_path)) as video:
        assert len(video.probe.pts_seconds) == 60
        assert video.probe.keyframe_seconds.tolist() == pytest.approx([0, 1, 2], abs=0.05)
        assert sum(1 for _ in video.frames()) == 60


def test_every_reader_gives_every_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = measure_decoding((TINY,), quick=True, out=tmp_path, rounds=1, model="default", cache=tmp_path)
    row = result["clips"][TINY.name]
    assert {name: each["pictures"] for name, each in row.items() if "every frame" in name or "alone" in name} == {
        name: 60 for name in row if "every frame" in name or "alone" in name
    }
    assert row["ordnance, keyframes, model's square"]["pictures"] == 3
    assert json.loads((tmp_path / "decode.json").read_bytes()) == result
    assert all(name in capsys.readouterr().out for name in ("OpenCV",))
    listed = {each["name"] for each in result["not_measured"]} | set(row)
    assert {"torchcodec, every frame, full RGB", "decord, every frame, full RGB"} <= listed


def test_all_ways_to_run_the_model_find_the_same(tmp_path: Path) -> None:
    result = measure_inference([(640, 360)], 12, (1, 4), quick=True, out=tmp_path, rounds=1, model="default")
    row = result["pictures"]["360p"]
    assert len(row) >= 5
    for name, each in row.items():
        same, expected = each["same_boxes"]
        assert expected > 0
        assert same == expected or not name.startswith("ordnance"), name


def test_boxes_agree_by_picture_class_and_place() -> None:
    box = Found(0, 1, 0.9, (0, 0, 100, 100))
    others = [box._replace(picture=1), box._replace(class_id=2), box._replace(xyxy=(50, 0, 150, 100))]
    assert shared(others, [box], {1: 0.5}) == (0, 1)
    assert shared([box._replace(score=0.1)], [box, box._replace(score=0.4)], {1: 0.5}) == (1, 1)


@pytest.mark.parametrize("error", [DataError("There is no data."), subprocess.CalledProcessError(1, ["ordnance"])])
def test_one_suite_that_fails_stops_no_other(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(quick: bool, out: Path) -> dict[str, object]:
        raise error

    def whole(quick: bool, out: Path) -> dict[str, object]:
        return {"goals": [at_least("fast", 3.0, 2.0)]}

    monkeypatch.setattr(suites, "SUITES", {"broken": broken, "whole": whole})
    suites.run_all(quick=True, out=tmp_path)
    written = json.loads((tmp_path / "all.json").read_bytes())
    assert (written["failed"], list(written["suites"])) == ({"broken": f"{type(error).__name__}: {error}"}, ["whole"])
    assert "whole: fast  reached      3.00 times" in capsys.readouterr().out


@pytest.mark.parametrize(
    "suite", ["all", "cuda", "decode", "growth", "infer", "page", "scan", "search", "service", "time"]
)
def test_a_folder_that_cannot_be_written_is_refused_before_the_suite_runs(
    suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a file"
    file.write_bytes(b"")
    assert run(["bench", suite, "--out", str(file / "results")]) == 2
    said = capsys.readouterr()
    assert (said.out, len(said.err.splitlines())) == ("", 1)
    assert "choose another --out" in said.err


def test_a_table_is_shown_where_it_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a file"
    file.write_bytes(b"")
    with pytest.raises(OSError):
        write_result("decode", {}, "the table of an hour", file / "results")
    assert "the table of an hour" in capsys.readouterr().out
