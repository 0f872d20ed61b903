"""The same service on PostgreSQL and S3: a real PostgreSQL from this machine's binaries, S3 by moto on loopback."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pytest
from service_server import comparable, upload, wait_for


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def postgres_bin() -> Path | None:
    """The folder of PostgreSQL's programs; Debian keeps them apart by version."""
    named = shutil.which("pg_ctl") or shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if named:
        folders.append(Path(named).resolve().parent)
    wanted = ("initdb", "postgres", "pg_isready", "createdb")
    return next((each for each in folders if all((each / name).exists() for name in wanted)), None)


@pytest.fixture(scope="module")
def postgres():
    """The URL of an empty database."""
    programs = postgres_bin()
    if programs is None:
        pytest.skip("PostgreSQL is not installed here")
    # pytest's own folders are closed to other users, and PostgreSQL refuses to run as root.
    folder = Path(tempfile.mkdtemp(prefix="ordnance-postgres-"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        os.chown(folder, 65534, 65534)
    port = free_port()
    subprocess.run(
        [*as_user, programs / "initdb", "-D", folder / "data", "-U", "ordnance", "--auth=trust", "--no-sync"],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    options = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*as_user, programs / "postgres", "-D", folder / "data", "-p", str(port), *options],
            stdout=log,
            stderr=log,
            cwd=folder,
        )
    for _ in range(300):
        ready = subprocess.run(
            [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port)], capture_output=True, check=False
        )
        if ready.returncode == 0:
            break
        assert process.poll() is None, (folder / "log").read_text()
        time.sleep(0.1)
    created = [programs / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "ordnance", "ordnance"]
    subprocess.run(created, check=True)
    yield f"postgresql://ordnance@127.0.0.1:{port}/ordnance"
    process.send_signal(
        signal.SIGINT
    )  # Its fast shutdown does not wait for clients, which a failed test leaves behind.
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def bucket():
    """Settings of an empty bucket."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; from moto.server import main; main(sys.argv[1:])", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    endpoint = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            httpx.put(f"{endpoint}/clips", headers={"Authorization": "AWS4-HMAC-SHA256 Credential=a/1/us-east-1/s3/x"})
            break
        except httpx.TransportError:
            assert process.poll() is None
            time.sleep(0.1)
    yield {
        "BLOB_URL": "s3://clips/kept",
        "BLOB_OPTIONS": f'{{"key": "a", "secret": "b", "endpoint_url": "{endpoint}"}}',
    }
    process.terminate()
    process.wait()


def test_a_team_server_on_postgresql_and_s3(start, postgres, bucket, humvee):
    server = start("team", DATABASE_URL=postgres, **bucket)
    server.wait_ready()
    with server.client() as client:
        scan = wait_for(client, upload(client, humvee)["id"])
        assert scan["state"] == "done", scan
        report = comparable(client.get(scan["links"]["report.json"]).json())
        assert client.get(scan["links"]["clip"]).content == humvee.read_bytes()
        found = client.get(scan["links"]["appearances"]).json()["items"][0]
        assert client.get(found["links"]["thumbnail"]).content.startswith(b"\xff\xd8\xff")

        again = client.post(f"/v1/scans/{scan['id']}/rescan", json={"plan": "interval", "every_s": 0.1}).json()
        wait_for(client, again["id"], "running", "done")
        for pid in server.worker_pids():
            os.kill(pid, 9)
        assert wait_for(client, again["id"])["state"] == "done"

        for each in (scan, again):
            assert client.delete(f"/v1/scans/{each['id']}").status_code == 204
        assert client.get(scan["links"]["clip"]).status_code == 404
    assert not list((server.store / "cache").glob("*/data"))
    assert not (server.store / "ordnance.sqlite").exists()

    alone = start("alone")
    with alone.client() as client:
        other = wait_for(client, upload(client, humvee)["id"])
        assert comparable(client.get(other["links"]["report.json"]).json()) == report


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_clips_lie_in_any_folder(start, tmp_path, bands, scheme):
    folder = tmp_path / "elsewhere" / "clips"
    server = start(BLOB_URL=f"{scheme}{folder}")
    assert "The settings can be used." in server.command("config", "check").stdout
    with server.client() as client:
        scan = wait_for(client, upload(client, bands)["id"])
        assert scan["state"] == "done", scan
        assert client.get(scan["links"]["clip"]).content == bands.read_bytes()
        assert bands.read_bytes() in [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
        assert client.delete(f"/v1/scans/{scan['id']}").status_code == 204
    assert not [path for path in folder.rglob("*") if path.is_file()]
    assert not (server.store / "cache").exists()
    assert not (server.store / "blobs").exists()


def test_what_nobody_refers_to_is_removed_and_nothing_else(bucket, tmp_path):
    import json

    from service.settings import load_settings
    from service.store.blobs import open_blobs
    from service.store.clips import GRACE_SECONDS, keep_clip, sweep
    from service.store.database import migrate, open_database
    from service.store.tables import BlobRow, ClipRow, ScanRow

    for number, options in enumerate(
        ({}, {"blob_url": bucket["BLOB_URL"], "blob_options": json.loads(bucket["BLOB_OPTIONS"])})
    ):
        settings = load_settings(store=tmp_path / str(number), **options)
        migrate(settings)
        database, blobs = open_database(settings), open_blobs(settings)
        blobs.check()
        assert list(blobs.names()) == []
        kept, orphan, fresh = "a" * 64, "b" * 64, "c" * 64
        for sha256 in (kept, orphan, fresh):
            source = tmp_path / sha256
            source.write_bytes(sha256.encode())
            keep_clip(database, blobs, "alice", sha256, 64, source)
        with database.write() as session:
            session.add(
                ScanRow(
                    id="1" * 32,
                    owner="alice",
                    key_id="",
                    clip_sha256=kept,
                    name="x",
                    bytes=1,
                    state="done",
                    options={},
                    fingerprint="",
                    created_at=0.0,
                )
            )
            for sha256 in (kept, orphan):
                session.get(BlobRow, sha256).touched_at -= GRACE_SECONDS + 1
                session.get(ClipRow, ("alice", sha256)).created_at -= GRACE_SECONDS + 1
        assert sweep(database, blobs) == 1
        assert blobs.has(kept)
        assert blobs.has(fresh)
        assert not blobs.has(orphan)
        database.close()


def test_a_postgresql_database_of_the_first_version_is_brought_up_to_date(postgres):
    from sqlalchemy import create_engine, text
    from test_migrations import check_upgrade

    from service.settings import load_settings

    plain = create_engine(postgres.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with plain.connect() as connection:
        connection.execute(text("CREATE DATABASE earlier"))
    plain.dispose()
    check_upgrade(load_settings(database_url=postgres.rsplit("/", 1)[0] + "/earlier"))


def test_programs_that_start_at_once_on_an_empty_postgresql_database_take_turns(postgres, tmp_path):
    """As `docker compose up` has the API and its workers do."""
    from sqlalchemy import create_engine, text

    plain = create_engine(postgres.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with plain.connect() as connection:
        connection.execute(text("CREATE DATABASE turns"))
    plain.dispose()
    env = {
        **os.environ,
        "ORDNANCE_DATABASE_URL": postgres.rsplit("/", 1)[0] + "/turns",
        "ORDNANCE_STORE": str(tmp_path),
    }
    command = [sys.executable, "-m", "service", "keys", "list"]
    started = [subprocess.Popen(command, env=env, stderr=subprocess.PIPE) for _ in range(3)]
    try:
        for each in started:
            _, said = each.communicate(timeout=90)
            assert each.returncode == 0, said
    finally:
        for each in started:
            each.kill()
            each.communicate()


def test_a_database_that_can_only_be_read_is_said_to_be_wrong(postgres, tmp_path):
    from service.checking import check
    from service.settings import load_settings

    only_read = f"{postgres}?options=-c%20default_transaction_read_only%3Don"
    assert not [each for each in check(load_settings(store=tmp_path, database_url=postgres)) if each.is_wrong]
    (wrong,) = [each for each in check(load_settings(store=tmp_path, database_url=only_read)) if each.is_wrong]
    assert wrong.words.startswith("The database can only be read;")


def test_a_worker_of_a_machine_with_a_long_name_works_on_postgresql(postgres, tmp_path):
    """Clouds give names of sixty letters."""
    from review_app import ReviewApp
    from sqlalchemy import create_engine, text
    from worker_desk import worker_beside

    from service.jobs.heartbeat import living

    plain = create_engine(postgres.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with plain.connect() as connection:
        connection.execute(text("CREATE DATABASE named"))
    plain.dispose()
    url = postgres.rsplit("/", 1)[0] + "/named"
    app = ReviewApp(tmp_path, database_url=url)
    named = ("import socket", "socket.gethostname = lambda: 'n' * 63")
    with worker_beside(app, *named, ORDNANCE_DATABASE_URL=url) as wait_until:
        wait_until(lambda: any(row.ready for row in living(app.database)))
    app.close()


def test_the_review_on_postgresql(postgres, tmp_path):
    from review_app import ReviewApp
    from sqlalchemy import create_engine, text

    plain = create_engine(postgres.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with plain.connect() as connection:
        connection.execute(text("CREATE DATABASE review"))
    plain.dispose()
    app = ReviewApp(tmp_path, database_url=postgres.rsplit("/", 1)[0] + "/review")
    scan = app.add_scan("alice", "Бахмут.mp4", [("tank", 0.9, 1.0), ("humvee", 0.4, 5.0)], pictures=[1])
    url = f"/v1/scans/{scan}/appearances/1/verdict"
    with app.client(app.key("alice", note="Ann")) as ann, app.client(app.key("alice", note="Ben")) as ben:
        for verdict in ("unsure", "wrong"):
            assert ann.put(url, json={"verdict": verdict, "note": "Танк\x00"}).status_code == 200
        ben.put(url, json={"verdict": "confirmed"})
        assert ann.get(f"/v1/scans/{scan}/verdicts").json()["summary"]["1"]["state"] == "disagreed"
        for params in (
            {"state": "disagreed"},
            {"note": "танк"},
            {"name": "БАХ", "class": "tank"},
            {"verdict": "wrong"},
        ):
            assert [each["number"] for each in ann.get("/v1/search", params=params).json()["items"]] == [1], params
        assert ann.get("/v1/search", params={"class": "mlrs"}).json()["items"] == []
        (item,) = ann.get("/v1/scans", params={"reviewed": "false", "class": "humvee"}).json()["items"]
        assert (item["classes"], item["reviewed"]) == ({"tank": 1, "humvee": 1}, 1)
        assert ann.delete(url).json()["verdict"] == "unsure"
        assert len(ann.get(f"/v1/scans/{scan}/verdicts.json").json()["appearances"][0]["history"]) == 4
        assert ann.put("/v1/preferences", json={"blur": 30}).json()["blur"] == 30
        assert ann.get(f"/v1/scans/{scan}/frames/1/review").status_code == 200
    with app.client() as browser:
        for odd in ("%00", "a" * 40, "%F0%9F%92%A9"):
            assert browser.get(f"/scans/{odd}").status_code == 404
        signed = browser.post("/v1/session", json={"key": app.key("alice")}).json()
        assert browser.delete(f"/v1/scans/{scan}", headers={"X-CSRF-Token": signed["csrf"]}).status_code == 204
    app.close()
