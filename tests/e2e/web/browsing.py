"""What a person does on the pages, and what the browser asked for meanwhile."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import cv2
import numpy as np
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Locator, Page, expect
from service_server import Server

LOOKS = Path(__file__).parent / "looks"
LOOK_SIZE = (48, 36)
MOST_DIFFERENCE = 2.5
"""Mean over all cells of two looks, of 255. Pages of this site differ from one another by 3 to 40."""
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
UPLOAD_MS = 60_000
SCAN_MS = 240_000


class Person:
    """Somebody at the pages of a server."""

    def __init__(self, context: BrowserContext, server: Server) -> None:
        self.context = context
        self.server = server
        self.page = context.new_page()
        self.asked: list[str] = []
        self.faults: list[str] = []
        self.page.on("request", lambda request: self.asked.append(f"{request.method} {request.url}"))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: dialog.accept())

    def open(self, path: str = "/") -> Person:
        self.page.goto(self.server.url + path)
        if path.split("?")[0] in ("/", "/search", "/gallery", "/settings") or path.startswith("/scans/"):
            self.page.locator("body[data-ready], body[data-page=error], body[data-page=sign_in]").wait_for()
        return self

    def throttle(self, bytes_a_second: int) -> None:
        """How fast the browser may send; -1 for as fast as it can."""
        tools = self.context.new_cdp_session(self.page)
        limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_a_second}
        tools.send("Network.emulateNetworkConditions", limits)

    def drop(self, *files: tuple[str, bytes]) -> None:
        """Let go of files, as (name, content), above the page."""
        packed = [[name, base64.b64encode(content).decode()] for name, content in files]
        transfer = self.page.evaluate_handle(
            """files => {
                const transfer = new DataTransfer();
                for (const [name, text] of files) {
                    const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
                    transfer.items.add(new File([bytes], name, { lastModified: 1 }));
                }
                return transfer;
            }""",
            packed,
        )
        self.page.dispatch_event("#drop", "dragover", {"dataTransfer": transfer})
        self.page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})

    def drop_paths(self, *paths: Path) -> None:
        """Let go of files and folders of the disk above the page, as a file manager does."""
        place = self.page.locator("#drop").bounding_box()
        tools = self.context.new_cdp_session(self.page)
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        at = {"x": place["x"] + 20, "y": place["y"] + 20}
        for kind in ("dragEnter", "dragOver", "drop"):
            tools.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})

    def choose(self, *paths: Path) -> None:
        self.page.set_input_files("#files", [str(path) for path in paths])

    def upload_of(self, name: str) -> Locator:
        return self.page.locator("#upload-list > li").filter(has=self.page.get_by_text(name, exact=True))

    def scans(self) -> Locator:
        return self.page.locator("#scans > li")

    def scan_of(self, name: str) -> Locator:
        return self.scans().filter(has=self.page.get_by_role("link", name=name, exact=True))

    def expect_state(self, item: Locator, state: str) -> None:
        expect(item).to_have_attribute("data-state", state, timeout=SCAN_MS)

    def elsewhere(self) -> list[str]:
        """What was asked of any other host."""
        own = self.server.url + "/"
        return [each for each in self.asked if not each.split(" ", 1)[1].startswith((own, f"blob:{own}", "data:"))]

    def picture(self) -> np.ndarray:
        """The window as it is, height × width × BGR."""
        shot = self.page.screenshot(animations="disabled")
        return cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR)

    def looks_like(self, name: str) -> None:
        """Compare the window coarsely with the picture kept of it; ORDNANCE_NEW_LOOKS=1 keeps this one instead."""
        small = cv2.resize(self.picture(), LOOK_SIZE, interpolation=cv2.INTER_AREA)
        kept = LOOKS / f"{name}.png"
        if os.environ.get("ORDNANCE_NEW_LOOKS"):
            LOOKS.mkdir(exist_ok=True)
            cv2.imwrite(str(kept), small)
        before = cv2.imread(str(kept))
        difference = float(np.abs(small.astype(float) - before.astype(float)).mean())
        assert difference < MOST_DIFFERENCE, f"{name} looks otherwise: cells differ by {difference:.1f} on average"


def complaints(page: Page) -> list[str]:
    """What axe finds on the page as it is."""
    found = Axe().run(page, options=WCAG).response["violations"]
    return [f"{each['id']}: {node['target']} {node['failureSummary']}" for each in found for node in each["nodes"]]


def padded(clip: Path, size: int, path: Path) -> Path:
    """A copy of an MP4 clip of `size` bytes in all; what it is filled up with is not looked at by any player."""
    content = clip.read_bytes()
    room = size - len(content)
    assert room >= 8
    path.write_bytes(content + room.to_bytes(4, "big") + b"free" + np.random.default_rng(size).bytes(room - 8))
    return path
