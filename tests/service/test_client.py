import asyncio
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from unittest.mock import AsyncMock
from urllib.parse import urlsplit

import httpx
import pytest
from readme_examples import run_example

from benchmarks.service.clips import pad_clip
from detector.errors import BadOption
from service.client import AsyncClient, Client, ServerError


def test_both_clients_do_the_same(server, bands):
    sent = []
    with Client(server.url, server.key("grace")) as client:
        scan = client.submit(bands, lambda done, size: sent.append((done, size)), plan="interval", classes=["tank"])
        ended = client.wait(scan.id)
        assert ended.state == "done"
        assert sent[-1] == (bands.stat().st_size, bands.stat().st_size)
        assert client.report(scan.id).scan.classes == ("tank",)
        assert client.appearances(scan.id) == []
        assert [each.id for each in client.scans(state="done")] == [scan.id]
        with pytest.raises(ServerError) as refused:
            client.scan("0" * 32)
        assert (refused.value.code, refused.value.status) == ("not_found", 404)
        client.delete(scan.id)

    async def the_same():
        async with AsyncClient(server.url, server.key("heidi")) as client:
            scan = await client.submit(bands)
            kinds = [event.kind async for event in client.events(scan.id)]
            assert kinds[0] == kinds[-1] == "state"
            assert (await client.wait(scan.id)).state == "done"
            assert (await client.report(scan.id)).clip.name == "bands.mp4"

    asyncio.run(the_same())


@contextmanager
def line_that_breaks(url, *places, stalls=False):
    """A way to the server on which one connection after the other breaks, after so many bytes to the server each.

    The client sees it, unless it stalls; the server is not told.
    """
    target = urlsplit(url)
    listener = socket.create_server(("127.0.0.1", 0))
    left = list(places)

    ends = [listener]

    def carry(source, sink, allowed=None):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
                if allowed is not None and (allowed := allowed - len(data)) < 0:
                    if not stalls:
                        source.close()
                    return
            sink.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def take():
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection((target.hostname, target.port))
            ends.extend((near, far))
            allowed = left.pop(0) if left else None
            threading.Thread(target=carry, args=(near, far, allowed), daemon=True).start()
            threading.Thread(target=carry, args=(far, near), daemon=True).start()

    threading.Thread(target=take, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        for end in ends:
            end.close()
        assert not left


def test_an_upload_goes_on_over_a_line_that_breaks_again_and_again(server, bands, tmp_path):
    clip = pad_clip(bands, tmp_path / "padded.mp4", 90 * 1024 * 1024)
    steps = []
    breaks = [3_000_000, 17_000_000, 1_000, 30_000_000]
    with (
        line_that_breaks(server.url, *breaks) as url,
        Client(url, server.key("ivan")) as client,
    ):
        scan = client.submit(clip, lambda done, size: steps.append(done), plan="keyframes-only")
        assert client.wait(scan.id).state == "done"
        assert client.report(scan.id).clip.sha256 == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert steps == sorted(steps)
    assert steps[-1] == clip.stat().st_size
    assert len(steps) > len(breaks)


def test_an_upload_that_is_interrupted_is_removed_from_the_server(start, bands, tmp_path):
    clip = pad_clip(bands, tmp_path / "padded.mp4", 40 * 1024 * 1024)
    server = start(WORKERS=0, BYTES_PER_DAY=50 * 1024 * 1024)
    key = server.key("ursula")
    with line_that_breaks(server.url, 12_000_000, stalls=True) as url:
        submit = subprocess.Popen(
            [sys.executable, "-m", "service", "submit", str(clip), "--server", url],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "ORDNANCE_KEY": key},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        while not any(each.stat().st_size > 8_000_000 for each in (server.store / "uploads").iterdir()):
            assert submit.poll() is None
            time.sleep(0.05)
        submit.send_signal(signal.SIGINT)
        _, said = submit.communicate(timeout=60)
    assert submit.returncode == 130
    assert said.splitlines()[-1] == "ordnance: interrupted."
    assert not list((server.store / "uploads").iterdir())
    with Client(server.url, key) as client:
        assert client.submit(clip).state == "queued"


class Interruption(BaseException):
    pass


@pytest.mark.parametrize("answered", [204, 404, 500, httpx.ConnectError("refused")], ids=str)
def test_an_upload_that_could_not_be_removed_is_said_to_be_there(ask, tmp_path, answered):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"x" * 3000)
    asked = []

    def answer(request):
        asked.append(request.method)
        if request.method == "POST":
            return httpx.Response(201, headers={"Location": "/v1/uploads/1"})
        if request.method == "PATCH":
            raise Interruption
        if isinstance(answered, Exception):
            raise answered
        return httpx.Response(answered, json={})

    with pytest.raises(Interruption) as interrupted:
        ask(answer, lambda client: client.submit(clip))
    assert asked == ["POST", "PATCH", "DELETE"]
    notes = getattr(interrupted.value, "__notes__", [])
    assert len(notes) == (answered not in (204, 404))
    assert all("clip.mp4 could not be removed from the server" in note for note in notes)


@contextmanager
def proxy_of_a_server_that_starts(*, refusals):
    """Answers 502 so many times, and then tells by an event that the scan is done."""
    left = [502] * refusals

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status = left.pop() if left else 200
            event = 'id: 1\nevent: state\ndata: {"state": "done"}\n\n'
            body = event if status == 200 else "<html>Bad Gateway"
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_events_wait_for_a_server_that_starts_behind_its_proxy(monkeypatch):
    ended = SimpleNamespace(state="done")
    monkeypatch.setattr(Client, "scan", lambda *_: ended)
    monkeypatch.setattr(AsyncClient, "scan", AsyncMock(return_value=ended))
    with proxy_of_a_server_that_starts(refusals=2) as url, Client(url) as client:
        assert [event.data for event in client.events("0" * 32)] == [{"state": "done"}]

    async def the_same(url):
        async with AsyncClient(url) as client:
            return [event.data async for event in client.events("0" * 32)]

    with proxy_of_a_server_that_starts(refusals=2) as url:
        assert asyncio.run(the_same(url)) == [{"state": "done"}]


@pytest.mark.parametrize(
    ("server", "key", "word"),
    [
        ("http://127.0.0.1:1", "ключ", "key"),
        ("http://127.0.0.1:1", "ord_\n", "key"),
        *((server, None, "address") for server in ("http://a:b", "127.0.0.1", "localhost:8008", "ftp://a", "http://")),
    ],
)
def test_a_key_or_address_that_cannot_be_one_is_refused(server, key, word):
    with pytest.raises(BadOption, match=word):
        Client(server, key)


def test_an_option_that_is_misspelt_is_refused(server, bands):
    with Client(server.url) as client, pytest.raises(BadOption, match=r"'treshold' is no option.* threshold,"):
        client.submit(bands, treshold=0.5)


def test_a_server_that_says_yes_to_everything_is_not_taken_for_ordnance(tmp_path):
    class Agreeing(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *arguments):
            pass

    (tmp_path / "clip.mp4").write_bytes(b"clip")
    with ThreadingHTTPServer(("127.0.0.1", 0), Agreeing) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        with (
            Client(f"http://127.0.0.1:{other.server_port}") as client,
            pytest.raises(ServerError, match="is it Ordnance that listens there"),
        ):
            client.submit(tmp_path / "clip.mp4")
        other.shutdown()


@pytest.mark.parametrize("size", [1000, 5000])
def test_a_clip_that_changes_its_size_while_it_is_sent_is_named(tmp_path, monkeypatch, size):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"x" * 3000)
    monkeypatch.setattr("service.client.upload.FIRST_CHUNK_BYTES", 2000)
    asked = iter(range(20))
    removed = []

    def answer(request):
        next(asked)
        if request.method == "POST":
            return httpx.Response(201, headers={"Location": "/v1/uploads/1"})
        if request.method == "DELETE":
            removed.append(request.url.path)
            return httpx.Response(204)
        os.truncate(clip, size)
        offset = int(request.headers["Upload-Offset"]) + len(request.content)
        return httpx.Response(204, headers={"Upload-Offset": str(offset)})

    with Client("http://127.0.0.1:1") as client:
        client._http = httpx.Client(base_url="http://127.0.0.1:1", transport=httpx.MockTransport(answer))
        with pytest.raises(BadOption, match=r"clip.mp4 has changed its size"):
            client.submit(clip)
    assert removed == ["/v1/uploads/1"]


@pytest.mark.parametrize("call", [lambda c: c.scan("1"), lambda c: c.scans(), lambda c: c.cancel("1")])
def test_a_server_that_is_another_is_said_to_be(call, tmp_path):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"x")
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text="<h1>Welcome</h1>"))
    with Client("http://127.0.0.1:1") as client:
        client._http = httpx.Client(base_url="http://127.0.0.1:1", transport=transport)
        for each in (call, lambda client: client.submit(clip)):
            with pytest.raises(ServerError, match="is it Ordnance"):
                each(client)


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (308, {"Location": "https://ordnance.example/v1/uploads"}, "sends on to https://ordnance.example/"),
        (413, {}, "A proxy before the server takes no request as large"),
    ],
)
def test_a_proxy_that_is_in_the_way_is_named(tmp_path, status, headers, words):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"x")
    transport = httpx.MockTransport(lambda _: httpx.Response(status, headers=headers, text="<h1>nginx</h1>"))
    with Client("http://127.0.0.1:1") as client:
        client._http = httpx.Client(base_url="http://127.0.0.1:1", transport=transport)
        with pytest.raises(ServerError, match=words):
            client.submit(clip)


@pytest.fixture(params=["Client", "AsyncClient"])
def ask(request, monkeypatch):
    """Has a client do something, each in its turn; a function answers its requests. It waits for nothing."""
    monkeypatch.setattr("service.client.clients.time.sleep", lambda _: None)
    monkeypatch.setattr("service.client.clients.asyncio.sleep", AsyncMock())
    address = "http://127.0.0.1:1"

    async def awaited(answer, call):
        async with AsyncClient(address) as client:
            client._http = httpx.AsyncClient(base_url=address, transport=httpx.MockTransport(answer))
            return await call(client)

    def done(answer, call):
        if request.param == "AsyncClient":
            return asyncio.run(awaited(answer, call))
        with Client(address) as client:
            client._http = httpx.Client(base_url=address, transport=httpx.MockTransport(answer))
            return call(client)

    return done


def scan_that_is(monkeypatch, state):
    def found(scan_id):
        return SimpleNamespace(id=scan_id, state=state)
        yield

    monkeypatch.setattr("service.client.scans.scan", found)


def test_a_clip_that_has_arrived_is_waited_for_while_the_server_stores_it(ask, tmp_path, monkeypatch):
    """Its last byte is answered once it lies in the store, which can take minutes."""
    scan_that_is(monkeypatch, "queued")
    clip = tmp_path / "large.mp4"
    clip.write_bytes(b"x" * 3000)
    asked, steps = [], []

    def answer(request):
        asked.append(request.method)
        if request.method == "POST":
            return httpx.Response(201, headers={"Location": "/v1/uploads/1"})
        if request.method == "PATCH":
            if asked.count("PATCH") == 1:
                raise httpx.ReadTimeout("timed out")
            return httpx.Response(409, json={})
        is_made = asked.count("HEAD") > 30
        return httpx.Response(200, headers={"Upload-Offset": "3000", **({"Ordnance-Scan": "/s/7"} if is_made else {})})

    assert ask(answer, lambda client: client.submit(clip, lambda *step: steps.append(step))).id == "7"
    assert asked == ["POST", "PATCH", *["HEAD"] * 31]
    assert set(steps) == {(3000, 3000)}


def answers_in_turn(*answers):
    """Statuses, or errors of the connection."""
    left = iter(answers)

    def answer(_):
        one = next(left)
        if isinstance(one, Exception):
            raise one
        return httpx.Response(one, json={})

    return answer


def test_a_server_that_puts_an_upload_off_is_asked_as_long_as_it_says_when(ask, bands, monkeypatch):
    monkeypatch.setattr("service.client.asking.ATTEMPTS", 3)
    scan_that_is(monkeypatch, "queued")
    size = str(bands.stat().st_size)
    whole = httpx.Response(204, headers={"Upload-Offset": size, "Ordnance-Scan": "/s/7"})
    full = httpx.Response(429, headers={"Retry-After": "30"})
    answers = [*[full] * 10, httpx.Response(201, headers={"Location": "/v1/uploads/1"}), whole]
    assert ask(lambda _: answers.pop(0), lambda client: client.submit(bands)).id == "7"


def test_a_server_that_says_tomorrow_is_asked_once(ask, bands):
    why = "200 of 200 bytes of today's quota are used; go on tomorrow (UTC)."
    problem = {"type": "x", "title": "Quota exceeded", "status": 429, "code": "quota_exceeded", "detail": why}
    answers = [httpx.Response(429, headers={"Retry-After": "40000"}, json=problem)]
    with pytest.raises(ServerError) as refused:
        ask(lambda _: answers.pop(), lambda client: client.submit(bands))
    assert (refused.value.code, str(refused.value)) == ("quota_exceeded", why)


@pytest.mark.parametrize("lost", [httpx.ReadError("broken"), 504], ids=str)
def test_a_deletion_whose_answer_was_lost_is_no_failure(ask, lost):
    ask(answers_in_turn(lost, 404), lambda client: client.delete("1"))


@pytest.mark.parametrize("refusal", [httpx.ConnectError("refused"), 503], ids=str)
def test_a_deletion_that_came_to_nobody_tells_that_there_is_no_scan(ask, refusal):
    with pytest.raises(ServerError) as refused:
        ask(answers_in_turn(refusal, 404), lambda client: client.delete("1"))
    assert refused.value.status == 404


def test_a_cancellation_whose_answer_was_lost_is_no_failure(ask, monkeypatch):
    scan_that_is(monkeypatch, "cancelled")
    assert ask(answers_in_turn(httpx.ReadError("broken"), 409), lambda client: client.cancel("1")).state == "cancelled"


def test_a_scan_that_had_ended_was_not_cancelled(ask, monkeypatch):
    scan_that_is(monkeypatch, "done")
    with pytest.raises(ServerError) as refused:
        ask(answers_in_turn(httpx.ReadError("broken"), 409), lambda client: client.cancel("1"))
    assert refused.value.status == 409


def test_a_scan_that_waits_is_followed_over_any_number_of_broken_connections(ask, monkeypatch):
    """Before its first event a stream has nothing but signs of life."""
    monkeypatch.setattr("service.client.asking.ATTEMPTS", 3)
    ended = SimpleNamespace(state="done")
    monkeypatch.setattr(Client, "scan", lambda *_: ended)
    monkeypatch.setattr(AsyncClient, "scan", AsyncMock(return_value=ended))
    left = [False] * 5 + [True]

    class Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self):
            yield b": still here\n\n"
            if not left.pop(0):
                raise httpx.RemoteProtocolError("peer closed connection")
            yield b'id: 1\nevent: state\ndata: {"state": "done"}\n\n'

        async def __aiter__(self):
            for each in self:
                yield each

    assert ask(lambda _: httpx.Response(200, stream=Stream()), lambda client: client.wait("1")) is ended
    assert left == []


def test_the_client_example_of_the_readme_runs_as_it_stands(server, humvee, tmp_path):
    # A clip of its own, which nobody else has scanned under another name: an empty box changes its bytes alone.
    (tmp_path / "clip.mp4").write_bytes(humvee.read_bytes() + b"\x00\x00\x00\x08free")
    lines = run_example("from service.client import Client", tmp_path, [("http://127.0.0.1:8008", server.url)])
    assert "humvee" in {line.split()[0] for line in lines}
