from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.models.backend import missing_torch_packages
from detector.models.letterbox import PADDING_GREY, Letterbox, letterbox, letterboxed, trimmed, trimmed_sides
from detector.models.offline import import_ultralytics_tasks

sides = st.integers(1, 5000)
sizes = st.sampled_from([160, 320, 416, 640])


@given(sides, sides, sizes, st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=1, max_size=5))
def test_boxes_come_back_to_where_they_were(
    width: int, height: int, size: int, shares: list[tuple[float, float, float, float]]
) -> None:
    placement = Letterbox.fit(width, height, size)
    boxes = np.array(shares, np.float32) * np.array([width, height, width, height], np.float32)
    back = placement.to_picture(placement.to_square(boxes))
    assert back.dtype == np.float32
    # One float32 step at the square's far edge, seen in picture pixels.
    step = 4 * np.spacing(np.float32(size)) / min(placement.scale_x, placement.scale_y)
    assert np.abs(back - boxes).max() <= step + 1e-3


@given(sides, sides, sizes)
def test_the_picture_lies_inside_the_square_in_its_middle(width: int, height: int, size: int) -> None:
    placement = Letterbox.fit(width, height, size)
    scaled_width, scaled_height = placement.scaled_size
    assert max(scaled_width, scaled_height) == size
    assert min(scaled_width, scaled_height) >= 1
    assert 0 <= size - scaled_width - 2 * placement.left <= 1
    assert 0 <= size - scaled_height - 2 * placement.top <= 1


@given(sides, sides, sizes, st.lists(st.tuples(*[st.floats(-1e4, 1e4, width=32)] * 4), min_size=1, max_size=5))
def test_boxes_never_leave_the_picture(
    width: int, height: int, size: int, boxes: list[tuple[float, float, float, float]]
) -> None:
    placed = Letterbox.fit(width, height, size).to_picture(np.array(boxes, np.float32))
    assert placed.min() >= 0
    assert placed[:, [0, 2]].max() <= width
    assert placed[:, [1, 3]].max() <= height


@pytest.mark.parametrize(
    ("width", "height", "size", "scaled", "left", "top"),
    [
        (1920, 1080, 320, (320, 180), 0, 70),
        (1080, 1920, 416, (234, 416), 91, 0),
        (512, 341, 416, (416, 277), 0, 69),
        (100, 100, 320, (320, 320), 0, 0),
        (3000, 1, 320, (320, 1), 0, 159),
    ],
)
def test_the_geometry_is_that_of_ultralytics(
    width: int, height: int, size: int, scaled: tuple[int, int], left: int, top: int
) -> None:
    placement = Letterbox.fit(width, height, size)
    assert (placement.scaled_size, placement.left, placement.top) == (scaled, left, top)


def test_the_batch_holds_each_picture_on_grey() -> None:
    white, black = np.full((90, 160, 3), 255, np.uint8), np.zeros((200, 100, 3), np.uint8)
    batch, placements = letterbox([white, black], 320)
    assert batch.shape == (2, 320, 320, 3)
    assert batch.dtype == np.uint8
    assert [(p.left, p.top) for p in placements] == [(0, 70), (80, 0)]
    assert (batch[0, 70:250] == 255).all()
    assert (batch[0, :70] == PADDING_GREY).all()
    assert (batch[0, 250:] == PADDING_GREY).all()
    assert (batch[1, :, 80:240] == 0).all()
    assert (batch[1, :, 240:] == PADDING_GREY).all()


def test_a_picture_of_the_right_size_goes_in_unchanged() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (320, 320, 3), np.uint8)
    assert (letterbox([picture], 320)[0][0] == picture).all()


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((0, 10, 3), np.uint8),
        np.zeros((10, 10, 3), np.float32),
    ],
    ids=["grey", "alpha", "empty", "float"],
)
def test_what_is_no_rgb_picture_is_refused(picture: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must be uint8"):
        letterbox([picture], 320)


@pytest.mark.needs_torch
def test_the_pixels_are_those_of_ultralytics() -> None:
    if missing := missing_torch_packages():
        pytest.skip(f"the torch backend needs {', '.join(missing)} (extra train or cuda)")
    import_ultralytics_tasks()
    from ultralytics.data.augment import LetterBox

    chance = np.random.default_rng(3)
    for height, width in ((1080, 1920), (341, 512), (97, 61), (1, 300), (416, 416), (725, 1000)):
        picture = chance.integers(0, 256, (height, width, 3), np.uint8)
        expected = LetterBox((416, 416), auto=False, scaleup=True)(image=picture)
        assert (letterbox([picture], 416)[0][0] == expected).all()


@given(sides, sides, sizes)
def test_what_is_trimmed_holds_the_whole_picture_and_few_shapes(width: int, height: int, size: int) -> None:
    place = Letterbox.fit(width, height, size)
    window = place.window(size)
    within = place.within(window)
    assert {window.width, window.height} <= set(trimmed_sides(size))
    assert within.left >= 0 and within.left + within.scaled_size[0] <= window.width
    assert within.top >= 0 and within.top + within.scaled_size[1] <= window.height
    middle = within.left + within.scaled_size[0] / 2, within.top + within.scaled_size[1] / 2
    assert middle == pytest.approx((window.width / 2, window.height / 2), abs=1)


def test_what_is_trimmed_is_the_squares_without_padding() -> None:
    chance = np.random.default_rng(0)
    images = [chance.integers(0, 255, (*shape, 3), np.uint8) for shape in ((288, 512), (512, 384), (144, 256))]
    squares = letterboxed(images, 512)
    wide, tall = trimmed(squares)
    assert (wide.positions, tall.positions) == ((0, 2), (1,))
    assert (wide.pixels.shape, tall.pixels.shape) == ((2, 352, 512, 3), (1, 512, 448, 3))
    assert np.array_equal(wide.pixels[0, 32:320], images[0]) and np.array_equal(tall.pixels[0, :, 32:416], images[1])
    assert np.array_equal(wide.pixels[1], squares[2].pixels[80:432])
    assert (wide.pixels[0, :32] == PADDING_GREY).all()
