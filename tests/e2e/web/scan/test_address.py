"""The address of a scan page names the appearance that is chosen: it can be kept, shared and followed."""

from dataclasses import replace

import pytest
from playwright.sync_api import expect
from scan_page import appearance, put_in, scanned
from service_server import cut_demo

from detector.frame import SUSPECTED_OVERLAY

BOX = (100.0, 100.0, 300.0, 250.0)


@pytest.fixture
def three_found(reviewing, tmp_path):
    """A scan with a sure tank, a suspected overlay, and a howitzer that is less sure."""
    scan_id = scanned(reviewing, cut_demo(tmp_path / "three.mp4", 36.0, 42.0))
    found = [
        appearance([0.5, 1.0, 1.5], BOX),
        replace(appearance([2.0, 2.5], BOX), flags=(SUSPECTED_OVERLAY,)),
        replace(appearance([3.0, 3.5], BOX, "howitzer"), confidence=0.4),
    ]
    put_in(reviewing, scan_id, found, 640, 360)
    yield scan_id
    with reviewing.client() as client:
        client.put("/v1/preferences", json={"threshold": None}).raise_for_status()
        client.delete(f"/v1/scans/{scan_id}").raise_for_status()


def chosen(visit):
    return visit.page.locator("#list [aria-selected=true]")


def test_what_was_chosen_is_chosen_again_after_a_reload(visit, reviewing, three_found):
    visit.open_scan(three_found)
    visit.press("j")
    expect(visit.page).to_have_url(f"{reviewing.url}/scans/{three_found}#3")
    visit.page.reload()
    expect(chosen(visit)).to_contain_text("Towed howitzer")


def test_a_link_shows_its_appearance_whatever_would_hide_it(visit, reviewing, three_found):
    with reviewing.client() as client:
        client.put("/v1/preferences", json={"threshold": 0.8}).raise_for_status()
    visit.open(f"/scans/{three_found}#3")
    expect(chosen(visit)).to_contain_text("Towed howitzer")
    expect(visit.page.locator("#threshold-value")).to_have_text("as scanned")
    visit.open_scan(three_found)
    visit.page.evaluate("location.hash = '#2'")
    expect(chosen(visit)).to_contain_text("suspected overlay")
    expect(visit.page.locator("#overlays")).to_be_checked()
    visit.page.locator("#classes .chip", has_text="howitzer").click()
    visit.page.locator("#review").select_option("confirmed")
    visit.page.evaluate("location.hash = '#3'")
    expect(chosen(visit)).to_contain_text("Towed howitzer")
    expect(visit.page.locator("#classes .chip", has_text="howitzer")).to_have_attribute("aria-pressed", "true")
    expect(visit.page.locator("#review")).to_have_value("all")


def test_search_and_gallery_say_what_is_suspected_to_be_an_overlay(visit, three_found):
    for path in ("/search?name=three", "/gallery?name=three"):
        visit.open(path)
        expect(visit.page.locator("#finds > li")).to_have_count(3)
        expect(visit.page.locator("#finds > li", has_text="suspected overlay")).to_have_count(1)
