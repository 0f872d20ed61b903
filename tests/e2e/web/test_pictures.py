"""Pictures of the pages for the README, taken where ORDNANCE_PICTURES names a folder for them."""

import os
from pathlib import Path

import cv2
import pytest
from playwright.sync_api import expect
from service_server import DEMO, upload, wait_for

FOLDER = os.environ.get("ORDNANCE_PICTURES")


@pytest.mark.skipif(FOLDER is None, reason="ORDNANCE_PICTURES names no folder for the README's pictures")
def test_pictures_of_the_pages(person, library):
    with library.client() as client:
        scan = wait_for(client, upload(client, DEMO)["id"])
    one = person(library)
    pages = {"library": ("/", 760), "scan": (f"/scans/{scan['id']}#2", 1120), "gallery": ("/gallery?name=demo", 720)}
    for name, (path, height) in pages.items():
        one.page.set_viewport_size({"width": 1200, "height": height})
        one.open(path)
        one.page.wait_for_load_state("networkidle")
        expect(one.page.locator("img[src].empty")).to_have_count(0)
        path = Path(FOLDER) / f"page-{name}.webp"
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), one.picture(), [cv2.IMWRITE_WEBP_QUALITY, 82])
