"""A clip's name: the SHA-256 of its bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from threading import Event

from detector.video.opening import open_bytes

CHUNK_BYTES = 1024**2


def sha256_file(path: str | Path, stop: Event | None = None) -> str:
    """The SHA-256 of the file's bytes as 64 lower-case hex digits, read as a stream.

    Raises ClipNotFound, ClipUnreadable, or NotAVideo for what is not an ordinary file, and InterruptedError once `stop`
    is set.
    """
    digest, chunk = hashlib.sha256(), memoryview(bytearray(CHUNK_BYTES))
    with open_bytes(Path(path)) as file:
        while size := file.readinto(chunk):
            if stop is not None and stop.is_set():
                raise InterruptedError(f"{path}: the hash is not wanted any more")
            digest.update(chunk[:size])
    return digest.hexdigest()
