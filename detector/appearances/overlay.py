"""What is burnt into the picture: letterbox bars, channel logos, watermarks, and detections that sit on them.

A mask of what stays while the picture behind it changes, from an accumulator of constant size; and the rule by
which an appearance is suspected to be part of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import floor, log2
from statistics import median

import numpy as np
from numpy.typing import NDArray

from detector.appearances.boxes import Box, iou
from detector.frame import SUSPECTED_OVERLAY, Appearance, Detection
from detector.models.nms import pairwise_iou

GRID_SIDE = 160
"""Cells along the longer side of the picture. A logo of 3 % of the width is five of them wide."""
CHANGED_LEVELS = 12.0
"""Grey levels, of 255, by which a cell differs between two pictures of different things."""
DARK_LEVEL = 24.0
"""Rows and columns that were never lighter are bars beside the picture, which may be most of it (an upright clip in a
wide frame); limited-range black is 16, and compression adds noise."""
CHANGED_SHARE = 0.5
"""Share of the cells between the bars that must have changed for a picture to count: a still scene teaches nothing."""
FEWEST_PICTURES = 6
"""So many pictures that differ must have been seen."""
STATIC_LEVELS = 6.0
"""Standard deviation in grey levels up to which a cell is static: compression noise, not another picture."""
STEADY_EDGE = 0.8
"""Length of the mean gradient, as a share of the root mean square of the gradients, from which an edge is steady.
The edges of a semi-transparent watermark are, whatever shines through (Dekel et al., "On the effectiveness of visible
watermarks", CVPR 2017, who take the median of the gradients); an edge that half of the pictures lack has 0.71."""
CLEAR_EDGE = 8.0
"""Root mean square of the gradient, in grey levels per cell, from which an edge can be told from noise."""
MOST_STATIC = 0.6
"""Where a larger share of the picture, or of all its edges, is static, it is the scene that stands still, and not
something on top of it."""

SITS_STILL_IOU = 0.8
SAME_PLACE = 0.05
"""Places whose edges differ by no more than this share of their shorter side get one verdict, so that thousands of cuts
do not mean thousands of searches."""
ON_MASK = 0.5
"""Share of a box that lies on the mask, from which the box does."""
FEWEST_SHOTS = 3
NEARLY_ALL = 0.8
"""Share of the shots, and of the time between the first and the last sample, over which an overlay shows."""


class StaticPicture:
    """Watches the samples of a clip for what does not change between them; memory does not grow."""

    def __init__(self) -> None:
        self._counted = 0
        self._last: NDArray[np.float32] | None = None
        self._lightest: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._mean: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._spread: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._gradient: NDArray[np.float32] = np.zeros((2, 0, 0), np.float32)
        self._gradient_square: NDArray[np.float32] = np.zeros((0, 0), np.float32)

    @property
    def pictures(self) -> int:
        """How many pictures have counted."""
        return self._counted

    def add(self, image: NDArray[np.uint8]) -> None:
        """Take a sample's picture, RGB uint8 (height, width, 3), in any order.

        It counts where most of it differs from the last one that did, so a still scene looked at often weighs no
        more than one looked at once. A picture of another shape than the first one does not count.
        """
        import cv2

        height, width = image.shape[:2]
        scale = min(1.0, GRID_SIDE / max(height, width))
        size = (max(2, round(width * scale)), max(2, round(height * scale)))
        grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        grid = np.asarray(grey, dtype=np.float32)
        if self._last is None:
            self._lightest = np.zeros_like(grid)
            self._mean, self._spread = np.zeros_like(grid), np.zeros_like(grid)
            self._gradient, self._gradient_square = np.zeros((2, *grid.shape), np.float32), np.zeros_like(grid)
        elif grid.shape != self._last.shape:
            return
        self._lightest = np.maximum(self._lightest, grid)
        if self._last is not None and self._share(np.abs(grid - self._last) > CHANGED_LEVELS) < CHANGED_SHARE:
            return
        self._last = grid
        self._counted += 1
        # Welford's running mean and sum of squared differences.
        difference = grid - self._mean
        self._mean = self._mean + difference / np.float32(self._counted)
        self._spread = self._spread + difference * (grid - self._mean)
        gradient = np.stack([cv2.Sobel(grid, cv2.CV_32F, *axes, scale=0.25) for axes in ((1, 0), (0, 1))])
        self._gradient = self._gradient + gradient
        self._gradient_square = self._gradient_square + (gradient * gradient).sum(axis=0)

    def _share(self, cells: NDArray[np.bool_]) -> float:
        """How much of the picture between the bars `cells` are."""
        light = self._lightest > DARK_LEVEL
        between = cells[light.any(axis=1)][:, light.any(axis=0)]
        return float(between.mean()) if between.size else 0.0

    def mask(self) -> NDArray[np.bool_] | None:
        """The cells that are static, bool (rows, columns) over the whole picture; None where nothing can be said.

        Nothing can be said of a clip that does not change enough, nor of one that is still almost everywhere.
        """
        import cv2

        if self._counted < FEWEST_PICTURES:
            return None
        level = np.sqrt(self._spread / self._counted) <= STATIC_LEVELS
        length = np.sqrt(self._gradient_square / self._counted)
        steady = np.hypot(*self._gradient) / self._counted >= STEADY_EDGE * length
        clear = length >= CLEAR_EDGE
        edge = steady & clear
        static = (level | edge).astype(np.uint8)
        mask = cv2.morphologyEx(static, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)).astype(np.bool_)
        most_edges = MOST_STATIC * max(self._share(clear), 0.01)
        return None if self._share(mask) > MOST_STATIC or self._share(edge) > most_edges else mask


@dataclass(frozen=True, slots=True)
class Seen:
    """One sample as the rule below needs it; `shot` as in Place."""

    pts_seconds: float
    shot: int
    detections: Sequence[Detection]


def flag_overlays(
    appearances: Iterable[Appearance],
    samples: Sequence[Seen],
    mask: NDArray[np.bool_] | None,
    *,
    shots: int,
    seconds: float,
    width: int,
    height: int,
) -> list[Appearance]:
    """The appearances, those that are suspected overlays with SUSPECTED_OVERLAY among their flags.

    Suspected is what sits still on the mask (from StaticPicture) and shows at the same place, with any score and
    the same class, in nearly all shots from nearly the first sample to nearly the last, FEWEST_SHOTS at least.
    `samples` are those of the clip with detections; `shots` is how many shots it has, `seconds` how long it is from the
    first sample to the last, with detections or without. `width` and `height` are the picture's.
    """
    appearances = list(appearances)
    if mask is None or shots < FEWEST_SHOTS:
        return appearances
    boxes = {name: _Boxes.of(name, samples) for name in {each.class_name for each in appearances}}
    verdicts: dict[tuple[str, float, tuple[int, ...]], bool] = {}
    flagged = []
    for each in appearances:
        place = _still_place(each.detections)
        suspected = place is not None and _share_on(mask, place, width, height) >= ON_MASK
        if place is not None and suspected:
            known = (each.class_name, *_about(place))
            if known not in verdicts:
                verdicts[known] = _is_everywhere(place, boxes[each.class_name], shots, seconds)
            suspected = verdicts[known]
        flagged.append(replace(each, flags=(*each.flags, SUSPECTED_OVERLAY)) if suspected else each)
    return flagged


def _still_place(detections: Sequence[Detection]) -> Box | None:
    """The median box, where every one is as good as it; None for what moves."""
    left, top, right, bottom = (median(each.box[side] for each in detections) for side in range(4))
    place = (left, top, right, bottom)
    return place if all(iou(each.box, place) >= SITS_STILL_IOU for each in detections) else None


def _share_on(mask: NDArray[np.bool_], box: Box, width: int, height: int) -> float:
    rows, columns = mask.shape
    left, right = (round(min(max(x, 0), width) * columns / width) for x in (box[0], box[2]))
    top, bottom = (round(min(max(y, 0), height) * rows / height) for y in (box[1], box[3]))
    inside = mask[min(top, rows - 1) : max(bottom, top + 1), min(left, columns - 1) : max(right, left + 1)]
    return float(inside.mean())


def _about(place: Box) -> tuple[float, tuple[int, ...]]:
    """The same for places that are nearly the same."""
    shorter = max(min(place[2] - place[0], place[3] - place[1]), 1.0)
    step = 2.0 ** floor(log2(SAME_PLACE * shorter))
    return step, tuple(round(edge / step) for edge in place)


@dataclass(frozen=True, slots=True, eq=False)
class _Boxes:
    """All boxes of a class, ascending by their left edges: float64 (n, 4), and for each its time and its shot."""

    boxes: NDArray[np.float64]
    pts_seconds: NDArray[np.float64]
    shots: NDArray[np.intp]

    @classmethod
    def of(cls, class_name: str, samples: Sequence[Seen]) -> _Boxes:
        found = [(s.pts_seconds, s.shot, d.box) for s in samples for d in s.detections if d.class_name == class_name]
        boxes = np.array([box for _, _, box in found], np.float64).reshape(-1, 4)
        order = np.argsort(boxes[:, 0], kind="stable")
        times, shots = np.array([t for t, _, _ in found], np.float64), np.array([s for _, s, _ in found], np.intp)
        return cls(boxes[order], times[order], shots[order])


def _is_everywhere(place: Box, seen: _Boxes, shots: int, whole: float) -> bool:
    left, _, right, _ = place
    # No edge of a box that overlaps so much lies further away.
    reach = (1 / SITS_STILL_IOU - 1) * (right - left)
    first, end = np.searchsorted(seen.boxes[:, 0], [left - reach, left + reach + 1e-6])
    hits = pairwise_iou(seen.boxes[first:end], np.array([place]))[:, 0] >= SITS_STILL_IOU
    if len(np.unique(seen.shots[first:end][hits])) < max(FEWEST_SHOTS, NEARLY_ALL * shots):
        return False
    times = seen.pts_seconds[first:end][hits]
    return float(times.max() - times.min()) >= NEARLY_ALL * whole
