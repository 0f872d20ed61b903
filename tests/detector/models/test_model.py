from __future__ import annotations

import importlib.util
import json
import math
import os
import threading
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.errors import BackendUnavailable, BadOption, ModelError, UnknownClass
from detector.models import Head, Model, backend, load_model, selftest, tune_model

from .conftest import build_tiny_onnx

MakeTiny = Callable[..., Path]
CPU_BACKENDS = ("onnxruntime", "openvino")
HEADS: tuple[Head, ...] = ("one-to-one", "one-to-many")


def white(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), 255, np.uint8)


@pytest.fixture(params=[(name, head) for name in CPU_BACKENDS for head in HEADS], ids="-".join)
def tiny(request: pytest.FixtureRequest, make_tiny: MakeTiny) -> Model:
    name, head = request.param
    pytest.importorskip(name, reason=f"{name} is not installed")
    return load_model(make_tiny(head=head), device="cpu", backend=name, threads=1)


def test_a_model_says_what_it_is(tiny: Model) -> None:
    assert (tiny.name, tiny.classes, tiny.input_size, tiny.device) == ("tiny", ("tank", "humvee"), 320, "cpu")
    assert tiny.thresholds == {"tank": 0.4, "humvee": 0.5}
    assert tiny.score_floor == 0.05
    assert tiny.backend_name in CPU_BACKENDS
    assert len(tiny.sha256) == 64


def test_boxes_are_in_pixels_of_the_picture_best_first_and_above_the_floor(tiny: Model) -> None:
    (found,) = tiny.detect([white(640, 640)])
    assert found.class_ids.tolist() == [0, 0, 1]
    assert found.scores == pytest.approx([0.9, 0.6, 0.5], abs=1e-5)
    assert found.xyxy == pytest.approx(
        np.array([[160, 160, 480, 480], [0, 0, 640, 40], [200, 200, 400, 400]]), abs=1e-3
    )
    assert (found.xyxy.dtype, found.scores.dtype, found.class_ids.dtype) == (np.float32, np.float32, np.int64)


def test_a_box_in_the_padding_is_dropped_and_others_are_cut_at_the_edge(tiny: Model) -> None:
    (found,) = tiny.detect([white(640, 160)])
    assert found.class_ids.tolist() == [0, 1]
    assert found.xyxy[0].tolist() == [160, 0, 480, 160]


def test_pictures_of_all_shapes_may_share_a_batch(tiny: Model) -> None:
    sizes = [(640, 360), (360, 640), (640, 480), (100, 100), (640, 360), (1000, 100)]
    alone = [tiny.detect([white(*size)])[0] for size in sizes]
    together = tiny.detect([white(*size) for size in sizes])
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.xyxy, other.xyxy) and np.array_equal(one.scores, other.scores)
    assert len({found.xyxy.tobytes() for found in together}) == 5


def test_a_batch_gives_each_picture_its_own_boxes(tiny: Model) -> None:
    dark, light = np.zeros((320, 320, 3), np.uint8), white(320, 320)
    batch = tiny.detect([light, dark, light // 2])
    assert [len(found) for found in batch] == [3, 0, 3]
    assert batch[2].scores[0] == pytest.approx(0.9 * 127 / 255, abs=1e-3)
    assert tiny.detect([]) == []


def test_threads_may_share_a_model(tiny: Model) -> None:
    pictures = [np.full((320, 320, 3), value, np.uint8) for value in (100, 200, 255)]
    alone = [tiny.detect([picture])[0].scores.tolist() for picture in pictures]
    shared: list[bool] = []

    def work(picture: np.ndarray, expected: list[float]) -> None:
        for _ in range(20):
            shared.append(tiny.detect([picture])[0].scores.tolist() == expected)

    workers = [threading.Thread(target=work, args=each) for each in zip(pictures, alone, strict=True)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert shared == [True] * 60


def test_calibration_is_platt_on_the_logit_where_there_is_one(make_tiny: MakeTiny) -> None:
    model = load_model(make_tiny(calibration={"tank": {"a": 2.0, "b": 0.5}}), backend="onnxruntime")
    logit = math.log(0.8 / 0.2)
    assert model.calibrate("tank", 0.8) == pytest.approx(1 / (1 + math.exp(-(2 * logit + 0.5))))
    assert model.calibrate("humvee", 0.8) == 0.8
    assert 0 <= model.calibrate("tank", 0.0) < 1e-9
    assert 1 - 1e-9 < model.calibrate("tank", 1.0) <= 1
    with pytest.raises(UnknownClass, match="knows: tank, humvee"):
        model.calibrate("mlrs", 0.5)


@pytest.mark.parametrize("name", [*CPU_BACKENDS, "torch"])
def test_a_file_that_is_no_onnx_is_one_clear_error(name: str, make_tiny: MakeTiny) -> None:
    pytest.importorskip(name, reason=f"{name} is not installed")
    path = make_tiny(b"this is not a network")
    with pytest.raises(ModelError, match="cannot use the weights file") as refused:
        load_model(path, device="cpu", backend=name)
    assert "ordnance export" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", [*CPU_BACKENDS, pytest.param("torch", marks=pytest.mark.needs_torch)])
def test_a_network_with_another_head_than_the_manifest_says_is_refused(name: str, make_tiny: MakeTiny) -> None:
    if name == "torch" and (missing := backend.missing_torch_packages()):
        pytest.skip(f"the torch backend needs {', '.join(missing)} (extra train or cuda)")
    pytest.importorskip(name, reason=f"{name} is not installed")
    one_to_one, one_to_many = (build_tiny_onnx(head) for head in HEADS)
    with pytest.raises(ModelError, match=r"\(\?, 6, .+\), but the manifest's one-to-one head is \(n, k, 6\)"):
        load_model(make_tiny(one_to_many, head="one-to-one"), device="cpu", backend=name)
    with pytest.raises(ModelError, match=r"6\), but the manifest's one-to-many head is \(n, 6, anchors\)"):
        load_model(make_tiny(one_to_one, head="one-to-many"), device="cpu", backend=name)
    three = {"classes": ("tank", "humvee", "mlrs"), "thresholds": {"tank": 0.4, "humvee": 0.5, "mlrs": 0.5}}
    with pytest.raises(ModelError, match=r"one-to-many head is \(n, 7, anchors\)"):
        load_model(make_tiny(one_to_many, head="one-to-many", **three), device="cpu", backend=name)


def test_bfloat16_is_refused_where_the_processor_lacks_it(make_tiny: MakeTiny, monkeypatch: pytest.MonkeyPatch) -> None:
    openvino = pytest.importorskip("openvino", reason="openvino is not installed")
    monkeypatch.setattr(openvino.Core, "get_property", lambda *_: ["FP32", "INT8"])
    with pytest.raises(BackendUnavailable, match=r"needs a processor that computes in bfloat16.+use the backend"):
        load_model(make_tiny(), device="cpu", backend="openvino-bf16")


@pytest.mark.needs_torch
def test_torch_refuses_weights_of_another_network(make_tiny: MakeTiny) -> None:
    if missing := backend.missing_torch_packages():
        pytest.skip(f"the torch backend needs {', '.join(missing)} (extra train or cuda)")
    with pytest.raises(ModelError, match="do not fit"):
        load_model(make_tiny(), device="cpu", backend="torch")
    with pytest.raises(ModelError, match=r"do not fit .+ model\.\d+\."):
        load_model(make_tiny(head="one-to-many"), device="cpu", backend="torch")
    with pytest.raises(ModelError, match="knows no network 'yolo26q'"):
        load_model(make_tiny(architecture="yolo26q"), device="cpu", backend="torch")


def test_cuda_without_its_packages_names_the_command(make_tiny: MakeTiny, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None if name == "torch" else find_spec(name))
    path = make_tiny()
    for options in ({"device": "cuda:0"}, {"device": "cpu", "backend": "torch"}):
        with pytest.raises(BackendUnavailable) as refused:
            load_model(path, **options)
        assert "pip install 'ordnance[cuda]'" in str(refused.value)
    assert load_model(path, backend="onnxruntime").device == "cpu"


def test_a_cuda_device_that_is_not_there_is_refused(make_tiny: MakeTiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "missing_torch_packages", list)
    monkeypatch.setattr(backend, "_cuda_devices", lambda: 1)
    with pytest.raises(BackendUnavailable, match="torch counts 1 of them"):
        load_model(make_tiny(), device="cuda:1")
    assert backend.resolve_device("auto") == backend.resolve_device("cuda") == "cuda:0"


@pytest.mark.parametrize("options", [{"device": "tpu"}, {"device": "cuda:x"}, {"backend": "mxnet"}, {"threads": 0}])
def test_options_out_of_range_are_refused(options: dict[str, Any], make_tiny: MakeTiny) -> None:
    with pytest.raises(BadOption):
        load_model(make_tiny(), **options)


def test_cpu_backends_refuse_cuda(make_tiny: MakeTiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "missing_torch_packages", list)
    monkeypatch.setattr(backend, "_cuda_devices", lambda: 1)
    path = make_tiny()
    for name in CPU_BACKENDS:
        with pytest.raises(BackendUnavailable, match="CPU only"):
            load_model(path, device="cuda:0", backend=name)
        assert load_model(path, device="auto", backend=name).device == "cpu"


@pytest.fixture
def timings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Makes OpenVINO the faster in the self-test; holds the backends that were timed."""
    for name in CPU_BACKENDS:
        pytest.importorskip(name, reason=f"{name} is not installed")
    timed: list[str] = []

    def milliseconds(candidate: backend.Backend, size: int, threads: int, runs: int) -> float:
        timed.append(candidate.name)
        return 1.0 if candidate.name == "openvino" else 2.0

    monkeypatch.setattr(selftest, "_milliseconds", milliseconds)
    return timed


def test_auto_takes_the_faster_and_remembers_it(make_tiny: MakeTiny, timings: list[str], cache: Path) -> None:
    path = make_tiny()
    for _ in range(2):
        assert load_model(path, device="cpu").backend_name == "openvino"
    assert timings == list(CPU_BACKENDS)
    ((key, choice),) = json.loads((cache / "backends.json").read_text()).items()
    assert choice == "openvino"
    assert load_model(path, device="cpu").sha256 in key
    assert load_model(path, device="cpu", threads=1 + backend.available_threads()).backend_name == "openvino"
    assert len(timings) == 4


@pytest.mark.parametrize(
    ("sides", "kind", "said"),
    [
        ((1, 3, 320, 320), "FLOAT", r"tensor\(float\) \(1, 3, 320, 320\)"),
        ((8, 3, "height", "width"), "FLOAT", r"tensor\(float\) \(8, 3, \?, \?\)"),
        (("batch", 3, "height", "width"), "FLOAT16", r"tensor\(float16\) \(\?, 3, \?, \?\)"),
    ],
)
def test_a_network_that_takes_other_pictures_is_refused_by_onnx_runtime_when_it_is_loaded(
    sides: tuple[int | str, ...], kind: str, said: str, make_tiny: MakeTiny
) -> None:
    path = make_tiny(build_tiny_onnx(sides=sides, kind=kind))
    with pytest.raises(ModelError, match=rf"its input is {said}, but .* with free sizes is needed; export it again"):
        load_model(path, device="cpu", backend="onnxruntime")


def test_a_class_that_the_manifest_does_not_list_is_said(make_tiny: MakeTiny) -> None:
    model = load_model(make_tiny(classes=("tank",), thresholds={"tank": 0.4}), device="cpu", backend="onnxruntime")
    with pytest.raises(ModelError, match="gives class number 1, but its manifest lists 1 from 0; export it again"):
        model.detect([white(320, 320)])


def test_auto_takes_a_backend_that_another_distribution_installed(
    make_tiny: MakeTiny, timings: list[str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        if name == "onnxruntime":
            raise PackageNotFoundError(name)
        return "9.8.7"

    monkeypatch.setattr(selftest, "version", version)
    monkeypatch.setattr(selftest, "packages_distributions", lambda: {"onnxruntime": ["onnxruntime-gpu"]})
    assert load_model(make_tiny(), device="cpu").backend_name == "openvino"
    assert "onnxruntime-gpu-9.8.7" in (cache / "backends.json").read_text()


def test_where_no_backend_is_installed_the_libraries_are_named_not_a_project_called_ordnance(
    make_tiny: MakeTiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selftest, "CPU_BACKENDS", ("no_such_library",))
    with pytest.raises(BackendUnavailable, match="pip install onnxruntime openvino"):
        load_model(make_tiny(), device="cpu")


@pytest.mark.parametrize("content", ["{", "[]", '{"x": 1}'])
def test_a_damaged_cache_is_made_anew(content: str, make_tiny: MakeTiny, timings: list[str], cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "backends.json").write_text(content)
    for _ in range(2):
        assert load_model(make_tiny(), device="cpu").backend_name == "openvino"
    assert len(timings) == 2


def test_a_cache_that_cannot_be_written_is_no_error(
    make_tiny: MakeTiny, timings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    for _ in range(2):
        assert load_model(make_tiny(), device="cpu").backend_name == "openvino"
    assert len(timings) == 4


def test_tuning_replaces_what_was_remembered(make_tiny: MakeTiny, timings: list[str], cache: Path) -> None:
    path = make_tiny()
    assert load_model(path, device="cpu").backend_name == "openvino"
    remembered = json.loads((cache / "backends.json").read_text())
    (cache / "backends.json").write_text(json.dumps(dict.fromkeys(remembered, "onnxruntime")))
    assert load_model(path, device="cpu").backend_name == "onnxruntime"
    tuned = tune_model(path)
    assert {each.backend for each in tuned if each.chosen} == {"openvino"}
    assert {each.threads for each in tuned} == {1, backend.available_threads()}
    assert load_model(path, device="cpu").backend_name == "openvino"
    assert load_model(path, device="cpu", threads=1).backend_name == "openvino"


@pytest.mark.parametrize("remembered", [True, False])
def test_auto_leaves_a_backend_out_that_is_installed_and_broken(
    remembered: bool,
    make_tiny: MakeTiny,
    timings: list[str],
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = make_tiny()
    if remembered:
        assert load_model(path, device="cpu").backend_name == "openvino"
    before = (cache / "backends.json").read_text() if remembered else None
    create, is_broken = backend.create_backend, True

    def breaking(name: backend.BackendName, *arguments: Any, **options: Any) -> backend.Backend:
        if name == "openvino" and is_broken:
            raise BackendUnavailable("libtbb.so.12 is missing.")
        return create(name, *arguments, **options)

    monkeypatch.setattr("detector.models.model.create_backend", breaking)
    assert load_model(path, device="cpu").backend_name == "onnxruntime"
    assert "openvino is left out: libtbb.so.12 is missing." in caplog.text
    assert ((cache / "backends.json").read_text() if (cache / "backends.json").exists() else None) == before
    with pytest.raises(BackendUnavailable, match="libtbb"):
        load_model(path, device="cpu", backend="openvino")
    is_broken = False
    assert load_model(path, device="cpu").backend_name == "openvino"


def test_the_real_self_test_chooses_one(make_tiny: MakeTiny) -> None:
    model = load_model(make_tiny(), device="cpu", threads=1)
    assert model.backend_name in CPU_BACKENDS
    assert len(model.detect([white(320, 320)])[0]) == 3
