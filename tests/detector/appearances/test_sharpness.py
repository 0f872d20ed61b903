import cv2
import numpy as np
import pytest

from detector.appearances import sharpness as sharpness_in
from detector.frame import Frame


def sharpness(image, box):
    return sharpness_in(Frame(image, 0.0, True), box)


@pytest.fixture
def board():
    """Squares of black and white, 240x320 RGB."""
    rows, columns = np.indices((240, 320)) // 20
    return np.repeat((((rows + columns) % 2) * 255).astype(np.uint8)[:, :, None], 3, axis=2)


def test_the_sharper_picture_has_more(board):
    box = (40, 40, 240, 200)
    blurs = [sharpness(cv2.GaussianBlur(board, (0, 0), sigma), box) for sigma in (1, 3, 8)]
    assert sharpness(board, box) > blurs[0] > blurs[1] > blurs[2] > 0


def test_a_blank_wall_has_none(board):
    assert sharpness(np.full_like(board, 90), (0, 0, 100, 100)) == 0


def test_only_what_lies_in_the_box_counts(board):
    picture = board.copy()
    picture[:, 160:] = 128
    assert sharpness(picture, (180, 20, 300, 200)) == 0 < sharpness(picture, (20, 20, 140, 200))


@pytest.mark.parametrize("box", [(10, 10, 11, 12), (5, 5, 5, 5), (400, 10, 500, 60), (-50, -50, -10, -10)])
def test_a_box_with_nothing_in_it_has_none(board, box):
    assert sharpness(board, box) == 0


def test_a_box_over_the_edge_is_cut_off(board):
    assert sharpness(board, (-30.5, -20.0, 100.0, 90.0)) == sharpness(board, (0, 0, 100, 90))


def test_the_same_object_four_times_as_large_is_not_taken_for_blurred(board):
    large = cv2.resize(board, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST)
    small, big = sharpness(board, (0, 0, 160, 160)), sharpness(large, (0, 0, 640, 640))
    assert big == pytest.approx(small, rel=0.3)
