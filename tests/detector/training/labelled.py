"""Predictions written out by hand, for the tests of what is computed from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detector.training.predictions import Picture, Predictions

CLASSES = ("tow_launcher", "tank", "machine_gun")
SIZE = 400

Truth = tuple[str, tuple[float, float, float, float]]
Found = tuple[str, tuple[float, float, float, float], float]


def picture(
    truth: Sequence[Truth] = (),
    found: Sequence[Found] = (),
    *,
    others: Sequence[str] = (),
    ignored: Sequence[Truth] = (),
    scale: float = 1.0,
    name: str = "picture.jpg",
) -> Picture:
    """A picture of SIZE x SIZE pixels; boxes are left, top, right, bottom. `others` are labels of no class of ours."""
    return Picture(
        name=name,
        source="ours",
        width=SIZE,
        height=SIZE,
        scale=scale,
        labels=(*(label for label, _ in truth), *others),
        truth=np.array([box for _, box in truth], np.float64).reshape(-1, 4),
        truth_ids=np.array([CLASSES.index(label) for label, _ in truth], np.int64),
        ignored=np.array([box for _, box in ignored], np.float64).reshape(-1, 4),
        ignored_ids=np.array([CLASSES.index(label) for label, _ in ignored], np.int64),
        found=np.array([box for _, box, _ in found], np.float64).reshape(-1, 4),
        found_ids=np.array([CLASSES.index(label) for label, _, _ in found], np.int64),
        scores=np.array([score for _, _, score in found], np.float64),
    )


def predictions(pictures: Sequence[Picture]) -> Predictions:
    return Predictions("test", CLASSES, tuple(pictures))
