"""The remembered choice of a backend: the first process to choose decides for all."""

from concurrent.futures import ProcessPoolExecutor

import pytest

from detector.models.cache import cache_folder, read_choice, settle_choice


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_the_first_choice_stays():
    assert read_choice("machine") is None
    assert settle_choice("machine", "openvino") == "openvino"
    assert settle_choice("machine", "onnxruntime") == "openvino"
    assert read_choice("machine") == "openvino"


def test_processes_that_choose_at_once_end_with_one_choice():
    with ProcessPoolExecutor(4) as pool:
        settled = set(pool.map(settle_choice, ["machine"] * 12, ["openvino", "onnxruntime"] * 6))
    assert settled == {read_choice("machine")}


def test_a_cache_that_cannot_be_read_or_written_costs_nothing(tmp_path):
    cache_folder().mkdir()
    (cache_folder() / "backends.json").write_text("{broken")
    assert settle_choice("machine", "openvino") == "openvino"
    cache_folder().rename(tmp_path / "away")
    cache_folder().write_text("a file where the folder should be")
    assert settle_choice("machine", "onnxruntime") == "onnxruntime"
    assert read_choice("machine") is None
