from __future__ import annotations

import random

import numpy as np
import pytest

from detector.training.damage import DAMAGES, damaged_at_random


def scene(height: int = 181, width: int = 251) -> np.ndarray:
    """A grey wall with noise, and a white square whose left upper corner is at (100, 60)."""
    picture = np.full((height, width, 3), 90, np.uint8)
    picture += np.random.default_rng(2).integers(0, 20, picture.shape, dtype=np.uint8)
    picture[60:120, 100:160] = 250
    return picture


@pytest.mark.parametrize("name", sorted(DAMAGES))
def test_the_object_stays_where_its_box_is(name: str) -> None:
    spoilt = DAMAGES[name](scene())
    height, width = spoilt.shape[:2]
    assert spoilt.dtype == np.uint8
    bright = spoilt.mean(axis=2)
    rows, columns = np.nonzero(bright > (bright.max() + np.median(bright)) / 2)
    share = [columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height]
    assert share == pytest.approx([100 / 251, 60 / 181, 160 / 251, 120 / 181], abs=0.02)


@pytest.mark.parametrize("name", sorted(DAMAGES))
def test_damage_is_the_same_every_time(name: str) -> None:
    assert np.array_equal(DAMAGES[name](scene()), DAMAGES[name](scene()))


def test_each_does_what_it_says() -> None:
    large = scene(480, 640)
    assert DAMAGES["dark"](large).mean() < 0.5 * large.mean()
    wall = np.s_[300:460, 300:600]
    assert DAMAGES["recompressed"](large)[wall].std() < 0.7 * large[wall].std(), "fine detail is gone"
    assert DAMAGES["240p"](large)[wall].std() < 0.7 * large[wall].std()


def test_a_training_sees_another_damage_each_time() -> None:
    random.seed(1)
    spoilt = [damaged_at_random(scene()) for _ in range(8)]
    assert all(each.shape == scene().shape and each.dtype == np.uint8 for each in spoilt)
    different = {each.tobytes() for each in spoilt}
    assert len(different) > 4 and scene().tobytes() not in different
