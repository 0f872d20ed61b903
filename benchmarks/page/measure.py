"""What a person waits for on the scan page, measured in a browser that is started for it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SCROLL_SECONDS = 5.0
THRESHOLD_STEPS = 40
PAINT_SECONDS = 15.0
FRAME_MS = 1000 / 60

_FIRST_USEFUL = """() => new Promise((resolve) => {
  const isThere = () => document.querySelector('#list [role=option]:not([hidden])') &&
    document.querySelector('#strip canvas').height > 100;
  const look = () => isThere() ? requestAnimationFrame(() => resolve(performance.now())) : setTimeout(look, 4);
  look();
})"""

_SCROLL = """async (seconds) => {
  const list = document.querySelector('#list');
  const gaps = [];
  let before = await new Promise(requestAnimationFrame);
  const started = before;
  while (before - started < seconds * 1000) {
    list.scrollTop += 60;
    const now = await new Promise(requestAnimationFrame);
    gaps.push(now - before);
    before = now;
  }
  return { gaps, reached: list.scrollTop };
}"""

_EMPTY_FRAMES = """async (seconds) => {
  const gaps = [];
  let before = await new Promise(requestAnimationFrame);
  const started = before;
  while (before - started < seconds * 1000) {
    const now = await new Promise(requestAnimationFrame);
    gaps.push(now - before);
    before = now;
  }
  return gaps;
}"""

_THRESHOLD = """async (steps) => {
  const slider = document.querySelector('#threshold');
  const count = document.querySelector('#count');
  const waits = [];
  for (let step = 0; step < steps; step += 1) {
    const began = performance.now();
    slider.value = step / steps;
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    await new Promise(requestAnimationFrame);
    await new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = resolve;
      port2.postMessage(0);
    });
    waits.push(performance.now() - began);
  }
  return { waits, words: count.textContent };
}"""


@dataclass(slots=True)
class Traffic:
    """Bytes as they went over the wire, headers included; pictures apart from the rest."""

    page: int = 0
    pictures: int = 0
    requests: int = 0


def measure_page(browser: Any, address: str) -> dict[str, Any]:
    """One visit with an empty cache: first useful paint, bytes, scrolling, threshold. Times in milliseconds."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        page = context.new_page()
        traffic, processor = _watch(page)
        page.goto(address, wait_until="commit")
        useful = page.evaluate(_FIRST_USEFUL)
        paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null")
        page.locator("body[data-ready]").wait_for()
        page.wait_for_load_state("networkidle", timeout=PAINT_SECONDS * 1000)
        first_view = Traffic(traffic.page, traffic.pictures, traffic.requests)
        first_cpu = processor()
        idle = page.evaluate(_EMPTY_FRAMES, SCROLL_SECONDS / 2)
        before = processor()
        scrolled = page.evaluate(_SCROLL, SCROLL_SECONDS)
        scroll_cpu = (processor() - before) / len(scrolled["gaps"])
        page.locator("#threshold").focus()
        page.wait_for_load_state("networkidle", timeout=PAINT_SECONDS * 1000)
        before = processor()
        threshold = page.evaluate(_THRESHOLD, THRESHOLD_STEPS)
        threshold_cpu = (processor() - before) / THRESHOLD_STEPS
        key = _key_to_row(page)
        return {
            "first_contentful_paint_ms": _round(paint),
            "first_useful_paint_ms": _round(useful),
            "bytes_without_pictures": first_view.page,
            "bytes_of_pictures": first_view.pictures,
            "requests": first_view.requests,
            "idle": _frames(idle),
            "scroll": _frames(scrolled["gaps"]) | {"pixels": scrolled["reached"]},
            "cpu_ms": {
                "first_view": _round(first_cpu),
                "scrolled_frame": _round(scroll_cpu),
                "threshold_step": _round(threshold_cpu),
            },
            "threshold_ms": _spread(threshold["waits"]),
            "key_to_selection_ms": _spread(key),
        }
    finally:
        context.close()


def _watch(page: Any) -> tuple[Traffic, Callable[[], float]]:
    """Counts what comes over the wire; and how long the page's main thread has computed so far, in milliseconds."""
    traffic = Traffic()
    client = page.context.new_cdp_session(page)
    kinds: dict[str, str] = {}
    client.send("Network.enable")
    client.on("Network.responseReceived", lambda event: kinds.update({event["requestId"]: event["type"]}))

    def finished(event: dict[str, Any]) -> None:
        size = int(event["encodedDataLength"])
        traffic.requests += 1
        if kinds.get(event["requestId"]) == "Image":
            traffic.pictures += size
        else:
            traffic.page += size

    client.on("Network.loadingFinished", finished)
    # Processor time of the thread: what else the machine does is not in it.
    client.send("Performance.enable", {"timeDomain": "threadTicks"})

    def processor() -> float:
        metrics = {each["name"]: each["value"] for each in client.send("Performance.getMetrics")["metrics"]}
        return 1000 * float(metrics["TaskDuration"])

    return traffic, processor


def _key_to_row(page: Any, times: int = 20) -> list[float]:
    """From the press of J until the list shows the next one as selected, driven from outside."""
    waits = []
    page.locator("#list").focus()
    for _ in range(times):
        before = page.locator("#list").get_attribute("aria-activedescendant")
        began = time.perf_counter()
        page.keyboard.press("j")
        page.wait_for_function(
            "before => document.querySelector('#list').getAttribute('aria-activedescendant') !== before", arg=before
        )
        waits.append((time.perf_counter() - began) * 1000)
    return waits


def _frames(gaps: list[float]) -> dict[str, Any]:
    """Frames a second, the share that came within one and a half times a sixtieth, and the longest wait."""
    return {
        "frames_per_second": round(1000 * len(gaps) / sum(gaps), 1),
        "on_time": round(sum(gap < 1.5 * FRAME_MS for gap in gaps) / len(gaps), 4),
        "p99_ms": _round(sorted(gaps)[min(len(gaps) - 1, int(0.99 * len(gaps)))]),
        "longest_ms": _round(max(gaps)),
    }


def _spread(waits: list[float]) -> dict[str, float | None]:
    return {"median": _round(statistics.median(waits)), "longest": _round(max(waits))}


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
