"""Requests of one owner that come at the same time, on both databases."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from review_app import ReviewApp
from sqlalchemy import create_engine, delete, select, text
from sqlalchemy.orm import Session, make_transient
from test_backends import postgres  # noqa: F401
from worker_desk import desk_of

from service import intake
from service.access.keys import create_key
from service.api import proposals, scans
from service.jobs.heartbeat import Heartbeat, bury, counted
from service.jobs.scanning import begin, run_scan
from service.store import removal
from service.store.clips import GRACE_SECONDS, hold_clip, remove_marked, sweep
from service.store.database import now
from service.store.removal import remove_scan
from service.store.scans import move_scan
from service.store.tables import OPEN_STATES, AppearanceRow, ClipRow, IdempotencyRow, ScanRow, ScanState, UsageRow

MANY = 6


@pytest.fixture(params=["sqlite", "postgresql"])
def app(request, tmp_path):
    settings = {}
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres")
        name = f"at_once_{os.urandom(4).hex()}"
        plain = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
        with plain.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        plain.dispose()
        settings["database_url"] = f"{url.rsplit('/', 1)[0]}/{name}"
    app = ReviewApp(tmp_path, **settings)
    yield app
    app.close()


def at_once(ask, *given):
    """What `ask` returns for each, called at the same moment."""
    start = threading.Barrier(len(given))

    def one(each):
        start.wait()
        return ask(each)

    with ThreadPoolExecutor(len(given)) as threads:
        return list(threads.map(one, given))


def send(app, content, key=None, **headers):
    with app.client(key) as client:
        return client.post("/v1/scans", content=content, headers=headers)


def test_the_first_uploads_of_a_day_are_all_taken_and_counted(app):
    clips = [os.urandom(1000 + number) for number in range(MANY)]
    answers = at_once(lambda clip: send(app, clip), *clips)
    assert [answer.status_code for answer in answers] == [202] * MANY
    with app.database.read() as session:
        assert list(session.scalars(select(UsageRow.bytes))) == [sum(map(len, clips))]


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "one"}])
def test_one_clip_sent_more_than_once_is_one_scan(app, headers):
    clip = os.urandom(1000)
    answers = at_once(lambda _: send(app, clip, **headers), *range(MANY))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_settings_that_are_changed_at_once_are_all_kept(app):
    def change(given):
        with app.client() as client:
            return client.put("/v1/preferences", json=given).status_code

    changes = [{"blur": 30}, {"grey": False}, {"sound": True}, {"thumbnail_px": 100}]
    assert at_once(change, *changes) == [200] * len(changes)
    with app.client() as client:
        kept = client.get("/v1/preferences").json()
    assert all(kept.items() >= change.items() for change in changes)


def test_what_dead_workers_counted_is_added_up(app):
    names = [f"worker-{number}" for number in range(MANY)]
    for name in names:
        heart = Heartbeat(app.database, name)
        heart.begin()
        heart.beat(ready=True, model="m", counters={"samples": 2})
    at_once(lambda name: bury(app.database, [name]), *names)
    assert counted(app.database) == {"samples": 2.0 * MANY}


def test_no_more_scans_wait_than_the_key_allows(app):
    key = create_key(app.database, "alice", concurrent_scans=1)
    answers = at_once(lambda clip: send(app, clip, key), *(os.urandom(1000) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [202, 429, 429, 429]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 429} == {"quota_exceeded"}


def test_a_clip_whose_last_scan_is_removed_while_it_comes_again_is_kept(app, monkeypatch):
    clip = os.urandom(1000)
    earlier = send(app, clip).json()["id"]
    put = app.context.blobs.put_file

    def put_then_lose(sha256, source):
        put(sha256, source)
        monkeypatch.undo()
        remove_scan(app.database, app.context.blobs, "local", earlier)

    monkeypatch.setattr(app.context.blobs, "put_file", put_then_lose)
    made = send(app, clip)
    assert made.status_code == 202
    assert made.json()["id"] != earlier
    with app.client() as client:
        assert client.get(f"/v1/scans/{made.json()['id']}/clip").content == clip


def test_a_scan_that_is_removed_while_its_clip_comes_again_holds_nobody_up(app, monkeypatch):
    clip = os.urandom(1000)
    earlier = send(app, clip).json()["id"]
    check = intake.check_bytes
    removal = threading.Thread(target=remove_scan, args=(app.database, app.context.blobs, "local", earlier))

    def check_while_it_is_removed(*args):
        removal.start()
        removal.join(0.5)
        check(*args)

    monkeypatch.setattr(intake, "check_bytes", check_while_it_is_removed)
    again = send(app, clip)
    removal.join()
    assert (again.status_code, again.json()["id"]) == (202, earlier)
    with app.client() as client:
        assert client.get(f"/v1/scans/{earlier}").status_code == 404


def test_a_clip_that_is_sent_and_removed_all_the_time_makes_no_fault(app):
    clip = os.urandom(1000)

    def go(role):
        with app.client() as client:
            for _ in range(8):
                if role == "send":
                    assert client.post("/v1/scans", content=clip).status_code in (200, 202)
                else:
                    for scan in client.get("/v1/scans").json()["items"]:
                        assert client.delete(f"/v1/scans/{scan['id']}").status_code in (204, 404)

    at_once(go, "send", "send", "send", "remove", "remove")


def test_a_picture_of_two_scans_outlives_the_one_that_is_removed_as_the_other_ends(app, humvee, monkeypatch):
    with desk_of(app) as desk, app.client() as client:

        def scan(name):
            params = {"plan": "interval", "every_s": "1", "name": name, "threshold": "0.2" if name == "a" else "0.21"}
            made = client.post("/v1/scans", params=params, content=humvee.read_bytes()).json()["id"]
            run_scan(desk, begin(desk, made), lambda do: do())
            return made

        earlier = scan("a")
        put, slow = desk.blobs.put_bytes, []

        def put_then_remove(sha256, content):
            put(sha256, content)
            if not slow:
                # Another process removes the earlier scan, and is slow to remove the bytes.
                remove_scan(app.database, app.context.blobs, "local", earlier)

        monkeypatch.setattr(desk.blobs, "put_bytes", put_then_remove)
        monkeypatch.setattr(removal, "remove_marked", lambda *args: slow.append(args))
        later = scan("b")
        remove_marked(*slow[0])
        (found,) = client.get(f"/v1/scans/{later}/appearances").json()["items"]
        for kind in ("thumbnail", "crop"):
            assert client.get(found["links"][kind]).content.startswith(b"\xff\xd8\xff")
    assert not remove_marked(app.database, app.context.blobs)


def test_a_scan_that_ends_as_it_is_cancelled_is_not_said_to_be_cancelled(app, monkeypatch):
    scan = app.add_scan(state="running")
    find = scans.find_scan

    def find_then_end(session, *given, **options):
        ending = threading.Thread(target=end)
        row = find(session, *given, **options)
        ending.start()
        ending.join(0.5)
        endings.append(ending)
        return row

    def end():
        with app.database.write() as session:
            move_scan(session, scan, ScanState.DONE, come_from=OPEN_STATES, finished_at=now())

    endings = []
    monkeypatch.setattr(scans, "find_scan", find_then_end)
    with app.client() as client:
        answer = client.post(f"/v1/scans/{scan}/cancel")
        endings[0].join()
        ended = client.get(f"/v1/scans/{scan}").json()["state"]
    assert (answer.status_code, answer.json()["state"], ended) == (200, "cancelled", "cancelled")
    assert app.audit(scan) == ["cancel"]


def test_a_clip_that_is_used_again_as_the_unused_are_swept_is_kept(app):
    scan = app.add_scan()
    with app.database.write() as session:
        row = session.get(ScanRow, scan)
        session.execute(delete(ScanRow))
        session.get(ClipRow, ("local", row.clip_sha256)).created_at -= GRACE_SECONDS + 1
    failures = []

    def sweep_now():
        try:
            sweep(app.database, app.context.blobs)
        except Exception as error:
            failures.append(error)

    sweeping = threading.Thread(target=sweep_now)
    with app.database.write() as session:
        assert hold_clip(session, "local", row.clip_sha256)
        make_transient(row)
        session.add(row)
        session.flush()
        sweeping.start()
        sweeping.join(0.5)
    sweeping.join()
    assert failures == []
    with app.client() as client:
        assert client.get(f"/v1/scans/{scan}/clip").content == b"clip"


def test_a_verdict_that_is_given_while_proposals_are_taken_over_stays(app, monkeypatch):
    first, second = app.add_scan(name="first"), app.add_scan(name="second")
    read = proposals.verdicts_in_force

    def give(scan, verdict):
        with app.client() as client:
            answer = client.put(f"/v1/scans/{scan}/appearances/1/verdict", json={"verdict": verdict})
            assert answer.status_code == 200

    giving = threading.Thread(target=give, args=(second, "wrong"))

    def read_then_give(*given):
        rows = read(*given)
        giving.start()
        giving.join(0.5)
        return rows

    give(first, "confirmed")
    monkeypatch.setattr(proposals, "verdicts_in_force", read_then_give)
    with app.client() as client:
        items = [{"appearance": 1, "verdict": "confirmed"}]
        assert client.post(f"/v1/scans/{second}/proposals", json={"items": items}).status_code == 200
        giving.join()
        (item,) = client.get(f"/v1/scans/{second}/verdicts").json()["items"]
    assert item["verdict"] == "wrong"


def removed_once_loaded(app, monkeypatch, scan, kind):
    """The thread that removes the scan, begun when a row of `kind` was loaded; that request goes on half a second
    later."""
    removal = threading.Thread(target=remove_scan, args=(app.database, app.context.blobs, "local", scan))

    def load(session, of, key, **options):
        row = get(session, of, key, **options)
        if of is kind and not removal.ident:
            removal.start()
            removal.join(0.5)
        return row

    get = Session.get
    monkeypatch.setattr(Session, "get", load)
    return removal


def test_a_scan_that_is_removed_while_it_is_judged_makes_no_fault(app, monkeypatch):
    scan = app.add_scan()
    removal = removed_once_loaded(app, monkeypatch, scan, AppearanceRow)
    with app.client() as client:
        answer = client.put(f"/v1/scans/{scan}/appearances/1/verdict", json={"verdict": "wrong"})
        removal.join()
        assert answer.status_code == 200
        assert client.get(f"/v1/scans/{scan}").status_code == 404


def test_an_upload_that_is_sent_again_as_its_scan_is_removed_is_kept(app, monkeypatch):
    clip, key = os.urandom(1000), {"Idempotency-Key": "one"}
    earlier = send(app, clip, **key).json()["id"]
    removal = removed_once_loaded(app, monkeypatch, earlier, IdempotencyRow)
    again = send(app, clip, **key)
    removal.join()
    assert again.status_code == 202
