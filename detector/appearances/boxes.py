"""Boxes (x1, y1, x2, y2): how much two overlap, and how likely they show one object."""

from __future__ import annotations

import math

Box = tuple[float, float, float, float]

SAME_OBJECT_IOU = 0.2
SIMILAR_SIZE = 2.0
"""Ratio of the areas up to which two boxes have a similar size."""


def iou(a: Box, b: Box) -> float:
    """Intersection over union, 0..1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (area(a) + area(b) - shared)


def area(box: Box) -> float:
    """In square pixels; 0 for a box without extent."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def affinity(a: Box, b: Box, reach: float) -> float:
    """1 + IoU where the boxes overlap enough, nearness in 0..1 where they are close and alike, else 0.

    `reach` is the distance of the centres, in mean box diagonals, up to which boxes of a similar size are close.
    """
    sides = a[2] - a[0] + a[3] - a[1] + b[2] - b[0] + b[3] - b[1]
    apart = max(abs(a[0] + a[2] - b[0] - b[2]), abs(a[1] + a[3] - b[1] - b[3]))
    if apart > max(reach, 1.0) * sides:
        # Most pairs of many objects are far apart, and this is soon said.
        return 0.0
    overlap = iou(a, b)
    if overlap >= SAME_OBJECT_IOU:
        return 1 + overlap
    areas = sorted((area(a), area(b)))
    if areas[0] <= 0 or areas[1] / areas[0] > SIMILAR_SIZE:
        return 0.0
    distance = math.hypot((a[0] + a[2] - b[0] - b[2]) / 2, (a[1] + a[3] - b[1] - b[3]) / 2)
    diagonal = (math.hypot(a[2] - a[0], a[3] - a[1]) + math.hypot(b[2] - b[0], b[3] - b[1])) / 2
    return max(0.0, 1 - distance / (diagonal * reach))


def moved(box: Box, x: float, y: float) -> Box:
    """The box, shifted by so many pixels."""
    return box[0] + x, box[1] + y, box[2] + x, box[3] + y
