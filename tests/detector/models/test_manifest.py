from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from detector.errors import ModelError, WeightsMismatch, WeightsNotFound
from detector.models import Manifest, ManifestEntry, find_weights, load_model, read_manifest, read_weights

from .conftest import describe


def fields(**changes: Any) -> dict[str, Any]:
    entry = {
        "name": "tiny",
        "file": "tiny.onnx",
        "sha256": "0" * 64,
        "bytes": 1,
        "input_size": 320,
        "classes": ["tank", "humvee"],
        "thresholds": {"tank": 0.4, "humvee": 0.5},
        "licence": "AGPL-3.0-or-later",
    }
    return {**entry, **changes}


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    entry = describe(
        tmp_path, b"x", calibration={"tank": {"a": 1.5, "b": -0.2}}, metrics={"ap50": {"tank": 0.5, "humvee": None}}
    )
    manifest = read_manifest(tmp_path / "manifest.json")
    assert manifest == Manifest(default="tiny", models=(entry,))
    assert json.loads((tmp_path / "manifest.json").read_text())["schema_version"] == "1.0"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "default"},
        {"name": "../up"},
        {"file": "../tiny.onnx"},
        {"file": "tiny.pt"},
        {"sha256": "abc"},
        {"input_size": 300},
        {"classes": ["tank", "tank"]},
        {"thresholds": {"tank": 0.4}},
        {"thresholds": {"tank": 0.4, "humvee": 1.5}},
        {"calibration": {"mlrs": {"a": 1, "b": 0}}},
        {"architecture": "../yolo"},
        {"head": "two-to-many"},
        {"second_view": {"longer_side": 352, "from_score": 0.1}},
        {"second_view": {"longer_side": 256, "from_score": 1.1}},
    ],
    ids=lambda changes: "-".join(f"{key}" for key in changes),
)
def test_a_wrong_field_is_refused(changes: dict[str, Any]) -> None:
    ManifestEntry(**fields())
    with pytest.raises(ValidationError):
        ManifestEntry(**fields(**changes))


def test_a_manifest_of_before_calibration_is_read(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(
        json.dumps({"schema_version": "1.0", "default": "tiny", "models": [fields(calibration=None)]})
    )
    entry = read_manifest(tmp_path / "manifest.json").models[0]
    assert (entry.precision, entry.made_from, entry.calibration) == ("fp32", None, None)
    assert entry.smallest_side_px > 0
    assert entry.second_view is None


def test_default_must_be_listed_and_names_unique() -> None:
    entry = ManifestEntry(**fields())
    with pytest.raises(ValidationError, match="not listed"):
        Manifest(default="other", models=(entry,))
    with pytest.raises(ValidationError, match="repeat"):
        Manifest(default="tiny", models=(entry, entry))


def test_a_manifest_that_is_no_json_says_where(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ModelError, match=r"manifest\.json is not valid"):
        read_manifest(tmp_path / "manifest.json")
    (tmp_path / "manifest.json").write_text(json.dumps({"default": "tiny", "models": [fields(bytes=-1)]}))
    with pytest.raises(ModelError, match=r"models\.0\.bytes"):
        read_manifest(tmp_path / "manifest.json")


def test_a_model_is_found_by_name_default_and_path(tmp_path: Path) -> None:
    entry = describe(tmp_path, b"x")
    path = tmp_path / "tiny.onnx"
    for asked in ("tiny", "default"):
        assert find_weights(asked, tmp_path) == (entry, path)
    assert find_weights(path) == find_weights(str(path)) == (entry, path)


def test_an_unknown_model_lists_the_known_ones(tmp_path: Path) -> None:
    describe(tmp_path, b"x")
    with pytest.raises(WeightsNotFound, match=r"no model 'big'; use one of: tiny"):
        find_weights("big", tmp_path)


def test_weights_that_are_missing_say_so(tmp_path: Path) -> None:
    describe(tmp_path, b"x")
    with pytest.raises(WeightsNotFound, match="no weights file"):
        find_weights(tmp_path / "other.onnx")
    (tmp_path / "other.onnx").write_bytes(b"x")
    with pytest.raises(WeightsNotFound, match=r"does not describe other\.onnx"):
        find_weights(tmp_path / "other.onnx")
    (tmp_path / "tiny.onnx").unlink()
    with pytest.raises(WeightsNotFound, match=r"tiny\.onnx of the model 'tiny' is missing"):
        find_weights("tiny", tmp_path)
    with pytest.raises(WeightsNotFound, match="no readable weights manifest"):
        find_weights("tiny", tmp_path / "nowhere")


def test_another_file_than_the_manifests_is_refused_with_both_hashes(tmp_path: Path) -> None:
    entry = describe(tmp_path, b"the right bytes")
    path = tmp_path / "tiny.onnx"
    assert read_weights(entry, path) == b"the right bytes"
    path.write_bytes(b"other bytes")
    with pytest.raises(WeightsMismatch) as refused:
        load_model(path)
    assert entry.sha256 in str(refused.value)
    assert hashlib.sha256(b"other bytes").hexdigest() in str(refused.value)
    assert str(refused.value).count("\n") == 0
