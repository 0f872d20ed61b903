"""Tracked intervals: from detections on samples to 'first seen, last seen'."""

from detector.appearances.linker import Linker, iou
from detector.appearances.shots import Look, is_cut, look_of

__all__ = ["Linker", "Look", "iou", "is_cut", "look_of"]
