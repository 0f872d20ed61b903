"""Tells whether the model would be shown the same picture twice.

A perceptual hash compares what a picture is like as a whole, and does not see a weapon of a dozen pixels appear. Here
the two pictures are compared as the model gets them, block by block, and the block that differs most decides: an
object of 12 x 12 px covers at least half of one of the blocks however it lies, so that it is noticed from a contrast
of four grey levels on. Coding noise in a picture at rest stays below: encoders repeat what does not move.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK_PX = 8
MOST_DIFFERENCE = 2.0
"""Grey levels by which the mean absolute difference of a block may differ in any of the three colours."""


def is_near_identical(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> bool:
    """Whether two pictures as letterboxed for the model differ nowhere by more than noise.

    They are uint8 (side, side, 3), the side a multiple of BLOCK_PX.
    """
    height = before.shape[0]
    middle = height // 2 // BLOCK_PX * BLOCK_PX
    # Pictures that differ do so in the middle, as a rule, which is soon looked at.
    return _same(before[middle : middle + BLOCK_PX], after[middle : middle + BLOCK_PX]) and _same(before, after)


def _same(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> bool:
    import cv2

    difference = cv2.absdiff(before, after)
    height, width = difference.shape[:2]
    size = (max(1, width // BLOCK_PX), max(1, height // BLOCK_PX))
    # As float32: a mean rounded to whole levels would be up to half a level off.
    blocks = cv2.resize(difference.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return float(blocks.max()) <= MOST_DIFFERENCE
