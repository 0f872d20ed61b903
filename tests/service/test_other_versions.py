"""A scan that another version of the program or of the weights began is never half of the one and half of the other."""

from dataclasses import replace

import pytest
from review_app import ReviewApp
from service_server import comparable
from sqlalchemy.exc import OperationalError
from worker_desk import desk_of

from detector.models import load_model
from service.jobs import journal, workflow
from service.jobs.samples import pack
from service.jobs.shared_model import SharedModel
from service.store.results import read_segments
from service.store.tables import SegmentRow

PARAMS = {"plan": "interval", "every_s": 0.2, "name": "clip.mp4"}


@pytest.fixture
def app(tmp_path):
    app = ReviewApp(tmp_path, segment_samples=8)
    yield app
    app.close()


def begun(client, clip, monkeypatch, **params):
    """A scan that its worker left after two segments."""
    real = journal.save_segment

    def save(session, scan_id, number, *rest, **options):
        if number == 2:
            raise OperationalError("INSERT", {}, Exception("the server is being updated"))
        real(session, scan_id, number, *rest, **options)

    scan = client.post("/v1/scans", params={**PARAMS, **params}, content=clip).json()
    with monkeypatch.context() as patch:
        patch.setattr(journal, "save_segment", save)
        workflow.scan.__wrapped__(scan["id"])
    assert client.get(f"/v1/scans/{scan['id']}").json()["state"] == "running"
    return scan["id"]


def report_of(client, scan_id):
    workflow.scan.__wrapped__(scan_id)
    scan = client.get(f"/v1/scans/{scan_id}").json()
    assert scan["state"] == "done", scan["error"]
    return comparable(client.get(f"/v1/scans/{scan_id}/report.json").json())


def test_a_scan_does_not_go_on_with_what_other_weights_found(app, humvee, monkeypatch):
    clip = humvee.read_bytes()
    with desk_of(app) as desk, app.client() as client:
        workflow.use(desk)
        scan = begun(client, clip, monkeypatch)
        with app.database.read() as session:
            assert len(read_segments(session, scan)) == 2
        other = SharedModel(load_model("default", device="cpu", threads=1).with_one_view())
        workflow.use(replace(desk, model_of=lambda _: other))
        found = report_of(client, scan)
        assert found["scan"]["model"]["second_view"] is None

        client.delete(f"/v1/scans/{scan}")
        whole = client.post("/v1/scans", params=PARAMS, content=clip).json()["id"]
        assert whole != scan
        assert found == report_of(client, whole)


def test_a_scan_is_begun_anew_where_what_another_version_kept_cannot_be_read(app, humvee, monkeypatch):
    with desk_of(app) as desk, app.client() as client:
        workflow.use(desk)
        scan = begun(client, humvee.read_bytes(), monkeypatch)
        with app.database.write() as session:
            session.get(SegmentRow, (scan, 0)).content = pack([{"samples": [], "of": "another version"}])
        report = report_of(client, scan)
        assert report["appearances"]
        assert report["coverage"]["samples"] == client.get(f"/v1/scans/{scan}").json()["progress"]["samples"]
