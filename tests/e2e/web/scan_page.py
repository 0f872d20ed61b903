"""What a person does on the scan page, and the clips and finds of its tests."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from browsing import Person
from playwright.sync_api import expect
from service_server import Server, upload, wait_for

from detector.frame import Appearance, Detection
from detector.report import AppearanceInfo
from service.settings import load_settings
from service.store.database import open_database
from service.store.results import save_appearances

SHARP = ("/clip", "/thumbnail", "/crop", "reveal=true")


class Visit(Person):
    """Somebody at the pages of scans."""

    def open_scan(self, scan_id: str) -> None:
        self.open(f"/scans/{scan_id}")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def mode(self, expected: str) -> None:
        expect(self.page.locator("#stage")).to_have_attribute("data-mode", expected, timeout=20_000)

    def chosen(self) -> str:
        """The key of the appearance that the list shows as selected."""
        return self.page.locator("#list").get_attribute("aria-activedescendant") or ""

    def clock(self) -> str:
        return self.page.locator("#clock").inner_text()

    def sharp(self) -> list[str]:
        """What was asked for that shows more than a weapon."""
        return [each for each in self.asked if any(word in each for word in SHARP)]


def scanned(server: Server, clip: Path, key: str | None = None, **options: object) -> str:
    """The id of the ended scan of the clip."""
    with server.client(key) as client:
        scan = wait_for(client, upload(client, clip, **options)["id"])
        assert scan["state"] == "done", scan
        return scan["id"]


def put_in(server: Server, scan_id: str, appearances: list[Appearance], width: int, height: int) -> None:
    """Let these be the appearances of the scan, as a worker would."""
    database = open_database(load_settings(store=server.store), pool_size=1)
    try:
        infos = [AppearanceInfo.of(each, width=width, height=height) for each in appearances]
        with database.write() as session:
            save_appearances(session, scan_id, infos)
    finally:
        database.close()


def appearance(times: list[float], box: tuple[float, float, float, float], name: str = "tank") -> Appearance:
    found = tuple(Detection(name, 0.9, box, at) for at in times)
    return Appearance("a0001", name, 0.9, found, found[0])


def write_vfr_clip(path: Path, times: list[float], size: tuple[int, int] = (320, 240)) -> Path:
    """An H.264 clip whose frames are shown at exactly these times (milliseconds)."""
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"g": "12", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, at in enumerate(times):
            picture = np.full((height, width, 3), 40, np.uint8)
            picture[:, : 8 * (number % (width // 8)) + 8] = (90, 160, 60)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(at * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def frame_times(path: Path) -> list[float]:
    """The presentation times of a clip's frames from their decoding, in seconds from its start."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [float(frame.pts * stream.time_base) for frame in container.decode(stream)]


def write_turned_clip(path: Path, box: tuple[int, int, int, int], *, mirrored: bool = False) -> Path:
    """Stored as 320 x 240, shown turned by 90 degrees (and mirrored) as 240 x 320: a white box, in display pixels, on
    black."""
    left, top, right, bottom = box
    shown = np.zeros((320, 240, 3), np.uint8)
    shown[top:bottom, left:right] = 255
    stored = np.transpose(shown, (1, 0, 2)) if mirrored else np.rot90(shown)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(30):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(stored), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    # The display matrix of the track: [a b u, c d v, x y w] with 16.16 numbers, x the shift of a turned picture.
    _write_matrix(path, (0, 1, 1, 0, 0) if mirrored else (0, 1, -1, 0, 240))
    return path


def write_wide_clip(path: Path, box: tuple[int, int, int, int]) -> Path:
    """Stored as 160 x 240 with pixels twice as wide as high, shown as 320 x 240: a white box, in display pixels, on
    black."""
    left, top, right, bottom = box
    stored = np.zeros((240, 160, 3), np.uint8)
    stored[top:bottom, left // 2 : right // 2] = 255
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 240, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)
        for _ in range(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(stored, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def _write_matrix(path: Path, matrix: tuple[int, int, int, int, int]) -> None:
    content = bytearray(path.read_bytes())
    # ISO/IEC 14496-12, tkhd version 0: 40 bytes of other fields come before the matrix.
    at = content.index(b"tkhd") + 4 + 40
    a, b, c, d, shift = (value << 16 for value in matrix)
    numbers = (a, b, 0, c, d, 0, shift, 0, 1 << 30)
    content[at : at + 36] = b"".join(number.to_bytes(4, "big", signed=True) for number in numbers)
    path.write_bytes(content)
