"""Pictures in which something is found are seen twice, and the scores are the mean of both views."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.errors import ModelError, WeightsMismatch, WeightsNotFound
from detector.frame import Boxes, Frame
from detector.models import Manifest, Model, SecondView, load_model, read_manifest, write_manifest
from detector.models.backend import BackendName
from detector.models.letterbox import PADDING_GREY, Square
from detector.models.network import Network
from detector.models.second_view import seen_twice

from .conftest import describe

SIZE, SMALLER = 320, 256
TANK, HUMVEE = 0, 1


class RedSpot:
    """Stands in for a network: a tank where the picture is red, nothing where it is not.

    `shown` are the longer sides of the pictures that it was shown, without the padding around them.
    """

    name: BackendName = "onnxruntime"
    device = "cpu"

    def __init__(self, score: float, again: float) -> None:
        self.shown: list[int] = []
        self._scores = {SIZE: score, SMALLER: again}

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows = np.zeros((len(batch), 1, 6), np.float32)
        for row, picture in zip(rows, batch, strict=True):
            is_picture = (picture != PADDING_GREY).any(axis=2)
            self.shown.append(int(max(is_picture.any(axis=0).sum(), is_picture.any(axis=1).sum())))
            red = (picture[..., 0] > 200) & (picture[..., 1] < 100)
            if red.any():
                down, right = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
                score = self._scores[self.shown[-1]]
                row[0] = (right[0], down[0], right[-1] + 1, down[-1] + 1, score, TANK)
        return rows


Make = Callable[[float, float], tuple[Model, RedSpot]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def model(score: float, again: float) -> tuple[Model, RedSpot]:
        view = SecondView(longer_side=SMALLER, from_score=0.1)
        entry = describe(tmp_path, b"no network", input_size=SIZE, second_view=view)
        backend = RedSpot(score, again)
        return Model(entry, backend), backend

    return model


def picture(width: int, height: int, spot: tuple[int, int, int, int] | None) -> NDArray[np.uint8]:
    image = np.full((height, width, 3), 30, np.uint8)
    if spot is not None:
        left, top, right, bottom = spot
        image[top:bottom, left:right] = (255, 0, 0)
    return image


@pytest.mark.parametrize(
    ("width", "height", "spot"),
    [(640, 360, (40, 200, 200, 300)), (360, 640, (200, 30, 330, 130)), (1000, 1000, (600, 100, 900, 500))],
)
def test_a_find_lies_where_both_views_have_it_and_scores_their_mean(
    make: Make, width: int, height: int, spot: tuple[int, int, int, int]
) -> None:
    model, backend = make(0.9, 0.5)
    (found,) = model.detect([picture(width, height, spot)])
    assert found.scores.tolist() == pytest.approx([0.7])
    assert found.xyxy[0] == pytest.approx(spot, abs=2 * max(width, height) / SMALLER)
    assert found.xyxy.dtype == found.scores.dtype == np.float32
    assert backend.shown == [SIZE, SMALLER]


def test_a_frame_that_was_letterboxed_before_gives_the_same(make: Make) -> None:
    image = picture(640, 360, (40, 200, 200, 300))
    model, _ = make(0.9, 0.5)
    (one,), (other,) = model.detect([image]), model.detect([Square.of(Frame(image, 0.0, False), SIZE)])
    assert np.array_equal(one.xyxy, other.xyxy) and np.array_equal(one.scores, other.scores)


def test_only_pictures_with_a_find_are_seen_again(make: Make) -> None:
    model, backend = make(0.9, 0.8)
    empty, shown = picture(640, 360, None), picture(640, 480, (40, 200, 200, 300))
    found = model.detect([empty, shown, empty])
    assert [len(each) for each in found] == [0, 1, 0]
    assert sorted(backend.shown) == [SMALLER] + [SIZE] * 3


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (0.9, 0.0, [0.45]),
        (0.12, 0.9, [0.51]),
        (0.12, 0.0, [0.06]),
        (0.12, 0.0004, [0.06]),
        (0.12, 0.02, [0.07]),
        (0.099, 0.9, []),  # not seen again: half of it is less than the floor
    ],
)
def test_what_one_view_does_not_have_counts_half(
    make: Make, first: float, second: float, expected: list[float]
) -> None:
    model, _ = make(first, second)
    (found,) = model.detect([picture(640, 360, (40, 200, 200, 300))])
    assert found.scores.tolist() == pytest.approx(expected, abs=1e-6)


def test_a_lower_floor_changes_no_score(make: Make) -> None:
    image = picture(640, 360, (40, 200, 200, 300))
    for first, second in ((0.9, 0.03), (0.3, 0.3), (0.06, 0.9)):
        model, _ = make(first, second)
        (usual,), (all_of_them,) = model.detect([image]), model.detect([image], floor=0.001)
        assert usual.scores.tolist() == [score for score in all_of_them.scores.tolist() if score >= model.score_floor]
    assert all_of_them.scores.tolist() == pytest.approx([0.03])


def test_another_network_may_give_the_second_view(tmp_path: Path) -> None:
    view = SecondView(longer_side=SMALLER, from_score=0.1, model="other")
    entry = describe(tmp_path, b"no network", input_size=SIZE)
    first, second = RedSpot(0.9, 0.0), RedSpot(0.0, 0.5)
    other = Network(entry.model_copy(update={"name": "other", "input_size": SMALLER}), second)
    model = Model(entry.model_copy(update={"second_view": view}), first, other)

    (found,) = model.detect([picture(640, 360, (40, 200, 200, 300))])
    assert found.scores.tolist() == pytest.approx([0.7])
    assert found.xyxy[0] == pytest.approx((40, 200, 200, 300), abs=2 * 640 / SMALLER)
    assert (first.shown, second.shown) == ([SIZE], [SMALLER])
    assert model.second is other.entry
    assert model.with_one_view().second is None


@pytest.fixture
def two(tmp_path: Path, make_tiny: Callable[..., Path]) -> Path:
    """Two tiny models in one folder; tiny.onnx is seen a second time by other.onnx."""
    make_tiny()
    content = (tmp_path / "tiny.onnx").read_bytes()
    (tmp_path / "other.onnx").write_bytes(content)
    view = SecondView(longer_side=256, from_score=0.5, model="other")
    entry = describe(tmp_path, content)
    other = entry.model_copy(update={"name": "other", "file": "other.onnx"})
    entry = entry.model_copy(update={"second_view": view})
    write_manifest(Manifest(default="tiny", models=(entry, other)), tmp_path / "manifest.json")
    return tmp_path / "tiny.onnx"


def test_the_other_network_is_loaded_with_the_first(two: Path) -> None:
    model = load_model(two, device="cpu")
    assert model.second is not None and model.second.name == "other"
    white = np.full((360, 640, 3), 255, np.uint8)
    alone = load_model(two.parent / "other.onnx", device="cpu")
    (found,), (once,) = model.detect([white]), alone.detect([white])
    assert alone.second is None
    assert 0 < found.scores[0] < once.scores[0]


def test_the_other_network_is_compiled_only_when_something_shows(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openvino = pytest.importorskip("openvino", reason="openvino is not installed")
    compiled: list[str] = []
    compile_model = openvino.Core.compile_model

    def counted(core: Any, network: Any, *rest: Any, **more: Any) -> Any:
        compiled.append("network")
        return compile_model(core, network, *rest, **more)

    monkeypatch.setattr(openvino.Core, "compile_model", counted)
    model = load_model(two, device="cpu", backend="openvino")
    model.detect([np.zeros((360, 640, 3), np.uint8)])
    assert len(compiled) == 1
    model.detect([np.full((360, 640, 3), 255, np.uint8)])
    assert len(compiled) == 2


def test_another_network_that_cannot_be_used_is_refused_at_once(two: Path) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    content = b"no network at all"
    (two.parent / "other.onnx").write_bytes(content)
    manifest = read_manifest(two.parent / "manifest.json")
    first, other = manifest.models
    other = other.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
    write_manifest(Manifest(default="tiny", models=(first, other)), two.parent / "manifest.json")
    with pytest.raises(ModelError, match="OpenVINO cannot use the weights file"):
        load_model(two, device="cpu", backend="openvino")


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda path: path.unlink(), WeightsNotFound),
        (lambda path: path.write_bytes(b"something else"), WeightsMismatch),
    ],
)
def test_without_the_other_file_the_model_does_not_load(
    two: Path, damage: Callable[[Path], object], error: type[ModelError]
) -> None:
    damage(two.parent / "other.onnx")
    with pytest.raises(error, match=r"other\.onnx"):
        load_model(two, device="cpu")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "third"}, "is not another model"),
        ({"classes": ("humvee", "tank")}, "does not know the same classes"),
        ({"input_size": 160}, "is larger than the input"),
    ],
)
def test_a_manifest_whose_second_view_cannot_be_is_refused(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    entry = describe(tmp_path, b"no network")
    view = SecondView(longer_side=256, from_score=0.1, model="other")
    other = entry.model_copy(update={"name": "other", "file": "other.onnx", **changes})
    with pytest.raises(ValueError, match=words):
        Manifest(default="tiny", models=(entry.model_copy(update={"second_view": view}), other))


def boxes(*rows: tuple[float, float, float, float, float, int]) -> Boxes:
    columns = np.array(rows, np.float32).reshape(-1, 6)
    return Boxes(columns[:, :4], columns[:, 4], columns[:, 5].astype(np.int64))


def test_objects_and_classes_stay_apart() -> None:
    first = boxes((0, 0, 10, 10, 0.8, TANK), (4, 0, 14, 10, 0.6, TANK), (0, 0, 10, 10, 0.4, HUMVEE))
    second = boxes((5, 0, 15, 10, 0.7, TANK), (1, 0, 11, 10, 0.2, TANK), (50, 50, 60, 60, 0.3, HUMVEE))
    found = seen_twice(first, second)
    assert found.scores.tolist() == pytest.approx([0.65, 0.5, 0.2, 0.15])
    assert found.class_ids.tolist() == [TANK, TANK, HUMVEE, HUMVEE]
    assert found.xyxy[:, 0].tolist() == pytest.approx([4 * 6 / 13 + 5 * 7 / 13, 0.2, 0, 50], abs=1e-5)


def test_views_without_boxes() -> None:
    nothing, one = boxes(), boxes((0, 0, 10, 10, 0.8, TANK))
    assert len(seen_twice(nothing, nothing)) == 0
    assert seen_twice(nothing, one).scores.tolist() == seen_twice(one, nothing).scores.tolist() == [np.float32(0.4)]


def test_backends_agree_on_pictures_of_many_shapes(make_tiny: Callable[..., Path]) -> None:
    for library in ("onnxruntime", "openvino"):
        pytest.importorskip(library, reason=f"{library} is not installed")
    path = make_tiny(second_view={"longer_side": 256, "from_score": 0.1})
    sizes = ((640, 360), (360, 640), (99, 98), (640, 480), (480, 640), (1000, 100), (100, 1000), (4, 3))
    white = [np.full((height, width, 3), 255, np.uint8) for width, height in sizes]
    one, other = (
        load_model(path, device="cpu", backend=name, threads=2).detect(white) for name in ("onnxruntime", "openvino")
    )
    for here, there in zip(one, other, strict=True):
        # What only one of the views has scores the same in this network, so their order is a matter of rounding.
        rows, others = _by_place(here), _by_place(there)
        assert len(rows) > 0 and rows == pytest.approx(others, abs=1e-2)


def _by_place(found: Boxes) -> NDArray[np.float64]:
    rows = np.column_stack([found.class_ids, found.xyxy, found.scores])
    return rows[np.argsort(rows[:, :4] @ [1e6, 1, 3, 7])]
