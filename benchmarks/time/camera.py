"""A hand-held camera before a wall of photographs: pans, zooms and shake, with the place of every object known."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.time.pictures import Box, Picture
from detector.errors import DataError

WALL_HEIGHT = 540
SIDE_WIDTH = 960
SHAKE_HZ = np.array([1.1, 2.7, 5.3])
SHAKE_WEIGHTS = np.array([0.6, 0.3, 0.1])

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class WallObject:
    """A weapon on the wall; `box` in the wall's pixels."""

    class_name: str
    box: Box


@dataclass(frozen=True, slots=True, eq=False)
class Wall:
    """Three photographs side by side: the subject between two without weapons. `image` is BGR uint8."""

    image: Image
    objects: tuple[WallObject, ...]

    def __repr__(self) -> str:
        return f"Wall({self.width}x{WALL_HEIGHT}, {len(self.objects)} objects)"

    @property
    def width(self) -> int:
        return int(self.image.shape[1])


@dataclass(frozen=True, slots=True)
class View:
    """Where the camera points `seconds` after the start of the shot: centre and width of the window, wall pixels."""

    seconds: float
    x: float
    y: float
    width: float


@dataclass(frozen=True, slots=True)
class Camera:
    """Views that the camera passes, ascending in time, easing in and out of each; `shake` as a share of the width."""

    views: tuple[View, ...]
    shake: float
    phases: tuple[tuple[float, float, float], tuple[float, float, float]]

    def window(self, seconds: float, wall_width: int, aspect: float) -> Box:
        """The part of the wall in the picture (x1, y1, x2, y2), never beyond the wall's edges."""
        x, y, width = self._at(seconds)
        width = min(width, WALL_HEIGHT * aspect, float(wall_width))
        height = width / aspect
        swing = np.sin(2 * np.pi * SHAKE_HZ * seconds + np.asarray(self.phases)) @ SHAKE_WEIGHTS * self.shake * width
        left = float(np.clip(x + swing[0] - width / 2, 0, wall_width - width))
        top = float(np.clip(y + swing[1] - height / 2, 0, WALL_HEIGHT - height))
        return left, top, left + width, top + height

    def _at(self, seconds: float) -> tuple[float, float, float]:
        after = bisect_right([view.seconds for view in self.views], seconds)
        if after == 0 or after == len(self.views):
            view = self.views[min(after, len(self.views) - 1)]
            return view.x, view.y, view.width
        start, end = self.views[after - 1], self.views[after]
        share = (seconds - start.seconds) / (end.seconds - start.seconds)
        eased = share * share * (3 - 2 * share)
        return (
            start.x + (end.x - start.x) * eased,
            start.y + (end.y - start.y) * eased,
            start.width + (end.width - start.width) * eased,
        )


def build_wall(left: Picture, subject: Picture, right: Picture) -> Wall:
    """Hang up three pictures; the outer two are cropped to fill their place, the subject is shown whole."""
    middle = _read(subject)
    width = round(middle.shape[1] * WALL_HEIGHT / middle.shape[0])
    middle = cv2.resize(middle, (width, WALL_HEIGHT), interpolation=cv2.INTER_CUBIC)
    image = np.hstack([_cover(_read(left)), middle, _cover(_read(right))])
    objects = tuple(
        WallObject(
            each.class_name,
            (
                SIDE_WIDTH + each.box[0] * width,
                each.box[1] * WALL_HEIGHT,
                SIDE_WIDTH + each.box[2] * width,
                each.box[3] * WALL_HEIGHT,
            ),
        )
        for each in subject.objects
    )
    return Wall(image, objects)


def film(wall: Wall, window: Box, width: int, height: int) -> Image:
    """The window as a BGR picture of `width` x `height`."""
    scale = width / (window[2] - window[0])
    move = np.array([[scale, 0, -window[0] * scale], [0, scale, -window[1] * scale]], np.float64)
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.warpAffine(wall.image, move, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def seen_box(box: Box, window: Box, width: int, height: int) -> tuple[Box | None, float]:
    """The part of a wall box that lies in the picture, in the picture's pixels, and its share of the whole box."""
    scale_x, scale_y = width / (window[2] - window[0]), height / (window[3] - window[1])
    x1, x2 = ((x - window[0]) * scale_x for x in (box[0], box[2]))
    y1, y2 = ((y - window[1]) * scale_y for y in (box[1], box[3]))
    cut = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height)))
    if cut[2] <= cut[0] or cut[3] <= cut[1]:
        return None, 0.0
    return cut, (cut[2] - cut[0]) * (cut[3] - cut[1]) / ((x2 - x1) * (y2 - y1))


def around(boxes: Sequence[Box]) -> Box:
    """The smallest box that holds all of `boxes`."""
    return (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )


def _read(picture: Picture) -> Image:
    image = cv2.imread(str(picture.path))
    if image is None:
        raise DataError(f"The picture {picture.path} is missing or damaged.")
    return np.asarray(image, dtype=np.uint8)


def _cover(image: Image) -> Image:
    """`image` scaled and cropped to fill a place at the side."""
    height, width = image.shape[:2]
    scale = max(SIDE_WIDTH / width, WALL_HEIGHT / height)
    size = (max(SIDE_WIDTH, round(width * scale)), max(WALL_HEIGHT, round(height * scale)))
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    left, top = (size[0] - SIDE_WIDTH) // 2, (size[1] - WALL_HEIGHT) // 2
    return np.asarray(scaled[top : top + WALL_HEIGHT, left : left + SIDE_WIDTH], dtype=np.uint8)
