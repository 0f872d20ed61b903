"""A team's service: two servers with stores of their own share a PostgreSQL database and an S3 bucket."""

import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "service"))

from service_server import Server, comparable, cut_demo, wait_for
from test_backends import bucket, postgres  # noqa: F401

from service.client import Client

PLAN = {"plan": "interval", "every_s": 0.5}


@pytest.fixture
def pair(tmp_path, postgres, bucket):  # noqa: F811
    made = [Server(tmp_path / name, DATABASE_URL=postgres, SEGMENT_SAMPLES=4, **bucket) for name in ("first", "second")]
    yield made
    for server in made:
        server.stop()


@pytest.fixture
def calm(tmp_path):
    server = Server(tmp_path / "calm", SEGMENT_SAMPLES=4)
    yield server
    server.stop()


def test_one_server_takes_over_what_another_was_killed_at(pair, calm, tmp_path):
    clip = cut_demo(tmp_path / "part.mp4", 24.0, 54.0)
    first, second = pair
    first.start().wait_ready()
    second.settings["WORKERS"] = 0
    second.start()
    with Client(first.url) as api:
        scan = api.submit(clip, **PLAN)
        for event in api.events(scan.id):
            if event.kind == "progress":
                break
    lost_workers = first.worker_pids()
    first.kill()
    for pid in lost_workers:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    second.stop()
    second.settings["WORKERS"] = 1
    second.start()

    with second.client() as client:
        ended = wait_for(client, scan.id)
        assert ended["state"] == "done", ended
        report = comparable(client.get(f"/v1/scans/{scan.id}/report.json").json())
        assert client.get(ended["links"]["clip"]).content == clip.read_bytes()
        for each in client.get(ended["links"]["appearances"]).json()["items"]:
            assert client.get(each["links"]["thumbnail"]).status_code == 200
    with Client(second.url) as api:
        numbers = [event.number for event in api.events(scan.id)]
        assert numbers == list(range(1, len(numbers) + 1))

    with Client(calm.start().url) as api:
        other = api.wait(api.submit(clip, **PLAN).id)
        assert other.state == "done"
    with calm.client() as client:
        assert comparable(client.get(f"/v1/scans/{other.id}/report.json").json()) == report
