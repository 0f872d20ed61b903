"""What a scan says whose clip takes more than a decoder process may, or kills it."""

import os
import signal
import time

from made_clips import write_clip
from review_app import ReviewApp
from service_server import SCAN_SECONDS, cut_demo, processes, upload, wait_for
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


def test_what_was_found_stands_where_one_decoder_after_the_other_ends(start, tmp_path):
    clip = cut_demo(tmp_path / "part.mp4", 36.0, 58.0)
    server = start(SEGMENT_SAMPLES=48)
    server.wait_ready()
    with server.client() as client:
        scan = upload(client, clip, plan="every-frame")["id"]
        deadline = time.monotonic() + SCAN_SECONDS
        while client.get(f"/v1/scans/{scan}").raise_for_status().json()["progress"]["samples"] < 48:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        crashed = set()
        while len(crashed) < 5 and client.get(f"/v1/scans/{scan}").json()["state"] == "running":
            for pid in decoders(server) - crashed:
                os.kill(pid, signal.SIGSEGV)
                crashed.add(pid)
        ended = wait_for(client, scan)
        assert ended["state"] == "done", ended["error"]
        report = client.get(f"/v1/scans/{scan}/report.json").json()
        page = client.get(f"/v1/scans/{scan}/report.html").text
    arguments = (str(clip), "--plan", "every-frame", "--server", server.url, "--out", str(tmp_path / "out"))
    said = server.command("submit", *arguments).stdout

    coverage = report["coverage"]
    lost = coverage["undecoded"]
    assert all("the decoder process ended: signal SIGSEGV" in each["reason"] for each in lost)
    # Five parts whose decoder ended, and one that was not tried; what lies before and behind is there.
    assert sum(each["to_s"] - each["from_s"] for each in lost) > 4 * 48 / 25
    sampled = coverage["sampled"]
    assert sampled[0]["from_s"] < lost[0]["from_s"] and lost[-1]["to_s"] < sampled[-1]["to_s"]
    assert [each["class"] for each in report["appearances"]] == ["humvee"]
    assert "could not be decoded" in coverage["statement"]
    told = [each["message"] for each in report["errors"] if each["code"] == "decoder_ended"]
    assert len(told) == 1 and "signal SIGSEGV" in told[0] and "was not even tried" in told[0]
    assert told[0] in page
    assert "1 appearance, " in said and " s could not be decoded, report in " in said


def test_a_cancelled_scan_gives_its_place_up_while_its_decoder_hangs(start, tmp_path):
    clip = cut_demo(tmp_path / "part.mp4", 36.0, 42.0)
    server = start(SCANS_PER_WORKER=1, GUARD_STALL_SECONDS=6000)
    server.wait_ready()
    with server.client() as client:
        hangs = upload(client, clip, plan="every-frame")["id"]
        while not (stopped := decoders(server)):
            assert client.get(f"/v1/scans/{hangs}").json()["state"] in ("queued", "running")
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        # Until what came before is looked at.
        looked_at = -1
        while looked_at != (looked_at := client.get(f"/v1/scans/{hangs}").json()["progress"]["samples"]):
            time.sleep(4)
        client.post(f"/v1/scans/{hangs}/cancel").raise_for_status()
        following = upload(client, clip, plan="keyframes-only")["id"]
        assert wait_for(client, following)["state"] == "done"


def decoders(server) -> set[int]:
    """The decoder processes of the server's workers: children of those that they are forked from."""
    rows = processes()
    workers = server.worker_pids()
    templates = {pid for pid, parent, words in rows if parent in workers and "guard_template" in words}
    return {pid for pid, parent, _ in rows if parent in templates}
