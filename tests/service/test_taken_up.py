"""A scan whose worker died goes on with what is kept: no part is made twice, and the report is that of one that nobody
disturbed."""

from fractions import Fraction

import av
import numpy as np
import pytest
from review_app import ReviewApp
from service_server import comparable
from test_segments import write
from worker_desk import desk_of

from detector.errors import DecoderEnded
from detector.video.guard import GuardedVideo
from service.jobs import scanning, workflow
from service.jobs.journal import KeptScan
from service.jobs.segments import SegmentedScanner
from service.store.results import read_segments


class WorkerDies(BaseException):
    """As kill -9 of the worker: nothing is caught, nothing more is written."""


@pytest.fixture
def app(tmp_path, request):
    app = ReviewApp(tmp_path, segment_samples=getattr(request, "param", 4))
    yield app
    app.close()


@pytest.fixture
def made(monkeypatch):
    """The windows of the parts that were made, in order."""
    windows = []
    real = SegmentedScanner._make

    def make(self, video, piece, state):
        part = real(self, video, piece, state)
        windows.append(piece.window)
        return part

    monkeypatch.setattr(SegmentedScanner, "_make", make)
    return windows


def submitted(client, clip, **params):
    return client.post("/v1/scans", params={"name": "clip.mp4", **params}, content=clip).json()["id"]


def dying(patch):
    """Have the worker die after each segment that it keeps."""
    real = KeptScan._save

    def save(self, number, parts, carry):
        real(self, number, parts, carry)
        if carry is not None:
            raise WorkerDies

    patch.setattr(KeptScan, "_save", save)


def work(scan_id):
    """How often a worker died before it came to the scan's end."""
    deaths = 0
    while True:
        try:
            workflow.scan.__wrapped__(scan_id)
            return deaths
        except WorkerDies:
            deaths += 1
            assert deaths < 100


def outcome(client, scan_id):
    """All that is to be seen of a scan that is done: the report, the boxes, the pictures."""
    scan = client.get(f"/v1/scans/{scan_id}").json()
    assert scan["state"] == "done", scan["error"]
    report = comparable(client.get(f"/v1/scans/{scan_id}/report.json").json())
    boxes = client.get(f"/v1/scans/{scan_id}/detections", params={"limit": 500}).json()["items"]
    found = client.get(f"/v1/scans/{scan_id}/appearances").json()["items"]
    pictures = [client.get(each["links"][kind]).content for each in found for kind in ("thumbnail", "crop")]
    assert scan["progress"]["samples"] == report["coverage"]["samples"]
    return report, [{**box, "links": None} for box in boxes], pictures


def undisturbed_and_taken_up(app, clip, monkeypatch, made, **params):
    with desk_of(app) as desk, app.client() as client:
        workflow.use(desk)
        calm = submitted(client, clip, **params)
        work(calm)
        expected, parts = outcome(client, calm), list(made)
        client.delete(f"/v1/scans/{calm}")
        made.clear()
        scan = submitted(client, clip, **params)
        with monkeypatch.context() as patch:
            dying(patch)
            deaths = work(scan)
        assert deaths >= 2
        assert made == parts
        assert outcome(client, scan) == expected
    return expected


@pytest.mark.parametrize(
    "params",
    [{}, {"plan": "interval", "every_s": 0.3}, {"plan": "keyframes"}],
    ids=["adaptive", "interval", "keyframes"],
)
def test_no_part_is_made_twice_and_the_report_is_the_same(app, humvee, monkeypatch, made, params):
    report, boxes, pictures = undisturbed_and_taken_up(app, humvee.read_bytes(), monkeypatch, made, **params)
    assert report["appearances"] and boxes and pictures


def test_closer_looks_are_kept_as_well(app, humvee, tmp_path, monkeypatch, made):
    clip = in_a_corner(humvee, tmp_path / "large.mp4")
    report, *_ = undisturbed_and_taken_up(app, clip.read_bytes(), monkeypatch, made, threshold=0.9)
    assert report["coverage"]["tiled"]


@pytest.mark.parametrize(("app", "plan"), [(4, "adaptive"), (32, "every-frame")], indirect=["app"])
def test_damage_is_told_the_same(app, tmp_path, monkeypatch, made, plan):
    path = write(tmp_path / "damaged.mp4", "bframes=0")
    with av.open(str(path)) as read:
        places = [(packet.pos, packet.size) for packet in read.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for position, size in places[22:25] + places[62:65]:
        content[position : position + size] = bytes(size)
    report, *_ = undisturbed_and_taken_up(app, bytes(content), monkeypatch, made, plan=plan)
    assert report["coverage"]["decode_errors"] == 6


def decoders_end_between(monkeypatch, after, before):
    """Have a decoder end that is asked for a picture between these times, s."""
    real = GuardedVideo.frames_at

    def frames_at(self, targets, watch=None):
        targets = list(targets)
        if any(after < each < before for each in targets):
            raise DecoderEnded("clip.mp4: the decoder process ended.", reason="signal SIGSEGV", fault_of_clip=True)
        yield from real(self, targets, watch)

    monkeypatch.setattr(GuardedVideo, "frames_at", frames_at)


def test_parts_whose_decoder_ended_are_kept_as_such(app, humvee, monkeypatch, made):
    decoders_end_between(monkeypatch, 3.0, 3.5)
    params = {"plan": "interval", "every_s": 0.3}
    report, *_ = undisturbed_and_taken_up(app, humvee.read_bytes(), monkeypatch, made, **params)
    assert [each["reason"] for each in report["coverage"]["undecoded"]] == ["the decoder process ended: signal SIGSEGV"]
    assert report["appearances"]


@pytest.mark.parametrize("app", [1], indirect=True)
@pytest.mark.parametrize("params", [{"every_s": 0.3}, {"plan": "interval", "every_s": 0.3}], ids=str)
def test_a_stretch_that_kills_its_decoders_costs_few_of_them_and_no_more(app, humvee, monkeypatch, made, params):
    decoders_end_between(monkeypatch, 1.0, 4.5)
    report, *_ = undisturbed_and_taken_up(app, humvee.read_bytes(), monkeypatch, made, **params)
    (lost,) = report["coverage"]["undecoded"]
    assert 1.0 < lost["from_s"] < 1.4 and 4.2 < lost["to_s"] < 6.0
    assert lost["reason"] == "the decoder process ended: signal SIGSEGV"
    assert [each["code"] for each in report["errors"]] == ["decode_errors", "decoder_ended"]
    sampled = report["coverage"]["sampled"]
    assert sampled[0]["from_s"] < 0.2 and sampled[-1]["to_s"] > 6.9
    assert report["appearances"][-1]["last_seen_s"] > 6.9
    # Of eleven, or twelve, pictures that were to be looked at.
    tried = {window for window in made if 1.0 < window[0] < 4.5}
    assert len(tried) <= 8


def test_pictures_that_repeat_are_counted_the_same(app, tmp_path, monkeypatch, made):
    path = still(tmp_path / "still.mp4")
    report, *_ = undisturbed_and_taken_up(app, path.read_bytes(), monkeypatch, made, plan="interval", every_s=0.2)
    assert report["coverage"]["near_identical"]


def test_a_scan_with_a_budget_begins_anew(app, humvee, monkeypatch, made):
    with desk_of(app) as desk, app.client() as client:
        workflow.use(desk)
        scan = submitted(client, humvee.read_bytes(), budget="1000x")
        with monkeypatch.context() as patch:
            dying(patch)
            with pytest.raises(WorkerDies):
                workflow.scan.__wrapped__(scan)
        first = made[0]
        work(scan)
        assert made.count(first) == 2
        assert outcome(client, scan)[0]["appearances"]


def test_a_scan_begins_anew_where_its_parts_would_be_of_another_length(tmp_path, humvee, monkeypatch, made):
    params = {"plan": "interval", "every_s": 0.2}
    before, after = (ReviewApp(tmp_path, segment_samples=samples) for samples in (4, 16))
    with desk_of(before) as desk, before.client() as client:
        workflow.use(desk)
        scan = submitted(client, humvee.read_bytes(), **params)
        with monkeypatch.context() as patch:
            dying(patch)
            with pytest.raises(WorkerDies):
                workflow.scan.__wrapped__(scan)
    with desk_of(after) as desk, after.client() as client:
        workflow.use(desk)
        work(scan)
        found = outcome(client, scan)
        client.delete(f"/v1/scans/{scan}")
        whole = submitted(client, humvee.read_bytes(), **params)
        work(whole)
        assert found == outcome(client, whole)
    before.close()
    after.close()


def test_a_clip_that_kills_its_worker_after_a_segment_is_given_up(app, humvee, monkeypatch, made):
    monkeypatch.setattr(scanning, "MAX_ATTEMPTS_WITHOUT_PROGRESS", 4)
    real = SegmentedScanner._make

    def make(self, video, piece, state):
        if self.samples:
            raise WorkerDies
        return real(self, video, piece, state)

    monkeypatch.setattr(SegmentedScanner, "_make", make)
    with desk_of(app) as desk, app.client() as client:
        workflow.use(desk)
        scan = submitted(client, humvee.read_bytes(), plan="interval", every_s=0.2)
        # The first death comes after progress, so it is none of the four at the same place.
        assert work(scan) == 1 + 4
        ended = client.get(f"/v1/scans/{scan}").json()
        assert (ended["state"], ended["error"]["code"]) == ("failed", "worker_died")
        assert len(made) == 1
        with app.database.read() as session:
            assert len(read_segments(session, scan)) == 1


def in_a_corner(source, path):
    """The clip as a small part of large pictures, so that what it shows is small and the clip of many pixels."""
    with av.open(str(source)) as read, av.open(str(path), "w") as written:
        stream = written.add_stream("libx264", rate=25, options={"preset": "veryfast", "g": "50"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for frame in read.decode(video=0):
            image = np.full((720, 1280, 3), 110, np.uint8)
            image[100:235, 100:340] = frame.reformat(width=240, height=135, format="rgb24").to_ndarray()
            large = av.VideoFrame.from_ndarray(image, "rgb24")
            large.pts, large.time_base = frame.pts, frame.time_base
            written.mux(stream.encode(large))
        written.mux(stream.encode(None))
    return path


def still(path):
    """Eight seconds that change in the middle and are still otherwise."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "veryfast", "g": "20"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(80):
            image = np.full((240, 320, 3), 90 if number < 40 else 140, np.uint8)
            image[::16] += 60
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
