import asyncio
import errno
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from review_app import ReviewApp
from service_server import upload, wait_for
from test_at_once import app  # noqa: F401
from test_backends import postgres  # noqa: F401

from service import serving
from service.jobs.heartbeat import DEAD_SECONDS, Heartbeat, dead_workers, living
from service.jobs.shared_model import SharedModel
from service.settings import load_settings
from service.store.blobs import open_blobs
from service.store.clips import keep_clip
from service.store.database import migrate, now, open_database
from service.store.removal import tidy
from service.store.tables import ScanRow, UploadRow, WorkerRow

DAY = 86400.0


def add_scan(database, blobs, source, scan_id, days):
    """A scan that ended so many days ago (None: that waits), of a clip named by the file's name."""
    source.write_bytes(source.name.encode())
    keep_clip(database, blobs, "alice", source.name, 64, source)
    with database.write() as session:
        session.add(
            ScanRow(
                id=scan_id,
                owner="alice",
                key_id="",
                clip_sha256=source.name,
                name="x",
                bytes=64,
                state="queued" if days is None else "done",
                options={},
                fingerprint="",
                created_at=now() - 100 * DAY,
                finished_at=None if days is None else now() - days * DAY,
            )
        )


def test_counters_do_not_fall_when_a_worker_is_killed(start, bands):
    server = start()
    with server.client() as client:

        def counters():
            text = client.get("/metrics").text
            names = "samples|frames_decoded|pictures|batches|decode_seconds|infer_seconds"
            return {name: float(value) for name, value in re.findall(rf"^ordnance_({names})_total (\S+)$", text, re.M)}

        server.wait_ready()
        wait_for(client, upload(client, bands)["id"])
        while not (before := counters())["samples"]:
            pass
        (worker,) = server.worker_pids()
        os.kill(worker, 9)
        while worker in server.worker_pids() or not server.worker_pids():
            assert all(value >= before[name] for name, value in counters().items())
        server.wait_ready()
        assert all(value >= before[name] for name, value in counters().items())
        wait_for(client, upload(client, bands, plan="interval")["id"])
        while counters()["samples"] <= before["samples"]:
            pass


def test_no_worker_is_told_apart_from_one_that_is_loading(start):
    server = start(WORKERS=0)
    with server.client() as client:
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["workers"] == "none runs"
    assert answer.json()["model"].startswith("not loaded")
    assert answer.json()["database"] == "ok"


def test_old_scans_and_uploads_go_and_fresh_ones_stay(tmp_path):
    settings = load_settings(store=tmp_path / "store", retention_days=10)
    migrate(settings)
    database, blobs = open_database(settings), open_blobs(settings)
    settings.uploads_folder.mkdir(parents=True)
    settings.work_folder.mkdir()
    ages = {"1" * 32: ("a" * 64, 11), "2" * 32: ("b" * 64, 9), "3" * 32: ("c" * 64, None)}
    for scan_id, (sha256, days) in ages.items():
        add_scan(database, blobs, tmp_path / sha256, scan_id, days)
    for upload_id, expires_at in (("old", now() - 1), ("fresh", now() + 100)):
        (settings.uploads_folder / upload_id).write_bytes(b"half")
        with database.write() as session:
            session.add(
                UploadRow(
                    id=upload_id,
                    owner="alice",
                    key_id="",
                    length=8,
                    name="x",
                    metadata_header="",
                    options={},
                    created_at=now(),
                    expires_at=expires_at,
                )
            )
    forgotten = []
    removed = tidy(settings, database, blobs, forgotten.append)
    assert (removed["scans"], removed["uploads"]) == (1, 1)
    assert forgotten == ["1" * 32]
    assert [blobs.has(sha256) for sha256, _ in ages.values()] == [False, True, True]
    assert [path.name for path in settings.uploads_folder.iterdir()] == ["fresh"]
    with database.read() as session:
        assert {row.id for row in session.query(ScanRow)} == {"2" * 32, "3" * 32}
    database.close()


def test_an_upload_that_has_expired_is_gone(start):
    server = start(UPLOAD_HOURS=1e-9, WORKERS=0)
    headers = {"Tus-Resumable": "1.0.0"}
    with server.client() as client:
        url = client.post("/v1/uploads", headers={**headers, "Upload-Length": "10"}).headers["Location"]
        answer = client.head(url, headers=headers)
        assert answer.status_code == 410
        patch = {**headers, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
        refused = client.patch(url, content=b"x", headers=patch)
    assert refused.status_code == 410
    assert refused.json()["code"] == "gone"


def test_two_workers_that_tidy_at_once_remove_each_scan_once(tmp_path):
    settings = load_settings(store=tmp_path / "store", retention_days=10)
    migrate(settings)
    database, blobs = open_database(settings), open_blobs(settings)
    for digit in "123":
        add_scan(database, blobs, tmp_path / (digit * 64), digit * 32, 11)
    forgotten, other = [], {}

    def forget(scan_id):
        forgotten.append(scan_id)
        if not other:
            other.update(scans=-1)
            other.update(tidy(settings, database, blobs, forgotten.append))

    removed = tidy(settings, database, blobs, forget)
    database.close()
    assert (removed["scans"], other["scans"]) == (1, 2)
    assert sorted(forgotten) == [digit * 32 for digit in "123"]


def test_a_worker_goes_on_when_tidying_fails(tmp_path):
    words = (
        "from service.jobs import worker",
        "from service.logs import set_up_logs",
        "from service.settings import load_settings",
        "from service.store.database import migrate",
        "def fail(*_): raise RuntimeError('no broom')",
        "worker.tidy, worker.TIDY_SECONDS, worker.LOOK_SECONDS = fail, 0.01, 0.1",
        "worker.Jobs.forget_ended = lambda _: worker.log.info('ended work is forgotten')",
        "set_up_logs('text', 'info')",
        "settings = load_settings(threads=1)",
        "migrate(settings)",
        "worker.run_worker(settings)",
    )
    log = tmp_path / "worker.log"
    with log.open("wb") as file:
        worker = subprocess.Popen(
            [sys.executable, "-c", "\n".join(words)],
            stderr=file,
            env={**os.environ, "ORDNANCE_STORE": str(tmp_path / "store")},
        )
    try:
        deadline = time.monotonic() + 120
        while log.read_text().count("tidying failed") < 3:
            assert worker.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
    finally:
        worker.terminate()
        worker.wait(30)
    assert "no broom" in log.read_text()
    assert "ended work is forgotten" in log.read_text()


def test_a_worker_whose_model_has_broken_ends_and_fails_no_scan():
    words = (
        "from types import SimpleNamespace",
        "from service.jobs.shared_model import SharedModel",
        "class Model(SimpleNamespace):",
        "    def detect(self, images):",
        "        if images[0].any():",
        "            self.broken = True",
        "        if self.broken:",
        "            raise RuntimeError('CUDA error: an illegal memory access was encountered')",
        "        return [None for _ in images]",
        "import numpy as np",
        "model = SharedModel(Model(device='cuda:0', name='m', broken=False))",
        "print(len(model.detect([np.zeros((9, 16, 3), np.uint8)])), flush=True)",
        "model.detect([np.ones((9, 16, 3), np.uint8)])",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(words)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (3, "1\n"), done.stderr
    assert "the model m does not work any more" in done.stderr


def test_a_picture_that_a_working_model_refuses_fails_alone():
    class Model:
        device, name = "cpu", "m"

        def detect(self, images):
            if images[0].any():
                raise RuntimeError("not this one")
            return ["boxes" for _ in images]

    model = SharedModel(Model())
    with pytest.raises(RuntimeError, match="not this one"):
        model.detect([np.ones((9, 16, 3), np.uint8)])
    assert model.detect([np.zeros((9, 16, 3), np.uint8)]) == ["boxes"]


def test_a_worker_that_could_not_be_started_is_started_later(tmp_path, monkeypatch):
    failures, started = iter(range(2)), threading.Event()

    def spawn(_):
        if next(failures, None) is not None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        started.set()
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])

    monkeypatch.setattr(serving.Crew, "_spawn", spawn)
    monkeypatch.setattr(serving, "FIRST_PAUSE_SECONDS", 0.01)
    crew = serving.Crew(load_settings(store=tmp_path, workers=1))
    crew.start()
    try:
        assert started.wait(60)
    finally:
        crew.stop()


def test_a_server_works_in_a_folder_that_holds_a_package_named_as_ours(start, tmp_path, monkeypatch):
    for name in ("service", "detector"):
        (tmp_path / "project" / name).mkdir(parents=True)
        (tmp_path / "project" / name / "__init__.py").write_text("raise SystemExit('not ours')\n")
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("PYTHONPATH", str(Path(serving.__file__).parents[1]))
    start().wait_ready()


def test_an_api_without_workers_removes_what_uploads_left_here(tmp_path, monkeypatch):
    api = ReviewApp(tmp_path)
    folder = api.settings.uploads_folder
    for name, changed in (("expired", now()), ("its-row-is-gone", now() - 2 * DAY), ("fresh", now())):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (changed, changed))
    with api.database.write() as session:
        facts = {"owner": "alice", "key_id": "", "length": 8, "name": "x", "metadata_header": "", "options": {}}
        session.add(UploadRow(id="expired", created_at=now() - DAY, expires_at=now() - 1, **facts))
        session.add(UploadRow(id="fresh", created_at=now(), expires_at=now() + DAY, **facts))
    monkeypatch.setattr("service.api.app.TIDY_SECONDS", 0.1, raising=False)

    async def serve():
        deadline = time.monotonic() + 60
        async with api.app.router.lifespan_context(api.app):
            while len(left := [path.name for path in folder.iterdir()]) > 1 and time.monotonic() < deadline:
                await asyncio.sleep(0.1)
        return left

    assert asyncio.run(serve()) == ["fresh"]


@pytest.fixture
def zombie_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid
    process.wait()


@pytest.fixture
def ended_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_worker_that_stalls_is_not_dead_as_long_as_its_process_is_there(tmp_path, ended_pid, zombie_pid):
    settings = load_settings(store=tmp_path / "store")
    migrate(settings)
    database = open_database(settings)
    here, silent = socket.gethostname(), now() - 60
    workers = {
        "own": (here, os.getpid(), now(), silent),
        "stalls-here": (here, os.getpid(), now(), silent),
        "gone-here": (here, ended_pid, now(), now()),
        "zombie-here": (here, zombie_pid, now(), silent),
        "its-pid-is-anothers": (here, os.getpid(), now() - 1e6, silent),
        "elsewhere": ("elsewhere.example", ended_pid, now(), now()),
        "silent-elsewhere": ("elsewhere.example", os.getpid(), now(), silent),
    }
    with database.write() as session:
        for name, (host, pid, started_at, seen_at) in workers.items():
            session.add(
                WorkerRow(id=name, host=host, pid=pid, started_at=started_at, seen_at=seen_at, ready=True, counters={})
            )
    dead = dead_workers(database, "own")
    database.close()
    assert set(dead) == {"gone-here", "zombie-here", "silent-elsewhere", "its-pid-is-anothers"}


@pytest.mark.parametrize("app", ["postgresql"], indirect=True)
@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
def test_a_worker_of_a_machine_whose_clock_is_wrong_lives_as_long_as_it_says_so(app, monkeypatch, ahead):  # noqa: F811
    heart = Heartbeat(app.database, "elsewhere-1")
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("service.jobs.heartbeat.socket.gethostname", lambda: "elsewhere.example")
        elsewhere.setattr("service.jobs.heartbeat.now", lambda: now() + ahead)
        heart.begin()
        assert heart.beat(ready=True, model="m", counters={})
    assert dead_workers(app.database, "here") == []
    assert [row.id for row in living(app.database)] == ["elsewhere-1"]
    with app.database.write() as session:
        session.get(WorkerRow, "elsewhere-1").seen_at -= DEAD_SECONDS + 1
    assert dead_workers(app.database, "here") == ["elsewhere-1"]
    assert living(app.database) == []


def test_a_worker_that_starts_while_the_database_is_away_says_so_in_a_sentence(tmp_path):
    away = "postgresql://ordnance@127.0.0.1:1/ordnance"
    done = subprocess.run(
        [sys.executable, "-m", "service", "worker", "--parent", str(os.getpid())],
        capture_output=True,
        text=True,
        env={**os.environ, "ORDNANCE_STORE": str(tmp_path), "ORDNANCE_DATABASE_URL": away},
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("ordnance: The database does not answer (")
    assert "check ORDNANCE_DATABASE_URL" in done.stderr
