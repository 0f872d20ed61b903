"""A second view of the pictures in which something was found: mirrored and smaller, in the same network or another.

Test-time augmentation (Krizhevsky et al., "ImageNet classification with deep convolutional neural networks", NIPS 2012,
section 4.1, for mirrored pictures) where it decides something. What the network takes for a weapon by chance in one
view it seldom takes for one in the other, so a box scores the mean of both views, nought where one does not have it.
Networks that were trained apart err apart more often still (Lakshminarayanan, Pritzel and Blundell, "Simple and
scalable predictive uncertainty estimation using deep ensembles", NIPS 2017).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from detector.frame import Boxes
from detector.models.letterbox import PADDING_GREY, Letterbox, Square
from detector.models.nms import pairwise_iou

SAME_OBJECT_IOU = 0.5
"""Overlap from which boxes of one class in both views are one object; 0.4 and 0.6 did no better on the val split."""


def mirrored(square: Square, side: int, size: int) -> Square:
    """The picture of `square` with left and right swapped and its longer side `side` px, in a square of `size` px."""
    import cv2

    fitted = Letterbox.fit(square.placement.width, square.placement.height, side)
    margin = (size - side) // 2
    placement = replace(fitted, left=fitted.left + margin, top=fitted.top + margin)
    seen = Square(np.full((size, size, 3), PADDING_GREY, np.uint8), placement)
    smaller = cv2.resize(square.picture, placement.scaled_size, interpolation=cv2.INTER_AREA)
    seen.picture[:] = smaller[:, ::-1]
    return seen


def mirrored_back(boxes: Boxes, width: int) -> Boxes:
    """Boxes on a mirrored picture of `width` px as they lie on the picture itself."""
    left, top, right, bottom = boxes.xyxy.T
    return replace(boxes, xyxy=np.stack([width - right, top, width - left, bottom], axis=1))


def seen_once(boxes: Boxes) -> Boxes:
    """Boxes of a picture of which there was no second view: as if that had shown none of them."""
    return replace(boxes, scores=_half(boxes.scores))


def seen_twice(first: Boxes, second: Boxes) -> Boxes:
    """The boxes of both views of a picture, each object once, best score first.

    Of each class those that overlap by SAME_OBJECT_IOU or more are one, the pairs with the highest scores first; it
    lies where both have it on average, by their scores.
    """
    overlaps = pairwise_iou(first.xyxy, second.xyxy)
    may_be_one = (overlaps >= SAME_OBJECT_IOU) & (first.class_ids[:, None] == second.class_ids)
    ones, others = np.nonzero(may_be_one)
    sums = first.scores[ones] + second.scores[others]
    left, right = np.ones(len(first), np.bool_), np.ones(len(second), np.bool_)
    pairs: list[tuple[int, int]] = []
    for place in np.argsort(-sums, kind="stable"):
        one, other = int(ones[place]), int(others[place])
        if left[one] and right[other]:
            left[one] = right[other] = False
            pairs.append((one, other))
    a, b = np.array(pairs, np.intp).reshape(-1, 2).T
    both = Boxes(
        xyxy=_between(first.xyxy[a], first.scores[a], second.xyxy[b], second.scores[b]),
        scores=_half(first.scores[a] + second.scores[b]),
        class_ids=first.class_ids[a],
    )
    return Boxes.together((both, seen_once(first.only(left)), seen_once(second.only(right))))


def _between(
    one: NDArray[np.float32], one_scores: NDArray[np.float32], other: NDArray[np.float32], scores: NDArray[np.float32]
) -> NDArray[np.float32]:
    share = (one_scores / (one_scores + scores))[:, None]
    return np.asarray(share * one + (1 - share) * other, np.float32)


def _half(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(scores / 2, np.float32)
