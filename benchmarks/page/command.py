"""What `ordnance bench page` does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks.machine import machine_facts
from benchmarks.page.many import fill_scan
from benchmarks.page.measure import measure_page
from detector.errors import BadOption, OrdnanceError

DEMO = Path(__file__).parents[2] / "datasets" / "demo" / "demo.mp4"
START_SECONDS = 120
GOALS = {
    "first_useful_paint_ms": 1000,
    "bytes_without_pictures": 300_000,
    "threshold_ms": 100,
    "scroll frames_per_second": 60,
}


def bench_page(*, out: Path, appearances: int, rounds: int) -> None:
    """Measure the scan page; write page.json into `out` and a line for each figure to stdout.

    Raises BadOption where there is no Chromium or no Playwright.
    """
    chromium = os.environ.get("ORDNANCE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise BadOption("There is no Chromium to measure in; install it, or name one in ORDNANCE_CHROMIUM.")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise BadOption("Measuring the page needs Playwright: pip install playwright.") from error
    with tempfile.TemporaryDirectory(prefix="ordnance-page-") as folder:
        store = Path(folder) / "store"
        server, address = _serve(store)
        try:
            scan_id = _scan(address)
            fill_scan(store, scan_id, appearances)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"]
                )
                version = browser.version
                visits = [measure_page(browser, f"{address}/scans/{scan_id}") for _ in range(rounds)]
                browser.close()
        finally:
            server.terminate()
            server.wait(30)
    result = {
        "machine": machine_facts(),
        "browser": f"Chromium {version}, headless, no GPU",
        "appearances": appearances,
        "goals": GOALS,
        "rounds": visits,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "page.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(visits, appearances))
    print(f"\nwritten: {out / 'page.json'}")


def table(visits: list[dict[str, Any]], appearances: int) -> str:
    """A line for each figure, a column for each round."""
    rows = [
        ("first contentful paint, ms", lambda each: each["first_contentful_paint_ms"], ""),
        ("first useful paint, ms", lambda each: each["first_useful_paint_ms"], "< 1000"),
        ("bytes without pictures", lambda each: each["bytes_without_pictures"], "< 300000"),
        ("bytes of pictures", lambda each: each["bytes_of_pictures"], ""),
        ("requests", lambda each: each["requests"], ""),
        ("frames a second, idle", lambda each: each["idle"]["frames_per_second"], ""),
        ("frames a second, scrolling", lambda each: each["scroll"]["frames_per_second"], "60"),
        ("of them within 25 ms", lambda each: each["scroll"]["on_time"], ""),
        ("longest frame scrolling, ms", lambda each: each["scroll"]["longest_ms"], ""),
        ("threshold, median ms", lambda each: each["threshold_ms"]["median"], ""),
        ("threshold, longest ms", lambda each: each["threshold_ms"]["longest"], "< 100"),
        ("main thread, first view, CPU ms", lambda each: each["cpu_ms"]["first_view"], ""),
        ("main thread, scrolled frame, CPU ms", lambda each: each["cpu_ms"]["scrolled_frame"], "< 16"),
        ("main thread, threshold step, CPU ms", lambda each: each["cpu_ms"]["threshold_step"], "< 100"),
        ("key J to selection, median ms", lambda each: each["key_to_selection_ms"]["median"], ""),
    ]
    lines = [f"scan page with {appearances} appearances, empty cache, {len(visits)} visits"]
    for name, value, goal in rows:
        cells = "".join(f"{value(each)!s:>12}" for each in visits)
        lines.append(f"{name:<36}{cells}   {goal}")
    return "\n".join(lines)


def _serve(store: Path) -> tuple[subprocess.Popen[bytes], str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("ORDNANCE_")}
    env |= {"ORDNANCE_STORE": str(store), "ORDNANCE_PORT": "0", "ORDNANCE_THREADS": "1"}
    env |= {"ORDNANCE_REQUESTS_PER_MINUTE": "100000"}
    log = store.parent / "server.log"
    with log.open("wb") as file:
        server = subprocess.Popen([sys.executable, "-m", "service", "serve"], stderr=file, env=env)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        said = log.read_text(encoding="utf-8", errors="replace")
        if "Ordnance serves " in said:
            return server, said.split("Ordnance serves ", 1)[1].split()[0]
        time.sleep(0.1)
    server.kill()
    raise OrdnanceError(f"The server did not start: {log.read_text(errors='replace')[-500:]}")


def _scan(address: str) -> str:
    with httpx.Client(base_url=address, timeout=60) as client, DEMO.open("rb") as clip:
        scan = client.post("/v1/scans", files={"file": (DEMO.name, clip)}, data={"plan": "keyframes-only"}).json()
        while scan["state"] in ("queued", "running"):
            time.sleep(0.3)
            scan = client.get(f"/v1/scans/{scan['id']}").raise_for_status().json()
    if scan["state"] != "done":
        raise OrdnanceError(f"The demo clip could not be scanned: {scan['error']}")
    return str(scan["id"])
