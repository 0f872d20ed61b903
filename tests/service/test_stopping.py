"""A server that is told to stop: what was under way is kept or said to be given up, and nothing is left running."""

import json
import os
import re
import signal
import socket
import subprocess

import pytest
from made_clips import DEMO
from service_server import processes, upload, wait_for

TUS = {"Tus-Resumable": "1.0.0"}


def begin(server, method, url, *headers, body=b"x" * 5000):
    """A request with a body of 100,000 bytes, of which only the first come."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    lines = [f"{method} {url} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Content-Length: 100000", *headers]
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
    return connection


def answer_of(connection):
    """Status, headers and body of the answer, to the connection's end."""
    with connection, connection.makefile("rb") as answer:
        received = answer.read()
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), {name: value for name, value in (line.split(": ", 1) for line in lines)}, body


def descendants(pid):
    """The process's children, and theirs."""
    children: dict[int, list[int]] = {}
    for child, parent, _ in processes():
        children.setdefault(parent, []).append(child)
    found = children.get(pid, [])
    for child in found:
        found += children.get(child, [])
    return found


def runs(pid):
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return state.strip() not in ("", "Z", "ZN")


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_server_that_stops_keeps_what_came_and_leaves_no_process_behind(start, sent, code):
    server = start()
    server.wait_ready()
    with server.client() as client:
        scan = upload(client, DEMO, plan="every-frame")["id"]
        wait_for(client, scan, "running")
        length = {**TUS, "Upload-Length": "100000"}
        resumable = client.post("/v1/uploads", headers=length).headers["Location"]
        offset = ("Content-Type: application/offset+octet-stream", "Tus-Resumable: 1.0.0", "Upload-Offset: 0")
        patch = begin(server, "PATCH", resumable, *offset)
        post = begin(server, "POST", "/v1/scans?name=clip.mp4")
        part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\nhalf of a clip'
        form = begin(server, "POST", "/v1/scans", "Content-Type: multipart/form-data; boundary=x", body=part)
        with client.stream("GET", "/v1/events") as events:
            lines = events.iter_lines()
            assert next(lines)
            process, started = server.process, descendants(server.process.pid)
            assert len(started) >= 2
            process.send_signal(sent)
            assert process.wait(30) == code
            list(lines)
    assert not [pid for pid in started if runs(pid) and os.getpid() != pid]

    for connection in (post, form):
        status, headers, body = answer_of(connection)
        assert (status, headers["retry-after"], json.loads(body)["code"]) == (503, "5", "not_ready")
    status, headers, _ = answer_of(patch)
    assert (status, headers["upload-offset"]) == (204, "5000")
    assert not re.search(r"Traceback| error ", server.log.read_text())

    server.start()
    with server.client() as client:
        assert client.head(resumable, headers=TUS).headers["Upload-Offset"] == "5000"
        assert not list(server.store.glob("uploads/*.partial"))
        assert wait_for(client, scan, "running", "done")


def test_a_request_that_does_not_end_holds_a_stop_up_for_a_moment_only(start):
    server = start(WORKERS=0, UPLOAD_STALL_SECONDS=600)
    with server.client() as client:
        scan = upload(client, DEMO)["id"]
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as slow:
        slow.sendall(f"GET /v1/scans/{scan}/clip HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        assert slow.recv(1)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
    assert "Traceback" not in server.log.read_text()
