"""Fixtures of the scan page's tests: a real server, the demo clip scanned once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from scan_page import Server, Visit, scanned
from service_server import DEMO

from benchmarks.page.many import fill_scan

MANY = 2000


@pytest.fixture(scope="session")
def reviewing(chromium, tmp_path_factory):
    """One server for all tests that leave it running."""
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
def visit(chromium, reviewing):
    """A person at the shared server, in a window of their own."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    visiting = Visit(context.new_page(), reviewing)
    yield visiting
    context.close()
    assert visiting.faults == []
