"""Uploads from the library page: dropped, paused, resumed after a reload, through the end of the server."""

import base64
import hashlib
import json
import re

from browsing import UPLOAD_MS, padded
from playwright.sync_api import expect
from service_server import Server

MARKUP = "<img src=x onerror=alert(1)>.mp4"
ARABIC = "مقطع ١.mp4"


def percent(text: str) -> int:
    found = re.search(r"(\d+) %", text)
    return int(found[1]) if found else -1


def wait_under_way(person, name: str) -> None:
    """Until some of the file is sent, and not all."""
    expect(person.upload_of(name).locator(".words")).to_have_text(re.compile(r"\b[1-9]\d? %"), timeout=UPLOAD_MS)


def test_dropped_files_are_uploaded_and_scanned(person, library, bands, tmp_path):
    one = person(library).open()
    files = [
        (name, padded(bands, bands.stat().st_size + 100 + number, tmp_path / f"{number}.mp4").read_bytes())
        for number, name in enumerate((MARKUP, ARABIC, "third.mp4", "fourth.mp4"))
    ]
    one.drop(*files)
    for name, content in files:
        expect(one.upload_of(name)).to_have_attribute("data-state", "done", timeout=UPLOAD_MS)
        one.expect_state(one.scan_of(name), "done")
        with library.client() as client:
            scan = client.get("/v1/scans", params={"name": name}).json()["items"][0]
        assert scan["clip"]["sha256"] == hashlib.sha256(content).hexdigest()
        assert one.upload_of(name).get_by_role("link").get_attribute("href") == f"/scans/{scan['id']}"
    expect(one.page.locator("#scans img")).to_have_count(0)
    expect(one.page.locator("#upload-list img")).to_have_count(0)
    assert one.page.evaluate("localStorage.length") == 0


def test_folders_are_gone_through_and_what_is_no_video_is_left_out(person, library, bands, tmp_path):
    deep = tmp_path / "evidence" / "day 2" / "camera"
    deep.mkdir(parents=True)
    clips = [deep.parent.parent / "first.mp4", deep.parent / "second.mp4", deep / "third.mp4", tmp_path / "alone.mp4"]
    for number, clip in enumerate(clips):
        padded(bands, bands.stat().st_size + 700 + number, clip)
    many = [padded(bands, bands.stat().st_size + 800 + number, deep / f"n{number:03}.mp4") for number in range(120)]
    for name in ("notes.txt", "photo.jpg", ".hidden"):
        (deep / name).write_bytes(b"not a video")
    one = person(library).open("/?name=camera")
    one.page.route("**/v1/uploads", lambda route: route.abort())
    one.drop_paths(tmp_path / "evidence", clips[3])
    expect(one.page.locator("#upload-list > li")).to_have_count(len(clips) + len(many))
    for clip in (*clips, many[-1]):
        expect(one.upload_of(clip.name)).to_have_count(1)
    expect(one.page.locator("#left-out")).to_have_text(re.compile("^3 other files"))

    one.open("/?name=camera")
    one.page.set_input_files("#folder", str(deep.parent.parent))
    expect(one.page.locator("#upload-list > li")).to_have_count(len(clips) - 1 + len(many))
    expect(one.page.locator("#left-out")).to_have_text(re.compile("^3 other files"))


def test_a_paused_upload_goes_on_after_a_reload_where_the_file_is_chosen_again(person, library, bands, tmp_path):
    clip = padded(bands, 6_000_000, tmp_path / "paused.mp4")
    one = person(library).open()
    one.throttle(1_500_000)
    one.choose(clip)
    wait_under_way(one, clip.name)
    one.page.get_by_role("button", name=f"Pause {clip.name}").click()
    expect(one.upload_of(clip.name)).to_have_attribute("data-state", "paused")
    one.page.get_by_role("button", name=f"Resume {clip.name}").click()
    expect(one.upload_of(clip.name)).to_have_attribute("data-state", "sending")
    wait_under_way(one, clip.name)
    one.page.get_by_role("button", name="Pause all").click()
    expect(one.upload_of(clip.name)).to_have_attribute("data-state", "paused")

    one.page.reload()
    kept = one.upload_of(clip.name)
    expect(kept).to_have_attribute("data-state", "kept")
    expect(kept.locator(".words")).to_contain_text("Choose the same file again")
    assert percent(kept.locator(".words").inner_text()) > 0
    one.asked.clear()
    offsets = []
    one.page.on("request", lambda each: offsets.append(each.headers.get("upload-offset")))
    one.throttle(-1)
    one.choose(clip)
    expect(kept).to_have_count(1)
    expect(one.upload_of(clip.name)).to_have_attribute("data-state", "done", timeout=UPLOAD_MS)
    assert f"POST {library.url}/v1/uploads" not in one.asked
    assert int(next(each for each in offsets if each is not None)) > 0
    with library.client() as client:
        scan = client.get("/v1/scans", params={"name": clip.name}).json()["items"][0]
    assert scan["clip"]["sha256"] == hashlib.sha256(clip.read_bytes()).hexdigest()


def test_uploads_and_the_list_outlive_a_server_killed_in_the_middle(person, bands, tmp_path):
    clip = padded(bands, 8_000_000, tmp_path / "through.mp4")
    server = Server(tmp_path / "store").start()
    try:
        one = person(server).open()
        one.throttle(1_500_000)
        one.choose(clip)
        wait_under_way(one, clip.name)
        server.kill()
        expect(one.upload_of(clip.name)).to_have_attribute("data-state", "lost", timeout=UPLOAD_MS)
        expect(one.upload_of(clip.name).locator(".words")).to_contain_text("goes on by itself")
        server.start()
        expect(one.upload_of(clip.name)).to_have_attribute("data-state", "done", timeout=UPLOAD_MS)
        one.expect_state(one.scan_of(clip.name), "done")
        assert sum(each == f"POST {server.url}/v1/uploads" for each in one.asked) == 1
        with server.client() as client:
            scan = client.get("/v1/scans").json()["items"][0]
        assert scan["clip"]["sha256"] == hashlib.sha256(clip.read_bytes()).hexdigest()
    finally:
        server.stop()


def test_a_file_that_cannot_be_read_any_more_is_said_to_be_and_holds_nothing_up(person, library, bands, tmp_path):
    gone, other, third = (padded(bands, 4_100_000 + each, tmp_path / f"card-{each}.mp4") for each in range(3))
    one = person(library).open()
    one.throttle(1_500_000)
    one.choose(gone)
    wait_under_way(one, gone.name)
    one.page.get_by_role("button", name=f"Pause {gone.name}").click()
    content = gone.read_bytes()
    gone.unlink()
    one.page.get_by_role("button", name=f"Resume {gone.name}").click()
    said = one.upload_of(gone.name)
    expect(said.locator(".words")).to_contain_text("cannot read the file any more", timeout=UPLOAD_MS)
    expect(said).to_have_attribute("data-state", "failed")
    one.throttle(-1)
    one.choose(other, third)
    for each in (other, third):
        expect(one.upload_of(each.name)).to_have_attribute("data-state", "done", timeout=UPLOAD_MS)
    gone.write_bytes(content)
    one.choose(gone)
    expect(said.nth(1)).to_have_attribute("data-state", "done", timeout=UPLOAD_MS)


def test_a_refused_upload_says_why_and_is_tried_again(person, library, bands, tmp_path):
    clip = padded(bands, 50_000, tmp_path / "refused.mp4")
    one = person(library).open()
    why = "The disk would have less than its reserve left; remove something."
    body = json.dumps({"code": "storage_full", "detail": why, "status": 507})
    problem = {"status": 507, "content_type": "application/problem+json", "body": body}
    one.page.route("**/v1/uploads", lambda route: route.fulfill(**problem))
    one.choose(clip)
    expect(one.upload_of(clip.name).locator(".words")).to_have_text(f"Failed: {why}")
    one.page.unroute("**/v1/uploads")
    one.page.get_by_role("button", name=f"Try {clip.name} again").click()
    expect(one.upload_of(clip.name)).to_have_attribute("data-state", "done", timeout=UPLOAD_MS)


def test_an_upload_that_the_server_puts_off_says_why(person, library, bands, tmp_path):
    why = "7 scans wait or run, 7 are allowed; wait for one to end."
    waiting, tomorrow = (padded(bands, 41_100 + each, tmp_path / f"put-off-{each}.mp4") for each in range(2))
    retry_after = {waiting.name: "30", tomorrow.name: "40000"}

    def refuse(route):
        name = base64.b64decode(route.request.headers["upload-metadata"].split(",")[0].split(" ")[1]).decode()
        body = json.dumps({"code": "quota_exceeded", "detail": why, "status": 429})
        headers = {"Retry-After": retry_after[name]}
        route.fulfill(status=429, content_type="application/problem+json", body=body, headers=headers)

    one = person(library).open()
    one.page.route("**/v1/uploads", refuse)
    one.choose(waiting, tomorrow)
    expect(one.upload_of(waiting.name).locator(".words")).to_have_text(f"Waits at 0 %: {why} It goes on by itself.")
    expect(one.upload_of(tomorrow.name).locator(".words")).to_have_text(f"Failed: {why}")
    one.page.unroute("**/v1/uploads")
    one.page.get_by_role("button", name=f"Try {tomorrow.name} again").click()
    for each in (waiting, tomorrow):
        expect(one.upload_of(each.name)).to_have_attribute("data-state", "done", timeout=UPLOAD_MS)


def test_an_upload_that_goes_on_after_a_reload_says_by_which_plan_it_was_begun(person, library, bands, tmp_path):
    clip = padded(bands, 6_100_000, tmp_path / "begun.mp4")
    one = person(library).open()
    one.throttle(1_500_000)
    one.page.locator("#plan").select_option("keyframes")
    one.choose(clip)
    wait_under_way(one, clip.name)
    one.page.get_by_role("button", name="Pause all").click()
    one.page.reload()
    expect(one.upload_of(clip.name).locator(".words")).to_contain_text("for a scan by the plan keyframes")
    one.choose(clip)
    said = one.upload_of(clip.name).locator(".words")
    expect(said).to_contain_text("scanned by the plan that it was begun with: keyframes")
    one.throttle(-1)
    expect(one.upload_of(clip.name)).to_have_attribute("data-state", "done", timeout=UPLOAD_MS)
    with library.client() as client:
        scan = client.get("/v1/scans", params={"name": clip.name}).json()["items"][0]
    assert scan["options"]["plan"] == "keyframes"


def test_of_a_file_chosen_twice_one_upload_is_given_up_without_the_other(person, library, bands, tmp_path):
    clip = padded(bands, 6_200_000, tmp_path / "twice.mp4")
    one = person(library).open()
    one.throttle(1_500_000)
    one.choose(clip)
    wait_under_way(one, clip.name)
    one.choose(clip)
    both = one.upload_of(clip.name)
    expect(both).to_have_count(2)
    expect(both.nth(1).locator(".words")).to_have_text(re.compile(r"\b[1-9]\d? %"), timeout=UPLOAD_MS)
    with one.page.expect_response(lambda each: each.request.method == "DELETE" and each.status == 204):
        both.nth(1).get_by_role("button", name="Remove").click()
    one.throttle(-1)
    expect(both).to_have_count(1)
    expect(both).to_have_attribute("data-state", "done", timeout=UPLOAD_MS)


def test_an_upload_that_is_given_up_leaves_nothing(person, library, bands, tmp_path):
    clip = padded(bands, 6_000_000, tmp_path / "given-up.mp4")
    others = set((library.store / "uploads").glob("*"))
    one = person(library).open()
    one.throttle(1_500_000)
    one.drop(("empty.mp4", b""))
    expect(one.upload_of("empty.mp4").locator(".words")).to_contain_text("it has no bytes")
    one.choose(clip)
    wait_under_way(one, clip.name)
    with one.page.expect_response(lambda each: each.request.method == "DELETE" and each.status == 204):
        one.page.get_by_role("button", name=f"Remove {clip.name}").click()
    expect(one.upload_of(clip.name)).to_have_count(0)
    assert one.page.evaluate("localStorage.length") == 0
    left = set((library.store / "uploads").glob("*")) - others
    assert {each.name: each.stat().st_size for each in left} == {}


def test_an_upload_that_is_given_up_while_it_is_begun_leaves_nothing(person, library, bands, tmp_path):
    clip = padded(bands, 50_000, tmp_path / "never-begun.mp4")
    others = set((library.store / "uploads").glob("*"))
    one = person(library).open()
    held = []
    one.page.route("**/v1/uploads", lambda route: held.append(route))
    with one.page.expect_request("**/v1/uploads"):
        one.choose(clip)
    one.page.get_by_role("button", name=f"Remove {clip.name}").click()
    expect(one.upload_of(clip.name)).to_have_count(0)
    with one.page.expect_response(lambda each: each.request.method == "DELETE" and each.status == 204):
        held[0].continue_()
    assert one.page.evaluate("localStorage.length") == 0
    assert set((library.store / "uploads").glob("*")) - others == set()
