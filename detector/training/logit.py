"""Scores on the scale on which they are calibrated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detector.models.model import SCORE_MARGIN


def logit(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(s / (1 - s)) of scores in 0..1, as Model.calibrate takes it: SCORE_MARGIN away from both ends."""
    inside = np.clip(scores, SCORE_MARGIN, 1 - SCORE_MARGIN)
    return np.asarray(np.log(inside / (1 - inside)))
