"""Tracked intervals: from detections on samples to 'first seen, last seen'."""

from detector.appearances.linker import Change, Linker, Track, iou
from detector.appearances.shots import Look, is_cut, look_of

__all__ = ["Change", "Linker", "Look", "Track", "iou", "is_cut", "look_of"]
