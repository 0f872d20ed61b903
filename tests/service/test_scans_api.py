"""Scans from upload to removal: what was found, in pages and by events, while they run and after."""

import base64
import json
import re
import subprocess
import sys
import time

import pytest
from service_server import comparable, upload, wait_for

from detector.report import Report


def test_a_clip_is_uploaded_scanned_and_reported_as_on_the_command_line(client, done, humvee, tmp_path):
    assert done["state"] == "done", done
    report = client.get(done["links"]["report.json"]).json()
    Report.from_json(json.dumps(report))
    backend = report["scan"]["backend"]
    alone = subprocess.run(
        [sys.executable, "-m", "service", "scan", str(humvee), "--json", "--quiet", "--backend", backend],
        capture_output=True,
        check=True,
        cwd=tmp_path,
    )
    assert comparable(report) == comparable(json.loads(alone.stdout))
    assert "humvee" in {each["class"] for each in report["appearances"]}


def test_appearances_come_in_pages_and_by_confidence(client, done):
    url = done["links"]["appearances"]
    everything = client.get(url).json()["items"]
    walked, cursor = [], None
    while True:
        page = client.get(url, params={"limit": 1, **({"cursor": cursor} if cursor else {})}).json()
        walked += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert walked == everything
    assert [each["number"] for each in walked] == list(range(1, len(walked) + 1))
    surest = max(each["confidence"] for each in everything)
    assert client.get(url, params={"min_confidence": min(1, surest + 0.001)}).json() == {"items": [], "next": None}
    assert {each["class"] for each in client.get(url, params={"class": "humvee"}).json()["items"]} == {"humvee"}


def test_detections_are_walked_in_pages_without_gap_or_double(client, done):
    url = done["links"]["detections"]
    everything = client.get(url, params={"limit": 2000}).json()["items"]
    walked, cursor = [], None
    while True:
        page = client.get(url, params={"limit": 7, **({"cursor": cursor} if cursor else {})}).json()
        walked += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert walked == everything
    assert [each["pts_s"] for each in walked] == sorted(each["pts_s"] for each in walked)
    in_report = {
        (box["pts_s"], tuple(box["box"]))
        for each in client.get(done["links"]["report.json"]).json()["appearances"]
        for box in each["detections"]
    }
    assert in_report <= {(each["pts_s"], tuple(each["box"])) for each in walked}


def events_of(client, url, **headers):
    with client.stream("GET", url, headers=headers) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        events, current = [], {}
        for line in answer.iter_lines():
            if line.startswith(":"):
                continue
            if not line and current:
                events.append((int(current["id"]), current["event"], json.loads(current["data"])))
                current = {}
            elif line:
                name, _, value = line.partition(": ")
                current[name] = value
    return events


def test_events_tell_the_whole_story_and_resume_where_they_broke_off(client, humvee):
    scan = upload(client, humvee, plan="interval", every_s="0.25")
    live = events_of(client, scan["links"]["events"])
    assert [number for number, _, _ in live] == list(range(1, len(live) + 1))
    assert [data["state"] for _, kind, data in live if kind == "state"] == ["queued", "running", "done"]
    assert {"progress", "appearance"} <= {kind for _, kind, _ in live}
    assert events_of(client, scan["links"]["events"], **{"Last-Event-ID": "3"}) == live[3:]


def test_what_was_found_and_looked_at_is_shown_while_the_scan_runs(start, tmp_path):
    from service_server import cut_demo

    server = start("slow", SEGMENT_SAMPLES=4096)
    server.wait_ready()
    clip = cut_demo(tmp_path / "part.mp4", 24.0, 60.0)
    with server.client() as client:
        scan = upload(client, clip, plan="every-frame")
        while not (now := wait_for(client, scan["id"], "running"))["coverage"]:
            assert now["state"] == "running"
        assert 0 < now["progress"]["samples"] == now["coverage"]["samples"]
        assert now["coverage"]["longest_gap_s"] > 1
        assert 0 < now["progress"]["position_s"] < now["progress"]["duration_s"]
        client.post(f"/v1/scans/{scan['id']}/cancel").raise_for_status()
        assert client.get(f"/v1/scans/{scan['id']}").json()["coverage"]["samples"] >= now["coverage"]["samples"]


def test_progress_tells_when_a_clip_begins(client, tmp_path):
    """A live recording may count from an hour before: its bar would stand at the end."""
    from service_server import cut_demo

    clip = cut_demo(tmp_path / "late.mkv", 24.0, 34.0, begins=3600.0)
    scan = wait_for(client, upload(client, clip, plan="every-frame")["id"])
    assert scan["progress"]["starts_s"] == pytest.approx(3600.0, abs=0.2)
    told = [data for _, kind, data in events_of(client, scan["links"]["events"]) if kind == "progress"]
    running = [each for each in told if "starts_s" in each and "position_s" in each]
    assert running
    for each in running:
        assert each["starts_s"] == pytest.approx(scan["progress"]["starts_s"], abs=0.001)
        assert each["starts_s"] <= each["position_s"] < each["duration_s"]


@pytest.mark.parametrize("last", ["\ud800", "x" * 32, "\x00", "A" * 32])
def test_a_cursor_with_what_is_no_scan_is_refused(client, last):
    made = base64.urlsafe_b64encode(json.dumps([1.0, last]).encode()).decode().rstrip("=")
    assert client.get("/v1/scans", params={"cursor": made}).json()["code"] == "not_found"
    made = base64.urlsafe_b64encode(json.dumps([1.0, last, 1]).encode()).decode().rstrip("=")
    assert client.get("/v1/search", params={"cursor": made}).json()["code"] == "not_found"


def test_a_running_scan_stops_at_once_and_keeps_what_it_found(client, server, bands, tmp_path):
    from made_clips import write_clip

    long = write_clip(tmp_path / "long.mp4", seconds=120.0, rate=10, size=(640, 480))
    scan = upload(client, long, plan="every-frame")
    wait_for(client, scan["id"], "running")
    answer = client.post(f"/v1/scans/{scan['id']}/cancel")
    assert answer.json()["state"] == "cancelled"
    assert client.post(f"/v1/scans/{scan['id']}/cancel").status_code == 409
    events = events_of(client, scan["links"]["events"])
    assert events[-1][2]["state"] == "cancelled"
    assert client.get(scan["links"]["clip"]).status_code == 200
    wait_for(client, upload(client, bands, threshold="0.66")["id"])
    assert not re.search(rf"Traceback|{scan['id']} outcome was not recorded", server.log.read_text())


def test_a_scan_removed_before_its_worker_has_stopped_leaves_no_traceback(client, server, bands, tmp_path):
    from made_clips import write_clip

    long = write_clip(tmp_path / "long.mp4", seconds=120.0, rate=9, size=(640, 480))
    scan = upload(client, long, plan="every-frame")
    wait_for(client, scan["id"], "running")
    assert client.post(f"/v1/scans/{scan['id']}/cancel").status_code == 200
    assert client.delete(f"/v1/scans/{scan['id']}").status_code == 204
    wait_for(client, upload(client, bands, threshold="0.67")["id"])
    deadline = time.monotonic() + 60
    while f"scan was stopped scan={scan['id']}" not in server.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    wait_for(client, upload(client, bands, threshold="0.68")["id"])
    assert not re.search(rf"Traceback|{scan['id']} outcome was not recorded", server.log.read_text())


def test_delete_removes_rows_and_bytes(client, server, tmp_path):
    from made_clips import write_clip

    clip = write_clip(tmp_path / "gone.mp4", seconds=1.3)
    scan = wait_for(client, upload(client, clip)["id"])
    blob = server.store / "blobs" / scan["clip"]["sha256"][:2] / scan["clip"]["sha256"] / "data"
    assert blob.exists()
    assert client.delete(f"/v1/scans/{scan['id']}").status_code == 204
    assert not blob.exists()
    for link in ("self", "clip", "events", "appearances", "detections", "report.json"):
        assert client.get(scan["links"][link]).status_code == 404
    assert client.delete(f"/v1/scans/{scan['id']}").status_code == 404


def test_a_clip_that_two_scans_share_stays_until_the_last_goes(client, tmp_path):
    from made_clips import write_clip

    clip = write_clip(tmp_path / "shared.mp4", seconds=1.1)
    one = wait_for(client, upload(client, clip)["id"])
    two = wait_for(client, upload(client, clip, plan="interval")["id"])
    client.delete(f"/v1/scans/{one['id']}").raise_for_status()
    assert client.get(two["links"]["clip"]).content == clip.read_bytes()


def test_scans_are_listed_the_newest_first_in_pages(client, done):
    first = client.get("/v1/scans", params={"limit": 2}).json()
    second = client.get("/v1/scans", params={"limit": 2, "cursor": first["next"]}).json()
    times = [each["created_at"] for each in first["items"] + second["items"]]
    assert times == sorted(times, reverse=True)
    found = client.get("/v1/scans", params={"name": "HUMVEE", "state": "done"}).json()["items"]
    assert done["id"] in {each["id"] for each in found}
    assert client.get("/v1/scans", params={"cursor": "rubbish"}).status_code == 404


def test_models_taxonomy_health_and_metrics(client):
    models = {each["name"]: each for each in client.get("/v1/models").json()}
    assert models["ordnance-n"]["is_default"] and models["ordnance-n"]["classes"]
    assert (models["ordnance-n-int8"]["precision"], models["ordnance-n-int8"]["made_from"]) == ("int8", "ordnance-n")
    assert "tow_launcher" in {each["id"] for each in client.get("/v1/taxonomy").json()}
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {name: "ok" for name in ("database", "blobs", "workers", "model")} | {
        "ready": True
    }
    metrics = client.get("/metrics").text
    assert 'ordnance_scans{state="done"}' in metrics
    for name in ("samples", "decode_seconds", "infer_seconds"):
        assert float(re.search(rf"^ordnance_{name}_total (\S+)$", metrics, re.M)[1]) > 0


def test_every_answer_carries_the_security_headers(client):
    for path in ("/healthz", "/v1/scans", "/nowhere"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "server" not in headers


@pytest.mark.parametrize(
    ("method", "path", "given", "word"),
    [
        ("GET", "/v1/scans", "min_confidnce", "min_confidence"),
        ("HEAD", "/v1/scans", "min_confidnce", ""),
        ("GET", "/v1/search", "classes", "class, min_confidence"),
        ("GET", "{}/appearances", "min_score", "min_confidence"),
        ("GET", "{}/detections", "from", "from_s"),
        ("GET", "{}/report.html", "verdict", "verdicts"),
        ("GET", "{}", "verdicts", "it takes none"),
        ("POST", "{}/rescan", "plan", "it takes none"),
        ("POST", "/v1/uploads", "plan", "it takes none"),
    ],
)
def test_a_parameter_that_an_address_does_not_take_is_named(client, done, method, path, given, word):
    body = {"json": {}} if path.endswith("rescan") else {}
    answer = client.request(method, path.format(done["links"]["self"]), params={given: "0.5"}, **body)
    assert answer.status_code == 422
    if method != "HEAD":
        assert answer.json()["code"] == "bad_option"
        assert f"'{given}'" in answer.json()["detail"]
        assert word in answer.json()["detail"]


def test_a_parameter_of_one_value_that_is_given_twice_is_named(client, done):
    twice = client.get(done["links"]["appearances"], params={"class": ["tank", "humvee"]})
    assert (twice.status_code, twice.json()["code"]) == (422, "bad_option")
    assert "'class'" in twice.json()["detail"]
    assert client.get("/v1/scans", params={"class": ["tank", "humvee"]}).json()["items"]


def test_what_is_no_address_of_the_api_takes_any_parameter(client):
    for path in ("/healthz", "/readyz", "/"):
        assert client.get(path, params={"utm_source": "mail"}).status_code == 200
