"""Finds near-copies among pictures: recompressed, cropped a little, mirrored, turned, sheared, speckled.

Two steps. A perceptual hash (ImageHash's DCT hash, Zauner 2010, 16 x 16 = 256 bits) of the disc in the middle of the
picture proposes pairs; one side of a comparison is hashed mirrored and turned by every angle of TURNS_DEGREES, as it
is and made square before. A proposal counts if enough SIFT features (Lowe 2004) of the two agree on one affine map.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from detector.errors import BackendUnavailable, DataError
from detector.training.photographs import check_content

LOG = logging.getLogger(__name__)
TOLD_EVERY = 500
"""After so many pictures it is said how many are done: twenty seconds of one processor."""
HASH_SIDE = 16
BITS = HASH_SIDE * HASH_SIDE
DISC_PX = 96
TURNS_DEGREES = (0, 5, -5, 10, -10, 15, -15, 20, -20, 25, -25, 30, -30, 90, 180, 270)
PROPOSED_BITS = 76
"""Most bits in which a proposed pair differs. Of 164 near-copies among the 3,880 photographs of the founding data set
20 differ in 70 to 76 bits; unrelated pictures differ in 128 on average, 1 pair in 2,000 in 76 or fewer."""
CERTAIN_BITS = 10
"""A pair this close needs no features: recompressed copies of pictures that have hardly any."""
LEAST_AGREEING = 20
"""Features that agree on the affine map. On the founding set unrelated pairs have 0 to 12, copies 30 and more."""
LEAST_CONTRAST = 6.0
"""Standard deviation of grey values (0..255) under which a picture is too flat to be told from another flat one."""
FEATURE_SIDE_PX = 288
FEATURES = 400
MOST_STRETCH = 2.0
"""A copy is not enlarged, shrunk or sheared by more than this; fits of chance matches mostly are."""
ROWS_AT_ONCE = 64

Each = TypeVar("Each")


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """A picture's hashes, bool (orientations, 256), upright first; None where it is too flat to tell."""

    path: Path
    hashes: NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True)
class NearCopy:
    """Positions of two pictures that are near-copies and the features that agree (0 where the hash alone decided)."""

    left: int
    right: int
    agreeing: int


def fingerprint(path: Path, *, turned: bool = True) -> Fingerprint:
    """Decode the picture at `path` whole and hash it, in every orientation if `turned`.

    Raises DataError for a picture that is missing or damaged, BackendUnavailable where the extra `data` is missing.
    """
    import cv2

    imagehash, image = _libraries()
    whole = read_grey(path)
    grey = cv2.resize(whole, (DISC_PX, DISC_PX), interpolation=cv2.INTER_AREA)
    if float(grey.std()) < LEAST_CONTRAST:
        return Fingerprint(path, None)
    disc = _disc()
    hashes = []
    for mirrored in (grey, np.ascontiguousarray(grey[:, ::-1])) if turned else (grey,):
        for turn in _turns(*whole.shape) if turned else (np.eye(2, 3),):
            view = cv2.warpAffine(mirrored, turn, (DISC_PX, DISC_PX))
            view = np.where(disc, view, view[disc].mean()).astype(np.uint8)
            hashes.append(imagehash.phash(image.fromarray(view), hash_size=HASH_SIDE).hash)
    return Fingerprint(path, np.stack(hashes).reshape(-1, BITS))


def told(pictures: Sequence[Each]) -> Iterator[Each]:
    """The same, saying now and then how many have been looked at."""
    for number, each in enumerate(pictures):
        if number and number % TOLD_EVERY == 0:
            LOG.info("looked at %d of %d pictures", number, len(pictures))
        yield each


def _turns(height: int, width: int) -> list[NDArray[np.float64]]:
    """Affine maps (2, 3) of the square into which a picture of this size was squeezed, first the one that does nothing.

    They turn the square, and the picture, which is a shear in the square wherever the picture is not one; by quarters
    both come to the same.
    """
    import cv2

    middle = (DISC_PX - 1) / 2
    about = np.array([[1, 0, -middle], [0, 1, -middle], [0, 0, 1]], np.float64)
    squeeze = np.diag([DISC_PX / width, DISC_PX / height, 1.0])
    turns = [np.vstack([cv2.getRotationMatrix2D((0, 0), angle, 1.0), [0, 0, 1]]) for angle in TURNS_DEGREES]
    by_less = [turn for turn, angle in zip(turns, TURNS_DEGREES, strict=True) if angle % 90]
    maps = [*turns, *(squeeze @ turn @ np.linalg.inv(squeeze) for turn in by_less)]
    return [(np.linalg.inv(about) @ each @ about)[:2] for each in maps]


def read_grey(path: Path) -> NDArray[np.uint8]:
    """The picture at `path` as uint8 (height, width), decoded to the last row.

    Raises DataError where it cannot be, and where the trainer would pass over it.
    """
    with open_picture(path) as picture:
        check_content(path, picture.format, picture.size)
        if picture.mode.startswith("I"):
            # Pillow would cut 16 bits off at 255; how many of them a thermal camera uses is not said.
            deep = np.asarray(picture, dtype=np.float32)
            return np.asarray(255 * deep / max(1.0, float(deep.max())), dtype=np.uint8)
        return np.asarray(picture.convert("L"), dtype=np.uint8)


@contextmanager
def open_picture(path: Path) -> Iterator[Any]:
    """The picture at `path` as Pillow opens it. Raises DataError where it cannot be opened or, within, decoded."""
    _, image = _libraries()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", image.DecompressionBombWarning)
            with image.open(path) as picture:
                yield picture
    except image.DecompressionBombError as error:
        most = 2 * image.MAX_IMAGE_PIXELS / 1e6
        raise DataError(f"The picture {path} has more than {most:.0f} million pixels; make it smaller.") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"The picture {path} is missing or damaged: {error}.") from error
    except ModuleNotFoundError as error:
        # ultralytics puts an Image.open of its own in place of Pillow's, which tries pi_heif where nothing else fits.
        raise DataError(f"The picture {path} is missing or damaged: it is in no format that is read here.") from error


class Clusters:
    """Pictures that belong together, by path; so do copies of copies."""

    def __init__(self) -> None:
        self._above: dict[Path, Path] = {}

    def of(self, picture: Path) -> Path:
        """The picture that stands for the cluster."""
        while (above := self._above.get(picture, picture)) != picture:
            self._above[picture] = self._above.get(above, above)
            picture = above
        return picture

    def join(self, picture: Path, other: Path) -> None:
        """Put the clusters of two pictures together."""
        self._above[self.of(other)] = self.of(picture)


def near_copies(
    turned: Sequence[Fingerprint], upright: Sequence[Fingerprint], known: Clusters | None = None
) -> list[NearCopy]:
    """Pairs of one picture of `turned` (hashed in every orientation) and another of `upright` that are copies.

    `known` grows by each pair. Two pictures that it has in one cluster by then are not compared: of n pictures of one
    scene, as the frames of a video are, about n pairs are instead of n * n.
    """
    known = known or Clusters()
    columns = [number for number, each in enumerate(upright) if each.hashes is not None]
    rows = [number for number, each in enumerate(turned) if each.hashes is not None]
    if not columns or not rows:
        return []
    one_way = _signs(np.stack([_hashes(upright[number])[0] for number in columns]))
    found = []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = rows[start : start + ROWS_AT_ONCE]
        all_ways = _signs(np.concatenate([_hashes(turned[number]) for number in part]))
        differing = ((BITS - all_ways @ one_way.T) / 2).reshape(len(part), -1, len(columns))
        least, way = differing.min(axis=1), differing.argmin(axis=1)
        for row, column in np.argwhere(least <= PROPOSED_BITS):
            left, right = turned[part[row]], upright[columns[column]]
            if known.of(left.path) == known.of(right.path):
                continue
            is_mirrored = bool(way[row, column] >= all_ways.shape[0] // len(part) // 2)
            agreeing = 0
            if least[row, column] > CERTAIN_BITS:
                agreeing = _agreeing_features(left.path, right.path, is_mirrored)
                if agreeing < LEAST_AGREEING:
                    continue
            found.append(NearCopy(part[row], columns[column], agreeing))
            known.join(left.path, right.path)
    return found


def clusters(pictures: Sequence[Fingerprint]) -> list[int]:
    """For each picture the position of the first of its cluster."""
    found = Clusters()
    near_copies(pictures, pictures, found)
    first: dict[Path, int] = {}
    return [first.setdefault(found.of(each.path), number) for number, each in enumerate(pictures)]


def _agreeing_features(left: Path, right: Path, is_mirrored: bool) -> int:
    import cv2

    here, described_here = _features(left, is_mirrored)
    there, described_there = _features(right, False)
    if min(len(here), len(there)) < LEAST_AGREEING:
        return 0
    pairs = cv2.BFMatcher().knnMatch(described_here, described_there, k=2)
    close = [best for best, second in pairs if best.distance < 0.75 * second.distance]
    if len(close) < LEAST_AGREEING:
        return 0
    map_, agrees = cv2.estimateAffine2D(
        here[[match.queryIdx for match in close]],
        there[[match.trainIdx for match in close]],
        ransacReprojThreshold=4.0,
    )
    if map_ is None:
        return 0
    stretch = np.linalg.svd(map_[:, :2], compute_uv=False)
    if stretch.max() > MOST_STRETCH or stretch.min() < 1 / MOST_STRETCH:
        return 0
    return int(agrees.sum())


@lru_cache(maxsize=4096)
def _features(path: Path, is_mirrored: bool) -> tuple[NDArray[np.float32], Any]:
    import cv2

    grey = read_grey(path)
    height, width = grey.shape
    scale = FEATURE_SIDE_PX / max(height, width)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    grey = np.asarray(cv2.medianBlur(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), 3), dtype=np.uint8)
    if is_mirrored:
        grey = np.ascontiguousarray(grey[:, ::-1])
    points, described = cv2.SIFT.create(FEATURES).detectAndCompute(grey, None)
    return np.array([point.pt for point in points], dtype=np.float32).reshape(-1, 2), described


def _hashes(picture: Fingerprint) -> NDArray[np.bool_]:
    assert picture.hashes is not None
    return picture.hashes


def _signs(bits: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.where(bits, np.float32(1), np.float32(-1))


@lru_cache(maxsize=1)
def _disc() -> NDArray[np.bool_]:
    away = np.arange(DISC_PX) - (DISC_PX - 1) / 2
    return np.asarray(away[:, None] ** 2 + away[None, :] ** 2 < (0.46 * DISC_PX) ** 2, dtype=np.bool_)


def _libraries() -> tuple[Any, Any]:
    try:
        import imagehash
        from PIL import Image
    except ImportError as error:
        raise BackendUnavailable(
            "Comparing pictures needs the extra 'data'; install it with: pip install 'ordnance[data]'."
        ) from error
    return imagehash, Image
