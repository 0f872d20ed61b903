"""`ordnance models`, as a user calls it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from detector.cli.app import run
from detector.models import read_manifest
from detector.models.manifest import WEIGHTS_FOLDER


def test_tuning_tells_what_every_backend_takes_and_remembers_the_fastest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    names = {entry.name for entry in read_manifest(WEIGHTS_FOLDER / "manifest.json").models}
    assert run(["models", "--tune", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["model"] for row in rows} == names
    assert all(row["milliseconds"] > 0 for row in rows)
    remembered = json.loads((tmp_path / "ordnance" / "backends.json").read_text())
    chosen = [row["backend"] for row in rows if row["chosen"]]
    assert sorted(remembered.values()) == sorted(chosen)


def test_tuning_says_where_nothing_can_be_remembered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    assert run(["models", "--tune"]) == 0
    captured = capsys.readouterr()
    assert "used from now on" not in captured.out
    assert f"nothing of this is remembered, as {os.devnull}/ordnance cannot be written" in captured.err
