import pytest
from review_app import ReviewApp
from sqlalchemy import text
from worker_desk import worker_beside

from service.jobs.engine import REVIVED_AFTER_SECONDS, Jobs
from service.settings import load_settings
from service.store.database import migrate, now, open_database
from service.store.tables import BlobRow, ClipRow, ScanRow, WorkerRow


def open_scan(scan_id: str, state: str) -> ScanRow:
    """A scan, made long enough ago for it to be missed."""
    return ScanRow(
        id=scan_id,
        owner="alice",
        key_id="",
        clip_sha256="a" * 64,
        name="x",
        bytes=1,
        state=state,
        options={},
        fingerprint="",
        created_at=now() - REVIVED_AFTER_SECONDS - 1,
    )


@pytest.fixture
def database(tmp_path):
    """With the clip of the scans."""
    settings = load_settings(store=tmp_path / "store")
    migrate(settings)
    database = open_database(settings)
    with database.write() as session:
        session.add(BlobRow(sha256="a" * 64, bytes=1, touched_at=now()))
        session.add(ClipRow(owner="alice", sha256="a" * 64, created_at=now()))
    yield database
    database.close()


@pytest.fixture
def jobs(tmp_path, database):
    jobs = Jobs(load_settings(store=tmp_path / "store"), database)
    yield jobs
    jobs.close()


def test_an_open_scan_that_the_engine_lost_goes_into_the_queue_again(database, jobs):
    with database.write() as session:
        for scan_id, state in (("1" * 32, "running"), ("2" * 32, "done"), ("3" * 32, "queued")):
            session.add(open_scan(scan_id, state))
        session.flush()
        jobs.enqueue_scan(session, "3" * 32, "alice", 5)
    assert jobs.revive() == ["1" * 32]
    assert jobs.revive() == []


def test_scans_that_two_workers_miss_go_into_the_queue_again_once(tmp_path, database, jobs, monkeypatch):
    with database.write() as session:
        session.add_all(open_scan(str(number) * 32, "running") for number in range(3))
    other = Jobs(load_settings(store=tmp_path / "store"), database)
    listed, revived = jobs._client.list_workflows, []

    def listed_as_the_other_comes(**asked):
        found = listed(**asked)
        monkeypatch.setattr(jobs._client, "list_workflows", listed)
        revived.extend(other.revive())
        return found

    monkeypatch.setattr(jobs._client, "list_workflows", listed_as_the_other_comes)
    assert jobs.revive() == []
    assert len(revived) == 3
    other.close()


def test_a_scan_that_goes_into_the_queue_again_keeps_its_priority(database, jobs):
    with database.write() as session:
        session.add(open_scan("1" * 32, "running"))
        session.flush()
        jobs.enqueue_scan(session, "1" * 32, "alice", 2)
    # Left as the engine leaves a workflow that gave way to an outage.
    with database.write() as session:
        session.execute(text("UPDATE workflow_status SET status = 'SUCCESS'"))
    assert jobs.revive() == ["1" * 32]
    with database.read() as session:
        queued = session.execute(text("SELECT status, priority FROM workflow_status")).all()
    assert queued == [("ENQUEUED", 2)]


def test_work_that_a_worker_took_after_it_was_taken_for_dead_is_done_by_another(tmp_path, bands):
    app = ReviewApp(tmp_path)
    with app.client() as client:
        scan = client.post("/v1/scans", params={"name": "bands.mp4"}, content=bands.read_bytes()).json()["id"]
    with app.database.write() as session:
        app.context.jobs.enqueue_webhook(session, ScanRow(id="0" * 32, webhook="http://127.0.0.1:1/"))
    with app.database.write() as session:
        session.execute(text("UPDATE workflow_status SET status = 'PENDING', executor_id = 'was-taken-for-dead'"))

    def states():
        with app.database.read() as session:
            return list(session.scalars(text("SELECT status FROM workflow_status")))

    with worker_beside(app, "worker.REVIVAL_SECONDS, worker.LOOK_SECONDS = 0.1, 0.1") as wait_until:
        wait_until(lambda: states() == ["SUCCESS", "SUCCESS"])
    with app.client() as client:
        assert client.get(f"/v1/scans/{scan}").json()["state"] == "done"
    app.close()


def test_work_of_a_worker_that_lives_is_left_to_it(database, jobs):
    with database.write() as session:
        for scan_id in ("1" * 32, "2" * 32):
            session.add(open_scan(scan_id, "running"))
            session.flush()
            jobs.enqueue_scan(session, scan_id, "alice", 5)
    with database.write() as session:
        for scan_id, executor in (("1" * 32, "lives"), ("2" * 32, "gone")):
            session.execute(
                text(
                    "UPDATE workflow_status SET status = 'PENDING', executor_id = :executor WHERE workflow_uuid = :id"
                ),
                {"executor": executor, "id": scan_id},
            )
        session.add(
            WorkerRow(id="lives", host="elsewhere.example", pid=1, started_at=now(), seen_at=now(), counters={})
        )
    assert jobs.stranded() == ["gone"]
