"""One browser for all tests of the pages, and a server with a library."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[2] / "service"))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from browsing import Person
from made_clips import write_clip
from service_server import Server, cut_demo, upload, wait_for


@pytest.fixture(scope="session")
def chromium():
    """The browser that the system has; ORDNANCE_CHROMIUM names another one."""
    path = os.environ.get("ORDNANCE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def person(chromium):
    """Makes people, each in a browser window of their own; none of them may see a fault of the page."""
    people = []

    def make(server: Server, **window: object) -> Person:
        window = {"viewport": {"width": 1280, "height": 900}, **window}
        people.append(Person(chromium.new_context(**window), server))
        return people[-1]

    yield make
    for each in people:
        each.context.close()
    assert [fault for each in people for fault in each.faults] == []


@pytest.fixture(scope="session")
def bands(tmp_path_factory):
    """Two seconds in which nothing is to be found."""
    return write_clip(tmp_path_factory.mktemp("clips") / "bands.mp4")


@pytest.fixture(scope="session")
def armour(tmp_path_factory):
    """Half a minute of the demo clip, with weapons in it."""
    return cut_demo(tmp_path_factory.mktemp("clips") / "armour.mp4", 78.0, 105.0)


@pytest.fixture(scope="session")
def library(chromium, tmp_path_factory, bands, armour):
    """A server with a clip with weapons and one without, both scanned, for the browser. Tests put more into it."""
    server = Server(tmp_path_factory.mktemp("library") / "store", REQUESTS_PER_MINUTE=100000).start()
    with server.client() as client:
        for clip in (bands, armour):
            assert wait_for(client, upload(client, clip)["id"])["state"] == "done"
    yield server
    server.stop()


@pytest.fixture(scope="session")
def armour_id(library):
    with library.client() as client:
        return client.get("/v1/scans", params={"name": "armour"}).json()["items"][-1]["id"]
