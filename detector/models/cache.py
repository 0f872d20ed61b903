"""A small JSON file in the user's cache folder. Losing it costs a moment; no error of it is ever raised."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/ordnance` or `~/.cache/ordnance`; it need not exist nor be writable."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(root) / "ordnance"


def read_choice(key: str) -> str | None:
    """The backend that was chosen for `key`, or None."""
    choice = _read().get(key)
    return choice if isinstance(choice, str) else None


def settle_choice(key: str, backend: str) -> str:
    """Remember `backend` for `key` unless another process was faster; returns the choice in force.

    So workers that start together, each disturbing the other's measurement, end with the same backend.
    """
    return _write(key, backend, replace=False) or backend


def remember_choice(key: str, backend: str) -> bool:
    """Remember `backend` for `key`, whatever was remembered; returns whether that could be written."""
    return _write(key, backend, replace=True) is not None


def _write(key: str, backend: str, *, replace: bool) -> str | None:
    """The choice in force; None where nothing can be written."""
    path = _path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path.with_suffix(".lock")):
            choices = _read()
            settled = backend if replace else choices.get(key, backend)
            choices[key] = settled
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".backends-")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(choices, file, indent=2, sort_keys=True)
            os.replace(temporary, path)
    except OSError:
        return None
    return settled if isinstance(settled, str) else backend


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Holds an advisory lock where the system has one; closing the file gives it back."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _path() -> Path:
    return cache_folder() / "backends.json"


def _read() -> dict[str, object]:
    try:
        content = json.loads(_path().read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
