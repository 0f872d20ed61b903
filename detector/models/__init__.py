"""Models: the weights manifest, and running a network on pictures with whichever backend is there.

Importing this package loads none of OpenCV, ONNX Runtime, OpenVINO or torch; `load_model` does.
"""

from __future__ import annotations

from detector.models.backend import Backend
from detector.models.manifest import (
    WEIGHTS_FOLDER,
    Head,
    Manifest,
    ManifestEntry,
    PlattScaling,
    SecondView,
    find_weights,
    read_manifest,
    read_weights,
    write_manifest,
)
from detector.models.model import Model, load_model, tune_model
from detector.models.selftest import Timing

__all__ = [
    "WEIGHTS_FOLDER",
    "Backend",
    "Head",
    "Manifest",
    "ManifestEntry",
    "Model",
    "PlattScaling",
    "SecondView",
    "Timing",
    "find_weights",
    "load_model",
    "read_manifest",
    "read_weights",
    "tune_model",
    "write_manifest",
]
