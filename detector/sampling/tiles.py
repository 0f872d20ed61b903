"""A closer look at small things in large pictures: parts of the picture in its own pixels, as the model's input.

Sliced inference as in Akyon et al., "Slicing Aided Hyper Inference and Fine-tuning for Small Object Detection" (ICIP
2022), but about candidates alone: slices of the whole picture would cost dozens of inferences a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from detector.appearances.boxes import Box
from detector.frame import Detection

MOST_TILES = 4
"""A picture."""
SAME_OBJECT_IOU = 0.5
"""Overlap from which a box of a tile and one of the whole picture, or of another tile, are one object."""
EDGE_PX = 2.0
"""A box that ends so near to a tile's edge inside the picture is of an object that the tile cuts off."""


def tiles_about(boxes: Sequence[Box], width: int, height: int, side: int) -> list[tuple[int, int, int, int]]:
    """Tiles (x1, y1, x2, y2) of at most `side` px in a picture of `width` x `height` px, MOST_TILES at most.

    Each has a box in its middle as far as the picture's edges allow; a box that lies whole in the inner half of an
    earlier tile gets none of its own.
    """
    tiles: list[tuple[int, int, int, int]] = []
    for x1, y1, x2, y2 in boxes:
        if len(tiles) == MOST_TILES:
            break
        quarter = side / 4
        if any(
            left + quarter <= x1 and x2 <= right - quarter and top + quarter <= y1 and y2 <= bottom - quarter
            for left, top, right, bottom in tiles
        ):
            continue
        left = round(min(max((x1 + x2 - side) / 2, 0), max(width - side, 0)))
        top = round(min(max((y1 + y2 - side) / 2, 0), max(height - side, 0)))
        tile = (left, top, min(left + side, width), min(top + side, height))
        if tile not in tiles:
            tiles.append(tile)
    return tiles


def on_picture(found: Sequence[Detection], tile: tuple[int, int, int, int], width: int, height: int) -> list[Detection]:
    """Detections of a tile with their boxes in the picture's pixels, without those that the tile's edges cut off."""
    left, top, right, bottom = tile
    inner = [edge if cut else None for edge, cut in zip(tile, (left, top, right < width, bottom < height), strict=True)]
    placed = []
    for each in found:
        x1, y1, x2, y2 = each.box
        box = (x1 + left, y1 + top, x2 + left, y2 + top)
        if all(edge is None or abs(place - edge) > EDGE_PX for place, edge in zip(box, inner, strict=True)):
            placed.append(replace(each, box=box))
    return placed


def without_doubles(found: Sequence[Detection]) -> tuple[Detection, ...]:
    """The best of each group of overlapping detections of a class (non-maximum suppression), best score first."""
    import cv2

    if not found:
        return ()
    names = sorted({each.class_name for each in found})
    kept = cv2.dnn.NMSBoxesBatched(
        [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in (each.box for each in found)],
        [each.score for each in found],
        [names.index(each.class_name) for each in found],
        score_threshold=0.0,
        nms_threshold=SAME_OBJECT_IOU,
    )
    return tuple(found[place] for place in np.asarray(kept, np.intp).ravel().tolist())
