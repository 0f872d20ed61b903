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


def test_an_open_scan_that_the_engine_lost_goes_into_the_queue_again(tmp_path):
    settings = load_settings(store=tmp_path / "store")
    migrate(settings)
    database = open_database(settings)
    jobs = Jobs(settings, database)
    with database.write() as session:
        session.add(BlobRow(sha256="a" * 64, bytes=1, touched_at=now()))
        session.add(ClipRow(owner="alice", sha256="a" * 64, created_at=now()))
        session.flush()
        for scan_id, state in (("1" * 32, "running"), ("2" * 32, "done"), ("3" * 32, "queued")):
            session.add(open_scan(scan_id, state))
        session.flush()
        jobs.enqueue_scan(session, "3" * 32, "alice", 5)
    assert jobs.revive() == ["1" * 32]
    assert jobs.revive() == []
    jobs.close()
    database.close()


def test_a_scan_that_goes_into_the_queue_again_keeps_its_priority(tmp_path):
    settings = load_settings(store=tmp_path / "store")
    migrate(settings)
    database = open_database(settings)
    jobs = Jobs(settings, database)
    with database.write() as session:
        session.add(BlobRow(sha256="a" * 64, bytes=1, touched_at=now()))
        session.add(ClipRow(owner="alice", sha256="a" * 64, created_at=now()))
        session.flush()
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
    jobs.close()
    database.close()
