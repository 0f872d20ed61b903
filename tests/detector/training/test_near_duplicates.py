import cv2
import numpy as np
import pytest

from detector.errors import DataError
from detector.training.near_duplicates import clusters, fingerprint, near_copies

from .conftest import drawn


def turned(picture, degrees):
    height, width = picture.shape[:2]
    return cv2.warpAffine(picture, cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1), (width, height))


def sheared(picture):
    height, width = picture.shape[:2]
    return cv2.warpAffine(picture, np.float32([[1, 0.12, -8], [0.05, 1, -3]]), (width, height))


def speckled(picture):
    out = picture.copy()
    out[np.random.default_rng(1).random(picture.shape[:2]) < 0.02] = 0
    return out


COPIES = {
    "smaller": lambda p: cv2.resize(p, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
    "darker": lambda p: (p * 0.6).astype(np.uint8),
    "mirrored": lambda p: p[:, ::-1],
    "upside down": lambda p: p[::-1, ::-1],
    "quarter turn": lambda p: np.rot90(p),
    "turned 12 degrees": lambda p: turned(p, 12),
    "turned 28 degrees": lambda p: turned(p, 28),
    "made square, then turned": lambda p: turned(cv2.resize(p, (480, 480)), -27),
    "turned and mirrored": lambda p: turned(p[:, ::-1].copy(), -8),
    "sheared": sheared,
    "speckled": speckled,
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_is_found(tmp_path, how):
    original, copy = tmp_path / "a.jpg", tmp_path / "b.jpg"
    cv2.imwrite(str(original), drawn(5))
    cv2.imwrite(str(copy), np.ascontiguousarray(COPIES[how](drawn(5))), [cv2.IMWRITE_JPEG_QUALITY, 60])
    assert near_copies([fingerprint(copy)], [fingerprint(original, turned=False)])


@pytest.mark.parametrize("bits", [12, 14, 16])
def test_a_copy_of_a_picture_of_many_bits_is_found(tmp_path, bits):
    grey = cv2.cvtColor(drawn(5), cv2.COLOR_BGR2GRAY).astype(np.uint16) << (bits - 8)
    original, copy = tmp_path / "a.png", tmp_path / "b.png"
    cv2.imwrite(str(original), grey)
    cv2.imwrite(str(copy), np.ascontiguousarray(turned(grey, 9)))
    assert near_copies([fingerprint(copy)], [fingerprint(original, turned=False)])


def test_different_pictures_are_no_copies(tmp_path):
    prints = []
    for seed in range(30):
        path = tmp_path / f"{seed}.jpg"
        cv2.imwrite(str(path), drawn(seed))
        prints.append(fingerprint(path))
    assert clusters(prints) == list(range(30))


def test_copies_of_copies_are_one_cluster(tmp_path):
    pictures = [drawn(1), turned(drawn(1), 10), drawn(2), drawn(1)[:, ::-1]]
    prints = []
    for number, picture in enumerate(pictures):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), np.ascontiguousarray(picture))
        prints.append(fingerprint(path))
    assert clusters(prints) == [0, 0, 2, 0]


def test_frames_of_one_scene_are_not_all_compared_with_each_other(tmp_path, monkeypatch):
    compared = []
    fit = cv2.estimateAffine2D
    monkeypatch.setattr(cv2, "estimateAffine2D", lambda *points, **how: compared.append(1) or fit(*points, **how))
    scene, frames = drawn(4, 400, 300), []
    for number in range(24):
        path = tmp_path / f"{number}.jpg"
        cv2.imwrite(str(path), scene[3 * number :, 4 * number :][:220, :300])
        frames.append(fingerprint(path))
    assert clusters(frames) == [0] * 24
    assert len(compared) < 3 * 24


def test_a_cut_off_file_is_refused(tmp_path):
    path = tmp_path / "cut.jpg"
    cv2.imwrite(str(path), drawn(3))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"cut\.jpg is missing or damaged"):
        fingerprint(path)
