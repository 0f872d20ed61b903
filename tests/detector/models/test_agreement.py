"""The backends agree, on the weights that ship: the same boxes within 1 px and the same scores within 0.02.

Where one computes in fewer bits, each in a way of its own, they find nearly the same.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.errors import BackendUnavailable
from detector.frame import Boxes
from detector.models import WEIGHTS_FOLDER, Model, find_weights, load_model, read_manifest
from detector.models.backend import missing_torch_packages

MOST_PIXELS_APART = 1.0
MOST_SCORE_APART = 0.02
REFERENCE = "onnxruntime"
CERTAIN = 0.3
BATCH = 4
FRAMES_OF_A_CLIP = 36
PHOTOGRAPHS = 40

Picture = NDArray[np.uint8]


def models() -> list[str]:
    """All that ship, whichever their heads; ORDNANCE_AGREEMENT_MODEL may name others, separated like a PATH."""
    if named := os.environ.get("ORDNANCE_AGREEMENT_MODEL"):
        return named.split(os.pathsep)
    manifest = WEIGHTS_FOLDER / "manifest.json"
    return [entry.name for entry in read_manifest(manifest).models] if manifest.exists() else []


pytestmark = pytest.mark.skipif(
    not models(), reason="weights/manifest.json is not there yet; `ordnance export` makes it"
)


def drawn_pictures() -> list[Picture]:
    """Noise, gradients and drawn shapes in several sizes and aspects."""
    import cv2

    chance = np.random.default_rng(20)
    pictures: list[Picture] = []
    for width, height in ((1920, 1080), (640, 480), (300, 900), (97, 61)):
        ramp = np.linspace(40, 200, width)[None, :, None] * np.ones((height, 1, 3))
        picture = np.clip(ramp + chance.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)
        for _ in range(8):
            x, y = int(chance.integers(0, width)), int(chance.integers(0, height))
            reach = int(chance.integers(4, max(5, width // 4)))
            colour = tuple(int(value) for value in chance.integers(0, 256, 3))
            cv2.rectangle(picture, (x, y), (x + reach, y + reach // 2), colour, -1)
            cv2.line(picture, (x, y), (x + 2 * reach, y - reach // 4), colour, max(1, reach // 8))
        pictures.append(picture)
    return pictures


def demo_frames() -> list[Picture]:
    """Frames spread over every bundled demo clip."""
    import av

    pictures: list[Picture] = []
    for clip in sorted((Path(__file__).parents[3] / "datasets" / "demo").glob("*.mp4")):
        with av.open(str(clip)) as container:
            stream = container.streams.video[0]
            step = (stream.duration or 0) // FRAMES_OF_A_CLIP
            for position in range(FRAMES_OF_A_CLIP if step else 1):
                container.seek((stream.start_time or 0) + position * step, stream=stream)
                pictures.append(next(container.decode(stream)).to_ndarray(format="rgb24"))
    return pictures


def photographs() -> list[Picture]:
    """Some held-out photographs, where ORDNANCE_DATA names them."""
    import cv2

    data = os.environ.get("ORDNANCE_DATA")
    if not data:
        return []
    files = sorted((Path(data) / "photos" / "test" / "images").glob("*"))
    chosen = files[:: max(1, len(files) // PHOTOGRAPHS)]
    read = (cv2.imread(str(path), cv2.IMREAD_COLOR) for path in chosen)
    return [np.ascontiguousarray(picture[..., ::-1]) for picture in read if picture is not None]


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    return [*drawn_pictures(), *demo_frames(), *photographs()]


@pytest.fixture(scope="module", params=models() or ["none"])
def name_or_path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def reference(name_or_path: str, pictures: list[Picture]) -> tuple[Model, list[Boxes]]:
    pytest.importorskip(REFERENCE, reason=f"{REFERENCE} is not installed")
    model = load_model(name_or_path, device="cpu", backend=REFERENCE)
    return model, run(model, pictures)


def run(model: Model, pictures: Sequence[Picture]) -> list[Boxes]:
    return [
        boxes for begin in range(0, len(pictures), BATCH) for boxes in model.detect(pictures[begin : begin + BATCH])
    ]


def disagreements(one: Boxes, other: Boxes, floor: float) -> list[str]:
    """What each of two answers says of a picture and the other does not, scores next to the floor set aside."""
    found = []
    for these, those in ((one, other), (other, one)):
        for box, score, class_id in zip(these.xyxy, these.scores, these.class_ids, strict=True):
            apart = np.abs(those.xyxy - box).max(axis=1, initial=0) <= MOST_PIXELS_APART
            same = apart & (np.abs(those.scores - score) <= MOST_SCORE_APART) & (those.class_ids == class_id)
            if score >= floor + MOST_SCORE_APART and not same.any():
                found.append(f"class {class_id} {score:.3f} at {box.round(1).tolist()}")
    return found


@pytest.mark.parametrize("name", ["openvino", pytest.param("torch", marks=pytest.mark.needs_torch)])
def test_backends_agree(
    name: str, name_or_path: str, pictures: list[Picture], reference: tuple[Model, list[Boxes]]
) -> None:
    if name == "torch" and (missing := missing_torch_packages()):
        pytest.skip(f"the torch backend needs {', '.join(missing)} (extra train or cuda)")
    pytest.importorskip(name, reason=f"{name} is not installed")
    if find_weights(name_or_path)[0].precision == "int8":
        pytest.skip("backends do 8-bit arithmetic each in a way of its own")
    model, expected = reference
    answers = run(load_model(name_or_path, device="cpu", backend=name), pictures)
    differing = {
        position: difference
        for position, (one, other) in enumerate(zip(expected, answers, strict=True))
        if (difference := disagreements(one, other, model.score_floor))
    }
    assert differing == {}


@pytest.mark.parametrize("name", ["openvino", "openvino-bf16"])
def test_fewer_bits_find_nearly_the_same(
    name: str, name_or_path: str, pictures: list[Picture], reference: tuple[Model, list[Boxes]]
) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    try:
        model = load_model(name_or_path, device="cpu", backend=name)
    except BackendUnavailable as reason:
        pytest.skip(str(reason))
    certain = same = 0
    for one, other in zip(reference[1], run(model, pictures), strict=True):
        for box, score, class_id in zip(one.xyxy, one.scores, one.class_ids, strict=True):
            if score < CERTAIN:
                continue
            certain += 1
            near = np.abs(other.xyxy - box).max(axis=1, initial=0) <= 0.1 * max(box[2:] - box[:2])
            same += bool((near & (other.class_ids == class_id) & (np.abs(other.scores - score) <= 0.1)).any())
    assert certain >= 5
    assert same >= 0.9 * certain


@pytest.mark.needs_gpu
@pytest.mark.parametrize("name", ["torch", "tensorrt"])
def test_cuda_agrees(
    name: str, cuda_device: str, name_or_path: str, pictures: list[Picture], reference: tuple[Model, list[Boxes]]
) -> None:
    if name == "tensorrt":
        pytest.importorskip("tensorrt", reason="tensorrt is not installed (extra cuda)")
    model, expected = reference
    answers = run(load_model(name_or_path, device=cuda_device, backend=name), pictures)
    pairs = zip(expected, answers, strict=True)
    assert [found for one, other in pairs for found in disagreements(one, other, model.score_floor)] == []


def test_something_is_found_at_all(reference: tuple[Model, list[Boxes]]) -> None:
    if not demo_frames() and not photographs():
        pytest.skip("there is neither a demo clip in datasets/demo nor ORDNANCE_DATA")
    assert sum(len(boxes) for boxes in reference[1]) > 0


def test_the_batch_a_picture_is_in_does_not_matter(
    pictures: list[Picture], reference: tuple[Model, list[Boxes]]
) -> None:
    model, expected = reference
    for picture, boxes in list(zip(pictures, expected, strict=True))[:8]:
        (alone,) = model.detect([picture])
        assert disagreements(alone, boxes, model.score_floor) == []
