"""A clip's name: the SHA-256 of its bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from detector.video.opening import open_bytes


def sha256_file(path: str | Path) -> str:
    """The SHA-256 of the file's bytes as 64 lower-case hex digits, read as a stream.

    Raises ClipNotFound, ClipUnreadable, or NotAVideo for what is not an ordinary file.
    """
    with open_bytes(Path(path)) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
