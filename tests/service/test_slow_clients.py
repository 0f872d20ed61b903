"""Clients that stall, or send without an end, hold no connection and no memory."""

import json
import socket
import time

import pytest

SCANS = b"POST /v1/scans?name=clip.mp4 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
RESCAN = b"POST /v1/scans/" + b"0" * 32 + b"/rescan HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    from service_server import Server

    server = Server(tmp_path_factory.mktemp("impatient") / "store", WORKERS=0, UPLOAD_STALL_SECONDS=1).start()
    yield server
    server.stop()


def ended(server, *parts):
    """What comes until the server closes the connection, of which each part is sent after an answer to the one before;
    what it does not close fails."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        came = b""
        for part in parts[:-1]:
            connection.sendall(part)
            came += connection.recv(65536)
        connection.sendall(parts[-1])
        while more := connection.recv(65536):
            came += more
        return came


@pytest.mark.parametrize(
    "parts",
    [
        (b"",),
        (b"GET /healthz HT",),
        (HEAD,),
        (HEAD + b"\r\n", b"\r\n"),
        (HEAD + b"\r\n", HEAD),
        # Nobody waits for the rest of a body that is answered already.
        (SCANS + b"Authorization: Bearer none\r\n\r\n", b"x" * 10),
    ],
    ids=["nothing", "half a line", "half a head", "an empty line", "a second half", "the rest of an answered body"],
)
def test_a_connection_on_which_a_request_does_not_come_whole_is_closed(impatient, parts):
    answer = ended(impatient, *parts)
    assert answer.count(b"HTTP/1.1") == len(parts) - 1


def test_a_body_that_stalls_is_answered_and_leaves_nothing(impatient):
    assert b" 400 " in ended(impatient, RESCAN + b"Content-Length: 100\r\n\r\n{").split(b"\r\n")[0]
    answer = ended(impatient, SCANS + b"\r\n" + b"x" * 500)
    assert b" 400 " in answer.split(b"\r\n")[0] and b"The upload was cut off" in answer
    assert not list((impatient.store / "uploads").iterdir())


@pytest.mark.parametrize(
    "head",
    [SCANS, SCANS + b"Authorization: Bearer none\r\n", RESCAN + b"Content-Length: 1000\r\n"],
    ids=["an upload", "an upload that is refused", "a document"],
)
def test_a_body_that_drips_is_not_waited_for(impatient, head):
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=30) as connection:
        connection.sendall(head + b"\r\n")
        with pytest.raises(ConnectionError):
            for _ in range(100):
                time.sleep(0.2)
                connection.sendall(b"x")
    for _ in range(100):
        if not (left := list((impatient.store / "uploads").iterdir())):
            break
        time.sleep(0.1)
    assert not left


@pytest.mark.parametrize(
    ("sent", "more"),
    [
        (HEAD, b"X-More: " + b"a" * 990 + b"\r\n"),
        (b"GET /", b"a" * 1000),
        (RESCAN + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n", b"X-More: " + b"a" * 990 + b"\r\n"),
    ],
    ids=["headers", "an address", "trailers"],
)
def test_a_head_without_an_end_is_refused(impatient, sent, more):
    assert b"HTTP/1.1 400 " in ended(impatient, sent + more * 70)


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_would_be_held_in_memory_has_a_limit(impatient, announced):
    size = 3 * 1024 * 1024
    kind = f"Content-Length: {size}" if announced else "Transfer-Encoding: chunked"
    body = b"" if announced else b"%x\r\n" % size + b" " * size
    head, _, document = ended(impatient, RESCAN + kind.encode() + b"\r\n\r\n" + body).partition(b"\r\n\r\n")
    assert b" 413 " in head.split(b"\r\n")[0]
    assert json.loads(document)["code"] == "upload_too_large"


def test_who_only_listens_is_not_cut_off(impatient, bands):
    with impatient.client() as client:
        scan = client.post("/v1/scans", params={"name": "a.mp4"}, content=bands.read_bytes()).json()["id"]
        with client.stream("GET", f"/v1/scans/{scan}/events") as answer:
            lines = answer.iter_lines()
            assert any("queued" in line for line in lines)
            # All that stalls meanwhile ends first.
            ended(impatient, HEAD)
            ended(impatient, HEAD)
            client.post(f"/v1/scans/{scan}/cancel")
            assert any("cancelled" in line for line in lines)
