"""Requests of one owner that come at the same time, on both databases."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from review_app import ReviewApp
from sqlalchemy import create_engine, text
from test_backends import postgres  # noqa: F401

from service.jobs.heartbeat import Heartbeat, bury, counted

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
