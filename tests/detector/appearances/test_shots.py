import numpy as np
import pytest

from detector.appearances import is_cut, look_of


@pytest.fixture
def scenes():
    """Two pictures of different places, 360x640 RGB: sky over sand, and leaves over a road."""
    rng = np.random.default_rng(3)

    def scene(upper, lower, horizon, object_at):
        picture = np.empty((360, 640, 3), np.uint8)
        picture[:horizon] = upper
        picture[horizon:] = lower
        picture[horizon - 60 : horizon + 20, object_at : object_at + 120] = (60, 60, 40)
        return np.clip(picture + rng.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)

    return (
        scene((120, 170, 230), (210, 180, 130), 180, 200),
        scene((30, 90, 40), (90, 90, 95), 90, 420),
    )


def test_a_cut_between_two_places(scenes):
    assert is_cut(look_of(scenes[0]), look_of(scenes[1]))


def test_a_pan_is_no_cut(scenes):
    assert not is_cut(look_of(scenes[0]), look_of(np.roll(scenes[0], 150, axis=1)))


def test_a_change_of_light_is_no_cut(scenes):
    darker = (scenes[0] * 0.6).astype(np.uint8)
    assert not is_cut(look_of(scenes[0]), look_of(darker))


def test_black_pictures_are_one_shot():
    black = np.zeros((90, 160, 3), np.uint8)
    assert not is_cut(look_of(black), look_of(black))
