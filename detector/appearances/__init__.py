"""Tracked intervals: from detections on samples to 'first seen, last seen'."""

from detector.appearances.boxes import iou
from detector.appearances.linker import Linker, numbered
from detector.appearances.overlay import Seen, StaticPicture, flag_overlays
from detector.appearances.scenes import Place, Scenes
from detector.appearances.sharpness import sharpness
from detector.appearances.shots import Look, is_cut, is_same_view, look_of

__all__ = [
    "Linker",
    "Look",
    "Place",
    "Scenes",
    "Seen",
    "StaticPicture",
    "flag_overlays",
    "iou",
    "is_cut",
    "is_same_view",
    "look_of",
    "numbered",
    "sharpness",
]
