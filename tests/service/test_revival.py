import pytest
from sqlalchemy import text

from service.jobs.engine import REVIVED_AFTER_SECONDS, Jobs
from service.settings import load_settings
from service.store.database import migrate, now, open_database
from service.store.tables import BlobRow, ClipRow, ScanRow


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
