"""A database of an earlier version is brought up to date with what is in it."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import text

from service.access.keys import principal_of
from service.checking import check
from service.settings import load_settings
from service.store import database as store
from service.store.tables import Base

SECRET = "A" * 43


def move(database, revision, *, down=False):
    from pathlib import Path

    config = Config()
    config.set_main_option("script_location", str(Path(store.__file__).parent / "migrations"))
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        (command.downgrade if down else command.upgrade)(config, revision)
        connection.commit()


def fill_first_version(database):
    """What a server of version 0001 held: a key, and a scan with an appearance."""
    import hashlib

    rows = [
        "INSERT INTO ord_keys (id, secret_sha256, owner, note, scopes, priority, created_at) VALUES "
        f"('0123456789ab', '{hashlib.sha256(SECRET.encode()).hexdigest()}', 'alice', 'Alice', '[\"read\"]', 5, 1.0)",
        f"INSERT INTO ord_blobs (sha256, bytes, touched_at, deleting) VALUES ('{'c' * 64}', 1, 1.0, false)",
        f"INSERT INTO ord_clips (owner, sha256, created_at) VALUES ('alice', '{'c' * 64}', 1.0)",
        "INSERT INTO ord_scans (id, owner, key_id, clip_sha256, name, bytes, state, options, fingerprint, created_at, "
        f"position_s, samples, finds, attempts, event_seq) VALUES ('{'1' * 32}', 'alice', '', '{'c' * 64}', 'a', 1, "
        "'done', '{}', '', 1.0, 0, 0, 1, 0, 0)",
        "INSERT INTO ord_appearances (scan_id, number, class_name, confidence, first_seen_s, last_seen_s, document) "
        f"VALUES ('{'1' * 32}', 1, 'tank', 0.9, 1.0, 2.0, '{{}}')",
    ]
    with database.write() as session:
        for row in rows:
            session.execute(text(row.replace(":", r"\:")))


def check_upgrade(settings):
    """From 0001 to the newest, back, and to the newest again; nothing of 0001 is lost."""
    database = store.open_database(settings, pool_size=1)
    move(database, "0001")
    fill_first_version(database)
    store.migrate(settings)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": _is_ours})
        assert compare_metadata(context, Base.metadata) == []
    who = principal_of(database, f"ord_0123456789ab_{SECRET}")
    assert (who.owner, who.reviewer, who.reviewer_id) == ("alice", "Alice", "0123456789ab")
    move(database, "0001", down=True)
    store.migrate(settings)
    with database.read() as session:
        assert session.execute(text("SELECT number, class_name FROM ord_appearances")).all() == [(1, "tank")]
    database.close()


def _is_ours(_, name, kind, *rest):
    return kind != "table" or (name.startswith("ord_") and name != "ord_alembic_version")


def test_sqlite_of_the_first_version(tmp_path):
    check_upgrade(load_settings(store=tmp_path))


def test_a_database_newer_than_the_program_is_refused(tmp_path):
    from detector.errors import BadOption

    settings = load_settings(store=tmp_path)
    store.migrate(settings)
    database = store.open_database(settings, pool_size=1)
    with database.write() as session:
        session.execute(text("UPDATE ord_alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(BadOption, match="update the program"):
        store.migrate(settings)
    assert [each.words for each in check(settings) if each.is_wrong] == [
        "The database is of another version of Ordnance (its revision is '9999'); update the program."
    ]
