"""kill -9 of the worker, the API or both at moments chosen by a seed, from the upload on, while a client follows the
events: no scan is lost, each report is that of an undisturbed run, and what the API shows is what the report says.

Four kills by default; ORDNANCE_TEST_KILLS=20 makes it the full run, ORDNANCE_TEST_SEED chooses other moments.
"""

import os
import random
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "service"))

from service_server import SCAN_SECONDS, Server, comparable, cut_demo, wait_for

from service.client import Client, Event

KILLS = int(os.environ.get("ORDNANCE_TEST_KILLS", "4"))
SEED = int(os.environ.get("ORDNANCE_TEST_SEED", "1"))
WORKERS = 2 if KILLS > 10 else 1
SEGMENT_KILLS = 2
PLANS = ({}, {"plan": "interval", "every_s": 0.5})
"""The default plan looks closer after its first round; the other one goes through the clip once."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return cut_demo(tmp_path_factory.mktemp("clips") / "part.mp4", 36.0, 54.0)


@pytest.fixture(scope="module")
def undisturbed(clip, tmp_path_factory):
    """By plan, the report and every box of a scan that nobody disturbed."""
    server = Server(tmp_path_factory.mktemp("calm") / "store", SEGMENT_SAMPLES=4)
    with server.start().client() as client, Client(server.url) as api:
        scans = [wait_for(client, api.submit(clip, **plan).id) for plan in PLANS]
        assert [scan["state"] for scan in scans] == ["done"] * len(PLANS)
        reports = [comparable(client.get(scan["links"]["report.json"]).json()) for scan in scans]
        found = [boxes(client, scan["id"]) for scan in scans]
    server.stop()
    assert all(report["appearances"] for report in reports)
    return list(zip(reports, found, strict=True))


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / "store", SEGMENT_SAMPLES=4, WORKERS=WORKERS, LOG_FORMAT="json")
    yield server.start()
    server.stop()


def test_reports_and_events_survive_kills_at_random_moments(undisturbed, server, clip):
    chance = random.Random(SEED)
    server.wait_ready()
    followers = [Follower(server.url, clip, plan) for plan in PLANS]
    time.sleep(chance.uniform(0.0, 0.4))
    strike(server, "api")
    further = 0
    for _ in range(KILLS - 1):
        if chance.random() < 0.75:
            server.wait_ready()
        time.sleep(chance.uniform(0.1, 3.0))
        if all(each.ended for each in followers):
            # All is done before all kills are: a scan with another threshold is another scan.
            further += 1
            followers.append(Follower(server.url, clip, {**PLANS[1], "threshold": 0.9 + further / 1000}))
            time.sleep(chance.uniform(0.0, 2.0))
        strike(server, chance.choice(("one worker", "workers", "api", "both")))
    server.wait_ready()

    for each in followers:
        each.join()
    with server.client() as client:
        assert len(client.get("/v1/scans").json()["items"]) == len(followers)
        for follower, (expected, _) in zip(followers, undisturbed, strict=False):
            scan = wait_for(client, follower.scan)
            assert scan["state"] == "done", scan
            assert comparable(client.get(scan["links"]["report.json"]).json()) == expected
        for follower in followers:
            scan = wait_for(client, follower.scan)
            assert scan["state"] == "done"
            assert_told_once(follower.events)
            assert_shown_as_reported(client, scan)


@pytest.mark.parametrize(
    ("options", "number"),
    [pytest.param(PLANS[1], 1, id="gone on with"), pytest.param({"budget": "1000x"}, 0, id="anew")],
)
def test_a_kill_as_a_segment_is_kept_doubles_and_loses_no_detection(undisturbed, server, clip, options, number):
    server.wait_ready()
    with Client(server.url) as api:
        scan = api.submit(clip, **options)
        strikes = 0
        for event in api.events(scan.id):
            if event.kind == "progress" and strikes < SEGMENT_KILLS:
                strikes += 1
                strike(server, "workers")
    assert strikes == SEGMENT_KILLS
    with server.client() as client:
        assert wait_for(client, scan.id)["state"] == "done"
        assert boxes(client, scan.id) == undisturbed[number][1]


class Follower:
    """Uploads a clip as `ordnance submit` does and follows its scan to the end, through every restart."""

    def __init__(self, url: str, clip: Path, options: dict) -> None:
        self.scan = ""
        self.events: list[Event] = []
        self.ended = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._follow, args=(url, clip, options), daemon=True)
        self._thread.start()

    def _follow(self, url: str, clip: Path, options: dict) -> None:
        try:
            with Client(url) as api:
                self.scan = api.submit(clip, **options).id
                for event in api.events(self.scan):
                    self.events.append(event)
            self.ended = True
        except Exception as error:
            self._error = error

    def join(self) -> None:
        self._thread.join(SCAN_SECONDS)
        if self._error is not None:
            raise self._error
        assert self.ended


def strike(server: Server, which: str) -> None:
    workers = server.worker_pids()
    if which == "one worker":
        workers = workers[:1]
    if which != "api":
        for pid in workers:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue
    if which in ("api", "both"):
        server.kill()
        server.start()


def assert_told_once(events: list[Event]) -> None:
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    states = [event.data["state"] for event in events if event.kind == "state"]
    assert states == ["queued", "running", "done"]


def assert_shown_as_reported(client, scan: dict) -> None:
    report = client.get(scan["links"]["report.json"]).json()
    shown = client.get(scan["links"]["appearances"]).json()["items"]
    assert [each["id"] for each in shown] == [each["id"] for each in report["appearances"]]
    found = [box[:2] + box[3:] for box in boxes(client, scan["id"])]
    assert len(found) == len(set(found))
    for each in shown:
        assert client.get(each["links"]["thumbnail"]).status_code == 200


def boxes(client, scan: str) -> list[tuple]:
    found, cursor = [], None
    while True:
        params = {"limit": 500, **({"cursor": cursor} if cursor else {})}
        page = client.get(f"/v1/scans/{scan}/detections", params=params).json()
        found += [(box["pts_s"], box["class"], box["score"], tuple(box["box"])) for box in page["items"]]
        cursor = page["next"]
        if cursor is None:
            return found
