import base64
import hashlib
import io
import json
import re
import subprocess
import sys
import time

import httpx
import pytest
from service_server import comparable, upload, wait_for

from detector.report import Report


@pytest.fixture(scope="module")
def client(server):
    server.wait_ready()
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def done(client, humvee):
    return wait_for(client, upload(client, humvee)["id"])


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


def test_the_answer_to_an_upload_points_to_the_scan(client, bands):
    with bands.open("rb") as file:
        answer = client.post(
            "/v1/scans", content=file.read(), params={"name": "raw.mp4", "plan": "interval", "threshold": 0.77}
        )
    assert answer.status_code == 202
    scan = client.get(answer.headers["Location"]).json()
    assert scan["clip"]["name"] == "raw.mp4"
    assert scan["clip"]["sha256"] == hashlib.sha256(bands.read_bytes()).hexdigest()
    assert scan["options"] == {
        "model": "ordnance-n",
        "plan": "interval",
        "every_s": 0.5,
        "shortest_shot_s": None,
        "budget": None,
        "classes": None,
        "threshold": 0.77,
    }
    assert wait_for(client, scan["id"])["progress"]["appearances"] == 0


def test_a_clip_that_was_scanned_the_same_way_gives_that_scan_at_once(client, done, humvee):
    with humvee.open("rb") as file:
        answer = client.post("/v1/scans", files={"file": ("other name.mp4", file)})
    assert answer.status_code == 200
    assert answer.json()["id"] == done["id"]
    other = upload(client, humvee, plan="interval", every_s="1")
    assert other["id"] != done["id"]
    wait_for(client, other["id"])


def test_an_idempotency_key_makes_one_scan_and_refuses_another_clip(client, bands, humvee):
    headers = {"Idempotency-Key": "k-1"}

    def send(clip):
        body = clip.read_bytes()
        return client.post("/v1/scans", content=body, params={"name": "a.mp4", "classes": "tank"}, headers=headers)

    first, second, third = send(bands), send(bands), send(humvee)
    assert first.json()["id"] == second.json()["id"]
    assert third.status_code == 409
    assert third.json()["code"] == "conflict"
    wait_for(client, first.json()["id"])


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


def test_pictures_are_cached_for_ever_and_come_as_webp_where_wanted(client, done):
    found = client.get(done["links"]["appearances"]).json()["items"][0]
    jpeg = client.get(found["links"]["thumbnail"])
    assert jpeg.content.startswith(b"\xff\xd8\xff")
    assert "immutable" in jpeg.headers["Cache-Control"]
    again = client.get(found["links"]["thumbnail"], headers={"If-None-Match": jpeg.headers["ETag"]})
    assert again.status_code == 304
    webp = client.get(found["links"]["crop"], headers={"Accept": "image/webp,*/*"})
    assert webp.content[8:12] == b"WEBP"
    assert client.get(f"/v1/scans/{done['id']}/frames/99/crop").status_code == 404


def test_the_clip_is_served_in_ranges(client, done, humvee):
    whole = humvee.read_bytes()
    assert client.get(done["links"]["clip"]).content == whole
    part = client.get(done["links"]["clip"], headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == whole[100:200]
    beyond = client.get(done["links"]["clip"], headers={"Range": f"bytes={len(whole)}-"})
    assert beyond.status_code == 416
    assert beyond.headers["Content-Range"] == f"bytes */{len(whole)}"
    assert beyond.headers["Content-Type"] == "application/problem+json"
    assert (beyond.json()["code"], str(len(whole)) in beyond.json()["detail"]) == ("range_not_satisfiable", True)


def test_head_answers_as_get_without_a_body(client, done):
    links = done["links"]
    for path in (
        links["clip"],
        links["self"],
        links["report.json"],
        links["report.html"],
        "/v1/scans",
        "/healthz",
        "/",
    ):
        whole, head = client.get(path), client.head(path)
        assert (head.status_code, head.content) == (200, b""), path
        assert head.headers["Content-Type"] == whole.headers["Content-Type"], path
        assert head.headers["Content-Length"] == whole.headers["Content-Length"], path
    assert client.head(f"/v1/scans/{'0' * 32}").status_code == 404
    assert client.head(links["events"]).status_code == 405
    assert client.put("/v1/scans").headers["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=-10", -10, None),
        ("Bytes=5-", 5, None),
        (f"bytes=5-9, {10**12}-", 5, 10),
        ("bytes=10-5", None, None),
        ("bytes=a-b", None, None),
        ("bytes=", None, None),
        ("bytes 0-5", None, None),
        ("frames=0-5", None, None),
    ],
)
def test_a_range_that_is_none_is_ignored(client, done, humvee, asked, start, end):
    answer = client.get(done["links"]["clip"], headers={"Range": asked})
    assert answer.status_code == (200 if start is None else 206)
    assert answer.content == humvee.read_bytes()[start:end]


def test_a_clip_that_the_client_has_is_not_sent_again(client, done):
    tag = client.get(done["links"]["clip"]).headers["ETag"]
    for given in (tag, f'"other", W/{tag}'):
        again = client.get(done["links"]["clip"], headers={"If-None-Match": given, "Range": "bytes=0-9"})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    part = {"Range": "bytes=0-9"}
    assert client.get(done["links"]["clip"], headers={**part, "If-None-Match": '"other"'}).status_code == 206
    assert client.get(done["links"]["clip"], headers={**part, "If-Range": tag}).status_code == 206
    beyond = {"Range": f"bytes={10**12}-", "If-Range": '"other"'}
    assert client.get(done["links"]["clip"], headers=beyond).status_code == 200


def test_every_form_of_the_report(client, done):
    assert client.get(done["links"]["report.csv"]).text.count("humvee") > 3
    page = client.get(done["links"]["report.html"])
    assert "data:image/jpeg" in page.text
    assert "script-src" not in page.headers["Content-Security-Policy"]
    vtt = client.get(done["links"]["report.vtt"]).text
    assert vtt.startswith("WEBVTT\n\na0001\n00:00:0")
    assert "Humvee 0." in vtt


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


def test_a_budget_is_kept_and_what_it_left_out_is_said(client, humvee):
    scan = wait_for(client, upload(client, humvee, budget="0.001s", shortest_shot_s="0.5")["id"])
    assert scan["state"] == "done"
    assert (scan["options"]["budget"], scan["options"]["shortest_shot_s"]) == ("0.001s", 0.5)
    report = client.get(scan["links"]["report.json"]).json()
    assert report["scan"]["plan"]["options"] == {"every_s": 1.0, "shortest_shot_s": 0.5, "budget": "0.001s"}
    assert "budget" in report["coverage"]["left_out"][0]["what"]


def test_a_budget_that_is_not_used_up_leaves_nothing_out(client, humvee, done):
    scan = wait_for(client, upload(client, humvee, budget="100X")["id"])
    assert (scan["state"], scan["options"]["budget"]) == ("done", "100x"), scan["error"]
    report, other = (client.get(each["links"]["report.json"]).json() for each in (scan, done))
    assert report["coverage"]["left_out"] == other["coverage"]["left_out"]
    assert report["appearances"] == other["appearances"]


def test_a_rescan_needs_no_upload(client, done):
    answer = client.post(f"/v1/scans/{done['id']}/rescan", json={"plan": "interval", "classes": ["hmmwv"]})
    assert answer.status_code == 202
    again = wait_for(client, answer.json()["id"])
    assert again["options"]["classes"] == ["humvee"]
    assert again["clip"]["sha256"] == done["clip"]["sha256"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"this is no film\n" * 50, "not_a_video"),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 64, "not_a_video"),
    ],
)
def test_a_file_that_is_no_video_ends_as_failed_with_its_reason(client, content, code):
    scan = client.post("/v1/scans", content=content, params={"name": "holiday.mp4"}).json()
    ended = wait_for(client, scan["id"])
    assert ended["state"] == "failed"
    assert ended["error"]["code"] == code
    assert ended["error"]["message"].startswith("holiday.mp4: ")
    assert client.get(f"/v1/scans/{scan['id']}/report.json").status_code == 409


def test_an_upload_of_no_bytes_is_refused(client):
    before = client.get("/v1/scans").json()["items"]
    for empty in ({"content": b""}, {"files": {"file": ("empty.mp4", b"")}}):
        answer = client.post("/v1/scans", params={"name": "empty.mp4"}, **empty)
        assert answer.status_code == 400
        assert answer.json()["code"] == "bad_request"
        assert "empty" in answer.json()["detail"]
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "0"}
    assert client.post("/v1/uploads", headers=headers).json()["code"] == "bad_request"
    assert client.get("/v1/scans").json()["items"] == before


def test_a_truncated_clip_is_scanned_as_far_as_it_goes(client, humvee):
    whole = humvee.read_bytes()
    cut = io.BytesIO(whole[: len(whole) * 6 // 10])
    scan = client.post("/v1/scans", files={"file": ("cut.mp4", cut)}).json()
    ended = wait_for(client, scan["id"])
    assert ended["state"] in ("done", "failed")
    if ended["state"] == "failed":
        assert "index" in ended["error"]["message"]


@pytest.mark.parametrize(
    ("params", "code", "word"),
    [
        ({"plan": "hourly"}, "unknown_plan", "interval"),
        ({"classes": "spoon"}, "unknown_class", "tow_launcher"),
        ({"model": "nope"}, "weights_not_found", "ordnance-n"),
        ({"model": "../../etc/passwd"}, "weights_not_found", "ordnance-n"),
        ({"threshold": "7"}, "invalid_request", "threshold"),
        ({"every_s": "0"}, "invalid_request", "every_s"),
        ({"budget": "soon"}, "bad_option", "'soon' is not a budget; give seconds such as 30s"),
        ({"treshold": "0.5"}, "bad_option", "'treshold'"),
        ({"budget": "2x", "plan": "interval"}, "bad_option", "adaptive"),
        ({"shortest_shot_s": "1", "plan": "interval"}, "bad_option", "adaptive"),
        ({"webhook": "http://127.0.0.1/"}, "bad_option", "not allowed"),
    ],
)
def test_options_that_cannot_be_used_are_named_before_the_body_is_read(client, params, code, word):
    answer = client.post("/v1/scans", content=b"x", params=params)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == code
    assert word in problem["detail"]
    assert problem["status"] == 422


@pytest.mark.parametrize("field", ["every", "treshold", "Plan"])
def test_a_field_that_is_misspelt_is_named(client, bands, field):
    with bands.open("rb") as file:
        answer = client.post("/v1/scans", files={"file": ("a.mp4", file)}, data={field: "0.5"})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_option")
    assert f"'{field}'" in answer.json()["detail"]
    assert "threshold" in answer.json()["detail"]


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


def test_what_is_no_address_of_the_api_takes_any_parameter(client):
    for path in ("/healthz", "/readyz", "/"):
        assert client.get(path, params={"utm_source": "mail"}).status_code == 200


def test_a_clip_in_a_part_of_another_name_is_told_where_it_belongs(client):
    answer = client.post("/v1/scans", files={"video": ("a.mp4", b"x" * 100_000)})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert "'video'" in answer.json()["detail"]
    assert "part 'file'" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("kind", "body", "word"),
    [
        ("application/x-www-form-urlencoded", '{"plan": "interval"}', "send one with 'Content-Type: application/json'"),
        (None, "", "send one with 'Content-Type: application/json'"),
        ("application/json", "{plan: interval}", "is no JSON"),
        ("application/json", '{"every_s": "often"}', "every_s"),
    ],
)
def test_a_body_that_is_no_json_is_said_to_be(client, done, kind, body, word):
    headers = {"Content-Type": kind} if kind else {}
    answer = client.post(f"/v1/scans/{done['id']}/rescan", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert word in answer.json()["detail"]


def test_a_budget_is_read_as_on_the_command_line(client, done):
    made = client.post(f"/v1/scans/{done['id']}/rescan", json={"budget": " 0.001 X"})
    assert (made.status_code, made.json()["options"]["budget"]) == (202, "0.001x")
    wait_for(client, made.json()["id"])
    refused = client.post(f"/v1/scans/{done['id']}/rescan", json={"budget": "soon"})
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_option")
    assert refused.json()["detail"].startswith("'soon' is not a budget; give seconds such as 30s")


def test_the_kind_of_a_body_is_read_in_any_case(client, bands):
    begin = b'--b\r\nContent-Disposition: form-data; name="file"; filename="case.mp4"\r\n\r\n'
    body = begin + bands.read_bytes() + b"\r\n--b--\r\n"
    made = client.post("/v1/scans", content=body, headers={"Content-Type": "Multipart/Form-Data; boundary=b"})
    assert made.json()["clip"]["sha256"] == hashlib.sha256(bands.read_bytes()).hexdigest()


@pytest.mark.parametrize("last", ["\ud800", "x" * 32, "\x00", "A" * 32])
def test_a_cursor_with_what_is_no_scan_is_refused(client, last):
    made = base64.urlsafe_b64encode(json.dumps([1.0, last]).encode()).decode().rstrip("=")
    assert client.get("/v1/scans", params={"cursor": made}).json()["code"] == "not_found"
    made = base64.urlsafe_b64encode(json.dumps([1.0, last, 1]).encode()).decode().rstrip("=")
    assert client.get("/v1/search", params={"cursor": made}).json()["code"] == "not_found"


def test_an_upload_announced_too_large_is_refused_before_its_body(server):
    import socket

    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(
            b"POST /v1/scans?name=a.mp4 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")


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


def test_a_form_without_a_file_is_refused(client):
    answer = client.post("/v1/scans", files={"other": ("a.mp4", b"x")})
    assert answer.status_code == 400
    assert "'file'" in answer.json()["detail"]


def test_an_upload_that_is_cut_off_leaves_nothing(server):
    import socket

    before = set((server.store / "uploads").iterdir())
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(
            b"POST /v1/scans HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 400000
        )
    with httpx.Client(base_url=server.url) as client:
        client.get("/healthz")
        for _ in range(100):
            if set((server.store / "uploads").iterdir()) == before:
                return
            client.get("/healthz")
    raise AssertionError("the part of an upload stayed behind")
