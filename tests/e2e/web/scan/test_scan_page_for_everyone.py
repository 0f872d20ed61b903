"""The scan page for the person who looks: their settings, their language, a narrow screen, no mouse, a sign-in."""

import pytest
from browsing import complaints
from playwright.sync_api import expect
from scan_page import Visit, scanned
from service_server import Server, cut_demo

DEFAULTS = {"blur": 24, "grey": True, "sound": False, "thumbnail_px": 200, "warn": True, "break_minutes": 25}


@pytest.fixture
def wishes(reviewing):
    """Sets what the reviewer wants; everything is as before after the test."""
    with reviewing.client() as client:

        def wish(**changed):
            assert client.put("/v1/preferences", json=changed).status_code == 200

        yield wish
        wish(**DEFAULTS, language="en", threshold=None)


def test_settings_of_the_person_are_obeyed(visit, wishes, demo_scan):
    wishes(blur=40, grey=False, sound=True, thumbnail_px=90, warn=False, threshold=0.7)
    visit.open_scan(demo_scan)
    expect(visit.page.locator("#threshold-value")).to_have_text("0.70")
    expect(visit.page.locator("#list [role=option] img").first).to_have_css("width", "90px")
    expect(visit.page.locator("#list [role=option] img").first).to_have_css("filter", "none")
    expect(visit.page.locator("#video")).to_have_js_property("muted", False)
    visit.press("r")
    visit.mode("revealed")
    visit.press(" ")
    visit.mode("video")
    expect(visit.page.locator("#video")).to_have_css("filter", "blur(40px)")
    visit.press(" ")
    wishes(**DEFAULTS, threshold=None)
    visit.open_scan(demo_scan)
    visit.press(" ")
    visit.mode("video")
    expect(visit.page.locator("#video")).to_have_css("filter", "grayscale(1) blur(24px)")
    expect(visit.page.locator("#video")).to_have_js_property("muted", True)
    visit.press(" ")


def test_a_break_is_proposed(visit, wishes, demo_scan):
    wishes(break_minutes=2)
    visit.page.clock.install()
    visit.open_scan(demo_scan)
    visit.page.clock.run_for(100_000)
    expect(visit.page.locator("[data-name=break]")).to_have_count(0)
    visit.page.clock.run_for(40_000)
    expect(visit.page.locator("[data-name=break]")).to_contain_text("2 minutes")


@pytest.mark.parametrize(("width", "language"), [(1280, "en"), (360, "en"), (360, "ar"), (1280, "ar")])
def test_axe_finds_nothing_and_nothing_is_cut_off(visit, wishes, demo_scan, width, language):
    wishes(language=language)
    visit.page.set_viewport_size({"width": width, "height": 800})
    visit.open_scan(demo_scan)
    assert visit.page.locator("html").get_attribute("dir") == ("rtl" if language == "ar" else "ltr")
    for keys in ((), ("[",), ("?",), ("Escape", "o")):
        visit.press(*keys)
        assert complaints(visit.page) == []
    visit.press("Escape")
    assert visit.page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert "scan." not in visit.page.locator("main").inner_text()


def test_who_is_signed_in_reviews_as_themselves(chromium, tmp_path):
    server = Server(tmp_path / "store", ALLOW_ANONYMOUS="false").start()
    context = chromium.new_context()
    try:
        key = server.key("alice", "--note", "Alice")
        with server.client(key) as client:
            clip = cut_demo(tmp_path / "hers.mp4", 36.0, 39.0)
            scan_id = scanned(server, clip, key=key)
            visiting = Visit(context, server)
            visiting.page.goto(f"{server.url}/sign-in")
            signed_in = visiting.page.evaluate(
                "key => fetch('/v1/session', {method: 'POST', headers: {'Content-Type': 'application/json'},"
                " body: JSON.stringify({key})}).then((answer) => answer.status)",
                key,
            )
            assert signed_in == 200
            visiting.open_scan(scan_id)
            visiting.press("u")
            expect(visiting.page.locator("#reviewed")).to_contain_text("1 of")
            visiting.page.wait_for_load_state("networkidle")
            verdicts = client.get(f"/v1/scans/{scan_id}/verdicts").json()["items"]
        assert [(each["verdict"], each["reviewer"]) for each in verdicts] == [("unsure", "Alice")]
        assert visiting.faults == []
    finally:
        context.close()
        server.stop()
