"""JPEG pictures of an appearance: the whole frame with its box, and the weapon alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

JPEG_QUALITY = 82

SMALLEST_CROP_PX = 32
"""A crop is widened to this side where the picture allows it: less is not recognisable."""

Image = NDArray[np.uint8]


def encode_thumbnail(image: Image, box: Sequence[float], colour: str, max_side: int = 480) -> bytes:
    """The whole RGB `image` as JPEG, no side longer than `max_side`, with `box` drawn in `colour` (#rrggbb).

    The box may reach over the edge; it is drawn where it meets it.
    """
    import cv2

    _check(image, box)
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    small = shrunk(image, max_side)
    canvas = np.ascontiguousarray(small[:, :, ::-1])
    height, width = canvas.shape[:2]
    scale_x, scale_y = width / image.shape[1], height / image.shape[0]
    x1, x2 = (round(min(max(x * scale_x, 0), width - 1)) for x in (box[0], box[2]))
    y1, y2 = (round(min(max(y * scale_y, 0), height - 1)) for y in (box[1], box[3]))
    line = max(1, round(max(width, height) / 160))
    # The dark line under the coloured one keeps the box visible on sand, snow and sky.
    cv2.rectangle(canvas, (x1, y1), (x2, y2), (0, 0, 0), line + 2, cv2.LINE_8)
    cv2.rectangle(canvas, (x1, y1), (x2, y2), (blue, green, red), line, cv2.LINE_8)
    return _jpeg(canvas)


def encode_crop(image: Image, box: Sequence[float], margin: float = 0.15, max_side: int = 320) -> bytes:
    """What lies in `box` of the RGB `image` as JPEG, no side longer than `max_side`.

    `margin` is added on every side, as a share of the box's longer side. A box outside the picture gives the
    nearest part of the picture.
    """
    _check(image, box)
    height, width = image.shape[:2]
    around = margin * max(box[2] - box[0], box[3] - box[1])
    left, right = _span(box[0] - around, box[2] + around, width)
    top, bottom = _span(box[1] - around, box[3] + around, height)
    return _jpeg(np.ascontiguousarray(shrunk(image[top:bottom, left:right], max_side)[:, :, ::-1]))


def _check(image: Image, box: Sequence[float]) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"a picture is uint8 (height, width, 3), not {image.dtype} {image.shape}")
    if len(box) != 4 or not all(math.isfinite(edge) for edge in box):
        raise ValueError(f"a box is four finite numbers, not {tuple(box)}")


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    """Whole pixels from `low` to `high`, at least SMALLEST_CROP_PX of them where `size` has so many."""
    smallest = min(SMALLEST_CROP_PX, size)
    if high - low < smallest:
        middle = (low + high) / 2
        low, high = middle - smallest / 2, middle + smallest / 2
    start = math.floor(min(max(low, 0), size - smallest))
    stop = math.ceil(max(min(high, size), start + smallest))
    return start, stop


def shrunk(image: Image, max_side: int) -> Image:
    """`image` with no side longer than `max_side`; never enlarged."""
    import cv2

    height, width = image.shape[:2]
    scale = max_side / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _jpeg(bgr: Image) -> bytes:
    import cv2

    encoded, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not encoded:
        raise ValueError(f"a picture of {bgr.shape[1]}x{bgr.shape[0]} cannot be written as JPEG")
    return bytes(data)
