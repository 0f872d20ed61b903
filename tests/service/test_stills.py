"""Stills by presentation time and the pictures that a reviewer is shown: veiled, of clips that no browser plays too."""

import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from review_app import ReviewApp

from detector.report.veil import veiled

WIDTH, HEIGHT, BITS = 320, 240, 8
UNEVEN_MS = [0, 40, 80, 120, 1000, 1033, 1900, 2500, 2501, 4000]


@pytest.fixture
def review(tmp_path):
    app = ReviewApp(tmp_path)
    yield app
    app.close()


def numbered(number, width=WIDTH, height=HEIGHT):
    """Grey, its number as black and white columns, lowest bit left; the top left corner is red."""
    image = np.full((height, width, 3), 128, np.uint8)
    column = width // BITS
    for bit in range(BITS):
        image[height // 4 : -height // 4, bit * column : (bit + 1) * column] = 255 * (number >> bit & 1)
    image[: height // 8, : width // 8] = (230, 30, 30)
    return image


def shown(image):
    row = image[image.shape[0] // 2, :, 0]
    column = image.shape[1] // BITS
    return sum((int(row[bit * column + column // 2]) > 128) << bit for bit in range(BITS))


def write(path, times_ms=tuple(range(0, 2000, 40)), codec="libx264", options=None):
    """A clip whose frame `n` shows `n` at `times_ms[n]`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        base = Fraction(1, 25) if path.suffix == ".avi" else Fraction(1, 1000)
        stream.codec_context.time_base = base
        stream.gop_size = 12
        packets = []
        for number, at in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
            frame.time_base, frame.pts = base, round(at / 1000 / base)
            packets += stream.encode(frame)
        for packet in [*packets, *stream.encode()]:
            container.mux(packet)
    return path


def turn(path):
    """Have an MP4 say that it is to be shown turned by a quarter, in its track's display matrix."""
    content = bytearray(path.read_bytes())
    upright = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    at = content.index(upright, content.index(b"tkhd"))
    content[at : at + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, HEIGHT << 16, 0, 1 << 30)
    path.write_bytes(content)
    return path


def still(client, scan, pts, **params):
    answer = client.get(f"/v1/scans/{scan}/still", params={"pts": pts, **params})
    assert answer.status_code == 200, answer.text
    return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR_RGB), answer.headers


CLIPS = {
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none:bframes=2:keyint=12"}},
    "part2.avi": {"codec": "mpeg4"},
    "h264.mkv": {"codec": "libx264", "options": {"bf": "2"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
}


@pytest.mark.parametrize("name", CLIPS)
def test_the_frame_of_a_time_whatever_the_codec(review, tmp_path, name):
    clip = write(tmp_path / name, **CLIPS[name])
    scan = review.add_scan(name=name, clip=clip.read_bytes(), found=[])
    with review.client() as client:
        for number in (0, 1, 17, 18, 19, 5, 49):
            image, headers = still(client, scan, number * 0.04 + 0.013, reveal=True)
            assert shown(image) == number
            assert float(headers["Ordnance-PTS"]) == pytest.approx(number * 0.04, abs=0.0006)
        assert shown(still(client, scan, 1e6, reveal=True)[0]) == 49
        assert shown(still(client, scan, -3, reveal=True)[0]) == 0
    assert review.audit(scan) == ["reveal"] * 9


def test_frames_of_uneven_lengths_are_stepped_through_by_what_the_headers_say(review, tmp_path):
    clip = write(tmp_path / "vfr.mp4", UNEVEN_MS, options={"bf": "2"})
    scan = review.add_scan(name="vfr.mp4", clip=clip.read_bytes(), found=[])
    with review.client() as client:
        at, seen = "0", []
        while at is not None:
            image, headers = still(client, scan, at, reveal=True)
            seen.append((shown(image), round(float(headers["Ordnance-PTS"]) * 1000)))
            at = headers.get("Ordnance-Next-PTS")
        assert seen == list(enumerate(UNEVEN_MS))
        assert "Ordnance-Previous-PTS" not in still(client, scan, 0)[1]
        assert shown(still(client, scan, 0.9999, reveal=True)[0]) == 3


def test_a_turned_clip_comes_upright_and_its_boxes_with_it(review, tmp_path):
    clip = turn(write(tmp_path / "turned.mp4"))
    scan = review.add_scan(name="turned.mp4", clip=clip.read_bytes(), found=[])
    with review.client() as client:
        image, _ = still(client, scan, 0.4, reveal=True)
        assert image.shape[:2] == (WIDTH, HEIGHT)
        red = image[2 : HEIGHT // 16, -HEIGHT // 16 : -2].reshape(-1, 3).mean(0)
        assert red[0] > 180 and red[1] < 90


def test_only_what_was_found_is_sharp_unless_somebody_asks(review, tmp_path):
    clip = write(tmp_path / "boxes.mp4", range(0, 4000, 40))
    scan = review.add_scan(name="boxes.mp4", clip=clip.read_bytes(), found=[("tank", 0.9, 1.0)])
    with review.client() as client:
        sharp, _ = still(client, scan, 1.5, reveal=True)
        image, headers = still(client, scan, 1.5)
        assert headers["Cache-Control"].startswith("private, max-age")
        left, top, right, bottom = 110, 120, 310, 240
        inside = np.zeros(image.shape[:2], bool)
        inside[top:bottom, left:right] = True
        assert np.abs(image.astype(int) - sharp)[inside].mean() < 6
        outside = image[:100].astype(int)
        assert np.ptp(outside, axis=2).max() <= 12
        assert cv2.Laplacian(image[:100, :, 0], cv2.CV_64F).std() < 3
        nothing_there, _ = still(client, scan, 0.2)
        assert cv2.Laplacian(nothing_there[:, :, 0], cv2.CV_64F).std() < 3
        unsure, _ = still(client, scan, 1.5, min_confidence=0.95)
        assert cv2.Laplacian(unsure[:, :, 0], cv2.CV_64F).std() < 3
    assert review.audit(scan) == ["reveal", "picture", "picture", "picture"]


def test_a_box_moves_evenly_between_two_detections_and_a_weak_detection_is_shown_on_request(review):
    from service.store.boxes import boxes_at
    from service.store.tables import DetectionRow

    scan = review.add_scan(found=[("tank", 0.9, 1.0)])
    weak = {"class_name": "tank", "score": 0.2, "confidence": 0.2, "x1": 1.0, "y1": 2.0, "x2": 3.0, "y2": 4.0}
    with review.database.write() as session:
        session.add(DetectionRow(scan_id=scan, segment=0, position=0, pts_s=30.0, **weak))
    with review.database.read() as session:
        assert boxes_at(session, scan, 1.5, None) == [(110.0, 120.0, 310.0, 240.0)]
        assert boxes_at(session, scan, 1.75, None) == [(115.0, 120.0, 315.0, 240.0)]
        assert boxes_at(session, scan, 3.2, None) == []
        assert boxes_at(session, scan, 30.0, None) == []
        assert boxes_at(session, scan, 30.0004, 0.1) == [(1.0, 2.0, 3.0, 4.0)]
        assert boxes_at(session, scan, 30.0, 0.3) == []


def test_times_come_in_pages_and_within_a_range(review, tmp_path):
    clip = write(tmp_path / "vfr.mp4", UNEVEN_MS)
    scan = review.add_scan(name="vfr.mp4", clip=clip.read_bytes(), found=[])
    long = write(tmp_path / "long.avi", range(0, 2300 * 40, 40), codec="mpeg4")
    other = review.add_scan(name="long.avi", clip=long.read_bytes(), found=[])
    with review.client() as client:
        document = client.get(f"/v1/scans/{scan}/times").json()
        assert [round(each * 1000) for each in document["items"]] == UNEVEN_MS
        assert (document["total"], document["next"]) == (10, None)
        part = client.get(f"/v1/scans/{scan}/times", params={"from": 0.08, "to": 1.0}).json()
        assert part == {"items": [0.08, 0.12, 1.0], "total": 10, "next": None}
        first = client.get(f"/v1/scans/{other}/times").json()
        rest = client.get(f"/v1/scans/{other}/times", params={"from": first["next"]}).json()
        assert (len(first["items"]), len(rest["items"]), rest["next"]) == (2000, 300, None)
        assert first["items"] + rest["items"] == sorted({*first["items"], *rest["items"]})


def test_the_review_picture_holds_nothing_but_the_weapon(review):
    scan = review.add_scan(found=[("tank", 0.9, 1.0), ("tank", 0.8, 5.0)], pictures=[1])
    with review.client() as client:
        first, second = client.get(f"/v1/scans/{scan}/appearances").json()["items"]
        assert second["links"] == {"thumbnail": None, "crop": None, "review": None}
        answer = client.get(first["links"]["review"])
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert "immutable" in answer.headers["Cache-Control"]
        image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR_RGB)
        height, width = image.shape[:2]
        left, top, right, bottom = first["best"]["box_norm"]
        veil = np.ones((height, width), bool)
        veil[int(top * height) - 5 : int(bottom * height) + 6, int(left * width) - 5 : int(right * width) + 6] = False
        assert image[veil].std() < 25
        assert image[~veil].std() > 50
        again = client.get(first["links"]["review"], headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304
        webp = client.get(first["links"]["review"], headers={"Accept": "image/webp"})
        assert webp.content[8:12] == b"WEBP"
        assert client.get(f"/v1/scans/{scan}/frames/2/review").status_code == 404


def test_every_picture_that_was_looked_at_is_kept_in_the_audit_log_with_its_clip(review):
    from sqlalchemy import select

    from service.store.tables import AuditRow, ScanRow

    scan = review.add_scan(found=[("tank", 0.9, 1.0)], pictures=[1], clip=b"looked at")
    with review.client() as client:
        for link in client.get(f"/v1/scans/{scan}/appearances").json()["items"][0]["links"].values():
            assert client.get(link).status_code == 200
    with review.database.read() as session:
        sha256 = session.get(ScanRow, scan).clip_sha256
        rows = session.execute(select(AuditRow.action, AuditRow.clip_sha256).where(AuditRow.scan_id == scan))
        assert list(rows) == [("picture", sha256)] * 3


def test_the_veil_cannot_be_lifted_and_boxes_over_the_edge_do_no_harm():
    picture = np.random.default_rng(7).integers(0, 255, (360, 640, 3), np.uint8)
    other = picture.copy()
    other[100:104, 100:104] = 255 - other[100:104, 100:104]
    assert np.abs(veiled(picture, []).astype(int) - veiled(other, [])).max() <= 3
    covered = veiled(picture, [(-50.0, -50.0, 10.5, 10.0), (600.0, 300.0, 9000.0, 9000.0), (700.0, 0.0, 800.0, 9.0)])
    assert (covered[:10, :11] == picture[:10, :11]).all()
    assert (covered[300:, 600:] == picture[300:, 600:]).all()
    for size in ((1, 1), (2, 700), (700, 2)):
        assert veiled(np.zeros((*size, 3), np.uint8), []).shape == (*size, 3)
    with pytest.raises(ValueError, match="finite"):
        veiled(picture, [(0.0, 0.0, float("nan"), 1.0)])


def test_clips_that_cannot_be_shown_say_so(review, tmp_path):
    broken = review.add_scan(name="broken.mp4", clip=b"this is no film" * 99, found=[])
    gone = review.add_scan(name="gone.mp4", clip=b"gone", found=[])
    with review.database.read() as session:
        from service.store.tables import ScanRow

        review.context.blobs.delete(session.get(ScanRow, gone).clip_sha256)
    with review.client() as client:
        refused = client.get(f"/v1/scans/{broken}/still", params={"pts": 1})
        assert (refused.status_code, refused.json()["code"]) == (422, "frame_not_decodable")
        assert refused.json()["detail"].startswith("broken.mp4: ")
        assert client.get(f"/v1/scans/{broken}/times").status_code == 422
        assert client.get(f"/v1/scans/{gone}/still", params={"pts": 1}).status_code == 404
        for wrong in ({}, {"pts": "nan"}, {"pts": "inf"}, {"pts": "x"}, {"pts": 1, "max_side": 1}):
            assert client.get(f"/v1/scans/{broken}/still", params=wrong).status_code == 422
    assert not list(review.settings.work_folder.glob("view-*"))


def test_a_clip_that_is_removed_is_closed(review, tmp_path):
    clip = write(tmp_path / "short.mp4", range(0, 400, 40))
    scan = review.add_scan(name="short.mp4", clip=clip.read_bytes(), found=[])
    with review.client() as client:
        still(client, scan, 0.1)
        assert list(review.settings.work_folder.glob("view-*"))
        assert client.delete(f"/v1/scans/{scan}").status_code == 204
        assert not list(review.settings.work_folder.glob("view-*"))
        assert client.get(f"/v1/scans/{scan}/still", params={"pts": 0.1}).status_code == 404


def test_many_readers_of_many_clips_get_their_own_frames_and_leave_nothing_open(review, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    scans = []
    for place in range(6):
        clip = write(tmp_path / f"{place}.mp4", range(place, 2000 + place, 40))
        scans.append(review.add_scan(name=f"{place}.mp4", clip=clip.read_bytes(), found=[]))

    def look(work):
        place, number = work
        with review.client() as client:
            return shown(still(client, scans[place], number * 0.04 + place / 1000, reveal=True)[0]) == number

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(look, [(place, number) for number in (3, 30) for place in range(6)]))
    assert len(list(review.settings.work_folder.glob("view-*"))) <= 4
    review.context.viewer.close()
    assert not list(review.settings.work_folder.glob("view-*"))
