"""kill -9 of workers and of the API, again and again: no scan is lost, and the report is that of an undisturbed run."""

import os
import random
import signal
import sys
import time
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "service"))

from service_server import Server, comparable, cut_demo, upload, wait_for

KILLS = 20
SEED = 6


@pytest.fixture
def clips(tmp_path):
    return [cut_demo(tmp_path / f"part{start}.mp4", start, start + 12.0) for start in (24.0, 36.0, 80.0)]


@pytest.fixture
def servers(tmp_path):
    made = [Server(tmp_path / name, SEGMENT_SAMPLES=8, WORKERS=2) for name in ("calm", "stormy")]
    yield made
    for server in made:
        server.stop()


def test_no_scan_is_lost_and_none_differs(servers, clips):
    calm, stormy = servers
    wanted = reports_of(calm.start(), clips)
    calm.stop()

    chance = random.Random(SEED)
    stormy.start()
    with stormy.client() as client:
        scans = [upload(client, clip, plan="interval", every_s="0.25")["id"] for clip in clips]
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.2, 3.0))
        which = chance.choice(("worker", "api", "both"))
        workers = stormy.worker_pids()
        if which in ("worker", "both") and workers:
            end(chance.choice(workers))
        if which in ("api", "both"):
            stormy.kill()
            stormy.start()
    with stormy.client() as client:
        for scan, name in zip(scans, wanted, strict=True):
            ended = wait_for(client, scan)
            assert ended["state"] == "done", ended
            assert comparable(client.get(f"/v1/scans/{scan}/report.json").json()) == wanted[name]
            assert_shown_as_reported(client, scan)
            assert_events_have_no_gap(client, scan)
        assert len(client.get("/v1/scans").json()["items"]) == len(clips)


def reports_of(server, clips):
    with server.client() as client:
        scans = {clip.name: upload(client, clip, plan="interval", every_s="0.25")["id"] for clip in clips}
        for scan in scans.values():
            assert wait_for(client, scan)["state"] == "done"
        return {name: comparable(client.get(f"/v1/scans/{scan}/report.json").json()) for name, scan in scans.items()}


def assert_shown_as_reported(client: httpx.Client, scan: str) -> None:
    report = client.get(f"/v1/scans/{scan}/report.json").json()
    shown = client.get(f"/v1/scans/{scan}/appearances").json()["items"]
    assert [each["id"] for each in shown] == [each["id"] for each in report["appearances"]]
    boxes = client.get(f"/v1/scans/{scan}/detections", params={"limit": 2000}).json()["items"]
    keys = [(box["pts_s"], box["class"], tuple(box["box"])) for box in boxes]
    assert len(keys) == len(set(keys))
    for each in shown:
        assert client.get(each["links"]["thumbnail"]).status_code == 200


def assert_events_have_no_gap(client: httpx.Client, scan: str) -> None:
    text = client.get(f"/v1/scans/{scan}/events").text
    numbers = [int(line[4:]) for line in text.splitlines() if line.startswith("id: ")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert text.count('"state": "done"') == 1
    assert text.count('"state": "running"') == 1


def end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
