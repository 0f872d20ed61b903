"""Files that are there whole or not at all, and whether one can be written."""

from __future__ import annotations

from pathlib import Path

from detector.errors import DataError


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content` (text: in UTF-8) beside `path` and put it in its place.

    A kill leaves what was there before, or all of it.
    """
    partial = path.with_name(f"{path.name}.part")
    partial.write_bytes(content.encode() if isinstance(content, str) else content)
    partial.replace(path)


def check_writable(path: Path) -> None:
    """Raises DataError where no file `path` can be written; one that is there stays as it is."""
    was_there = path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a"):
            pass
        if not was_there:
            path.unlink()
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from error
