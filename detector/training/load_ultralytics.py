"""ultralytics, which trains and exports: offline, and only where a command needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detector.errors import BackendUnavailable
from detector.models.offline import import_ultralytics


def load_ultralytics(settings_folder: Path) -> Any:
    """The ultralytics package, offline and with its settings file in `settings_folder`.

    Raises BackendUnavailable with the install command where the `train` extra is missing.
    """
    settings_folder.mkdir(parents=True, exist_ok=True)
    try:
        ultralytics = import_ultralytics(settings_folder)
    except ImportError as error:
        raise BackendUnavailable(
            "Training needs the extra 'train'; install it with: pip install 'ordnance[train]'."
        ) from error
    ultralytics.settings.update({"sync": False})
    return ultralytics
