"""Ordnance: finds weapons in video and says when, where and how surely.

    from detector import scan
    result = scan("clip.mp4")
    for appearance in result.report.appearances: ...

Names are imported when they are first used, so that a command that needs no model does not load one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detector._version import __version__
    from detector.errors import OrdnanceError
    from detector.frame import Appearance, Boxes, Detection, Frame
    from detector.models import Model, load_model
    from detector.report import Report
    from detector.scanner import Progress, Scanner, ScanOptions, ScanResult, scan
    from detector.taxonomy import TAXONOMY, WeaponClass, weapon_class
    from detector.video import open_video, probe

_HOMES = {
    "detector._version": ("__version__",),
    "detector.errors": ("OrdnanceError",),
    "detector.frame": ("Appearance", "Boxes", "Detection", "Frame"),
    "detector.models": ("Model", "load_model"),
    "detector.report": ("Report",),
    "detector.scanner": ("Progress", "ScanOptions", "ScanResult", "Scanner", "scan"),
    "detector.taxonomy": ("TAXONOMY", "WeaponClass", "weapon_class"),
    "detector.video": ("open_video", "probe"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "TAXONOMY",
    "Appearance",
    "Boxes",
    "Detection",
    "Frame",
    "Model",
    "OrdnanceError",
    "Progress",
    "Report",
    "ScanOptions",
    "ScanResult",
    "Scanner",
    "WeaponClass",
    "__version__",
    "load_model",
    "open_video",
    "probe",
    "scan",
    "weapon_class",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'detector' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
