"""Many uploads at the same time, half as the body of one request, half by tus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.service.clips import Clip
from detector.errors import OrdnanceError
from service.client import AsyncClient

CHUNK_BYTES = 256 * 1024
PATIENCE_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What became of an upload: the scan's id, or why there is none. `seconds` until the scan was made."""

    clip: Clip
    scan: str | None
    error: str | None
    seconds: float


def upload_all(url: str, clips: Sequence[Clip], on_scan: Callable[[str], None]) -> list[Uploaded]:
    """Begin all uploads at once; `on_scan` is told the id of each scan as it is made."""
    return asyncio.run(_upload_all(url, clips, on_scan))


async def _upload_all(url: str, clips: Sequence[Clip], on_scan: Callable[[str], None]) -> list[Uploaded]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    tus = AsyncClient(url, timeout_seconds=PATIENCE_SECONDS)
    async with tus, httpx.AsyncClient(base_url=url, timeout=PATIENCE_SECONDS, limits=limits) as http:

        async def one(clip: Clip) -> Uploaded:
            started = time.monotonic()
            scan = error = None
            try:
                scan = (await tus.submit(clip.path)).id if clip.by_tus else await _post(http, clip.path)
                on_scan(scan)
            except (OrdnanceError, httpx.HTTPError) as failed:
                error = f"{type(failed).__name__}: {failed}"
            return Uploaded(clip, scan, error, time.monotonic() - started)

        return list(await asyncio.gather(*map(one, clips)))


async def _post(http: httpx.AsyncClient, path: Path) -> str:
    headers = {"Content-Length": str(path.stat().st_size), "Content-Type": "application/octet-stream"}
    answer = await http.post("/v1/scans", params={"name": path.name}, headers=headers, content=_chunks(path))
    if answer.status_code not in (200, 202):
        raise httpx.HTTPError(f"{answer.status_code} {answer.text[:300]}")
    return str(answer.json()["id"])


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
