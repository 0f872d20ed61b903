import base64
import hashlib
import re
import socket
import sqlite3
import time
from contextlib import contextmanager

import pytest
from service_server import upload, wait_for
from tusclient.client import TusClient

TUS = {"Tus-Resumable": "1.0.0"}
PATCH = {**TUS, "Content-Type": "application/offset+octet-stream"}


def begin(client, length, **metadata):
    pairs = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in metadata.items())
    answer = client.post("/v1/uploads", headers={**TUS, "Upload-Length": str(length), "Upload-Metadata": pairs})
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


def test_tuspy_uploads_in_chunks_and_the_scan_begins(server, client, bands):
    with bands.open("rb") as file:
        uploader = TusClient(f"{server.url}/v1/uploads").uploader(
            file_stream=file,
            chunk_size=1500,
            metadata={"filename": "bands.mp4", "plan": "interval"},
            upload_checksum=True,
        )
        uploader.upload()
    state = client.head(uploader.url, headers=TUS)
    scan = wait_for(client, state.headers["Ordnance-Scan"].rsplit("/", 1)[-1])
    assert scan["state"] == "done"
    assert scan["options"]["plan"] == "interval"
    assert scan["clip"]["sha256"] == hashlib.sha256(bands.read_bytes()).hexdigest()


def test_what_the_server_can(client):
    answer = client.options("/v1/uploads")
    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert set(answer.headers["Tus-Extension"].split(",")) == {"creation", "checksum", "expiration", "termination"}


def test_an_uploads_address_is_right_behind_any_proxy(client):
    assert re.fullmatch("/v1/uploads/[0-9a-f]{32}", begin(client, 5))


def test_bytes_with_a_wrong_checksum_are_thrown_away(client):
    url = begin(client, 10)
    wrong = {"Upload-Checksum": "sha1 " + base64.b64encode(hashlib.sha1(b"other").digest()).decode()}
    answer = client.patch(url, content=b"hello", headers={**PATCH, "Upload-Offset": "0", **wrong})
    assert answer.status_code == 460
    assert answer.json()["code"] == "upload_checksum_wrong"
    assert client.head(url, headers=TUS).headers["Upload-Offset"] == "0"
    right = {"Upload-Checksum": "sha1 " + base64.b64encode(hashlib.sha1(b"hello").digest()).decode()}
    assert client.patch(url, content=b"hello", headers={**PATCH, "Upload-Offset": "0", **right}).status_code == 204
    assert client.head(url, headers=TUS).headers["Upload-Offset"] == "5"


def test_bytes_at_the_wrong_place_or_beyond_the_end_are_refused(client):
    url = begin(client, 10)
    assert client.patch(url, content=b"hello", headers={**PATCH, "Upload-Offset": "3"}).status_code == 409
    assert client.patch(url, content=b"x" * 11, headers={**PATCH, "Upload-Offset": "0"}).status_code == 413
    assert client.head(url, headers=TUS).headers["Upload-Offset"] == "0"


def test_an_upload_that_was_given_up_is_gone(server, client):
    url = begin(client, 10)
    client.patch(url, content=b"hello", headers={**PATCH, "Upload-Offset": "0"})
    assert client.delete(url, headers=TUS).status_code == 204
    assert client.head(url, headers=TUS).status_code == 404
    assert files_of(server, url) == []


def files_of(server, url):
    return list((server.store / "uploads").glob(f"{url.rsplit('/', 1)[-1]}*"))


@pytest.mark.parametrize("checksum", [{}, {"Upload-Checksum": "crc32 " + base64.b64encode(bytes(4)).decode()}])
def test_an_upload_is_given_up_while_its_bytes_are_on_their_way(server, client, checksum):
    length = 4_000_000
    url = begin(client, length)
    headers = {**PATCH, **checksum, "Upload-Offset": "0"}
    with silent_request(server, "PATCH", url.removeprefix(server.url), headers, length, bytes(1_500_000)):
        for _ in range(200):
            if any(each.stat().st_size for each in files_of(server, url)):
                break
            time.sleep(0.05)
        else:
            pytest.fail("no byte of the upload has come to the disk")
        assert client.delete(url, headers=TUS).status_code == 204
        assert files_of(server, url) == []
    assert client.head(url, headers=TUS).status_code == 404
    time.sleep(0.5)
    assert files_of(server, url) == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Tus-Resumable": "0.2.2", "Upload-Length": "5"}, 412),
        ({**TUS}, 400),
        ({**TUS, "Upload-Length": "-1"}, 400),
        ({**TUS, "Upload-Length": "999999999999999"}, 413),
        ({**TUS, "Upload-Length": "5", "Upload-Metadata": "filename ???"}, 400),
        ({**TUS, "Upload-Length": "5", "Upload-Metadata": "plan aG91cmx5"}, 422),
    ],
)
def test_an_upload_that_cannot_be_is_refused_at_its_beginning(client, headers, status):
    assert client.post("/v1/uploads", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "", {**TUS}, 400),
        ("HEAD", f"/{'0' * 32}", {**TUS}, 404),
        ("PATCH", f"/{'0' * 32}", {**PATCH, "Upload-Offset": "0"}, 404),
        ("PATCH", "/x", {**PATCH}, 422),
        ("PUT", "", {**TUS}, 405),
        ("POST", "", {**TUS, "Authorization": "Bearer x"}, 401),
        ("POST", "", {"Tus-Resumable": "0.2.2"}, 412),
    ],
)
def test_errors_name_the_version_as_well(client, method, path, headers, status):
    answer = client.request(method, f"/v1/uploads{path}", headers=headers)
    assert (answer.status_code, answer.headers.get_list("Tus-Resumable")) == (status, ["1.0.0"])


def test_post_stands_for_the_method_that_it_names(client, bands):
    whole = bands.read_bytes()
    url = begin(client, len(whole), filename="posted.mp4")
    sent = client.post(
        url, content=whole[:1000], headers={**PATCH, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    )
    assert (sent.status_code, sent.headers["Upload-Offset"]) == (204, "1000")
    asked = client.post(url, headers={**TUS, "X-HTTP-Method-Override": "HEAD"})
    assert (asked.status_code, asked.headers["Upload-Offset"]) == (200, "1000")
    assert client.post(url, headers={**TUS, "X-HTTP-Method-Override": "DELETE"}).status_code == 204
    assert client.head(url, headers=TUS).status_code == 404
    assert client.post(url, headers=TUS).status_code == 405


@contextmanager
def silent_request(server, method, path, headers, length, content):
    """A request on a connection that has fallen silent after the first bytes of its body, and does not say so."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        yield connection


@pytest.mark.parametrize("checksum", [{}, {"Upload-Checksum": "crc32 " + base64.b64encode(bytes(4)).decode()}])
def test_a_connection_that_broke_without_a_word_is_not_waited_for(server, client, bands, checksum):
    whole = bands.read_bytes()
    url = begin(client, len(whole), filename="moved.mp4")
    path = url.removeprefix(server.url)
    headers = {**PATCH, **checksum, "Upload-Offset": "0"}
    with silent_request(server, "PATCH", path, headers, len(whole), whole[:2_000]):
        if not checksum:
            time.sleep(0.5)
        asked = client.head(url, headers=TUS)
        for _ in range(3):
            offset = int(asked.headers["Upload-Offset"])
            answer = client.patch(url, content=whole[offset:], headers={**PATCH, "Upload-Offset": str(offset)})
            if answer.status_code != 409:
                break
            asked = client.head(url, headers=TUS)
        assert answer.status_code == 204, answer.text
    scan = client.get(answer.headers["Ordnance-Scan"]).json()
    assert scan["clip"]["sha256"] == hashlib.sha256(whole).hexdigest()


def test_a_body_that_does_not_go_on_counts_as_cut_off(start, bands):
    server = start(WORKERS=0, UPLOAD_STALL_SECONDS=1)
    whole = bands.read_bytes()
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    for kind, begun in (("video/mp4", b""), ("multipart/form-data; boundary=b", form)):
        headers = {"Content-Type": kind, "Connection": "close"}
        with silent_request(server, "POST", "/v1/scans", headers, len(whole), begun + whole[:2_000]) as connection:
            connection.settimeout(60)
            answer = b""
            while part := connection.recv(65536):
                answer += part
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"cut off" in answer
    assert list((server.store / "uploads").iterdir()) == []
    with server.client() as client:
        assert client.get("/v1/scans").json()["items"] == []


def test_a_request_cut_in_the_middle_and_a_killed_server_lose_no_byte(start, bands):
    server = start(WORKERS=1)
    whole = bands.read_bytes()
    half = len(whole) // 2
    with server.client() as client:
        url = begin(client, len(whole), filename="cut.mp4")
        path = url.removeprefix(server.url)
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            head = f"PATCH {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(whole)}\r\nUpload-Offset: 0\r\n"
            head += "".join(f"{name}: {value}\r\n" for name, value in PATCH.items())
            connection.sendall(head.encode() + b"\r\n" + whole[:half])
            time.sleep(0.5)
        offset = wait_for_offset(client, path, half)
        assert offset == half
        rest = whole[half : half + 1000]
        client.patch(path, content=rest, headers={**PATCH, "Upload-Offset": str(offset)}).raise_for_status()
    server.kill()
    server.start()
    with server.client() as client:
        offset = int(client.head(path, headers=TUS).headers["Upload-Offset"])
        assert offset == half + 1000
        answer = client.patch(path, content=whole[offset:], headers={**PATCH, "Upload-Offset": str(offset)})
        scan = client.get(answer.headers["Ordnance-Scan"]).json()
        assert scan["clip"]["sha256"] == hashlib.sha256(whole).hexdigest()
        again = client.head(path, headers=TUS)
        assert again.headers["Ordnance-Scan"] == answer.headers["Ordnance-Scan"]
        assert wait_for(client, scan["id"])["state"] == "done"


def fill(server, url, content):
    """Leave the upload as a server does that is killed between the last byte and the scan."""
    (file,) = files_of(server, url)
    file.write_bytes(content)


def test_an_upload_that_was_left_whole_has_its_scan_when_its_client_asks(server, client, bands):
    whole = bands.read_bytes()
    url = begin(client, len(whole), filename="left.mp4", every_s="0.7", plan="interval")
    fill(server, url, whole)
    asked = client.head(url, headers=TUS)
    assert asked.headers["Upload-Offset"] == asked.headers["Upload-Length"]
    scan = client.get(asked.headers["Ordnance-Scan"]).json()
    assert (scan["clip"]["name"], scan["clip"]["sha256"]) == ("left.mp4", hashlib.sha256(whole).hexdigest())
    assert files_of(server, url) == []


def test_an_upload_that_was_left_whole_is_scanned_although_its_client_never_comes_back(start, bands):
    server = start(WORKERS=0)
    key = server.key("alice", "--priority", "7")
    with server.client(key) as client:
        url = begin(client, bands.stat().st_size, filename="left.mp4")
        half = begin(client, bands.stat().st_size)
    server.kill()
    fill(server, url, bands.read_bytes())
    fill(server, half, bands.read_bytes()[:-1])
    server.start()
    with server.client(key) as client:
        for _ in range(200):
            items = client.get("/v1/scans").json()["items"]
            if items:
                break
            time.sleep(0.05)
        (scan,) = items
        assert (scan["clip"]["name"], scan["state"]) == ("left.mp4", "queued")
        assert client.head(url, headers=TUS).headers["Ordnance-Scan"] == scan["links"]["self"]


def test_nothing_of_an_upload_outlives_its_scan(server, client, bands):
    url = begin(client, bands.stat().st_size, filename="secret.mp4", every_s="0.9", plan="interval")
    answer = client.patch(url, content=bands.read_bytes(), headers={**PATCH, "Upload-Offset": "0"})
    assert client.delete(answer.headers["Ordnance-Scan"]).status_code == 204
    assert client.head(url, headers=TUS).status_code == 404
    with sqlite3.connect(server.store / "ordnance.sqlite") as database:
        assert database.execute("SELECT id FROM ord_uploads WHERE name = 'secret.mp4'").fetchall() == []


def test_resumable_uploads_keep_to_the_quota_together(server, bands):
    whole = bands.read_bytes()
    size = len(whole)
    length = {**TUS, "Upload-Length": str(size)}
    with server.client(server.key("mallory", "--bytes-per-day", str(2 * size + 10))) as client:
        urls = [begin(client, size, filename=f"{number}.mp4") for number in range(2)]
        refused = client.post("/v1/uploads", headers=length)
        assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
        assert client.post("/v1/scans", content=whole).status_code == 429
        assert client.delete(urls[0], headers=TUS).status_code == 204
        urls[0] = begin(client, size, filename="again.mp4")
        for number, url in enumerate(urls):
            content = whole[:-1] + bytes([number])
            answer = client.patch(url, content=content, headers={**PATCH, "Upload-Offset": "0"})
            assert answer.status_code == 204, answer.text
        assert client.post("/v1/uploads", headers=length).status_code == 429
        scan = answer.headers["Ordnance-Scan"]
        assert client.post(f"{scan}/rescan", json={"plan": "interval"}).status_code == 202


def test_an_upload_waits_for_its_scan_while_too_many_wait(start, bands):
    server = start(WORKERS=0)
    with server.client(server.key("alice", "--concurrent-scans", "1")) as client:
        urls = [begin(client, bands.stat().st_size, plan="interval", every_s=every) for every in ("0.3", "0.4")]
        first, second = (
            client.patch(url, content=bands.read_bytes(), headers={**PATCH, "Upload-Offset": "0"}) for url in urls
        )
        assert (first.status_code, second.status_code) == (204, 429)
        assert "Retry-After" in second.headers
        assert client.head(urls[1], headers=TUS).status_code == 429
        assert client.post(f"{first.headers['Ordnance-Scan']}/cancel").status_code == 200
        assert "Ordnance-Scan" in client.head(urls[1], headers=TUS).headers


def wait_for_offset(client, path, wanted):
    for _ in range(50):
        offset = int(client.head(path, headers=TUS).headers["Upload-Offset"])
        if offset >= wanted:
            return offset
        time.sleep(0.1)
    return offset


def test_uploads_beside_a_plain_one_make_the_same_scan(client, bands):
    plain = upload(client, bands, every_s="0.4", plan="interval")
    url = begin(client, bands.stat().st_size, filename="x.mp4", every_s="0.4", plan="interval")
    answer = client.patch(url, content=bands.read_bytes(), headers={**PATCH, "Upload-Offset": "0"})
    assert answer.headers["Ordnance-Scan"] == plain["links"]["self"]
