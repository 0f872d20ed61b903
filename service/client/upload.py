"""A clip on its way to the server, chunk by chunk (tus 1.0), resumed where the connection breaks."""

from __future__ import annotations

import base64
import os
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from detector.errors import BadOption
from detector.report.fields import without_surrogates
from service.api.shapes import RescanIn
from service.client.asking import LATER, Call, Pause, ServerError, Steps, ask, error_of, pause_after

MIB = 1024 * 1024
FIRST_CHUNK_BYTES, LEAST_CHUNK_BYTES, MOST_CHUNK_BYTES = 8 * MIB, 1 * MIB, 64 * MIB
SHORT_CHUNK_SECONDS, LONG_CHUNK_SECONDS = 1.0, 10.0
"""A chunk that travelled faster makes later ones larger, as each costs the server a sync to disk; a slower one makes
them smaller, as what a broken connection had brought of one is lost."""
MAKING_PAUSE_SECONDS = 2.0
"""How long to wait between two questions whether a clip that has arrived whole has its scan."""
GIVE_UP_SECONDS = 10.0
"""How long to wait until the server has removed an upload that is broken off; it waits 5 s for what is on its way."""
_TUS = {"Tus-Resumable": "1.0.0"}
_AGAIN = (409, 460, *LATER)
_GONE = (404, 410)

OnProgress = Callable[[int, int], None]


def upload(clip: Path, options: dict[str, Any], on_progress: OnProgress | None) -> Steps[str]:
    """Send a clip and have it scanned; returns the scan's id."""
    if (unknown := next((name for name in options if name not in RescanIn.model_fields), None)) is not None:
        raise BadOption(f"'{unknown}' is no option of a scan; use some of: {', '.join(RescanIn.model_fields)}.")
    size = clip.stat().st_size
    given = {"filename": clip.name, **{name: _as_text(value) for name, value in options.items() if value is not None}}
    metadata = ",".join(
        f"{name} {base64.b64encode(without_surrogates(value).encode()).decode()}" for name, value in given.items()
    )
    headers = {**_TUS, "Upload-Length": str(size), "Upload-Metadata": metadata}
    made = yield from ask(Call("POST", "/v1/uploads", headers))
    if "Location" not in made.headers:
        raise error_of(made)
    address = httpx.URL(made.headers["Location"]).raw_path.decode()
    try:
        return (yield from _send(clip, size, address, on_progress))
    except GeneratorExit:
        raise
    except BaseException as error:
        # Else the server may have the whole clip, and scans it as soon as it can.
        if not (isinstance(error, ServerError) and error.status in (0, *LATER)):
            yield from _give_up(address, clip, error)
        raise


def _give_up(address: str, clip: Path, error: BaseException) -> Steps[None]:
    """Have an upload removed; `error` gets a note where it is not."""
    answer = yield Call("DELETE", address, _TUS, seconds=GIVE_UP_SECONDS)
    if not (isinstance(answer, httpx.Response) and (answer.is_success or answer.status_code in _GONE)):
        error.add_note(
            f"What has arrived of {clip.name} could not be removed from the server and stays there until the upload "
            f"expires: {error_of(answer)}"
        )


def _send(clip: Path, size: int, address: str, on_progress: OnProgress | None) -> Steps[str]:
    """Send the bytes of an upload that is made; returns its scan's id."""
    offset, failures, length = 0, 0, FIRST_CHUNK_BYTES
    with ThreadPoolExecutor(1) as reader:
        # The next chunk is read and summed while this one travels.
        chunk, ahead = _chunk(clip, size, 0, length), None
        while True:
            if chunk.offset + len(chunk.content) < size:
                ahead = reader.submit(_chunk, clip, size, chunk.offset + len(chunk.content), length)
            headers = {
                **_TUS,
                "Content-Type": "application/offset+octet-stream",
                "Upload-Offset": str(offset),
                "Upload-Checksum": f"crc32 {chunk.checksum}",
            }
            started = time.monotonic()
            answer = yield Call("PATCH", address, headers, chunk.content)
            if isinstance(answer, httpx.Response) and answer.is_success:
                offset, failures = int(answer.headers["Upload-Offset"]), 0
                length = _next_length(len(chunk.content), time.monotonic() - started)
            else:
                failures += 1
                length = max(len(chunk.content) // 2, LEAST_CHUNK_BYTES)
                yield pause_after(answer, failures, _AGAIN)
                answer = yield from ask(Call("HEAD", address, _TUS))
                offset = int(answer.headers["Upload-Offset"])
            if on_progress:
                on_progress(offset, size)
            if offset == size and "Ordnance-Scan" not in answer.headers and clip.exists():
                _refuse_changed(clip, size, clip.stat().st_size)
            reason = "The server has the whole clip and is about to begin its scan; waiting for that."
            while offset == size and "Ordnance-Scan" not in answer.headers:
                yield Pause(MAKING_PAUSE_SECONDS, reason)
                reason = ""
                answer = yield from ask(Call("HEAD", address, _TUS))
                offset = int(answer.headers["Upload-Offset"])
            scan = answer.headers.get("Ordnance-Scan")
            if scan is not None:
                return str(scan.rsplit("/", 1)[-1])
            following = ahead.result() if ahead is not None else None
            chunk = following if following and following.offset == offset else _chunk(clip, size, offset, length)


def _next_length(length: int, seconds: float) -> int:
    """How long a chunk should be after one of `length` bytes that travelled for so many seconds."""
    if seconds < SHORT_CHUNK_SECONDS:
        return min(2 * length, MOST_CHUNK_BYTES)
    return max(length // 2, LEAST_CHUNK_BYTES) if seconds > LONG_CHUNK_SECONDS else length


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Bytes of a clip from `offset` on, and their CRC-32 as tus wants it."""

    offset: int
    content: bytes
    checksum: str


def _chunk(clip: Path, size: int, offset: int, length: int) -> _Chunk:
    """Raises BadOption where the clip no longer has the `size` that was announced."""
    with clip.open("rb") as file:
        _refuse_changed(clip, size, os.fstat(file.fileno()).st_size)
        file.seek(offset)
        content = file.read(length)
    return _Chunk(offset, content, base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode())


def _refuse_changed(clip: Path, size: int, now: int) -> None:
    """Raises BadOption."""
    if now != size:
        raise BadOption(
            f"{clip.name} has changed its size since its upload began; upload it again once nothing writes to it."
        )


def _as_text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
