"""Pictures for people who must judge a weapon without seeing the rest: grey and blurred but for chosen boxes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

VEIL_CELLS = 20
"""What is left of the longer side outside the boxes, in pixels: enough for sky and ground, too little for a face."""

Image = NDArray[np.uint8]


def veiled(image: Image, boxes: Iterable[Sequence[float]]) -> Image:
    """A copy of the RGB `image`, uint8 (height, width, 3), sharp and in colour inside `boxes` only.

    A box is left, top, right, bottom in pixels of the image, widened to whole pixels; what of it lies outside the image
    is of no effect. Everything else is grey and cannot be made out again: it is enlarged from VEIL_CELLS pixels.
    Raises ValueError where a box is not four finite numbers.
    """
    import cv2

    height, width = image.shape[:2]
    scale = VEIL_CELLS / max(height, width)
    cells = (max(1, round(width * scale)), max(1, round(height * scale)))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    soft = cv2.resize(cv2.resize(grey, cells, interpolation=cv2.INTER_AREA), (width, height))
    veil = np.repeat(np.asarray(soft, dtype=np.uint8).reshape(height, width, 1), 3, axis=2)
    for box in boxes:
        if len(box) != 4 or not all(math.isfinite(edge) for edge in box):
            raise ValueError(f"a box is four finite numbers, not {tuple(box)}")
        left, right = max(0, math.floor(box[0])), min(width, math.ceil(box[2]))
        top, bottom = max(0, math.floor(box[1])), min(height, math.ceil(box[3]))
        if left < right and top < bottom:
            veil[top:bottom, left:right] = image[top:bottom, left:right]
    return veil
