from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from detector.models import WEIGHTS_FOLDER, Manifest, read_manifest, write_manifest
from service import intake
from service.settings import Settings


def order_with(monkeypatch: pytest.MonkeyPatch, folder: Path, **changes: object) -> intake.Order:
    manifest = read_manifest(WEIGHTS_FOLDER / "manifest.json")
    models = tuple(each.model_copy(update=changes) for each in manifest.models)
    write_manifest(Manifest(default=manifest.default, models=models), folder / "manifest.json")
    monkeypatch.setattr(intake, "WEIGHTS_FOLDER", folder)
    return intake.check_wish(Settings(store=folder), intake.Wish())


def test_a_scan_is_no_earlier_one_where_the_same_weights_are_judged_by_other_thresholds_or_calibration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = order_with(monkeypatch, tmp_path)
    assert order_with(monkeypatch, tmp_path) == first
    entry = read_manifest(WEIGHTS_FOLDER / "manifest.json").models[0]
    lower = {name: value / 2 for name, value in entry.thresholds.items()}
    others = [
        order_with(monkeypatch, tmp_path, **changes)
        for changes in ({"thresholds": lower}, {"calibration": None}, {"sha256": "0" * 64})
    ]
    assert len({each.fingerprint for each in (first, *others)}) == 4
    assert [replace(each, fingerprint=first.fingerprint) for each in others] == [first] * 3
