"""One stream of events for all scans of an owner."""

import itertools
import json
import time
import uuid
from collections import defaultdict

import pytest
from service_server import cut_demo, upload, wait_for


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Five short clips, each with bytes of its own."""
    folder = tmp_path_factory.mktemp("several")
    return [cut_demo(folder / f"{at}.mp4", at, at + 3.0) for at in (36.0, 78.0, 110.0, 120.0, 150.0)]


@pytest.fixture
def owner(server):
    """A client of an owner who has no scans yet."""
    with server.client(server.key(f"owner-{uuid.uuid4().hex}")) as client:
        yield client


def stream(client, **headers):
    """(id, kind, data) of each event of /v1/events, without end."""
    with client.stream("GET", "/v1/events", headers=headers) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        current = {}
        for line in answer.iter_lines():
            if line.startswith(":"):
                continue
            if not line and current:
                yield current.get("id"), current["event"], json.loads(current["data"])
                current = {}
            elif line:
                name, _, value = line.partition(": ")
                current[name] = value


def until_ended(events, scans):
    """The events up to the one with which the last of these scans ends."""
    ended, seen = set(), []
    for each in events:
        seen.append(each)
        if each[1] == "state" and each[2]["state"] == "done":
            ended.add(each[2]["scan"])
        if ended >= set(scans):
            return seen


def numbers(events):
    found = defaultdict(list)
    for place, kind, data in events:
        if kind != "ready":
            assert place == f"{data['scan']}.{data['number']}"
            found[data["scan"]].append(data["number"])
    return found


def test_several_scans_at_once_are_told_by_one_stream_each_event_once(owner, clips):
    events = stream(owner)
    assert next(events)[1] == "ready"
    scans = [upload(owner, clip)["id"] for clip in clips]
    seen = until_ended(events, scans)
    told = numbers(seen)
    assert set(told) == set(scans)
    assert all(each == list(range(1, len(each) + 1)) for each in told.values())
    assert {"state", "progress", "appearance"} <= {kind for _, kind, _ in seen}
    for scan in scans:
        states = [data["state"] for _, kind, data in seen if kind == "state" and data["scan"] == scan]
        assert states == ["queued", "running", "done"]
        last = [data for _, kind, data in seen if kind == "progress" and data["scan"] == scan][-1]
        assert last["position_s"] == last["duration_s"] > 0
        assert last["samples"] > 0

    # Taken up again in the middle: nothing is missed, and what comes again is known by its number.
    place = len(seen) // 2
    again = stream(owner, **{"Last-Event-ID": seen[place][0]})
    assert next(again)[1] == "ready"
    missed = seen[place + 1 :]
    repeated = list(itertools.islice(again, len(missed)))
    known = {each[0] for each in seen[: place + 1]}
    while {each[0] for each in missed} - {each[0] for each in repeated}:
        repeated.append(next(again))
    assert {each[0] for each in repeated} <= {each[0] for each in missed} | known
    assert all(each == list(range(each[0], each[-1] + 1)) for each in numbers(repeated).values())
    assert seen[place][0] not in {each[0] for each in repeated}


def test_a_stream_begins_with_now_and_tells_of_removals(owner, server, clips):
    before = wait_for(owner, upload(owner, clips[0])["id"])["id"]
    events = stream(owner)
    assert next(events)[1] == "ready"
    stranger = stream(server.client(server.key("a-stranger")))
    assert next(stranger)[1] == "ready"
    later = upload(owner, clips[1])["id"]
    assert set(numbers(until_ended(events, [later]))) == {later}
    assert owner.delete(f"/v1/scans/{before}").status_code == 204
    place, kind, data = next(events)
    assert (place, kind, data) == (None, "gone", {"scan": before})
    with server.client(server.key("a-stranger")) as client:
        own = upload(client, clips[2])["id"]
    assert next(stranger)[2]["scan"] == own


@pytest.mark.parametrize("place", ["nonsense", "0" * 32 + ".1", "1"])
def test_a_place_that_is_not_known_begins_with_now(owner, clips, place):
    wait_for(owner, upload(owner, clips[0])["id"])
    events = stream(owner, **{"Last-Event-ID": place})
    assert next(events)[1] == "ready"
    later = upload(owner, clips[1])["id"]
    assert next(events)[2]["scan"] == later


def test_a_stream_ends_with_a_scan_that_is_removed_right_after_its_beginning(start, clips):
    server = start(WORKERS=0)
    with server.client() as client:
        for number in range(5):
            scan = upload(client, clips[0], plan="interval", every_s=1 + number)["id"]
            with client.stream("GET", f"/v1/scans/{scan}/events") as answer:
                lines = answer.iter_lines()
                while "queued" not in next(lines):
                    pass
                assert client.delete(f"/v1/scans/{scan}").status_code == 204
                told = list(itertools.takewhile(lambda line: not line.startswith(":"), lines))
            assert "event: gone" in told


@pytest.mark.parametrize("end", ["revoked", "signed out"])
@pytest.mark.parametrize("path", ["/v1/events", "/v1/scans/{}/events"])
def test_a_stream_ends_soon_after_its_key_was_revoked_or_its_browser_signed_out(start, clips, path, end):
    server = start(WORKERS=0)
    key = server.key("mallory")
    with server.client(key) as client:
        scan = upload(client, clips[0])["id"]
    with server.client(None if end == "signed out" else key) as reader:
        csrf = reader.post("/v1/session", json={"key": key}).json()["csrf"] if end == "signed out" else ""
        with reader.stream("GET", path.format(scan), timeout=30) as answer:
            lines = answer.iter_lines()
            while not next(lines).startswith("event: "):
                pass
            if end == "signed out":
                assert reader.delete("/v1/session", headers={"X-CSRF-Token": csrf}).status_code == 204
            else:
                server.command("keys", "revoke", key.split("_")[1])
            ended = time.monotonic()
            for _ in lines:
                assert time.monotonic() < ended + 12
