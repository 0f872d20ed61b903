"""What a scan is served as: its pictures, its clip in ranges, its report in every form."""

import pytest


def test_pictures_are_cached_for_ever_and_come_as_webp_where_wanted(client, done):
    found = client.get(done["links"]["appearances"]).json()["items"][0]
    jpeg = client.get(found["links"]["thumbnail"])
    assert jpeg.content.startswith(b"\xff\xd8\xff")
    assert "immutable" in jpeg.headers["Cache-Control"]
    again = client.get(found["links"]["thumbnail"], headers={"If-None-Match": jpeg.headers["ETag"]})
    assert again.status_code == 304
    webp = client.get(found["links"]["crop"], headers={"Accept": "image/webp,*/*"})
    assert webp.content[8:12] == b"WEBP"
    assert client.get(f"/v1/scans/{done['id']}/frames/99/crop").status_code == 404


def test_the_clip_is_served_in_ranges(client, done, humvee):
    whole = humvee.read_bytes()
    assert client.get(done["links"]["clip"]).content == whole
    part = client.get(done["links"]["clip"], headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == whole[100:200]
    beyond = client.get(done["links"]["clip"], headers={"Range": f"bytes={len(whole)}-"})
    assert beyond.status_code == 416
    assert beyond.headers["Content-Range"] == f"bytes */{len(whole)}"
    assert beyond.headers["Content-Type"] == "application/problem+json"
    assert (beyond.json()["code"], str(len(whole)) in beyond.json()["detail"]) == ("range_not_satisfiable", True)


def test_head_answers_as_get_without_a_body(client, done):
    links = done["links"]
    for path in (
        links["clip"],
        links["self"],
        links["report.json"],
        links["report.html"],
        "/v1/scans",
        "/healthz",
        "/",
    ):
        whole, head = client.get(path), client.head(path)
        assert (head.status_code, head.content) == (200, b""), path
        assert head.headers["Content-Type"] == whole.headers["Content-Type"], path
        assert head.headers["Content-Length"] == whole.headers["Content-Length"], path
    assert client.head(f"/v1/scans/{'0' * 32}").status_code == 404
    assert client.head(links["events"]).status_code == 405
    assert client.put("/v1/scans").headers["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=-10", -10, None),
        ("Bytes=5-", 5, None),
        (f"bytes=5-9, {10**12}-", 5, 10),
        ("bytes=10-5", None, None),
        ("bytes=a-b", None, None),
        ("bytes=", None, None),
        ("bytes 0-5", None, None),
        ("frames=0-5", None, None),
    ],
)
def test_a_range_that_is_none_is_ignored(client, done, humvee, asked, start, end):
    answer = client.get(done["links"]["clip"], headers={"Range": asked})
    assert answer.status_code == (200 if start is None else 206)
    assert answer.content == humvee.read_bytes()[start:end]


def test_a_clip_that_the_client_has_is_not_sent_again(client, done):
    tag = client.get(done["links"]["clip"]).headers["ETag"]
    for given in (tag, f'"other", W/{tag}'):
        again = client.get(done["links"]["clip"], headers={"If-None-Match": given, "Range": "bytes=0-9"})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    part = {"Range": "bytes=0-9"}
    assert client.get(done["links"]["clip"], headers={**part, "If-None-Match": '"other"'}).status_code == 206
    assert client.get(done["links"]["clip"], headers={**part, "If-Range": tag}).status_code == 206
    beyond = {"Range": f"bytes={10**12}-", "If-Range": '"other"'}
    assert client.get(done["links"]["clip"], headers=beyond).status_code == 200


def test_every_form_of_the_report(client, done):
    assert client.get(done["links"]["report.csv"]).text.count("humvee") > 3
    page = client.get(done["links"]["report.html"])
    assert "data:image/jpeg" in page.text
    assert "script-src" not in page.headers["Content-Security-Policy"]
    vtt = client.get(done["links"]["report.vtt"]).text
    assert vtt.startswith("WEBVTT\n\na0001\n00:00:0")
    assert "Humvee 0." in vtt
