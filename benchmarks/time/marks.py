"""The number of a frame, drawn as black and white columns along its lower edge, and read back after decoding.

Only the copies of the clips that the oracle is shown carry it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

START = (1, 0, 1, 1, 0, 0, 1, 0)
NUMBER_BITS = 20
CHECK_BITS = 4
COLUMNS = len(START) + NUMBER_BITS + CHECK_BITS
STRIP = 0.06
"""Height of the columns, as a share of the picture's."""


def draw_number(image: NDArray[np.uint8], number: int) -> None:
    """Draw `number` onto a picture of any size, in place."""
    height, width = image.shape[:2]
    top = height - max(1, round(height * STRIP))
    edges = np.linspace(0, width, COLUMNS + 1).round().astype(int)
    for bit, left, right in zip(_bits(number), edges[:-1], edges[1:], strict=True):
        image[top:, left:right] = 235 if bit else 16


def read_number(image: NDArray[np.uint8], left: float, top: float, width: float, height: float) -> int | None:
    """The number of a marked picture that lies in `image` at a place given in pixels; None if none can be read."""
    row = int(top + height * (1 - STRIP / 2))
    columns = (left + (np.arange(COLUMNS) + 0.5) * width / COLUMNS).astype(int)
    bits = (image[row, columns].mean(axis=-1) > 128).astype(int).tolist()
    number = int("".join(map(str, bits[len(START) : len(START) + NUMBER_BITS])), 2)
    return number if tuple(bits) == _bits(number) else None


def _bits(number: int) -> tuple[int, ...]:
    check = (number * 7 + number // 13) % 2**CHECK_BITS
    return (
        *START,
        *(number >> bit & 1 for bit in reversed(range(NUMBER_BITS))),
        *(check >> bit & 1 for bit in reversed(range(CHECK_BITS))),
    )
