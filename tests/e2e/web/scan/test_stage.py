"""The picture of the scan page in a real browser: which frame it is, what is drawn on it, when it is sharp."""

import re

import av
import numpy as np
import pytest
from playwright.sync_api import expect
from scan_page import (
    appearance,
    frame_times,
    put_in,
    scanned,
    write_turned_clip,
    write_vfr_clip,
    write_wide_clip,
)
from service_server import cut_demo

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


VFR_SECONDS = [0.0, 0.04, 0.08, 0.2, 0.21, 0.25, 0.7, 0.733, 0.766, 1.4, 1.5, 1.517, 1.55, 2.0]


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
