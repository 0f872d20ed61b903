"""What a scan says whose clip takes more than a decoder process may, or kills it."""

import os
import signal
import subprocess
import time

from made_clips import write_clip
from review_app import ReviewApp
from service_server import SCAN_SECONDS, cut_demo, upload, wait_for
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
        while client.get(f"/v1/scans/{scan}").json()["progress"]["samples"] < 48:
            assert time.monotonic() < deadline
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


def decoders(server) -> set[int]:
    """The decoder processes of the server's workers: children of those that they are forked from."""
    listed = subprocess.run(["ps", "-o", "pid=,ppid=,args=", "-A"], capture_output=True, text=True, check=True).stdout
    rows = [
        (int(pid), int(parent), words) for pid, parent, words in (line.split(None, 2) for line in listed.splitlines())
    ]
    workers = server.worker_pids()
    templates = {pid for pid, parent, words in rows if parent in workers and "guard_template" in words}
    return {pid for pid, parent, _ in rows if parent in templates}
