"""From which size on a model finds what is there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from detector.training.matching import Matches

SHARE = 0.5


def smallest_side(matches: Matches, thresholds: Mapping[str, float]) -> float | None:
    """The side (square root of the area) in pixels of the model's input from which half of the boxes are found.

    It is where the rising step function nearest to found (1) and missed (0) against side reaches one half: isotonic
    regression by pooling adjacent violators (Barlow et al. 1972). Boxes of all classes count, found at the class's
    threshold and IoU 0.5. None where it never does.
    """
    sides, found = [np.empty(0)], [np.empty(0, np.bool_)]
    for name, threshold in thresholds.items():
        of_class, scores = matches.truth_scores(name)
        sides.append(of_class)
        found.append(scores >= threshold)
    all_sides, all_found = np.concatenate(sides), np.concatenate(found).astype(np.float64)
    order = np.argsort(all_sides, kind="stable")
    reached = np.flatnonzero(_rising(all_found[order]) >= SHARE)
    return round(float(all_sides[order][reached[0]]), 1) if len(reached) else None


def _rising(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The non-decreasing sequence with the least squared distance from `values`."""
    means: list[float] = []
    counts: list[int] = []
    for value in values.tolist():
        means.append(value)
        counts.append(1)
        while len(means) > 1 and means[-2] >= means[-1]:
            total = counts[-2] + counts[-1]
            mean = (means[-2] * counts[-2] + means[-1] * counts[-1]) / total
            means[-2:], counts[-2:] = [mean], [total]
    return np.repeat(means, counts)
