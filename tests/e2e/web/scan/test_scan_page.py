"""The scan page in a real browser: what is shown, when a picture is asked for, and what goes wrong."""

import re

import av
import numpy as np
import pytest
from playwright.sync_api import expect
from scan_page import (
    Visit,
    appearance,
    frame_times,
    put_in,
    scanned,
    write_turned_clip,
    write_vfr_clip,
    write_wide_clip,
)
from service_server import DEMO, Server, cut_demo, upload, wait_for

from detector.report.timecode import hms, short

# The shares of white inside a box, two pixels from its edge, and in the picture's corner, at the clip's size.
WHITE_SHARES = """([source, [width, height], [left, top, right, bottom]]) => {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  context.drawImage(document.querySelector(source), 0, 0, width, height);
  const share = (...place) => {
    const { data } = context.getImageData(...place);
    let white = 0;
    for (let at = 0; at < data.length; at += 4) if (data[at] > 200) white += 1;
    return white / (data.length / 4);
  };
  return [share(left + 2, top + 2, right - left - 4, bottom - top - 4), share(2, 2, 20, 20)];
}"""


def as_running(route):
    """The page of an ended scan as it would be had the scan not ended; what it asks for is answered as it is."""
    answer = route.fetch()
    route.fulfill(response=answer, body=answer.text().replace('"state": "done"', '"state": "running"'))


VFR_SECONDS = [0.0, 0.04, 0.08, 0.2, 0.21, 0.25, 0.7, 0.733, 0.766, 1.4, 1.5, 1.517, 1.55, 2.0]


def test_the_report_is_on_the_page(visit, reviewing, demo_scan):
    visit.open_scan(demo_scan)
    with reviewing.client() as client:
        found = client.get(f"/v1/scans/{demo_scan}/appearances").json()["items"]
        coverage = client.get(f"/v1/scans/{demo_scan}").json()["coverage"]
    expect(visit.page.locator("#name")).to_have_text("demo.mp4")
    expect(visit.page.locator("#list [role=option]:visible")).to_have_count(len(found))
    expect(visit.page.locator("#count")).to_have_text(f"{len(found)} of {len(found)} appearances shown")
    expect(visit.page.locator("#coverage-words")).to_contain_text(f"{coverage['samples']} pictures")
    for row, each in zip(visit.page.locator("#list [role=option]:visible").all(), found, strict=True):
        expect(row).to_contain_text(f"{short(each['first_seen_s'])} → {short(each['last_seen_s'])}")
        expect(row).to_contain_text(f"{each['confidence']:.2f}")
    label = visit.page.locator("#strip canvas").get_attribute("aria-label")
    assert "Tank" in label and "03:00.0" in label


def test_nothing_sharp_is_sent_unasked(visit, demo_scan):
    visit.open_scan(demo_scan)
    for _ in range(4):
        visit.press("j")
        visit.mode("review")
    visit.press("ArrowRight")
    visit.mode("still")
    visit.page.locator("#strip").click(position={"x": 300, "y": 170})
    visit.page.mouse.wheel(0, 2000)
    visit.page.wait_for_load_state("networkidle")
    assert any("/review" in each for each in visit.asked)
    assert visit.sharp() == []


def test_a_picture_that_is_long_in_coming_is_not_stood_in_for_by_the_one_before(visit, demo_scan):
    held = []
    visit.page.route("**/frames/2/review", lambda route: held.append(route))
    visit.open_scan(demo_scan)
    picture = visit.page.locator("#picture")
    expect(picture).to_be_visible()
    visit.press("j")
    expect(visit.page.locator("#panel-title")).to_have_text("Tank")
    expect(picture).to_be_hidden()
    for route in held:
        route.continue_()
    expect(picture).to_be_visible()


def test_a_reveal_is_chosen_and_lasts_for_one_frame(visit, demo_scan):
    visit.open_scan(demo_scan)
    visit.press("r")
    expect(visit.page.locator("#warn")).to_be_visible()
    assert visit.sharp() == []
    visit.press("Escape")
    expect(visit.page.locator("#warn")).not_to_be_visible()
    assert visit.sharp() == []
    for leave, left in (("r", "review"), ("ArrowRight", "still"), ("j", "review"), ("Escape", "review")):
        visit.press("r", "Enter")
        visit.mode("revealed")
        shown = visit.page.locator("#picture").get_attribute("src")
        visit.press(leave)
        visit.mode(left)
        assert visit.page.locator("#picture").get_attribute("src") != shown
    asked = visit.sharp()
    assert len(asked) == 4 and all("/still?" in each and "reveal=true" in each for each in asked)


def test_frames_step_by_the_clips_own_times(visit, reviewing, tmp_path):
    clip = write_vfr_clip(tmp_path / "vfr.mp4", VFR_SECONDS)
    times = frame_times(clip)
    assert len(set(np.diff(times).round(3))) > 3
    visit.open_scan(scanned(reviewing, clip, plan="every-frame"))
    for player in (False, True):
        if player:
            visit.press(" ")
            visit.mode("video")
            visit.press(" ")
        visit.page.locator("#strip").click(position={"x": 1, "y": 30})
        expect(visit.page.locator("#clock")).to_have_text("00:00:00.000")
        seen = [visit.clock()]
        for key, order in (("ArrowRight", times[1:]), ("ArrowLeft", times[-2::-1])):
            for at in order:
                visit.press(key)
                expect(visit.page.locator("#clock")).to_have_text(f"00:00:{at:06.3f}")
                seen.append(visit.clock())
        visit.mode("video" if player else "still")
        assert len(seen) == 2 * len(times) - 1


# Whoever asks for a frame next, but for the one who asks for all of them, is told of one that had been drawn before.
LATE_FRAME = """() => {
  const video = document.querySelector("#video");
  const real = video.requestVideoFrameCallback.bind(video);
  video.requestVideoFrameCallback = (look) => {
    if (look.name === "each") return real(look);
    delete video.requestVideoFrameCallback;
    return setTimeout(() => look(0, { mediaTime: video.currentTime + 99 }), 0);
  };
}"""
AT_REST = """() => {
  const video = document.querySelector("#video");
  const { pts, mode } = document.querySelector("#stage").dataset;
  return mode === "video" && pts === "0" && video.paused && !video.seeking && video.currentTime > 0;
}"""


def test_a_frame_from_before_the_seek_is_not_taken_for_the_one_sought(visit, reviewing, tmp_path):
    clip = write_vfr_clip(tmp_path / "vfr3.mp4", [at + 0.005 * number for number, at in enumerate(VFR_SECONDS)])
    visit.open_scan(scanned(reviewing, clip, plan="every-frame"))
    visit.press(" ")
    visit.mode("video")
    visit.press(" ")
    visit.page.locator("#strip").click(position={"x": 1, "y": 30})
    visit.page.wait_for_function(AT_REST)
    visit.page.wait_for_timeout(500)
    visit.page.evaluate(LATE_FRAME)
    visit.press("ArrowRight")
    at = frame_times(clip)[1]
    visit.page.wait_for_function(
        "at => Math.abs(Number(document.querySelector('#stage').dataset.pts) - at) < 2e-3", arg=at
    )
    visit.page.wait_for_timeout(3000)
    visit.mode("video")


def test_the_picture_under_the_clock_is_the_frame_of_that_time(visit, reviewing, tmp_path):
    clip = write_vfr_clip(tmp_path / "vfr2.mp4", [at + 0.003 * number for number, at in enumerate(VFR_SECONDS)])
    times = frame_times(clip)
    visit.open_scan(scanned(reviewing, clip, plan="every-frame"))
    visit.press(" ")
    visit.mode("video")
    visit.press(" ")
    visit.page.locator("#strip").click(position={"x": 1, "y": 30})
    for number, at in enumerate(times):
        expect(visit.page.locator("#clock")).to_have_text(f"00:00:{at:06.3f}")
        visit.page.wait_for_function(
            "at => Math.abs(Number(document.querySelector('#stage').dataset.pts) - at) < 2e-3", arg=at
        )
        columns = visit.page.evaluate(
            """() => { const video = document.querySelector('#video'); const canvas = document.createElement('canvas');
            canvas.width = video.videoWidth; canvas.height = video.videoHeight;
            const context = canvas.getContext('2d'); context.drawImage(video, 0, 0);
            const row = context.getImageData(0, 120, canvas.width, 1).data; let green = 0;
            for (let x = 0; x < canvas.width; x += 1) if (row[4 * x + 1] > 100) green += 1; return green; }"""
        )
        assert abs(columns - (8 * number + 8)) <= 3
        visit.press("ArrowRight")


def test_the_threshold_works_on_stored_scores(visit, reviewing, demo_scan):
    visit.open_scan(demo_scan)
    with reviewing.client() as client:
        found = client.get(f"/v1/scans/{demo_scan}/appearances").json()["items"]
    slider = visit.page.locator("#threshold")
    slider.fill("0.75")
    sure = sum(each["confidence"] >= 0.75 for each in found)
    expect(visit.page.locator("#count")).to_have_text(f"{sure} of {len(found)} appearances shown")
    expect(visit.page.locator("#list [role=option]:visible")).to_have_count(sure)
    slider.fill("0.1")
    expect(visit.page.locator("#count")).to_contain_text("that the scan's own threshold left out")
    weak = visit.page.locator("#list [role=option]", has_text="(weak)").first
    weak.click()
    visit.mode("still")
    expect(visit.page.locator("[data-verdict=confirmed]")).to_be_disabled()
    visit.press("\\")
    expect(visit.page.locator("#count")).to_have_text(f"{len(found)} of {len(found)} appearances shown")
    assert not [each for each in visit.asked if each.startswith("POST")]
    assert visit.sharp() == []


def test_a_threshold_of_ones_own_holds_for_a_scan_that_ends_while_it_is_watched(visit, reviewing, demo_scan):
    with reviewing.client() as client:
        client.put("/v1/preferences", json={"threshold": 0.1}).raise_for_status()
        try:
            visit.page.route(f"**/scans/{demo_scan}", as_running, times=1)
            visit.page.goto(f"{reviewing.url}/scans/{demo_scan}")
            expect(visit.page.locator("body")).to_have_attribute("data-ready", "running")
            expect(visit.page.locator("#clip-facts")).to_contain_text("Done")
            expect(visit.page.locator("#count")).to_contain_text("that the scan's own threshold left out")
        finally:
            client.put("/v1/preferences", json={"threshold": None}).raise_for_status()


def test_times_are_those_of_the_report_to_the_millisecond(visit, demo_scan):
    visit.open_scan(demo_scan)
    times = [round(1001 * number / 30000, 6) for number in range(20_000)]
    shown = visit.page.evaluate(
        "async (times) => { const { clock } = await import('/static/scan/clock.js'); return times.map(clock); }", times
    )
    assert [pair for pair in zip(shown, map(hms, times), strict=True) if pair[0] != pair[1]] == []


@pytest.mark.parametrize(
    ("write", "box", "size"),
    [(write_turned_clip, (30, 200, 130, 290), (240, 320)), (write_wide_clip, (60, 100, 260, 200), (320, 240))],
    ids=["turned", "pixels that are not square"],
)
def test_boxes_lie_where_the_weapon_is(visit, reviewing, tmp_path, write, box, size):
    clip = write(tmp_path / "shown-otherwise.mp4", box)
    scan_id = scanned(reviewing, clip, plan="every-frame")
    put_in(reviewing, scan_id, [appearance(frame_times(clip), box)], *size)
    visit.open_scan(scan_id)
    stage = visit.page.locator("#stage").bounding_box()
    assert stage["width"] / stage["height"] == pytest.approx(size[0] / size[1], rel=0.02)
    visit.press("ArrowRight")
    visit.mode("still")
    assert drawn_boxes(visit) == [list(box)]
    white_beside(visit, "#picture", size, box)
    visit.press(" ")
    visit.mode("video")
    visit.press(" ")
    visit.page.locator("#strip").click(position={"x": 300, "y": 70})
    visit.mode("video")
    assert drawn_boxes(visit) == [list(box)]
    assert white_beside(visit, "#video", size, box) < 0.05
    assert white_beside(visit, "#cuts", size, box) == 0


def white_beside(visit, source, size, box):
    """The share of white in the picture's corner, once what lies in the box is drawn."""
    place = [source, size, box]
    visit.page.wait_for_function(f"place => ({WHITE_SHARES})(place)[0] > 0.95", arg=place)
    return visit.page.evaluate(WHITE_SHARES, place)[1]


def drawn_boxes(visit):
    visit.page.wait_for_function("() => document.querySelector('#boxes').dataset.boxes?.length > 2")
    return [each["box"] for each in visit.page.evaluate("JSON.parse(document.querySelector('#boxes').dataset.boxes)")]


@pytest.mark.parametrize("codec", ["libx265", "mpeg4"])
def test_clips_that_no_browser_plays_are_shown_as_stills(visit, reviewing, tmp_path, codec):
    clip = tmp_path / f"{codec}.mp4"
    with av.open(str(clip), "w") as container:
        options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(20):
            picture = np.full((240, 320, 3), 12 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    scan_id = scanned(reviewing, clip, plan="every-frame")
    put_in(reviewing, scan_id, [appearance([0.2, 0.5, 0.9], (20, 20, 200, 200))], 320, 240)
    visit.open_scan(scan_id)
    expect(visit.page.locator("#fallback")).to_contain_text("cannot play this clip")
    visit.press("ArrowRight")
    visit.mode("still")
    expect(visit.page.locator("#clock")).to_have_text("00:00:00.300")
    visit.press("l")
    expect(visit.page.locator("#stage")).to_have_attribute("data-loop", "a1")
    visit.page.wait_for_function("() => Number(document.querySelector('#stage').dataset.pts) > 0.6")
    visit.page.wait_for_function("() => Number(document.querySelector('#stage').dataset.pts) < 0.4")
    visit.press("l")
    assert visit.sharp() == []


def test_a_mirrored_clip_is_never_shown_the_wrong_way_round(visit, reviewing, tmp_path):
    """A browser that ignores the mirror in the track's header must not put boxes on the other side."""
    box = (180, 30, 230, 120)
    clip = tmp_path / "mirrored.mp4"
    write_turned_clip(clip, box, mirrored=True)
    scan_id = scanned(reviewing, clip, plan="every-frame")
    put_in(reviewing, scan_id, [appearance(frame_times(clip), box)], 240, 320)
    visit.open_scan(scan_id)
    visit.press("ArrowRight")
    visit.mode("still")
    visit.press(" ")
    visit.page.wait_for_load_state("networkidle")
    visit.press("Escape", "ArrowRight")
    stage = visit.page.locator("#stage")
    expect(stage).to_have_attribute("data-mode", re.compile("still|video"))
    visit.page.wait_for_function("() => document.querySelector('#boxes').dataset.boxes?.length > 2")
    shown = visit.page.evaluate(
        """([left, top, right, bottom]) => { const stage = document.querySelector('#stage');
        const source = document.querySelector(stage.dataset.mode === 'video' ? '#video' : '#picture');
        const canvas = document.createElement('canvas'); canvas.width = 240; canvas.height = 320;
        const context = canvas.getContext('2d'); context.drawImage(source, 0, 0, 240, 320);
        return context.getImageData((left + right) / 2, (top + bottom) / 2, 1, 1).data[0]; }""",
        list(box),
    )
    assert shown > 200


def test_a_clip_that_breaks_in_the_player_goes_on_as_stills(visit, reviewing, tmp_path):
    clip = cut_demo(tmp_path / "breaks.mp4", 36.0, 40.0)
    scan_id = scanned(reviewing, clip)
    visit.page.route("**/clip", lambda route: route.fulfill(body=b"\0" * 5000, content_type="video/mp4"))
    visit.open_scan(scan_id)
    visit.press(" ")
    expect(visit.page.locator("#fallback")).to_be_visible()
    visit.mode("still")
    visit.press("Escape", "ArrowRight")
    visit.mode("still")


def test_partial_results_go_on_after_the_server_was_restarted(chromium, tmp_path):
    server = Server(tmp_path / "store", SEGMENT_SAMPLES=8).start()
    context = chromium.new_context()
    try:
        visiting = Visit(context, server)
        with server.client() as client:
            scan_id = upload(client, DEMO, plan="interval", every_s="0.3")["id"]
            wait_for(client, scan_id, "running")
            visiting.open_scan(scan_id)
            expect(visiting.page.locator("#progress")).to_be_visible()
            expect(visiting.page.locator("#list [role=option]:visible").first).to_be_visible(timeout=60_000)
            expect(visiting.page.locator("[data-verdict=confirmed]")).to_be_disabled()
        server.kill()
        server.start()
        with server.client() as client:
            assert wait_for(client, scan_id)["state"] == "done"
            found = client.get(f"/v1/scans/{scan_id}/appearances").json()["items"]
        expect(visiting.page.locator("#progress")).to_be_hidden(timeout=30_000)
        expect(visiting.page.locator("#count")).to_have_text(f"{len(found)} of {len(found)} appearances shown")
        rows = visiting.page.locator("#list [role=option]:visible")
        expect(rows).to_have_count(len(found))
        assert len({row.get_attribute("id") for row in rows.all()}) == len(found)
        visiting.press("j")
        expect(visiting.page.locator("[data-verdict=confirmed]")).to_be_enabled()
        assert visiting.faults == []
    finally:
        context.close()
        server.stop()


@pytest.mark.parametrize(("part", "failures"), [("", 2), ("/outline", 1)], ids=["scan", "appearances"])
def test_the_end_of_a_scan_is_read_again_where_reading_it_failed(visit, reviewing, demo_scan, part, failures):
    address = f"**/v1/scans/{demo_scan}{part}"
    visit.page.route(f"**/scans/{demo_scan}", as_running, times=1)
    visit.page.route("**/events?*", lambda route: None, times=1)
    visit.page.goto(f"{reviewing.url}/scans/{demo_scan}")
    expect(visit.page.locator("body")).to_have_attribute("data-ready", "running")
    visit.page.route(address, lambda route: route.abort(), times=failures)
    with visit.page.expect_response(f"**{address.removeprefix('**')}", timeout=30_000) as answer:
        visit.page.evaluate(
            "for (const isSeen of [false, true]) {"
            " Object.defineProperty(document, 'hidden', { value: !isSeen, configurable: true });"
            " document.dispatchEvent(new Event('visibilitychange')); }"
        )
    assert answer.value.ok
    expect(visit.page.locator("#clip-facts")).to_contain_text("Done")
    expect(visit.page.locator("#notices [data-name=problem]")).to_contain_text("The server does not answer")


def test_a_page_of_a_scan_that_was_removed_says_so(visit, reviewing, tmp_path):
    scan_id = scanned(reviewing, cut_demo(tmp_path / "removed.mp4", 36.0, 39.0))
    visit.open_scan(scan_id)
    with reviewing.client() as client:
        assert client.delete(f"/v1/scans/{scan_id}").status_code == 204
    visit.press("y")
    expect(visit.page.locator("#notices [data-name=gone]")).to_contain_text("This scan was removed")
    expect(visit.page.locator("#list [role=option]:visible")).to_have_count(0)
    assert visit.page.locator("#picture").get_attribute("src") is None


def test_why_a_scan_failed_is_said_where_its_page_begins(visit, reviewing):
    with reviewing.client() as client:
        made = client.post("/v1/scans", files={"file": ("holiday.mp4", b"this is no film\n" * 50)}).json()
        assert wait_for(client, made["id"])["state"] == "failed"
    visit.open_scan(made["id"])
    notice = visit.page.locator("#notices [data-name=failed]")
    expect(notice).to_contain_text("This scan failed: holiday.mp4: this is a text file, not a video")
    expect(notice).to_be_in_viewport()
    expect(visit.page.locator("#exports li:not([hidden])")).to_have_count(3)


def test_markup_in_names_is_text(visit, reviewing, tmp_path):
    name = "<img src=x onerror=alert(1)>&amp;.mp4"
    clip = cut_demo(tmp_path / "plain.mp4", 36.0, 38.0)
    with reviewing.client() as client:
        clip_bytes = clip.read_bytes()
        answer = client.post("/v1/scans", files={"file": ("plain.mp4", clip_bytes)}, data={"name": name})
        scan_id = wait_for(client, answer.json()["id"])["id"]
    visit.open_scan(scan_id)
    expect(visit.page.locator("#name")).to_have_text(name)
    assert visit.page.locator("#name img").count() == 0
    visit.press("y")
    visit.page.locator("#go-on").uncheck()
    visit.press("c")
    visit.page.keyboard.type("<b>bold</b> & more")
    visit.press("Enter")
    expect(visit.page.locator("#panel-others q")).to_have_text("<b>bold</b> & more")


def test_a_name_from_right_to_left_begins_where_the_page_does(visit, reviewing, tmp_path):
    clip = cut_demo(tmp_path / "دبابة.mp4", 150.0, 152.0)
    visit.open_scan(scanned(reviewing, clip))
    left_edge = """name => { const text = document.createRange(); text.selectNodeContents(document.querySelector(name));
        return text.getBoundingClientRect().left; }"""
    expect(visit.page.locator("#name")).to_have_css("direction", "rtl")
    assert abs(visit.page.evaluate(left_edge, "#name") - visit.page.evaluate(left_edge, "#timeline-heading")) < 3


def test_two_reviewers_who_disagree_are_shown(visit, reviewing, demo_scan):
    key = reviewing.key("local", "--note", "second pair of eyes", "--scopes", "read,review")
    with reviewing.client(key) as other:
        answer = other.put(f"/v1/scans/{demo_scan}/appearances/3/verdict", json={"verdict": "wrong"})
        assert answer.status_code == 200, answer.text
    visit.open_scan(demo_scan)
    visit.page.locator("#go-on").uncheck()
    visit.press("j", "j")
    expect(visit.page.locator("#panel-others")).to_contain_text("second pair of eyes: wrong")
    with visit.page.expect_response(lambda answer: answer.request.method == "PUT"):
        visit.press("y")
    expect(visit.page.locator("#panel-others .disagreed")).to_be_visible()
    visit.page.locator("#review").select_option("disagreed")
    expect(visit.page.locator("#list [role=option]:visible")).to_have_count(1)
    visit.page.reload()
    visit.page.locator("body[data-ready]").wait_for()
    visit.page.locator("#review").select_option("disagreed")
    expect(visit.page.locator("#list [role=option]:visible .badge")).to_contain_text("disagreement")
    visit.press("j", "z")
    expect(visit.page.locator("#list [role=option]:visible")).to_have_count(0)


def test_what_another_reviewer_said_meanwhile_is_there_when_the_page_is_seen_again(visit, reviewing, demo_scan):
    visit.open_scan(demo_scan)
    visit.page.wait_for_load_state("networkidle")
    key = reviewing.key("local", "--note", "meanwhile", "--scopes", "read,review")
    with reviewing.client(key) as other:
        other.put(f"/v1/scans/{demo_scan}/appearances/1/verdict", json={"verdict": "unsure"}).raise_for_status()
        try:
            visit.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            expect(visit.page.locator("#panel-others")).to_contain_text("meanwhile: unsure")
        finally:
            other.delete(f"/v1/scans/{demo_scan}/appearances/1/verdict").raise_for_status()


def test_on_paper_there_is_a_table_of_everything(visit, many_scan):
    visit.open_scan(many_scan)
    visit.page.emulate_media(media="print")
    expect(visit.page.locator("#print tbody tr")).to_have_count(2000)
    expect(visit.page.locator("#list")).to_be_hidden()
    expect(visit.page.locator("#exports-heading")).to_be_hidden()
    expect(visit.page.locator("#stage")).to_be_hidden()
    visit.page.emulate_media(media="screen")
    expect(visit.page.locator("#print tbody tr")).to_have_count(0)


def test_the_timeline_is_drawn_dark_on_paper(visit, demo_scan):
    visit.open_scan(demo_scan)
    darkest = """() => {
        const context = document.querySelector("#strip canvas").getContext("2d");
        const { data } = context.getImageData(12, 0, 60, 12);
        let least = 255;
        for (let at = 0; at < data.length; at += 4)
            if (data[at + 3] > 200) least = Math.min(least, Math.max(data[at], data[at + 1], data[at + 2]));
        return least; }"""
    assert visit.page.evaluate(darkest) > 100
    visit.page.emulate_media(media="print")
    visit.page.wait_for_function(f"() => ({darkest})() < 60")


def test_thousands_of_appearances_are_a_few_rows(visit, many_scan):
    visit.open_scan(many_scan)
    rows = visit.page.locator("#list [role=option]")
    assert rows.count() < 40
    visit.press("End")
    expect(visit.page.locator("#list [aria-selected=true]")).to_have_attribute("aria-posinset", "2000")
    visit.page.locator("#list").evaluate("list => { list.scrollTop = list.scrollHeight / 2; }")
    expect(visit.page.locator("#list [aria-posinset='1000']")).to_be_visible()
    assert rows.count() < 40


def test_a_page_that_nobody_sees_holds_no_connection(visit, reviewing, demo_scan):
    """A browser opens six connections to a server: six running scans in tabs left none for any page."""
    visit.context.add_init_script(
        "window.streams = []; window.EventSource = class extends EventSource {"
        " constructor(...all) { super(...all); streams.push(this); } };"
        "window.see = (isSeen) => { Object.defineProperty(document, 'hidden', { value: !isSeen, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); };"
    )
    visit.page.route(f"**/scans/{demo_scan}", as_running, times=1)
    visit.page.route("**/events?*", lambda route: None, times=1)
    visit.page.goto(f"{reviewing.url}/scans/{demo_scan}")
    expect(visit.page.locator("body")).to_have_attribute("data-ready", "running")
    states = "() => streams.map(({ readyState }) => readyState)"
    assert visit.page.evaluate(states) == [0]
    visit.page.evaluate("see(false)")
    assert visit.page.evaluate(states) == [2]
    visit.page.evaluate("see(true)")
    expect(visit.page.locator("#clip-facts")).to_contain_text("Done")
    assert len(visit.page.evaluate(states)) == 2
