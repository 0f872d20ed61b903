"""Non-maximum suppression for the one-to-many head, in which neighbouring anchors all report the same object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

IOU_ABOVE_WHICH_SUPPRESSED = 0.7
"""With which ultralytics validates and predicts (8.4.190, cfg/default.yaml, `iou`)."""

MOST_CANDIDATES = 512
"""Best candidates of a picture that are compared with each other; the cost grows with the square of it."""

MOST_KEPT = 300
"""As ultralytics (cfg/default.yaml, `max_det`), and as many as the one-to-one head gives."""


def non_maximum_suppression(output: NDArray[np.float32], *, floor: float) -> NDArray[np.float32]:
    """Rows float32 (k, 6) of one picture: x1, y1, x2, y2, score, class position; best score first, k <= MOST_KEPT.

    `output` is float32 (4 + classes, anchors): centre x, centre y, width, height, then the score of every class.
    An anchor stands for its best class, if that scores at least `floor`. A box gives way to a better one of the
    same class that it overlaps by more than IOU_ABOVE_WHICH_SUPPRESSED; those of other classes leave it alone.
    """
    import cv2

    best_scores = output[4:].max(axis=0)
    anchors = np.flatnonzero((best_scores >= floor) & (output[2:4] > 0).all(axis=0))
    if not anchors.size:
        return np.empty((0, 6), np.float32)
    if anchors.size > MOST_CANDIDATES:
        best = np.argpartition(-best_scores[anchors], MOST_CANDIDATES - 1)[:MOST_CANDIDATES]
        anchors = np.sort(anchors[best])
    centres, sizes = output[:2, anchors].T, output[2:4, anchors].T
    scores, class_ids = best_scores[anchors], output[4:, anchors].argmax(axis=0)
    corners = centres - sizes / 2
    kept = cv2.dnn.NMSBoxesBatched(
        # OpenCV 5.0 moves class c by c * (largest coordinate + 1), which parts the classes only if none is negative.
        np.hstack([corners - corners.min(), sizes]).tolist(),
        scores.tolist(),
        class_ids.tolist(),
        score_threshold=0.0,
        nms_threshold=IOU_ABOVE_WHICH_SUPPRESSED,
    )
    rows = np.column_stack([corners, centres + sizes / 2, scores, class_ids.astype(np.float32)])
    return rows[np.asarray(kept, np.intp)[:MOST_KEPT]]
