"""What a scan says whose clip takes more than a decoder process may."""

from made_clips import write_clip
from review_app import ReviewApp
from worker_desk import desk_of

from service.jobs import workflow


def test_a_clip_that_needs_more_memory_than_allowed_is_not_called_damaged(tmp_path):
    app = ReviewApp(tmp_path, guard_memory_bytes=256 * 1024**2)
    clip = write_clip(tmp_path / "large.mp4", seconds=0.3, size=(4096, 4096)).read_bytes()
    with desk_of(app) as desk, app.client() as client:
        workflow.use(desk)
        scan = client.post("/v1/scans", params={"name": "large.mp4"}, content=clip).json()["id"]
        workflow.scan.__wrapped__(scan)
        ended = client.get(f"/v1/scans/{scan}").json()
        still = client.get(f"/v1/scans/{scan}/still", params={"pts": 0})
    app.close()
    assert (ended["state"], ended["error"]["code"]) == ("failed", "decoder_ended")
    assert "bytes of memory" in ended["error"]["message"]
    assert (still.status_code, "bytes of memory" in still.json()["detail"]) == (422, True)
