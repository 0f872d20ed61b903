import numpy as np
import pytest

from detector.appearances import Scenes, look_of
from detector.appearances.scenes import SCENES_KEPT


def picture(seed):
    """A scene of its own, 90x160 RGB: a few blocks of colour."""
    blocks = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((30, 40, 1), np.uint8))


def noisy(image):
    return np.clip(image + np.random.default_rng(1).normal(0, 5, image.shape), 0, 255).astype(np.uint8)


@pytest.fixture
def views():
    return [look_of(picture(seed)) for seed in (1, 2, 3)]


def test_cut_away_and_back(views):
    scenes = Scenes()
    a, b, c = views
    places = [scenes.add(look) for look in (a, a, b, b, look_of(noisy(picture(1))), c, b)]
    assert [place.shot for place in places] == [0, 0, 1, 1, 2, 3, 4]
    assert [place.scene for place in places] == [0, 0, 1, 1, 0, 2, 1]
    assert [place.new_shot for place in places] == [False, False, True, False, True, True, True]


def test_a_cut_that_is_known_need_not_be_seen(views):
    scenes = Scenes()
    scenes.add(views[0])
    assert scenes.add(views[0], cut=True).new_shot
    assert not scenes.add(views[1], cut=False).new_shot


def test_only_so_many_views_are_remembered():
    scenes = Scenes()
    looks = [look_of(picture(seed)) for seed in range(SCENES_KEPT + 20)]
    for look in looks:
        scenes.add(look, cut=True)
    assert len(scenes._views) == SCENES_KEPT
    assert scenes.add(looks[0], cut=True).scene >= len(looks)
