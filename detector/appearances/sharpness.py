"""How sharp the picture of an object is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from detector.frame import Frame

MEASURED_SIDE_PX = 160
"""A larger crop is shrunk to this longer side first, so that size does not count as blur, and cost stays small."""


def sharpness(frame: Frame, box: Sequence[float]) -> float:
    """Variance of the Laplacian of what lies in `box` of a frame; 0 or more.

    The measure of Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy: a comparative study"
    (ICPR 2000), in squared grey levels. `box` is (x1, y1, x2, y2) in the picture's pixels and may reach over its
    edges. A crop of less than 3x3 pixels has no neighbourhood to measure: 0.
    """
    import cv2

    width, height = frame.size
    left, right = max(math.floor(box[0]), 0), min(math.ceil(box[2]), width)
    top, bottom = max(math.floor(box[1]), 0), min(math.ceil(box[3]), height)
    if right - left < 3 or bottom - top < 3:
        return 0.0
    grey = frame.grey(left, top, right, bottom)
    scale = MEASURED_SIDE_PX / max(right - left, bottom - top)
    if scale < 1:
        size = (max(3, round((right - left) * scale)), max(3, round((bottom - top) * scale)))
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())
