import numpy as np
import pytest

from detector.appearances import StaticPicture, flag_overlays
from detector.appearances.overlay import Seen
from detector.frame import SUSPECTED_OVERLAY, Appearance, Detection

HEIGHT, WIDTH = 360, 640
LOGO = (540, 20, 620, 68)


def scene(seed, blocks=(6, 10)):
    """A picture of its own: blocks of colour with grain, 360x640 RGB."""
    rng = np.random.default_rng(seed)
    low = rng.integers(20, 236, (*blocks, 3)).astype(np.float32)
    picture = np.kron(low, np.ones((HEIGHT // blocks[0], WIDTH // blocks[1], 1), np.float32))
    return np.clip(picture + rng.normal(0, 8, picture.shape), 0, 255).astype(np.uint8)


def with_logo(picture, opacity=1.0):
    """A light frame with a dark bar in it, in the corner at LOGO."""
    left, top, right, bottom = LOGO
    logo = np.full((bottom - top, right - left, 3), 230, np.float32)
    logo[12:36, 10:70] = 25
    out = picture.copy()
    under = out[top:bottom, left:right].astype(np.float32)
    out[top:bottom, left:right] = (opacity * logo + (1 - opacity) * under).astype(np.uint8)
    return out


def with_bars(picture):
    out = picture.copy()
    out[:45] = out[-45:] = 0
    return out


def mask_of(pictures):
    watcher = StaticPicture()
    for picture in pictures:
        watcher.add(picture)
    return watcher.mask()


def share(mask, left, top, right, bottom):
    scale = mask.shape[1] / WIDTH
    return mask[round(top * scale) : round(bottom * scale), round(left * scale) : round(right * scale)].mean()


def test_an_opaque_logo_is_found_and_the_scenes_are_not():
    mask = mask_of(with_logo(scene(n)) for n in range(12))
    assert share(mask, *LOGO) > 0.9
    assert share(mask, 0, 100, WIDTH, HEIGHT) < 0.02


def test_letterbox_bars_are_found():
    mask = mask_of(with_bars(scene(n)) for n in range(12))
    assert share(mask, 0, 0, WIDTH, 40) == share(mask, 0, 320, WIDTH, HEIGHT) == 1
    assert share(mask, 0, 60, WIDTH, 300) < 0.02


def test_an_upright_clip_between_wide_bars():
    def upright(n):
        out = np.full((HEIGHT, WIDTH, 3), 16, np.uint8)
        out[:, 220:420] = scene(n)[:, 220:420]
        out[20:60, 360:410] = 240
        out[32:48, 366:404] = 20
        return out

    mask = mask_of(upright(n) for n in range(12))
    assert share(mask, 0, 0, 210, HEIGHT) == share(mask, 430, 0, WIDTH, HEIGHT) == 1
    assert share(mask, 362, 22, 408, 58) > 0.9
    assert share(mask, 225, 80, 415, HEIGHT) < 0.05


def test_black_video_says_nothing():
    assert mask_of(np.full((HEIGHT, WIDTH, 3), 16, np.uint8) for _ in range(20)) is None


def test_the_outline_of_a_watermark_that_shines_through_is_found():
    mask = mask_of(with_logo(scene(n), opacity=0.6) for n in range(40))
    assert share(mask, 550, 30, 612, 40) > 0.5
    assert share(mask, 0, 100, WIDTH, HEIGHT) < 0.02


def test_a_fixed_camera_says_nothing():
    rng = np.random.default_rng(0)
    still = with_logo(scene(1))
    pictures = [np.clip(still + rng.normal(0, 4, still.shape), 0, 255).astype(np.uint8) for _ in range(50)]
    for n, picture in enumerate(pictures):
        picture[200:260, 10 * n : 10 * n + 60] = 40
    assert mask_of(pictures) is None


def test_two_fixed_cameras_in_turn_have_no_mask_but_what_they_share():
    views = [with_logo(scene(1)), with_logo(scene(2, blocks=(8, 8)))]
    mask = mask_of(views[n % 2] for n in range(30))
    assert share(mask, *LOGO) > 0.9
    assert share(mask, 0, 100, WIDTH, HEIGHT) < 0.2


def test_a_light_that_changes_on_one_scene_says_nothing():
    base = scene(5).astype(np.float32)
    assert mask_of((base * factor).astype(np.uint8) for factor in np.tile([1.0, 0.6, 0.3], 8)) is None


def test_a_pan_over_one_scene_shows_the_logo():
    wide = np.concatenate([scene(n) for n in range(4)], axis=1)
    mask = mask_of(with_logo(wide[:, 45 * n : 45 * n + WIDTH]) for n in range(40))
    assert share(mask, *LOGO) > 0.9
    assert share(mask, 0, 100, WIDTH, HEIGHT) < 0.05


def test_memory_does_not_grow_and_odd_pictures_are_let_pass():
    watcher = StaticPicture()
    for n in range(30):
        watcher.add(scene(n))
    counted = watcher.pictures
    watcher.add(np.zeros((100, 900, 3), np.uint8))
    assert watcher.pictures == counted
    assert watcher.mask().shape == (90, 160)


def appearance(id, times, box, name="tank"):
    detections = tuple(Detection(name, 0.6, box, time) for time in times)
    return Appearance(id, name, 0.6, detections, detections[0])


@pytest.fixture
def mask():
    return mask_of(with_logo(scene(n)) for n in range(12))


def clip(appearances, shot_seconds=5, seconds=30):
    """Samples a second apart, with a cut every `shot_seconds`."""
    found = {}
    for each in appearances:
        for detection in each.detections:
            found.setdefault(detection.pts_seconds, []).append(detection)
    return [Seen(float(n), n // shot_seconds, found.get(float(n), [])) for n in range(seconds)]


def flags(appearances, samples, mask):
    found = [each for each in samples if each.detections]
    shots, seconds = len({each.shot for each in samples}), len(samples) - 1.0
    flagged = flag_overlays(appearances, found, mask, shots=shots, seconds=seconds, width=WIDTH, height=HEIGHT)
    return [each.flags for each in flagged]


def test_what_sits_on_the_logo_through_all_cuts_is_suspected(mask):
    logo = [appearance(f"a{n}", [float(n * 5 + m) for m in range(5)], LOGO) for n in range(6)]
    real = appearance("real", [float(n) for n in range(12)], (200.0, 200.0, 300.0, 260.0))
    assert flags([*logo, real], clip([*logo, real]), mask) == [(SUSPECTED_OVERLAY,)] * 6 + [()]


def test_what_passes_over_the_logo_is_not(mask):
    for times in ([4.0, 5.0], [float(n) for n in range(10)]):
        one = appearance("a1", times, LOGO)
        assert flags([one], clip([one]), mask) == [()]


def test_one_shot_is_never_enough(mask):
    one = appearance("a1", [float(n) for n in range(30)], LOGO)
    assert flags([one], clip([one], shot_seconds=100), mask) == [()]


def test_what_is_held_in_the_middle_of_a_changing_picture_is_not(mask):
    held = [appearance(f"a{n}", [float(n * 5 + m) for m in range(5)], (280.0, 150.0, 360.0, 210.0)) for n in range(6)]
    assert flags(held, clip(held), mask) == [()] * 6


def test_without_a_mask_nothing_is_suspected():
    logo = [appearance(f"a{n}", [float(n * 5 + m) for m in range(5)], LOGO) for n in range(6)]
    assert flags(logo, clip(logo), None) == [()] * 6
    assert flags([], [], None) == []


def test_an_earlier_flag_stays(mask):
    logo = [appearance(f"a{n}", [float(n * 5 + m) for m in range(5)], LOGO) for n in range(6)]
    marked = [Appearance(e.id, e.class_name, e.confidence, e.detections, e.best, ("seen_before",)) for e in logo]
    assert set(flags(marked, clip(marked), mask)) == {("seen_before", SUSPECTED_OVERLAY)}
