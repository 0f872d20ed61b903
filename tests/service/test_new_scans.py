"""How scans are made: what may be sent and asked for, what is refused and in which words."""

import hashlib
import io

import httpx
import pytest
from service_server import upload, wait_for


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
    refused = client.get(f"/v1/scans/{scan['id']}/report.json")
    assert refused.status_code == 409
    assert refused.json()["detail"].endswith(ended["error"]["message"])


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


@pytest.mark.parametrize("place", ["data", "params"])
def test_an_option_that_is_given_twice_is_refused(client, bands, place):
    given = {place: {"classes": ["tank", "humvee"]}}
    with bands.open("rb") as file:
        answer = client.post("/v1/scans", files={"file": ("a.mp4", file)}, **given)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_option")
    assert answer.json()["detail"] == "'classes' is given more than once; give it once, with commas between."


def test_a_name_that_a_client_sends_in_the_extended_form_is_the_clips(client):
    """As .NET sends it; older Python clients send `filename*` alone."""
    names = "filename=\"=?utf-8?B?0LHQvtC5Lm1wNA==?=\"; filename*=utf-8''%D0%B1%D0%BE%D0%B9%201.mp4"
    body = f'--b\r\nContent-Disposition: form-data; name="file"; {names}\r\n\r\nno film\r\n--b--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    scan = client.post("/v1/scans", content=body.encode(), headers=headers).json()
    assert scan["clip"]["name"] == "бой 1.mp4"


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


def test_an_upload_announced_too_large_is_refused_before_its_body(server):
    import socket

    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(
            b"POST /v1/scans?name=a.mp4 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")


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
