import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from service_server import upload, wait_for

from detector.models import WEIGHTS_FOLDER
from service.access.keys import create_key, rotate_key
from service.checking import check
from service.settings import load_settings
from service.store.database import migrate, open_database
from service.store.tables import KeyRow

BODIES = {
    "/verdict": {"verdict": "wrong"},
    "/proposals": {"items": [{"appearance": 1, "verdict": "confirmed"}]},
    "/verdicts/take-back": {"appearances": [1]},
}
"""By the end of the route: what its body must hold to be looked at at all."""


@pytest.fixture(scope="module")
def keys(server):
    return {owner: server.key(owner) for owner in ("alice", "bob")}


@pytest.fixture(scope="module")
def alice(server, keys):
    server.wait_ready()
    with server.client(keys["alice"]) as client:
        yield client


@pytest.fixture(scope="module")
def bob(server, keys):
    with server.client(keys["bob"]) as client:
        yield client


@pytest.fixture(scope="module")
def scan(alice, humvee):
    return wait_for(alice, upload(alice, humvee, plan="interval")["id"])


@pytest.fixture(scope="module")
def half_upload(alice):
    answer = alice.post("/v1/uploads", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "100"})
    return answer.headers["Location"].rsplit("/", 1)[-1]


def test_one_key_never_learns_of_anothers_scans_on_any_route(server, alice, bob, scan, half_upload):
    routes = [
        (method.upper(), path)
        for path, methods in alice.get("/openapi.json").json()["paths"].items()
        for method in methods
        if "{" in path
    ]
    assert len(routes) >= 22
    for method, path in routes:
        theirs = half_upload if "uploads" in path else scan["id"]
        url = path.format(scan_id=theirs, upload_id=theirs, number=1, kind="crop")
        unknown = url.replace(theirs, "0" * 32)
        headers = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
        body = {} if "uploads" in path else {"json": BODIES.get(path.rpartition("}")[2], {})}
        if body:
            headers.pop("Content-Type")
        params = {"pts": "1"} if path.endswith("/still") else {}
        refused = bob.request(method, url, headers=headers, params=params, **body)
        missing = bob.request(method, unknown, headers=headers, params=params, **body)
        assert refused.status_code == missing.status_code == 404, (method, path, refused.text)
        if method != "HEAD":
            assert refused.json()["detail"].replace(theirs, "0" * 32) == missing.json()["detail"]
    assert bob.get("/v1/scans").json()["items"] == []
    assert bob.get("/v1/scans", params={"sha256": scan["clip"]["sha256"]}).json()["items"] == []
    assert alice.get(scan["links"]["clip"]).status_code == 200
    assert alice.head(f"/v1/uploads/{half_upload}", headers={"Tus-Resumable": "1.0.0"}).status_code == 200


def test_the_same_clip_of_two_owners_is_two_scans_and_survives_one_of_them(alice, bob, scan, humvee):
    other = wait_for(bob, upload(bob, humvee, plan="interval")["id"])
    assert other["id"] != scan["id"]
    assert bob.delete(f"/v1/scans/{other['id']}").status_code == 204
    assert alice.get(scan["links"]["clip"]).content == humvee.read_bytes()


def test_two_keys_of_one_owner_see_the_same(server, scan):
    with server.client(server.key("alice", "--scopes", "read")) as second:
        assert second.get(scan["links"]["self"]).json()["id"] == scan["id"]
        refused = second.delete(scan["links"]["self"])
        assert refused.status_code == 403
        assert "'write'" in refused.json()["detail"]


def test_every_route_but_health_needs_a_valid_key(server, alice):
    for path, methods in alice.get("/openapi.json").json()["paths"].items():
        for method in methods:
            # Signing in is how a browser comes by its key's rights; test_sessions.py has that.
            if path in ("/healthz", "/readyz") or method == "options" or (method, path) == ("post", "/v1/session"):
                continue
            url = re.sub(r"{[a-z_]+}", "0" * 32, path)
            with server.client("ord_000000000000_" + "A" * 43) as stranger:
                assert stranger.request(method, url).status_code == 401, (method, path)


def test_metrics_need_an_admin(alice, server):
    assert alice.get("/metrics").status_code == 403
    with server.client(server.key("root", "--scopes", "admin")) as root:
        assert root.get("/metrics").status_code == 200


def test_keys_expire_rotate_and_are_revoked(server):
    old = server.key("carol")
    key_id = old.split("_")[1]
    fresh = server.command("keys", "rotate", key_id, "--overlap-hours", "0").stdout.strip()
    with server.client(old) as client:
        assert client.get("/v1/scans").status_code == 401
    with server.client(fresh) as client:
        assert client.get("/v1/scans").status_code == 200
        server.command("keys", "revoke", fresh.split("_")[1])
        assert client.get("/v1/scans").status_code == 401
    listed = server.command("keys", "list").stdout
    assert key_id in listed
    assert "revoked" in listed
    assert old.split("_", 2)[2] not in listed


def test_a_key_is_rotated_and_revoked_by_itself_as_by_its_id(server):
    fresh = server.command("keys", "rotate", server.key("carol")).stdout.strip()
    said = server.command("keys", "revoke", fresh).stdout
    assert said == f"{fresh.split('_')[1]} is revoked.\n"
    with server.client(fresh) as client:
        assert client.get("/v1/scans").status_code == 401


@pytest.mark.parametrize("days", [None, 365.0])
def test_a_key_that_is_rotated_again_lasts_as_long_as_the_first(tmp_path, days):
    settings = load_settings(store=tmp_path)
    migrate(settings)
    database = open_database(settings)
    key_id = create_key(database, "alice", expires_in_days=days).split("_")[1]
    for _ in range(2):
        # The first new one was lost.
        fresh = rotate_key(database, key_id, overlap_hours=1.0).split("_")[1]
    with database.read() as session:
        row = session.get(KeyRow, fresh)
    database.close()
    lasts = None if row.expires_at is None else (row.expires_at - row.created_at) / 86400
    assert lasts == (days if days is None else pytest.approx(days))


def test_secrets_are_in_no_file_of_the_store(server, keys):
    secret = keys["alice"].split("_", 2)[2].encode()
    for path in server.store.rglob("*"):
        if path.is_file():
            assert secret not in path.read_bytes()
    assert secret not in server.log.read_bytes()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "evil.example"}, 401),
        ({"X-Forwarded-For": "203.0.113.9"}, 401),
        ({"Origin": "https://evil.example"}, 401),
        ({"Origin": "http://["}, 401),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Authorization": "Basic eDp5"}, 401),
    ],
)
def test_without_a_key_only_a_program_on_this_machine_is_let_in(server, headers, status):
    with server.client() as client:
        assert client.get("/v1/scans", headers=headers).status_code == status


def test_a_rate_limit_says_when_to_come_back(server):
    with server.client(server.key("dave", "--requests-per-minute", "3")) as client:
        answers = [client.get("/v1/models") for _ in range(5)]
    assert [answer.status_code for answer in answers[:3]] == [200, 200, 200]
    assert answers[-1].status_code == 429
    assert answers[-1].json()["code"] == "rate_limited"
    assert int(answers[-1].headers["Retry-After"]) >= 1


def test_quotas_of_bytes_and_of_waiting_scans(server, bands):
    size = bands.stat().st_size
    with server.client(server.key("erin", "--bytes-per-day", str(size + 1000))) as client:
        wait_for(client, upload(client, bands)["id"])
        refused = client.post("/v1/scans", content=bands.read_bytes(), params={"plan": "interval"})
        assert refused.status_code == 429
        assert refused.json()["code"] == "quota_exceeded"


@pytest.mark.parametrize("quota", ["--bytes-per-day", "--concurrent-scans"])
def test_an_upload_that_is_repeated_with_its_idempotency_key_is_in_no_quotas_way(server, bands, quota):
    most = bands.stat().st_size + 1000 if quota == "--bytes-per-day" else 1
    with server.client(server.key(f"once{quota}", quota, str(most))) as client:

        def send(key):
            return client.post("/v1/scans", content=bands.read_bytes(), headers={"Idempotency-Key": key})

        first, again, other = send("one"), send("one"), send("two")
        assert again.json()["id"] == first.json()["id"], again.text
        if quota == "--bytes-per-day":
            assert other.json()["code"] == "quota_exceeded"
        wait_for(client, first.json()["id"])


@pytest.mark.parametrize("kind", ["raw", "form"])
def test_a_body_of_unknown_length_ends_where_the_quota_does(server, kind):
    def body():
        if kind == "form":
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        for _ in range(40):
            yield bytes(1000)
        if kind == "form":
            yield b"\r\n--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b" if kind == "form" else "video/mp4"}
    with server.client(server.key(f"quota-{kind}", "--bytes-per-day", "20000")) as client:
        refused = client.post("/v1/scans", content=body(), headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
        assert client.get("/v1/scans").json()["items"] == []
    assert not list((server.store / "uploads").glob("*.partial"))


def test_every_look_at_a_clip_is_in_the_audit_log(server, alice, scan):
    import sqlite3

    alice.get(scan["links"]["clip"])
    alice.get(scan["links"]["report.json"])
    with sqlite3.connect(server.store / "ordnance.sqlite") as database:
        rows = database.execute(
            "SELECT owner, action, clip_sha256, remote FROM ord_audit WHERE scan_id = ?", (scan["id"],)
        ).fetchall()
    assert ("alice", "upload", scan["clip"]["sha256"], "127.0.0.1") in rows
    assert ("alice", "clip", scan["clip"]["sha256"], "127.0.0.1") in rows
    assert ("alice", "report", scan["clip"]["sha256"], "127.0.0.1") in rows


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "word"),
    [
        ({"ORDNANCE_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"}, "DATABASE_URL"),
        ({"ORDNANCE_DATABASE_URL": "postgresql://host:port/name"}, "ORDNANCE_DATABASE_URL cannot be used"),
        ({"ORDNANCE_DATABASE_URL": "sqlite://"}, "ORDNANCE_DATABASE_URL cannot be used"),
        ({"ORDNANCE_DATABASE_URL": "sqlite:///:memory:"}, "ORDNANCE_DATABASE_URL cannot be used"),
        ({"ORDNANCE_BLOB_URL": "/proc/nowhere"}, "set ORDNANCE_BLOB_URL"),
        ({"ORDNANCE_STORE": "/proc/nowhere"}, "/proc/nowhere"),
        ({"ORDNANCE_PORT": "many"}, "ORDNANCE_PORT"),
        ({"ORDNANCE_BLOB_OPTIONS": "{"}, "ORDNANCE_BLOB_OPTIONS cannot be used"),
        ({"ORDNANCE_STOER": "x"}, "ORDNANCE_STOER"),
        ({"ORDNANCE_MODEL": "nope"}, "nope"),
        ({"ORDNANCE_MODEL": str(WEIGHTS_FOLDER / "ordnance-n.onnx")}, "use one of: ordnance-n, "),
        ({"ORDNANCE_WEBHOOK_HOSTS": "a.example"}, "WEBHOOK_SECRET"),
        ({"ORDNANCE_STORE": "~nobody-of-this-name/store"}, "ORDNANCE_STORE cannot be used"),
        ({"ORDNANCE_HOST": "192.0.2.1"}, "ORDNANCE_HOST"),
        ({"ORDNANCE_CORS_ORIGINS": "https://a.example/"}, "https://a.example/, which no browser sends"),
        ({"ORDNANCE_WEBHOOK_HOSTS": "a.example:8443,https://b.example/"}, "https://b.example/, which is no host"),
        ({"ORDNANCE_WEBHOOK_HOSTS": '["a.example"]'}, '["a.example"], which is no host'),
        ({"ORDNANCE_GUARD_STALL_SECONDS": "inf"}, "ORDNANCE_GUARD_STALL_SECONDS cannot be used"),
        ({"ORDNANCE_GUARD_MEMORY_BYTES": "1" + "0" * 20}, "ORDNANCE_GUARD_MEMORY_BYTES cannot be used"),
        ({"ORDNANCE_GUARD_CPU_SECONDS": "1" + "0" * 20}, "ORDNANCE_GUARD_CPU_SECONDS cannot be used"),
        ({"ORDNANCE_UPLOAD_HOURS": "1e300"}, "ORDNANCE_UPLOAD_HOURS cannot be used"),
    ],
)
def test_config_check_explains_what_is_wrong(tmp_path, environment, word):
    done = run("config", "check", **{"ORDNANCE_STORE": str(tmp_path / "store"), **environment})
    assert done.returncode in (1, 2)
    assert word in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"ORDNANCE_WORKRES=4\nPOSTGRES_PASSWORD=x\n", "wrong: ORDNANCE_WORKRES is no setting"),
        (b"ORDNANCE_STORE=caf\xe9\n", ".env cannot be read"),
    ],
)
def test_config_check_looks_into_the_env_file(tmp_path, monkeypatch, content, word):
    (tmp_path / ".env").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    done = run("config", "check", PYTHONPATH=str(Path(__file__).parents[2]))
    assert done.returncode in (1, 2)
    assert word in done.stdout + done.stderr
    assert "POSTGRES" not in done.stdout
    assert "fault of ours" not in done.stderr


def test_config_check_misses_the_network_of_the_second_view(tmp_path, monkeypatch):
    weights = tmp_path / "weights"
    weights.mkdir()
    for name in ("manifest.json", "ordnance-n.onnx"):
        (weights / name).symlink_to(WEIGHTS_FOLDER / name)
    for module in ("detector.models", "detector.models.manifest"):
        monkeypatch.setattr(f"{module}.WEIGHTS_FOLDER", weights)
    words = [each.words for each in check(load_settings(store=tmp_path / "store")) if each.is_wrong]
    assert any("ordnance-n-second.onnx of the model 'ordnance-n-second' is missing" in each for each in words)


def test_config_check_finds_a_file_of_the_database_that_may_only_be_read(tmp_path):
    run("keys", "create", "alice", "--store", str(tmp_path))
    (tmp_path / "ordnance.sqlite").chmod(0o444)
    # Rights do not keep root from writing; root without these two capabilities is as any user.
    as_user = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command = [*as_user, sys.executable, "-m", "service", "config", "check", "--store", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert f"can only be read; see to the rights in {tmp_path / 'ordnance.sqlite'}" in done.stdout
    (tmp_path / "ordnance.sqlite").chmod(0o644)
    assert run("config", "check", "--store", str(tmp_path)).returncode == 0


def test_config_check_misses_the_exporter_of_spans(tmp_path, monkeypatch):
    # Other packages bring opentelemetry itself.
    for name in [each for each in sys.modules if each.startswith("opentelemetry.exporter")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter", None)
    settings = load_settings(store=tmp_path / "store", otel_endpoint="http://127.0.0.1:4318")
    assert ["pip install 'ordnance[otel]'" in each.words for each in check(settings)] == [True]


def test_config_check_is_content_with_the_defaults(tmp_path):
    others = {"ORDNANCE_CHROMIUM": "/usr/bin/chromium", "ORDNANCE_NEW_LOOKS": "", "ORDNANCE_PICTURES": "pictures"}
    done = run("config", "check", ORDNANCE_STORE=str(tmp_path / "store"), **others)
    assert done.returncode == 0, done.stdout
    assert "can be used" in done.stdout


def test_config_check_leaves_nothing_behind(tmp_path):
    folder = f"file://{tmp_path}/bucket"
    for blobs in ({}, {"blob_url": folder, "blob_options": {"auto_mkdir": True}}, {"blob_url": f"{folder}/new"}):
        check(load_settings(store=tmp_path / "new" / "store", **blobs))
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
        assert not any(path.name == "new" for path in tmp_path.rglob("*"))


def test_config_show_shows_no_secret(tmp_path):
    done = run(
        *("config", "show"),
        ORDNANCE_STORE=str(tmp_path / "store"),
        ORDNANCE_DATABASE_URL="postgresql://ordnance:hush1@127.0.0.1/name",
        ORDNANCE_BLOB_URL="s3://hush2:hu/sh3@bucket/prefix?signature=hush4",
        ORDNANCE_BLOB_OPTIONS='{"key": "hush5", "secret": "hush6", "endpoint_url": "https://u:hush7@s3.example", '
        '"client_kwargs": {"region_name": "eu-north-1", "aws_session_token": "hush8"}}',
        ORDNANCE_WEBHOOK_SECRET="hush9",
        ORDNANCE_OTEL_ENDPOINT="http://u:hush10@collector.example:4318",
    )
    assert done.returncode == 0, done.stderr
    assert not re.search("hush|hu/sh", done.stdout)
    for shown in ("bucket/prefix", "@s3.example", "eu-north-1", "client_kwargs", "collector.example:4318"):
        assert shown in done.stdout


def test_it_is_said_where_keys_are_made_and_a_server_says_where_it_looks_for_them(tmp_path):
    done = run("keys", "create", "alice", "--store", str(tmp_path / "here"))
    assert f"keys in {tmp_path / 'here' / 'ordnance.sqlite'}" in done.stderr
    assert len(done.stdout.split()) == 1


@pytest.mark.parametrize("days", ["1e12", "inf", "nan", "-1"])
def test_a_key_ends_before_the_calendar_does(tmp_path, days):
    store = {"ORDNANCE_STORE": str(tmp_path / "store")}
    key = run("keys", "create", "alice", **store).stdout
    for refused in (
        run("keys", "create", "alice", f"--expires-in-days={days}", **store),
        run("keys", "rotate", key.split("_")[1], f"--overlap-hours={days}", **store),
    ):
        assert refused.returncode == 2
        assert "Traceback" not in refused.stderr
    listed = run("keys", "list", **store)
    assert listed.returncode == 0, listed.stderr
    assert len(listed.stdout.splitlines()) == 1


@pytest.mark.parametrize("quota", ["--bytes-per-day", "--concurrent-scans", "--requests-per-minute"])
def test_a_quota_that_no_database_holds_is_wrong_usage(tmp_path, quota):
    done = run("keys", "create", "alice", quota, "1" + "0" * 20, ORDNANCE_STORE=str(tmp_path / "store"))
    assert done.returncode == 2
    assert quota in done.stderr
    assert done.stdout == ""


def test_a_port_that_is_taken_is_named_with_a_remedy(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--port", str(port), ORDNANCE_STORE=str(tmp_path / "store"), ORDNANCE_WORKERS="0")
    assert done.returncode == 2
    assert f"Port {port} of 127.0.0.1" in done.stderr
    assert "--port" in done.stderr
