"""How far a figure may be off because the pictures are few: 95 % intervals by drawing pictures again (bootstrap)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

DRAWS, SEED = 1000, 20260
LEVEL = 0.95


def interval(
    figure: Callable[[NDArray[np.float64]], float | None], pictures: int, *, draws: int = DRAWS, seed: int = SEED
) -> tuple[float, float] | None:
    """The percentile interval (Efron and Tibshirani 1993, chapter 13) of `figure` over `draws` draws of the pictures.

    `figure` is given how often each picture was drawn, float64 (pictures,). Draws for which it is None (none of its
    pictures was drawn) are left out; None where that happens in more than half, since nothing can be said then.
    """
    rng = np.random.default_rng(seed)
    even = np.full(pictures, 1 / pictures)
    drawn = (figure(rng.multinomial(pictures, even).astype(np.float64)) for _ in range(draws))
    known = [value for value in drawn if value is not None]
    if len(known) <= draws / 2:
        return None
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)
