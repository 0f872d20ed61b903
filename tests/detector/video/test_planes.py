"""The short way from decoded planes to the model's square gives what the long way by full-size RGB gives."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from detector.frame import Boxes, Frame
from detector.models import Model, load_model
from detector.models.letterbox import Letterbox, Square
from detector.video import open_video
from detector.video.guard import open_guarded

DEMO = Path(__file__).parents[3] / "datasets" / "demo" / "demo.mp4"
INPUT_PX = 320
MEAN_LEVELS = 1.5
"""Mean absolute difference allowed, in grey levels. swscale's RGB of whole pictures is a level too dark."""
MOST_LEVELS = 48
"""Of any one value; an edge in the chroma lies up to half a chroma pixel elsewhere."""
INTERLACED = {"x264-params": "tff=1"}
UNCHANGED = {"yuv444p", "yuv422p", "yuv420p10le", "odd", "wide pixels", "small", "bt2020", "interlaced, small"}


def colourful(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """Soft blobs of all colours, dark to light, with hard edged bars across them."""
    rng = np.random.default_rng(number)
    image = cv2.resize(rng.integers(0, 256, (5, 9, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    image[height // 3 : height // 2, : width // 2] = (20, 20, 20), *[(235, 235, 235)] * (width // 2 - 1)
    return np.asarray(image, np.uint8)


def write(
    path: Path,
    *,
    size: tuple[int, int] = (960, 540),
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    aspect: Fraction | None = None,
    colours: dict[str, int] | None = None,
) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=25, options={"crf": "12", "preset": "veryfast", **(options or {})}
        )
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        for name, value in (colours or {}).items():
            setattr(stream.codec_context, name, value)
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(colourful(number, *size), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


CLIPS = {
    "plain": {},
    "hd": {"size": (1280, 720)},
    "full range": {"pix_fmt": "yuvj420p"},
    "tagged full range": {"colours": {"color_range": 2}},
    "bt709": {"colours": {"colorspace": 1}},
    "bt601 625": {"colours": {"colorspace": 5}},
    "bt601 525, hd": {"size": (1280, 720), "colours": {"colorspace": 6}},
    "sides not of eight": {"size": (962, 542)},
    "upright": {"size": (540, 960)},
    "bt2020": {"colours": {"colorspace": 9}},
    "yuv444p": {"pix_fmt": "yuv444p"},
    "yuv422p": {"pix_fmt": "yuv422p"},
    "yuv420p10le": {"pix_fmt": "yuv420p10le"},
    "gray": {"pix_fmt": "gray"},
    "odd": {"size": (961, 541), "pix_fmt": "yuv444p"},
    "wide pixels": {"size": (720, 576), "aspect": Fraction(16, 11)},
    "small": {"size": (400, 300)},
    "interlaced": {"options": INTERLACED},
    "interlaced, small": {"size": (400, 300), "options": INTERLACED},
}


def the_long_way(frame: Frame) -> NDArray[np.uint8]:
    placement = Letterbox.fit(*frame.size, INPUT_PX)
    return np.asarray(cv2.resize(frame.image, placement.scaled_size, interpolation=cv2.INTER_LINEAR), np.uint8)


@pytest.mark.parametrize("name", CLIPS)
def test_a_square_from_planes_is_the_square_from_the_whole_picture(tmp_path: Path, name: str) -> None:
    with open_video(write(tmp_path / "clip.mkv", **CLIPS[name])) as video:  # type: ignore[arg-type]
        frames = list(video.frames())
        size = video.probe.width, video.probe.height
    assert len(frames) == 4
    for frame in frames:
        square = Square.of(frame, INPUT_PX)
        expected = the_long_way(frame)
        assert frame.size == (frame.image.shape[1], frame.image.shape[0]) == size
        difference = np.abs(square.picture.astype(int) - expected)
        if name in UNCHANGED:
            assert not difference.any()
        else:
            assert difference.mean() < MEAN_LEVELS
            assert difference.max() < MOST_LEVELS


@pytest.mark.parametrize("name", CLIPS)
def test_how_light_a_part_is_needs_no_image(tmp_path: Path, name: str) -> None:
    with open_video(write(tmp_path / "clip.mkv", **CLIPS[name])) as video:  # type: ignore[arg-type]
        for frame in video.frames():
            width, height = frame.size
            part = frame.grey(3, 5, width - 4, height - 2)
            image = Frame(frame.image, frame.pts_seconds, frame.is_keyframe)
            from_image = image.grey(3, 5, width - 4, height - 2)
            assert part.shape == from_image.shape == (height - 7, width - 7)
            # Luma weighs the colours by the clip's own matrix, OpenCV always by BT.601.
            assert np.corrcoef(part.ravel(), from_image.ravel())[0, 1] > 0.95
            assert abs(int(part.min()) - int(from_image.min())) < 12 > abs(int(part.max()) - int(from_image.max()))


def test_looking_at_the_whole_picture_first_changes_nothing(tmp_path: Path) -> None:
    with open_video(write(tmp_path / "clip.mkv")) as video:
        for frame in video.frames():
            before, image = Square.of(frame, INPUT_PX), frame.image
            again = frame.without_image()
            np.testing.assert_array_equal(again.image, image)
            np.testing.assert_array_equal(Square.of(again, INPUT_PX).pixels, before.pixels)
            assert frame.image is image


def test_frames_kept_while_reading_goes_on_stay_as_they_were(tmp_path: Path) -> None:
    with open_video(write(tmp_path / "clip.mkv")) as video:
        at_once = [frame.image for frame in video.frames()]
        kept = list(video.frames())
    for frame, image in zip(kept, at_once, strict=True):
        np.testing.assert_array_equal(frame.image, image)


@pytest.mark.skipif(sys.platform != "linux", reason="the guard's limits are Linux's")
@pytest.mark.parametrize(
    "name", ["plain", "full range", "bt601 525, hd", "odd", "wide pixels", *(name for name in CLIPS if "inter" in name)]
)
def test_planes_from_a_decoder_process_are_the_same(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "clip.mkv", **CLIPS[name])  # type: ignore[arg-type]
    with open_video(path) as plain, open_guarded(path) as guarded:
        for one, other in zip(plain.frames(), guarded.frames(), strict=True):
            assert one.size == other.size
            np.testing.assert_array_equal(Square.of(one, INPUT_PX).pixels, Square.of(other, INPUT_PX).pixels)
            np.testing.assert_array_equal(one.grey(2, 2, 40, 30), other.grey(2, 2, 40, 30))
            np.testing.assert_array_equal(one.image, other.image)


@pytest.fixture(scope="module")
def large_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of the demo clip, four times as large, so that the short way is taken."""
    path = tmp_path_factory.mktemp("demo") / "large.mp4"
    with av.open(str(DEMO)) as source, av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "14", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for number, picture in enumerate(source.decode(source.streams.video[0])):
            if number % 100 == 60:
                large = picture.reformat(width=1920, height=1080, format="yuv420p")
                large.pts = None
                container.mux(stream.encode(large))
        container.mux(stream.encode())
    return path


def test_both_ways_lead_to_the_same_boxes(large_demo: Path) -> None:
    model = load_model(device="cpu", threads=1)
    compared = 0
    with open_video(large_demo) as video:
        for frame in video.frames():
            short, long = model.detect([Square.of(frame, model.input_size), frame.image])
            compared += compare(model, short, long) + compare(model, long, short)
    assert compared >= 10


def compare(model: Model, ones: Boxes, others: Boxes) -> int:
    """Every box of `ones` that is worth reporting must be in `others`; returns how many there were."""
    worth = [n for n, c in enumerate(ones.class_ids) if ones.scores[n] >= model.thresholds[model.classes[int(c)]]]
    for n in worth:
        same = others.class_ids == ones.class_ids[n]
        overlap = np.where(same, iou(ones.xyxy[n], others.xyxy), 0.0)
        best = int(overlap.argmax())
        assert overlap[best] > 0.95
        assert abs(float(ones.scores[n]) - float(others.scores[best])) < 0.05
    return len(worth)


def iou(box: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    union = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - shared
    return np.asarray(shared / union, np.float32)
