"""A scan that one version of the weights began and another finishes: the report is that of one of them alone."""

from dataclasses import replace

import pytest
from review_app import ReviewApp
from service_server import comparable
from worker_desk import desk_of

from detector.models import load_model
from service.jobs import workflow
from service.jobs.scanning import begin, run_scan
from service.jobs.segments import ScanStopped
from service.jobs.shared_model import SharedModel
from service.store.results import read_segments


@pytest.fixture
def app(tmp_path):
    app = ReviewApp(tmp_path, segment_samples=4)
    yield app
    app.close()


def test_a_scan_does_not_go_on_with_what_other_weights_found(app, humvee):
    clip = humvee.read_bytes()
    with desk_of(app) as desk, app.client() as client:
        other = SharedModel(load_model("default", device="cpu", threads=1).with_one_view())
        upgraded = replace(desk, model_of=lambda _: other)

        def post():
            params = {"plan": "interval", "every_s": 0.5, "name": "clip.mp4"}
            return client.post("/v1/scans", params=params, content=clip).json()

        def report(scan):
            return comparable(client.get(f"/v1/scans/{scan['id']}/report.json").json())

        begun = post()
        workflow.use(desk)
        kept = []

        def until_two_are_kept(do):
            if len(kept) == 2:
                raise ScanStopped
            do()
            kept.append(do)

        with pytest.raises(ScanStopped):
            run_scan(desk, begin(desk, begun["id"]), until_two_are_kept)
        with app.database.read() as session:
            assert len(read_segments(session, begun["id"])) == 2
        workflow.use(upgraded)
        workflow.scan.__wrapped__(begun["id"])
        found = report(begun)
        assert found["scan"]["model"]["second_view"] is None

        client.delete(f"/v1/scans/{begun['id']}")
        whole = post()
        assert whole["id"] != begun["id"]
        workflow.scan.__wrapped__(whole["id"])
        assert found == report(whole)
