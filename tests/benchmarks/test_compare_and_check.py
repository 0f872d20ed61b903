"""`ordnance bench compare` tells changes from noise; `ordnance bench --check` fails above a limit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.check import command
from detector.cli.app import run

MACHINE = {"processor": "x", "cores": 2, "memory_gib": 8, "commit": "a"}


def result(seconds: float, least: float, most: float, **others: Any) -> dict[str, Any]:
    row = {"seconds": seconds, "least": least, "most": most, "pictures": 60}
    return {"suite": "decode", "machine": MACHINE, "clips": {"a": {"PyAV": row}}, **others}


def compared(tmp_path: Path, first: object, second: object, *options: str) -> int:
    for name, content in (("one.json", first), ("two.json", second)):
        (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return run(["bench", "compare", str(tmp_path / "one.json"), str(tmp_path / "two.json"), *options])


def test_a_change_beyond_the_rounds_is_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compared(tmp_path, result(2.0, 1.9, 2.2), result(1.0, 0.9, 1.1)) == 0
    out = capsys.readouterr().out
    [line] = [line for line in out.splitlines() if line.startswith("clips / a / PyAV / seconds")]
    assert line.split()[-4:] == ["2", "1", "0.50", "*"]
    assert "2 figures in both, 1 of them changed" in out
    assert "do not tell which weights" in out


def test_rounds_that_overlap_are_no_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compared(tmp_path, result(2.0, 1.0, 2.2), result(1.5, 0.9, 1.6), "--all") == 0
    out = capsys.readouterr().out
    assert "2 figures in both, 0 of them changed" in out
    assert "0.75" in out
    assert " *\n" not in out


@pytest.mark.parametrize("several_first", [True, False])
def test_a_single_round_has_no_spread_whichever_of_the_two_results_it_is_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], several_first: bool
) -> None:
    several, single = result(2.0, 1.98, 2.02), result(2.05, 2.05, 2.05)
    assert compared(tmp_path, *((several, single) if several_first else (single, several))) == 0
    assert "2 figures in both, 0 of them changed" in capsys.readouterr().out


def test_other_machines_and_weights_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = result(1.0, 1.0, 1.0, model={"sha256": "bb"}) | {"machine": MACHINE | {"cores": 64}}
    assert compared(tmp_path, result(1.0, 1.0, 1.0, model={"sha256": "aa"}), other) == 0
    out = capsys.readouterr().out
    assert "machine, cores: 2 -> 64" in out
    assert "model, sha256: aa -> bb" in out
    assert "not to be put side by side" in out


def test_other_weights_deep_in_a_result_of_all_suites_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (
        {"suite": "all", "machine": MACHINE, "suites": {"decode": result(1.0, 1.0, 1.0, model={"sha256": sha256})}}
        for sha256 in ("aa", "bb")
    )
    assert compared(tmp_path, first, second) == 0
    assert "suites, decode, model, sha256: aa -> bb" in capsys.readouterr().out


def test_the_load_of_the_machine_is_no_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (result(1.0, 1.0, 1.0, model={"sha256": "a"}) for _ in range(2))
    second["machine"] = MACHINE | {"load_average_at_start": [1.0]}
    assert compared(tmp_path, first, second) == 0
    assert "Same machine, software, weights and settings." in capsys.readouterr().out


def test_results_that_do_not_tell_their_weights_are_not_said_to_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compared(tmp_path, result(1.0, 1.0, 1.0), result(1.0, 1.0, 1.0)) == 0
    out = capsys.readouterr().out
    assert "Same machine, software and settings." in out
    assert "do not tell which weights" in out
    assert "differ in" not in out


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is no result of ordnance bench"),
        ({"suite": "infer", "machine": MACHINE}, "compare two of one suite"),
        ({"suite": "decode", "machine": MACHINE}, "no figure in common"),
        ({"machine": MACHINE, "measured": False, "reason": "no GPU"}, "nothing was measured in that run"),
    ],
)
def test_what_cannot_be_compared_is_said(
    second: object, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compared(tmp_path, result(1.0, 1.0, 1.0), second) == 1
    assert said in capsys.readouterr().err


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Limits recorded from figures that stand in for a run."""
    monkeypatch.setattr(command, "measure", lambda cache=None: {"pictures given": 10, "bytes of the report": 1000})
    assert command.bench_check(record=True, limits=tmp_path / "limits.yaml")
    return tmp_path / "limits.yaml"


@pytest.mark.parametrize(
    ("figures", "passes", "said"),
    [
        ({"pictures given": 10, "bytes of the report": 1099}, True, "0 of 2 figures exceed"),
        ({"pictures given": 11, "bytes of the report": 1000}, False, "EXCEEDED"),
        ({"pictures given": 10}, False, "not measured any more: bytes of the report"),
        ({"pictures given": 10, "bytes of the report": 1000, "new": 1}, True, "no limit"),
    ],
)
def test_the_check_fails_above_a_limit(
    figures: dict[str, float],
    passes: bool,
    said: str,
    counted: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "measure", lambda cache=None: figures)
    assert command.bench_check(record=False, limits=counted) is passes
    assert said in capsys.readouterr().out


def test_limits_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    with pytest.raises(command.DataError, match="--check --record"):
        command.read_limits(tmp_path / "none.yaml")


def test_the_shipped_limits_name_what_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """The counts are checked for real; processor time is left to those who run the guard."""
    from benchmarks.check.measure import measure

    figures, limits = measure(), command.read_limits(command.LIMITS)
    assert set(figures) == set(limits)
    counts = [name for name in figures if "given to the model" in name]
    assert [figures[name] for name in counts] == [limits[name] for name in counts]
