"""Pictures whose weapon is a colour that nothing else has, so that a test can find it by looking at pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 288, 384
BOX = "0.5 0.5 0.4 0.5"
"""Centre, width and height of the rectangle, as shares: the label line's numbers."""
MAGENTA = (255, 0, 255)


def paint_negative(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Grey blocks."""
    blocks = rng.integers(60, 190, (HEIGHT // 48, WIDTH // 48), np.uint8)
    return np.repeat(np.repeat(np.repeat(blocks, 48, 0), 48, 1)[..., None], 3, axis=2)


def paint_weapon(rng: np.random.Generator) -> NDArray[np.uint8]:
    """The same, with the rectangle of `BOX` in magenta (BGR)."""
    image = paint_negative(rng)
    cx, cy, width, height = (float(n) for n in BOX.split())
    left, top = round((cx - width / 2) * WIDTH), round((cy - height / 2) * HEIGHT)
    image[top : top + round(height * HEIGHT), left : left + round(width * WIDTH)] = MAGENTA
    return image


def magenta_box(image: NDArray[np.uint8]) -> tuple[int, int, int, int] | None:
    """Where an RGB picture is magenta: x1, y1, x2, y2; None if nowhere."""
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    mask = (np.minimum(red, blue) - green) > 90
    if mask.sum() < 30:
        return None
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
