from __future__ import annotations

import cv2
import numpy as np
import pytest

from detector.report import encode_crop, encode_thumbnail


def decoded(jpeg: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


@pytest.fixture
def picture() -> np.ndarray:
    """Grey, with a red square of 100 px at (400, 200)."""
    image = np.full((720, 1280, 3), 128, np.uint8)
    image[200:300, 400:500] = (220, 20, 20)
    return image


def test_a_thumbnail_is_the_whole_frame_with_the_box_in_its_colour(picture: np.ndarray) -> None:
    before = picture.copy()
    small = decoded(encode_thumbnail(picture, (400, 200, 500, 300), "#20e040"))
    assert small.shape == (270, 480, 3)
    assert (picture == before).all()
    edge = small[75:113, 149:152].reshape(-1, 3).mean(axis=0)
    assert edge[1] > edge[0] + 60 and edge[1] > edge[2] + 60
    middle = small[94, 169]
    assert middle[0] > 150 and middle[1] < 90
    assert abs(small[200, 400].astype(int) - 128).max() < 6


def test_a_small_picture_is_not_enlarged(picture: np.ndarray) -> None:
    tiny = np.ascontiguousarray(picture[:90, :160])
    assert decoded(encode_thumbnail(tiny, (0, 0, 20, 20), "#ffffff")).shape == (90, 160, 3)
    assert decoded(encode_thumbnail(picture[:, :200], (0, 0, 9, 9), "#ffffff", max_side=100)).shape == (100, 28, 3)


def test_a_crop_is_the_box_with_its_margin(picture: np.ndarray) -> None:
    crop = decoded(encode_crop(picture, (400, 200, 500, 300)))
    assert crop.shape == (130, 130, 3)
    assert crop[65, 65, 0] > 180 and abs(int(crop[4, 4, 0]) - 128) < 25
    assert decoded(encode_crop(picture, (400, 200, 500, 300), margin=0)).shape == (100, 100, 3)
    assert max(decoded(encode_crop(picture, (0, 0, 1280, 720))).shape) == 320


@pytest.mark.parametrize(
    "box",
    [(-50, -50, 10, 10), (1270, 710, 1400, 900), (5000, 5000, 6000, 6000), (-9, -9, -5, -5), (640, 300, 640, 300)],
)
def test_a_box_over_the_edge_or_without_size_gives_pictures(picture: np.ndarray, box: tuple[int, ...]) -> None:
    assert decoded(encode_thumbnail(picture, box, "#e4572e")).shape == (270, 480, 3)
    crop = decoded(encode_crop(picture, box))
    assert min(crop.shape[:2]) >= 32


def test_the_smallest_picture(picture: np.ndarray) -> None:
    dot = np.zeros((1, 1, 3), np.uint8)
    assert decoded(encode_thumbnail(dot, (0, 0, 1, 1), "#e4572e")).shape == (1, 1, 3)
    assert decoded(encode_crop(dot, (0, 0, 1, 1))).shape == (1, 1, 3)


@pytest.mark.parametrize("encode", [lambda *given: encode_thumbnail(*given, "#e4572e"), encode_crop])
def test_what_is_no_picture_or_box_is_refused(picture: np.ndarray, encode) -> None:
    for image in (picture[:, :, 0], picture.astype(np.float32), picture[:0]):
        with pytest.raises(ValueError, match="picture"):
            encode(image, (0, 0, 1, 1))
    with pytest.raises(ValueError, match="finite"):
        encode(picture, (0, 0, float("nan"), 1))
