"""Blob stores and databases that fail for a while, and bytes that were damaged: nothing is lost, and errors say it."""

import asyncio
import errno
import hashlib
import itertools
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from review_app import ReviewApp
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from worker_desk import desk_of

from service.api.live import Hub
from service.jobs import workflow
from service.jobs.journal import KeptScan
from service.settings import load_settings
from service.store.blobs import FsspecBlobs, open_blobs
from service.store.clips import drop_copies, remove_marked
from service.store.removal import remove_scan, tidy
from service.store.tables import BlobRow

AWAY = OSError("EndpointConnectionError: Could not connect to the endpoint URL")
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def app(tmp_path):
    app = ReviewApp(tmp_path)
    yield app
    app.close()


@pytest.fixture
def desk(app):
    with desk_of(app) as desk:
        yield desk


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr("service.jobs.patience.STORE_PAUSE_SECONDS", 0.01)


def failing(monkeypatch, blobs, method, error, times=10**9):
    """Have a method of the store fail so often, then work."""
    real, failures = getattr(blobs, method), iter(range(times))

    def fail(*given):
        if next(failures, None) is not None:
            raise error
        return real(*given)

    monkeypatch.setattr(blobs, method, fail)


def scanned(app, desk, clip):
    """The scan of the clip, once a worker has done what it does, and had another go where it is still open."""
    workflow.use(desk)
    with app.client() as client:
        params = {"plan": "interval", "every_s": 1, "name": "clip.mp4"}
        scan = client.post("/v1/scans", params=params, content=clip).json()
        for _ in range(3):
            if scan["state"] in ("queued", "running"):
                workflow.scan.__wrapped__(scan["id"])
                scan = client.get(f"/v1/scans/{scan['id']}").json()
        return scan


@pytest.mark.parametrize("method", ["local_path", "put_bytes"])
def test_a_scan_waits_for_a_store_that_is_away(app, desk, humvee, monkeypatch, method):
    failing(monkeypatch, desk.blobs, method, AWAY, 3)
    failing(monkeypatch, desk.blobs, "check", AWAY, 30)
    assert scanned(app, desk, humvee.read_bytes())["state"] == "done"


@pytest.mark.parametrize("error", [AWAY, FULL])
@pytest.mark.parametrize("method", ["local_path", "put_bytes"])
def test_a_scan_whose_clip_or_pictures_a_working_store_refuses_ends_with_the_reason(
    app, desk, humvee, monkeypatch, method, error
):
    failing(monkeypatch, desk.blobs, method, error)
    scan = scanned(app, desk, humvee.read_bytes())
    assert (scan["state"], scan["error"]["code"]) == ("failed", "store_failed")
    assert (error.strerror or str(error)) in scan["error"]["message"]


def test_a_scan_waits_for_a_database_that_is_away(app, desk, humvee, monkeypatch):
    looks = iter(range(3))
    real = desk.wanted._look

    def look():
        if next(looks, None) == 1:
            raise OperationalError("SELECT 1", {}, Exception("the database system is shutting down"))
        real()

    monkeypatch.setattr(desk.wanted, "_look", look)
    monkeypatch.setattr("service.jobs.wanted.LOOK_SECONDS", 0)
    assert scanned(app, desk, humvee.read_bytes())["state"] == "done"


def test_a_clip_that_was_damaged_in_the_store_is_not_scanned_as_if_it_were_whole(app, desk, humvee):
    clip = humvee.read_bytes()
    with app.client() as client:
        for damaged in (clip[: len(clip) // 2], b"x" + clip[1:-1] + b"x", clip[:-1000] + b"x" * 1000):
            first = client.post("/v1/scans", params={"plan": "keyframes"}, content=clip).json()
            path = desk.blobs.local_path(first["clip"]["sha256"])
            path.unlink()
            path.write_bytes(damaged)
            workflow.use(desk)
            workflow.scan.__wrapped__(first["id"])
            ended = client.get(f"/v1/scans/{first['id']}").json()
            assert (ended["state"], ended["error"]["code"]) == ("failed", "clip_damaged")
            again = client.post("/v1/scans", params={"plan": "keyframes"}, content=clip).json()
            workflow.scan.__wrapped__(again["id"])
            assert client.get(f"/v1/scans/{again['id']}").json()["state"] == "done"
            assert client.get(f"/v1/scans/{again['id']}/clip").content == clip
            client.delete(f"/v1/scans/{again['id']}")


def test_what_is_gone_from_the_store_is_said_and_the_rest_of_a_report_is_shown(app, desk, humvee):
    scan = scanned(app, desk, humvee.read_bytes())
    with app.client() as client:
        (found,) = client.get(scan["links"]["appearances"]).json()["items"]
        whole = client.get(scan["links"]["report.html"])
        for each in app.context.blobs.names():
            desk.blobs.delete(each[0])
        app.context.viewer.forget(scan["clip"]["sha256"])
        for url in (
            *found["links"].values(),
            scan["links"]["clip"],
            f"/v1/scans/{scan['id']}/still?pts=1",
            f"/v1/scans/{scan['id']}/times",
        ):
            answer = client.get(url)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), url
            assert "gone from the store" in answer.json()["detail"], url
        page = client.get(scan["links"]["report.html"])
        assert page.status_code == 200
        assert page.text.count("data:image/jpeg") < whole.text.count("data:image/jpeg")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(AWAY, 503, "not_ready"), (PermissionError("Forbidden"), 503, "not_ready"), (FULL, 507, "storage_full")],
)
def test_an_upload_that_the_store_does_not_take_can_be_sent_again(app, monkeypatch, error, status, code):
    clip = os.urandom(1000)
    with app.client() as client:
        failing(monkeypatch, app.context.blobs, "put_file", error, 1)
        answer = client.post("/v1/scans", content=clip)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        made = client.post("/v1/scans", content=clip)
        assert made.status_code == 202
        assert client.get(f"/v1/scans/{made.json()['id']}/clip").content == clip


def test_a_resumable_upload_whose_last_byte_meets_a_failing_store_gets_its_scan_later(app, monkeypatch):
    clip = os.urandom(1000)
    headers = {"Tus-Resumable": "1.0.0"}
    with app.client() as client:
        url = client.post("/v1/uploads", headers={**headers, "Upload-Length": "1000"}).headers["Location"]
        failing(monkeypatch, app.context.blobs, "put_file", AWAY, 1)
        patch = {**headers, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
        assert client.patch(url, content=clip, headers=patch).status_code == 503
        asked = client.head(url, headers=headers)
        assert asked.headers["Upload-Offset"] == "1000"
        assert client.get(f"{asked.headers['Ordnance-Scan']}/clip").content == clip


@pytest.fixture
def hanging_bucket():
    """The address of a bucket that says what it does not have, and to anything else nothing."""
    over = threading.Event()

    class Bucket(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(404)

        def parse_request(self):
            # http.server itself would answer `Expect: 100-continue`.
            if not self.raw_requestline.startswith(b"HEAD"):
                over.wait()
                return False
            return super().parse_request()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Bucket) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        over.set()
        server.shutdown()
        thread.join()


def test_a_bucket_that_never_answers_counts_as_away(tmp_path, hanging_bucket):
    clip = tmp_path / "clip"
    clip.write_bytes(b"clip")
    options = {"key": "a", "secret": "b", "endpoint_url": hanging_bucket}
    settings = load_settings(store=tmp_path, blob_url="s3://clips", blob_options=options, blob_stall_seconds=0.3)
    blobs = open_blobs(settings)
    calls = {
        "check": blobs.check,
        "put_file": lambda: blobs.put_file("a" * 64, clip),
        "put_bytes": lambda: blobs.put_bytes("b" * 64, b"picture"),
        "read": lambda: blobs.read("c" * 64),
        "local_path": lambda: blobs.local_path("d" * 64),
        "delete": lambda: blobs.delete("e" * 64),
    }
    errors = {}

    def ask(name):
        try:
            calls[name]()
        except OSError as error:
            errors[name] = error

    waiting = [threading.Thread(target=ask, args=(name,), daemon=True) for name in calls]
    for each in waiting:
        each.start()
    for each in waiting:
        each.join(30)
    assert set(errors) == set(calls)
    assert not any(isinstance(error, FileNotFoundError) for error in errors.values())


def test_a_database_that_does_not_answer_is_no_fault_of_the_program(app, monkeypatch):
    def fail(*_):
        raise OperationalError("SELECT 1", {}, Exception("connection to server at 10.0.0.7 failed"))

    with app.client() as client:
        monkeypatch.setattr(app.database, "_read", fail)
        answer = client.get("/v1/scans")
    assert (answer.status_code, answer.json()["code"], "10.0.0.7" in answer.text) == (503, "not_ready", False)
    assert answer.headers["Retry-After"] == "5"


def test_an_outage_of_the_database_is_logged_once_by_those_who_follow_a_scan(app, monkeypatch, caplog):
    monkeypatch.setattr("service.api.live.LOOK_SECONDS", 0.01)
    hub, real, reads, failed = Hub(app.database), app.database.read, itertools.count(), []
    with app.client() as client:
        scan_id = client.post("/v1/scans", content=b"no film").json()["id"]

    @contextmanager
    def read():
        # The first one is the listener's own.
        if next(reads) and len(failed) < 4:
            failed.append("away")
            raise OperationalError("SELECT 1", {}, Exception("the database system is shutting down"))
        with real() as session:
            yield session

    async def follow():
        looking = asyncio.ensure_future(hub.run())
        kinds = [event["event"] async for event in hub.events("local", scan_id, 0)]
        looking.cancel()
        return kinds

    def end():
        while len(failed) < 4:
            time.sleep(0.01)
        with app.client() as client:
            client.delete(f"/v1/scans/{scan_id}")

    monkeypatch.setattr(app.database, "read", read)
    with ThreadPoolExecutor() as pool:
        ending = pool.submit(end)
        assert asyncio.run(follow()) == ["state", "gone"]
        ending.result()
    assert sum("events cannot be read" in each.message for each in caplog.records) == 1


def test_a_removal_is_finished_when_the_store_answers_again(app, monkeypatch):
    clips = [os.urandom(1000) for _ in range(3)]
    with app.client() as client:
        scans = [client.post("/v1/scans", content=clip).json() for clip in clips]
        failing(monkeypatch, app.context.blobs, "delete", AWAY, 1)
        for scan in scans:
            assert client.delete(f"/v1/scans/{scan['id']}").status_code == 204
        assert [app.context.blobs.has(scan["clip"]["sha256"]) for scan in scans] == [True, False, False]
        remove_marked(app.database, app.context.blobs)
        assert not list(app.context.blobs.names())


def test_nobody_waits_for_a_store_that_hangs_over_a_removal(app, monkeypatch):
    begun, over = threading.Event(), threading.Event()

    def hang(_):
        begun.set()
        assert over.wait(60)

    with app.client() as client:
        first, second = (client.post("/v1/scans", content=os.urandom(1000)).json()["id"] for _ in range(2))
        monkeypatch.setattr(app.context.blobs, "delete", hang)
        monkeypatch.setattr("service.store.clips.DELETING_WAIT_SECONDS", 0.1)
        monkeypatch.setattr("service.store.database.BUSY_SECONDS", 0.1)
        app.database.close()
        removing = threading.Thread(target=remove_scan, args=(app.database, app.context.blobs, "local", first))
        removing.start()
        try:
            assert begun.wait(30)
            assert client.post("/v1/scans", content=b"another clip").status_code == 202
            assert client.delete(f"/v1/scans/{second}").status_code == 204
        finally:
            over.set()
            removing.join()
        with app.database.read() as session:
            (marked,) = session.scalars(select(BlobRow.sha256).where(BlobRow.deleting))
        remove_marked(app.database, app.context.blobs, [marked])
        with app.database.read() as session:
            assert not list(session.scalars(select(BlobRow).where(BlobRow.deleting)))


def test_one_blob_that_cannot_be_removed_holds_no_other_up(app, monkeypatch):
    clips = [os.urandom(1000) for _ in range(3)]
    with app.client() as client:
        scans = [client.post("/v1/scans", content=clip).json() for clip in clips]
        with monkeypatch.context() as away:
            failing(away, app.context.blobs, "delete", AWAY)
            for scan in scans:
                client.delete(f"/v1/scans/{scan['id']}")
        failing(monkeypatch, app.context.blobs, "delete", PermissionError("Forbidden"), 1)
        removed = tidy(app.settings, app.database, app.context.blobs, lambda _: None)
        assert removed["blobs"] == 2
        assert tidy(app.settings, app.database, app.context.blobs, lambda _: None)["blobs"] == 1


def test_no_copy_of_a_removed_clip_stays_on_another_machine(tmp_path):
    url = f"file://{tmp_path / 'bucket'}"
    app = ReviewApp(tmp_path, blob_url=url, blob_options={"auto_mkdir": True})
    cache = tmp_path / "elsewhere"
    elsewhere = FsspecBlobs(url, {"auto_mkdir": True}, cache, 10**9)
    with app.client() as client:
        scans = [client.post("/v1/scans", content=os.urandom(1000)).json() for _ in range(2)]
        for scan in scans:
            elsewhere.local_path(scan["clip"]["sha256"])
        assert client.delete(f"/v1/scans/{scans[0]['id']}").status_code == 204
    tidy(app.settings, app.database, elsewhere, lambda _: None)
    app.close()
    assert [path.name for path in cache.iterdir()] == [scans[1]["clip"]["sha256"]]


@pytest.fixture
def cached(tmp_path):
    """An app whose clips lie in a bucket, with the bucket as another machine sees it."""
    url = f"file://{tmp_path / 'bucket'}"
    settings = {"blob_url": url, "blob_options": {"auto_mkdir": True}, "segment_samples": 4, "min_free_bytes": 5000}
    app = ReviewApp(tmp_path, **settings)
    yield app, FsspecBlobs(url, {"auto_mkdir": True}, tmp_path / "elsewhere", 10**9)
    app.close()


@pytest.mark.parametrize("harm", ["damaged", "gone"])
def test_a_copy_that_is_damaged_or_goes_is_fetched_anew(cached, humvee, monkeypatch, harm):
    app, elsewhere = cached
    with desk_of(app) as desk:
        desk.blobs = elsewhere
        copy = elsewhere.local_path(put(app, humvee))
        if harm == "damaged":
            content = copy.read_bytes()
            copy.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
        else:
            real = KeptScan._save

            def save(self, number, parts, carry):
                real(self, number, parts, carry)
                if number == 0:
                    monkeypatch.setattr(KeptScan, "_save", real)
                    shutil.rmtree(copy.parent)

            monkeypatch.setattr(KeptScan, "_save", save)
        scan = scanned(app, desk, humvee.read_bytes())
    assert scan["state"] == "done", scan["error"]
    with app.client() as client:
        assert client.get(scan["links"]["report.json"]).json()["appearances"]
    assert copy.read_bytes() == humvee.read_bytes()


def put(app, clip):
    sha256 = hashlib.sha256(clip.read_bytes()).hexdigest()
    app.context.blobs.put_file(sha256, clip)
    return sha256


def test_the_copy_that_a_scan_reads_counts_as_just_read(cached, humvee, monkeypatch):
    app, elsewhere = cached
    ages = []
    with desk_of(app) as desk:
        desk.blobs = elsewhere
        copy = elsewhere.local_path(put(app, humvee))
        real = KeptScan._save

        def save(self, number, parts, carry):
            real(self, number, parts, carry)
            ages.append(copy.stat().st_mtime)
            os.utime(copy, (1.0, 1.0))

        monkeypatch.setattr(KeptScan, "_save", save)
        assert scanned(app, desk, humvee.read_bytes())["state"] == "done"
    assert len(ages) > 1
    assert 1.0 not in ages


def test_copies_give_way_before_the_disk_is_full(tmp_path, monkeypatch):
    url, size = f"file://{tmp_path / 'bucket'}", 1000
    blobs = FsspecBlobs(url, {"auto_mkdir": True}, tmp_path / "cache", 10**9, min_free_bytes=5000)
    for name in "abc":
        blobs.put_bytes(name * 64, name.encode() * size)
    for name, hours in (("a", 3), ("b", 2)):
        at = time.time() - 3600 * hours
        os.utime(blobs.local_path(name * 64), (at, at))

    def usage(_):
        held = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("data"))
        return SimpleNamespace(free=5000 + 2 * size - held)

    monkeypatch.setattr("service.store.blobs.shutil.disk_usage", usage)
    assert blobs.local_path("c" * 64).read_bytes() == b"c" * size
    assert sorted(blobs.copies()) == ["b" * 64, "c" * 64]


def test_copies_give_way_to_an_upload(cached, monkeypatch):
    app, _ = cached
    cache = app.settings.store / "cache"

    def usage(_):
        return SimpleNamespace(free=5500 - sum(path.stat().st_size for path in cache.rglob("data")))

    with app.client() as client:
        first = client.post("/v1/scans", content=os.urandom(1000)).json()
        copy = app.context.blobs.local_path(first["clip"]["sha256"])
        monkeypatch.setattr("shutil.disk_usage", usage)
        assert client.post("/v1/scans", content=os.urandom(400)).status_code == 507
        os.utime(copy, (1.0, 1.0))
        assert client.post("/v1/scans", content=os.urandom(400)).status_code == 202
    assert not copy.exists()


def test_more_copies_than_a_statement_may_hold_are_seen_to(cached):
    app, elsewhere = cached
    with app.client() as client:
        scan = client.post("/v1/scans", content=b"clip").json()
    elsewhere.local_path(scan["clip"]["sha256"])
    elsewhere.copies = lambda: [*(f"{number:064x}" for number in range(300_000)), scan["clip"]["sha256"]]
    dropped = []
    elsewhere.drop_copy = dropped.append
    drop_copies(app.database, elsewhere)
    assert len(dropped) == 300_000
    assert scan["clip"]["sha256"] not in dropped
