"""Do two ways of running one model find the same?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.infer.models import Found

SAME_IOU = 0.9


def shared(found: Sequence[Found], reference: Sequence[Found], thresholds: Mapping[int, float]) -> tuple[int, int]:
    """How many boxes of `reference` at or above their class's threshold `found` has too, and how many those are.

    The same box: same picture and class, IoU of at least SAME_IOU, whatever its score.
    """
    certain = [each for each in reference if each.score >= thresholds[each.class_id]]
    has = sum(
        any(
            other.picture == each.picture and other.class_id == each.class_id and iou(other, each) >= SAME_IOU
            for other in found
        )
        for each in certain
    )
    return has, len(certain)


def iou(one: Found, other: Found) -> float:
    """Intersection over union of two boxes."""
    left, top = max(one.xyxy[0], other.xyxy[0]), max(one.xyxy[1], other.xyxy[1])
    right, bottom = min(one.xyxy[2], other.xyxy[2]), min(one.xyxy[3], other.xyxy[3])
    both = max(0.0, right - left) * max(0.0, bottom - top)
    areas = sum((each.xyxy[2] - each.xyxy[0]) * (each.xyxy[3] - each.xyxy[1]) for each in (one, other))
    return both / (areas - both) if areas > both else 0.0
