"""Servers and clips for the tests of the service."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from made_clips import write_clip
from service_server import Server, cut_demo, upload, wait_for


@pytest.fixture(scope="session")
def humvee(tmp_path_factory):
    """Seven seconds of the demo clip, with a humvee in them."""
    return cut_demo(tmp_path_factory.mktemp("clips") / "humvee.mp4", 36.0, 42.0)


@pytest.fixture(scope="session")
def bands(tmp_path_factory):
    """Two seconds in which nothing is to be found."""
    return write_clip(tmp_path_factory.mktemp("clips") / "bands.mp4")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests that leave it running."""
    running = Server(tmp_path_factory.mktemp("shared") / "store", REQUESTS_PER_MINUTE=100000).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(server):
    server.wait_ready()
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def done(client, humvee):
    """A scan in which something was found."""
    return wait_for(client, upload(client, humvee)["id"])


@pytest.fixture
def start(tmp_path):
    """Starts servers that end with the test."""
    started = []

    def begin(name: str = "store", **settings: object) -> Server:
        server = Server(tmp_path / name, **settings)
        started.append(server)
        return server.start()

    yield begin
    for server in started:
        server.stop()
