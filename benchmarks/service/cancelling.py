"""How long a cancelled scan goes on: until its decoder process is gone, after which nothing of it is left to do."""

from __future__ import annotations

import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx

from benchmarks.service.server import BenchmarkFailed, Server

TURNS = 3
PATIENCE_SECONDS = 120.0
LOOK_SECONDS = 0.02


def measure_cancelling(server: Server) -> dict[str, Any]:
    """Scan every frame of the demo clip, cancel in the middle; nothing else may be going on.

    `stopped_s` is empty where the system has no /proc.
    """
    idle = len(server.processes()["decoders"])
    answered, stopped = [], []
    with httpx.Client(base_url=server.url, timeout=120) as http:
        for turn in range(TURNS):
            scan = _begin(http, f"0.{9 + turn:02}")
            asked = time.monotonic()
            http.post(f"/v1/scans/{scan}/cancel").raise_for_status()
            answered.append(time.monotonic() - asked)
            if idle:
                while len(server.processes()["decoders"]) > idle:
                    _check_patience(asked, "does not stop")
                    time.sleep(LOOK_SECONDS)
                stopped.append(time.monotonic() - asked)
    return {"answered_s": [round(each, 3) for each in answered], "stopped_s": [round(each, 3) for each in stopped]}


def _begin(http: httpx.Client, threshold: str) -> str:
    """A scan that has looked at something; another threshold makes it another scan."""
    demo = Path(str(files("datasets") / "demo" / "demo.mp4"))
    params = {"plan": "every-frame", "threshold": threshold}
    answer = http.post("/v1/scans", params=params, content=demo.read_bytes()).raise_for_status()
    scan, began = str(answer.json()["id"]), time.monotonic()
    while not http.get(f"/v1/scans/{scan}").json()["progress"]["samples"]:
        _check_patience(began, "does not begin")
        time.sleep(LOOK_SECONDS)
    return scan


def _check_patience(since: float, what: str) -> None:
    if time.monotonic() - since > PATIENCE_SECONDS:
        raise BenchmarkFailed(f"A scan {what} in {PATIENCE_SECONDS:.0f} s.")
