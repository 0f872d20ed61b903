import hashlib
import hmac
import json
import os
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from review_app import ReviewApp
from service_server import upload, wait_for
from sqlalchemy import text
from worker_desk import desk_of, worker_beside

from service.client import Client, ServerError
from service.jobs import workflow
from service.store.tables import ScanRow

SECRET = "between-us"


@pytest.fixture
def receiver():
    """A server that refuses the first note and takes those after it; yields (address, notes)."""
    notes, arrived = [], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            notes.append((self.headers["Ordnance-Signature"], body))
            self.send_response(500 if len(notes) == 1 else 204)
            self.end_headers()
            if len(notes) == 2:
                arrived.set()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, notes, arrived
    server.shutdown()
    server.server_close()


def test_a_webhook_is_signed_and_sent_again_until_it_is_taken(start, receiver, bands):
    port, notes, arrived = receiver
    server = start(WEBHOOK_HOSTS=f"127.0.0.1:{port}", WEBHOOK_SECRET=SECRET)
    with server.client() as client:
        refused = client.post("/v1/scans", content=b"x", params={"webhook": "http://127.0.0.1:1/"})
        assert refused.json()["code"] == "bad_option"
        scan = upload(client, bands, webhook=f"http://127.0.0.1:{port}/told?x=1")
        wait_for(client, scan["id"])
    assert arrived.wait(120)
    (_, first), (signature, second) = notes
    assert first == second
    note = json.loads(second)
    assert (note["scan"], note["state"], note["name"]) == (scan["id"], "done", "bands.mp4")
    at, mac = (part.split("=")[1] for part in signature.split(","))
    assert hmac.compare_digest(mac, hmac.new(SECRET.encode(), f"{at}.".encode() + second, hashlib.sha256).hexdigest())
    assert SECRET not in server.log.read_text()


class Told:
    """What a server on loopback was told, by path. Paths that hold `fail` are refused, `refusals` other notes too."""

    def __init__(self, refusals=0):
        self.notes, self.changed = [], threading.Condition()
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                note = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with told.changed:
                    told.notes.append((self.path, note))
                    told.changed.notify_all()
                    refused = "fail" in self.path or len(told.notes) <= refusals
                self.send_response(500 if refused else 204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, path, times=1, seconds=60):
        """The notes to `path` once there are so many."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.to(path)) >= times, seconds), self.notes
            return self.to(path)

    def to(self, path):
        return [note for each, note in self.notes if each == path]


def test_a_webhook_goes_out_at_once_behind_many_that_fail(start, bands):
    with Told() as told:
        server = start(WEBHOOK_HOSTS=told.host, WEBHOOK_SECRET=SECRET)
        with server.client() as client:
            for number in range(9):
                hook = f"http://{told.host}/fail-{number}"
                scan = upload(client, bands, plan="interval", every_s=1 + number / 10, webhook=hook)
                wait_for(client, scan["id"])
            for number in range(9):
                told.wait_for(f"/fail-{number}")
            scan = upload(client, bands, webhook=f"http://{told.host}/good")
            (note,) = told.wait_for("/good", seconds=20)
            assert note["scan"] == scan["id"]
            told.wait_for("/fail-0", times=2)


def test_a_webhook_that_failed_is_sent_again_after_kill_9(start, bands):
    with Told(refusals=1) as told:
        server = start(WEBHOOK_HOSTS=told.host, WEBHOOK_SECRET=SECRET)
        with server.client() as client:
            scan = upload(client, bands, webhook=f"http://{told.host}/told")
            told.wait_for("/told", seconds=240)
        workers = server.worker_pids()
        server.kill()
        for worker in workers:
            os.kill(worker, 9)
        server.start()
        first, second = told.wait_for("/told", times=2)
    assert first == second
    assert second["scan"] == scan["id"]


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:99999/x", "http://127.0.0.1:abc/", "http://127.0.0.1:0/", "http://[x/y", "http://127.0.0.1/\0x"],
)
def test_an_address_that_cannot_be_sent_to_is_refused_in_a_sentence(start, address):
    server = start(WORKERS=0, WEBHOOK_HOSTS="127.0.0.1", WEBHOOK_SECRET=SECRET)
    with server.client() as client:
        answer = client.post("/v1/scans", content=b"x", params={"webhook": address})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_option")
    assert "is not a webhook address" in answer.json()["detail"]


def test_a_host_that_is_allowed_at_one_port_is_refused_at_another_by_name_and_port(start):
    server = start(WORKERS=0, WEBHOOK_HOSTS="127.0.0.1:8443", WEBHOOK_SECRET=SECRET)
    with server.client() as client:
        answer = client.post("/v1/scans", content=b"x", params={"webhook": "http://127.0.0.1:8444/hook"})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_option")
    assert "127.0.0.1:8444" in answer.json()["detail"]


def test_a_resumable_upload_for_a_scan_with_another_webhook_is_refused_for_good(start, bands):
    server = start(WORKERS=0, WEBHOOK_HOSTS="127.0.0.1", WEBHOOK_SECRET=SECRET)

    def wait(reason):
        raise AssertionError(reason)

    with Client(server.url, on_wait=wait) as client:
        first = client.submit(bands, webhook="http://127.0.0.1/one")
        with pytest.raises(ServerError, match=f"Scan {first.id} does the same already and has another webhook"):
            client.submit(bands, webhook="http://127.0.0.1/two")
    assert list((server.store / "uploads").iterdir()) == []


def test_an_address_with_a_space_or_an_umlaut_is_sent_to_percent_encoded(start, bands):
    with Told() as told:
        server = start(WEBHOOK_HOSTS=told.host, WEBHOOK_SECRET=SECRET)
        with server.client() as client:
            scan = upload(client, bands, webhook=f"http://{told.host}/schön a%20b?an=ü#part")
        (note,) = told.wait_for("/sch%C3%B6n%20a%20b?an=%C3%BC", seconds=240)
    assert note["scan"] == scan["id"]


def test_a_host_that_cannot_be_looked_up_is_a_failed_attempt(start, bands):
    server = start(WEBHOOK_HOSTS="a..example", WEBHOOK_SECRET=SECRET)
    with server.client() as client:
        wait_for(client, upload(client, bands, webhook="http://a..example/")["id"])
    deadline = time.monotonic() + 30
    while "webhook failed: " not in server.log.read_text():
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.2)


def test_the_webhook_of_a_request_that_only_repeats_is_told_as_well(start, bands):
    with Told() as told:
        server = start(WORKERS=0, WEBHOOK_HOSTS=told.host, WEBHOOK_SECRET=SECRET)
        with server.client() as client:
            first = upload(client, bands)["id"]
            assert upload(client, bands, webhook=f"http://{told.host}/waiting")["id"] == first
            other = upload(client, bands, plan="interval")["id"]
        server.stop()
        server.settings["WORKERS"] = 1
        server.start()
        with server.client() as client:
            assert told.wait_for("/waiting", seconds=240)[0]["scan"] == first
            wait_for(client, other)
            hook = f"http://{told.host}/done"
            assert upload(client, bands, plan="interval", webhook=hook)["id"] == other
            (note,) = told.wait_for("/done")
            assert (note["scan"], note["state"]) == (other, "done")

            assert upload(client, bands, plan="interval", webhook=hook)["id"] == other
            again = client.post(f"/v1/scans/{other}/rescan", json={"plan": "interval", "webhook": hook + "-elsewhere"})
            assert (again.status_code, again.json()["code"]) == (409, "conflict")
            assert other in again.json()["detail"]
            assert told.to("/done-elsewhere") == []


def test_the_webhook_of_a_scan_that_runs_can_be_given_later(start, humvee):
    with Told() as told:
        server = start(WEBHOOK_HOSTS=told.host, WEBHOOK_SECRET=SECRET)
        with server.client() as client:
            scan = upload(client, humvee, plan="every-frame")["id"]
            wait_for(client, scan, "running")
            assert upload(client, humvee, plan="every-frame", webhook=f"http://{told.host}/late")["id"] == scan
            (note,) = told.wait_for("/late", seconds=240)
        assert (note["scan"], note["state"]) == (scan, "done")


def test_the_list_of_settings_says_how_a_signature_is_checked():
    from service.jobs.webhooks import SIGNATURE_HEADER, sign
    from service.settings import describe

    (words,) = (words for name, _, words in describe() if name == "ORDNANCE_WEBHOOK_SECRET")
    assert f"{SIGNATURE_HEADER} is t=SECONDS,v1=HEX, with the HMAC SHA-256 of SECONDS.BODY" in words
    by_the_words = hmac.new(b"secret", b'5.{"event": "scan.ended"}', hashlib.sha256).hexdigest()
    assert sign("secret", 5, b'{"event": "scan.ended"}') == f"t=5,v1={by_the_words}"


@pytest.fixture
def app(tmp_path):
    app = ReviewApp(tmp_path, webhook_hosts=("127.0.0.1",), webhook_secret=SECRET)
    yield app
    app.close()


@pytest.mark.parametrize("end", ["done", "failed", "given up"])
def test_a_scan_has_its_webhook_in_the_queue_the_moment_it_has_ended(app, bands, monkeypatch, end):
    """The worker is killed just then."""
    clip = b"no clip" if end == "failed" else bands.read_bytes()
    with desk_of(app) as desk, app.client() as client:
        workflow.use(desk)
        params = {"name": "bands.mp4", "webhook": "http://127.0.0.1/told"}
        scan = client.post("/v1/scans", params=params, content=clip).json()["id"]
        if end == "given up":
            monkeypatch.setattr("service.jobs.scanning.MAX_ATTEMPTS_WITHOUT_PROGRESS", 0)
        real = app.database.write

        @contextmanager
        def write():
            with real() as session:
                yield session
            with app.database.read() as session:
                if session.get(ScanRow, scan).finished_at is not None:
                    raise KeyboardInterrupt

        monkeypatch.setattr(app.database, "write", write)
        with pytest.raises(KeyboardInterrupt):
            workflow.scan.__wrapped__(scan)
    with app.database.read() as session:
        queued = session.execute(text("SELECT workflow_uuid, status FROM workflow_status WHERE name = 'webhook'")).all()
    assert queued == [(f"webhook-{scan}", "ENQUEUED")]


def test_a_database_that_fails_for_a_moment_ends_no_webhook(tmp_path, bands):
    with Told() as told:
        app = ReviewApp(tmp_path, webhook_hosts=(told.host,), webhook_secret=SECRET)
        with app.client() as client:
            params = {"name": "bands.mp4", "webhook": f"http://{told.host}/told"}
            scan = client.post("/v1/scans", params=params, content=bands.read_bytes()).json()["id"]
        words = (
            "from service.jobs import webhooks",
            "from sqlalchemy.exc import OperationalError",
            "real, failures = webhooks.deliver, iter(range(2))",
            "def deliver(*given):",
            "    if next(failures, None) is not None:",
            "        raise OperationalError('SELECT', {}, Exception('the database is shutting down'))",
            "    return real(*given)",
            "webhooks.deliver = deliver",
        )
        environment = {"ORDNANCE_WEBHOOK_HOSTS": told.host, "ORDNANCE_WEBHOOK_SECRET": SECRET}
        with worker_beside(app, *words, **environment) as wait_until:
            wait_until(lambda: told.to("/told"))
        app.close()
    (note,) = told.to("/told")
    assert (note["scan"], note["state"]) == (scan, "done")
