"""One browser for all tests of the pages, a server with a library, and one with scans to review."""

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
from scan_page import Visit, appearance, put_in, scanned
from service_server import DEMO, Server, cut_demo, upload, wait_for

from benchmarks.page.many import fill_scan

MANY = 2000


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
    try:
        with server.client() as client:
            for clip in (bands, armour):
                # So low that several things are found, whatever the weights are.
                assert wait_for(client, upload(client, clip, threshold="0.08")["id"])["state"] == "done"
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def armour_id(library):
    with library.client() as client:
        return client.get("/v1/scans", params={"name": "armour"}).json()["items"][-1]["id"]


@pytest.fixture(scope="session")
def reviewing(chromium, tmp_path_factory):
    """A server for the tests of the scan page; no list of scans is looked at there."""
    server = Server(tmp_path_factory.mktemp("reviewing") / "store", REQUESTS_PER_MINUTE=100000).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def demo_scan(reviewing):
    return scanned(reviewing, DEMO, plan="interval", every_s="1")


@pytest.fixture(scope="session")
def many_scan(reviewing, demo_scan):
    """The demo clip's scan by another plan, with two thousand appearances put in."""
    scan_id = scanned(reviewing, DEMO, plan="keyframes-only")
    fill_scan(reviewing.store, scan_id, MANY)
    return scan_id


@pytest.fixture
def four_finds(reviewing, tmp_path):
    """A scan with four tanks that nobody has judged, of which the first is in view through all the others."""
    scan_id = scanned(reviewing, cut_demo(tmp_path / "four.mp4", 36.0, 42.0))
    times = ([0.5, 4.5], [1.0, 1.5], [2.0, 2.5], [3.0, 3.5])
    put_in(reviewing, scan_id, [appearance(each, (100.0, 100.0, 300.0, 250.0)) for each in times], 640, 360)
    with reviewing.client() as client:
        for number in range(1, 5):
            while client.delete(f"/v1/scans/{scan_id}/appearances/{number}/verdict").status_code == 200:
                pass
    return scan_id


@pytest.fixture
def visit(chromium, reviewing):
    """A person at the scans to review, in a window of their own."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    visiting = Visit(context, reviewing)
    yield visiting
    context.close()
    assert visiting.faults == []
