"""The review on a real server: clips that no browser plays, a browser's session, two reviewers, a restart."""

import json
import re
import zipfile
from io import BytesIO

import cv2
import httpx
import numpy as np
import pytest
from review_app import InProcess
from service_server import upload, wait_for
from test_stills import HEIGHT, UNEVEN_MS, WIDTH, shown, turn, write

from detector.report import Report, html
from service.api.app import create_app
from service.settings import load_settings


@pytest.fixture(scope="module")
def alice(server):
    server.wait_ready()
    with server.client(server.key("alice", "--note", "Ann")) as client:
        yield client


@pytest.fixture(scope="module")
def scan(alice, humvee):
    return wait_for(alice, upload(alice, humvee)["id"])


def still(client, scan, pts, **params):
    answer = client.get(scan["links"]["still"], params={"pts": pts, **params})
    assert answer.status_code == 200, answer.text
    return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR_RGB), answer.headers


@pytest.mark.parametrize(
    ("name", "times_ms", "codec", "is_turned"),
    [
        ("hevc.mp4", range(0, 2000, 40), "libx265", False),
        ("part2.avi", range(0, 2000, 40), "mpeg4", False),
        ("turned.mp4", range(0, 2000, 40), "libx264", True),
        ("uneven.mkv", UNEVEN_MS, "libx264", False),
    ],
)
def test_stills_of_an_uploaded_clip(alice, tmp_path, name, times_ms, codec, is_turned):
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    clip = write(tmp_path / name, times_ms, codec, quiet)
    if is_turned:
        turn(clip)
    scan = wait_for(alice, upload(alice, clip, plan="interval")["id"])
    assert scan["state"] == "done", scan
    times = alice.get(scan["links"]["times"]).json()
    assert [round(each * 1000) for each in times["items"]] == list(times_ms)
    for number in (0, 7, 8, 4):
        image, headers = still(alice, scan, times["items"][number], reveal=True)
        assert float(headers["Ordnance-PTS"]) == pytest.approx(times_ms[number] / 1000, abs=1e-6)
        if is_turned:
            assert image.shape[:2] == (WIDTH, HEIGHT)
            assert shown(np.rot90(image)) == number
        else:
            assert shown(image) == number
    veiled, _ = still(alice, scan, times["items"][7])
    assert np.ptp(veiled.astype(int), axis=2).max() <= 12
    assert alice.delete(scan["links"]["self"]).status_code == 204
    assert alice.get(scan["links"]["still"], params={"pts": 0}).status_code == 404


def test_two_reviewers_a_report_and_an_export(server, alice, scan):
    url = f"/v1/scans/{scan['id']}/appearances/1/verdict"
    with server.client(server.key("alice", "--note", "Ben", "--scopes", "read,review")) as ben:
        assert alice.put(url, json={"verdict": "confirmed", "note": "a <b>Humvee</b>"}).status_code == 200
        assert ben.put(url, json={"verdict": "wrong"}).status_code == 200
        summary = alice.get(scan["links"]["verdicts"]).json()["summary"]
        assert summary["1"]["state"] == "disagreed"
        assert ben.put(url, json={"verdict": "confirmed"}).status_code == 200
    plain = alice.get(scan["links"]["report.json"]).json()
    reviewed = alice.get(scan["links"]["report.json"], params={"verdicts": "1"}).json()
    assert plain["review"] is None
    assert {**reviewed, "review": None} == plain
    Report.from_json(json.dumps(reviewed))
    assert [each["reviewer"] for each in reviewed["review"][0]["verdicts"]] == ["Ann", "Ben"]
    page = alice.get(scan["links"]["report.html"]).text
    assert "2 reviewers agree" in page
    assert "a &lt;b&gt;Humvee&lt;/b&gt;" in page
    assert "reviewers agree" not in alice.get(scan["links"]["report.html"], params={"verdicts": "0"}).text
    archive = zipfile.ZipFile(BytesIO(alice.get(f"/v1/scans/{scan['id']}/verdicts.yolo.zip").content))
    assert sum(name.startswith("images/") for name in archive.namelist()) >= 2


def test_pictures_that_a_report_page_has_no_room_for_are_linked_to_where_they_are(server, alice, scan, monkeypatch):
    monkeypatch.setattr(html, "EMBEDDED_BYTES", -1)
    app = create_app(load_settings(store=server.store, allow_anonymous=False))
    try:
        with httpx.Client(base_url=server.url, transport=InProcess(app), headers=alice.headers) as client:
            page = client.get(scan["links"]["report.html"]).text
    finally:
        app.state.context.viewer.close()
        app.state.context.jobs.close()
        app.state.context.database.close()
    links = re.findall(r'<a href="([^"#]+)">Open', page)
    assert len(links) >= 2
    for each in links:
        answer = alice.get(each)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg"), each


def test_a_browser_stays_signed_in_over_a_restart_and_its_verdicts_stay(start, bands, humvee):
    server = start("sessions", ALLOW_ANONYMOUS="false")
    server.wait_ready()
    key = server.key("carol")
    with httpx.Client(base_url=server.url, timeout=60, transport=httpx.HTTPTransport(retries=5)) as browser:
        assert browser.get("/v1/scans").status_code == 401
        signed = browser.post("/v1/session", json={"key": key}, headers={"Origin": server.url})
        csrf = {"X-CSRF-Token": signed.json()["csrf"], "Origin": server.url, "Sec-Fetch-Site": "same-origin"}
        assert browser.post("/v1/scans", content=humvee.read_bytes()).status_code == 403
        made = browser.post("/v1/scans", params={"name": "h.mp4"}, content=humvee.read_bytes(), headers=csrf)
        scan = wait_for(browser, made.json()["id"])
        url = f"/v1/scans/{scan['id']}/appearances/1/verdict"
        assert browser.put(url, json={"verdict": "unsure"}, headers=csrf).status_code == 200
        for foreign in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert browser.put(url, json={"verdict": "wrong"}, headers={**csrf, **foreign}).status_code == 403
        server.kill()
        server.start()
        known = browser.get("/v1/session").json()
        assert (known["owner"], known["csrf"]) == ("carol", csrf["X-CSRF-Token"])
        assert browser.get(scan["links"]["verdicts"]).json()["items"][0]["verdict"] == "unsure"
        with browser.stream("GET", scan["links"]["events"]) as events:
            assert events.status_code == 200
        assert browser.delete("/v1/session", headers=csrf).status_code == 204
        assert browser.get(scan["links"]["self"]).status_code == 401


def test_a_keyless_server_lets_programs_on_this_machine_in_and_no_foreign_page(server, alice):
    with server.client() as program:
        assert program.get("/v1/session").json()["owner"] == "local"
        assert program.put("/v1/preferences", json={"blur": 30}).status_code == 200
        for foreign in (
            {"Host": "evil.example"},
            {"Host": f"evil.example:{server.port}"},
            {"Origin": "https://evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
        ):
            assert program.get("/v1/preferences", headers=foreign).status_code in (401, 403)
            assert program.put("/v1/preferences", json={"blur": 1}, headers=foreign).status_code in (401, 403)
        assert program.get("/v1/preferences").json()["blur"] == 30
