"""Imports the libraries that would otherwise call home. Import them here and nowhere else.

What each does if imported plainly: onnxruntime 1.32 writes a device id into ~/.cache/Microsoft and uploads
events (its Privacy.md); openvino 2026.4 sends an event at import unless opted out (openvino/tools/ovc/__init__.py);
nncf 3.4 sends one for each use (nncf/telemetry);
ultralytics 8.4 looks up public DNS names, sends events and writes its settings into ~/.config.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from detector.models.cache import cache_folder
from detector.signals import held_back


def import_onnxruntime() -> Any:
    """The module onnxruntime, with its telemetry off. Raises ImportError without it."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    with held_back(signal.SIGINT):
        import onnxruntime

    return onnxruntime


def import_openvino() -> Any:
    """The module openvino, cut off from openvino_telemetry, whose stub it then uses. Raises ImportError without it."""
    with _without_openvino_telemetry(), held_back(signal.SIGINT):
        import openvino

    return openvino


def import_nncf() -> Any:
    """The module nncf, cut off in the same way, its messages on stderr. Raises ImportError without it."""
    # Its log handler keeps the stdout of this moment, and stdout is for results.
    with _without_openvino_telemetry(), redirect_stdout(sys.stderr), held_back(signal.SIGINT):
        import nncf
    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf


@contextmanager
def _without_openvino_telemetry() -> Iterator[None]:
    absent = object()
    present = sys.modules.get("openvino_telemetry", absent)
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # makes `import` raise ImportError
    try:
        yield
    finally:
        if present is absent:
            del sys.modules["openvino_telemetry"]
        else:
            sys.modules["openvino_telemetry"] = present  # type: ignore[assignment]


def import_ultralytics(settings_folder: Path | None = None) -> Any:
    """The module ultralytics, offline. Raises ImportError without it.

    Its settings go into `settings_folder`, or else where YOLO_CONFIG_DIR says, or else into our cache folder.
    """
    os.environ["YOLO_OFFLINE"] = "true"
    if settings_folder is not None:
        os.environ["YOLO_CONFIG_DIR"] = str(settings_folder)
    os.environ.setdefault("YOLO_CONFIG_DIR", str(cache_folder() / "ultralytics"))
    # Its log handler keeps the stdout of this moment, and stdout is for results.
    with redirect_stdout(sys.stderr), held_back(signal.SIGINT):
        import ultralytics

    return ultralytics


def import_ultralytics_tasks() -> Any:
    """The module ultralytics.nn.tasks, under the same terms."""
    import_ultralytics()
    with redirect_stdout(sys.stderr), held_back(signal.SIGINT):
        import ultralytics.nn.tasks

    return ultralytics.nn.tasks
