"""A small JSON file in the user's cache folder. Losing it costs a moment; no error of it is ever raised."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/ordnance` or `~/.cache/ordnance`; it need not exist nor be writable."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(root) / "ordnance"


def read_choice(key: str) -> str | None:
    """The backend that was chosen for `key`, or None."""
    choice = _read().get(key)
    return choice if isinstance(choice, str) else None


def write_choice(key: str, backend: str) -> None:
    """Remember the backend chosen for `key`, where the cache can be written."""
    choices = {**_read(), key: backend}
    path = _path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".backends-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(choices, file, indent=2, sort_keys=True)
        os.replace(temporary, path)
    except OSError:
        return


def _path() -> Path:
    return cache_folder() / "backends.json"


def _read() -> dict[str, object]:
    try:
        content = json.loads(_path().read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
