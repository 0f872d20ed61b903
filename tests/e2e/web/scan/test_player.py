"""The clip in the browser's own player: looped to its very end, and when the way to the server breaks."""

import pytest
from playwright.sync_api import expect
from scan_page import appearance, put_in, scanned, write_vfr_clip

TIMES = [0.1 * number for number in range(40)]
BOX = (20, 20, 200, 200)
WATCH = """() => {
  window.shown = [];
  const stage = document.querySelector("#stage");
  const note = () => stage.dataset.mode === "video" && window.shown.push(Number(stage.dataset.pts));
  new MutationObserver(note).observe(stage, { attributeFilter: ["data-pts"] });
  window.ended = 0;
  document.querySelector("#video").addEventListener("ended", () => (window.ended += 1));
}"""


@pytest.fixture(scope="module")
def short_scan(reviewing, tmp_path_factory):
    """A clip of four seconds with a tank in its last half second."""
    clip = write_vfr_clip(tmp_path_factory.mktemp("player") / "short.mp4", TIMES)
    scan_id = scanned(reviewing, clip, plan="every-frame")
    put_in(reviewing, scan_id, [appearance([3.4, 3.6, 3.9], BOX)], 320, 240)
    return scan_id


def test_what_is_seen_at_the_clips_end_is_looped_by_itself(visit, short_scan):
    visit.open_scan(short_scan)
    visit.page.evaluate(WATCH)
    visit.press("l")
    visit.page.wait_for_function("() => window.ended >= 2", timeout=60_000)
    visit.page.wait_for_function("() => window.shown.at(-1) < 3.4", timeout=60_000)
    visit.press("l")
    assert min(visit.page.evaluate("window.shown")) > 3.0


def cut_off(visit, content, of_it):
    """The way to the clip breaks after a part of it."""

    def answer(route):
        if not of_it or route.request.headers.get("range", "bytes=0-") != "bytes=0-":
            route.abort()
            return
        headers = {"Content-Range": f"bytes 0-{len(content) - 1}/{len(content)}", "Accept-Ranges": "bytes"}
        headers["Content-Length"] = str(len(content))
        route.fulfill(status=206, headers=headers, body=content[:of_it], content_type="video/mp4")

    visit.page.route("**/clip", answer)


@pytest.mark.parametrize("share", [0, 0.25])
def test_a_clip_that_cannot_be_had_just_now_is_played_once_it_can(visit, reviewing, demo_scan, share):
    with reviewing.client() as client:
        content = client.get(f"/v1/scans/{demo_scan}/clip").content
    visit.open_scan(demo_scan)
    cut_off(visit, content, int(share * len(content)))
    visit.press(" ")
    notice = visit.page.locator("#notices [data-name=player]")
    expect(notice).to_contain_text("The server does not answer", timeout=60_000)
    expect(visit.page.locator("#fallback")).to_be_hidden()
    visit.mode("still")
    visit.page.unroute("**/clip")
    visit.press(" ")
    visit.mode("video")
    visit.page.wait_for_function("() => document.querySelector('#video').currentTime > 0")
    visit.press(" ")
    expect(visit.page.locator("#fallback")).to_be_hidden()
