"""How fast a large clip is taken, beside a plain copy of the same file that is hashed on the way."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import httpx

from benchmarks.service.clips import MIB, pad_clip
from benchmarks.service.server import BenchmarkFailed
from service.client import Client

PLAIN, SYNCED = "copy with hashing", "copy with hashing, synced"
CONTENDERS = (PLAIN, SYNCED, "raw POST", "tus")
"""The service answers when the bytes are on the disk, as `synced` does; the goal is held against the plain copy."""
SETTLE_SECONDS = 600.0


def measure_throughput(
    url: str, source: Path, folder: Path, *, size: int, rounds: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Take turns: copy, raw POST, tus, each with a file that the service does not know; nothing else is going on."""
    seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for number in range(rounds):
        say(f"throughput: round {number + 1} of {rounds}")
        for name in CONTENDERS:
            path = pad_clip(source, folder / "large.mp4", size)
            path.read_bytes()
            seconds[name].append(_take(name, url, path))
            path.unlink()
    rates = {name: size / MIB / median(each) for name, each in seconds.items()}
    plain = rates[PLAIN]
    return {
        name: {
            "seconds": [round(each, 3) for each in seconds[name]],
            "mib_per_second": round(rates[name], 1),
            "of_copy": round(rates[name] / plain, 3),
        }
        for name in CONTENDERS
    }


def _take(name: str, url: str, path: Path) -> float:
    started = time.monotonic()
    if name in (PLAIN, SYNCED):
        _copy(path, path.with_suffix(".copy"), sync=name == SYNCED)
        seconds = time.monotonic() - started
        path.with_suffix(".copy").unlink()
        return seconds
    if name == "raw POST":
        scan = _post(url, path)
        seconds = time.monotonic() - started
    else:
        with Client(url) as client:
            scan = client.submit(path).id
        seconds = time.monotonic() - started
    _settle(url, scan)
    return seconds


def _copy(source: Path, target: Path, *, sync: bool) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        while chunk := reading.read(MIB):
            digest.update(chunk)
            writing.write(chunk)
        if sync:
            writing.flush()
            os.fsync(writing.fileno())
    return digest.hexdigest()


def _post(url: str, path: Path) -> str:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=600, blocksize=MIB)
    with path.open("rb") as file:
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(path.stat().st_size)}
        connection.request("POST", "/v1/scans?name=large.mp4", body=file, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    connection.close()
    if answer.status != 202:
        raise BenchmarkFailed(f"The large clip was not taken: {answer.status} {body[:300].decode(errors='replace')}")
    return str(json.loads(body)["id"])


def _settle(url: str, scan: str) -> None:
    """Wait until the scan of the large clip has ended, and remove it."""
    deadline = time.monotonic() + SETTLE_SECONDS
    with httpx.Client(base_url=url, timeout=120) as http:
        while http.get(f"/v1/scans/{scan}").json()["state"] in ("queued", "running"):
            if time.monotonic() > deadline:
                raise BenchmarkFailed(f"The scan of the large clip has not ended after {SETTLE_SECONDS:.0f} s.")
            time.sleep(0.2)
        http.delete(f"/v1/scans/{scan}").raise_for_status()
