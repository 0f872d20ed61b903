"""Search and gallery over all scans."""

import re

import pytest
from playwright.sync_api import expect


@pytest.fixture
def found(library, armour_id):
    """What was found in the clip; one of it has a verdict with a note."""
    with library.client() as client:
        items = client.get(f"/v1/scans/{armour_id}/appearances").json()["items"]
        body = {"verdict": "unsure", "note": "behind the <b>wall</b>"}
        for each in items[:-1]:
            client.delete(f"/v1/scans/{armour_id}/appearances/{each['number']}/verdict").raise_for_status()
        client.put(f"/v1/scans/{armour_id}/appearances/{items[-1]['number']}/verdict", json=body).raise_for_status()
    assert len(items) > 1
    return items


def test_search_by_class_note_and_verdict(person, library, armour_id, found):
    one = person(library).open("/search?name=armour")
    finds = one.page.locator("#finds > li")
    expect(finds).to_have_count(len(found))
    expect(one.page.locator("#shown")).to_have_text(f"{len(found)} shown")
    one.page.get_by_label("Weapon class").select_option(found[0]["class"])
    expect(finds).to_have_count(sum(each["class"] == found[0]["class"] for each in found))
    one.page.get_by_role("button", name="Clear filters").click()
    expect(one.page).to_have_url(f"{library.url}/search")
    one.page.get_by_label("Note holds").fill("THE <B>WALL")
    expect(finds).to_have_text([re.compile("Unsure by local\\W+behind the <b>wall</b>")])
    one.page.get_by_label("Verdict").select_option("confirmed")
    expect(one.page.locator("#shown")).to_have_text("Nothing matches.")
    one.open("/search?state=unreviewed&name=armour")
    expect(finds.get_by_role("link")).not_to_have_count(0)
    one.open("/search?note=wall")
    finds.get_by_role("link").click()
    one.page.wait_for_url(f"{library.url}/scans/{armour_id}#{found[-1]['number']}")


def test_what_the_filters_before_gave_is_marked_until_the_answer_comes(person, library, found):
    one = person(library).open("/search?name=armour")
    finds = one.page.locator("#finds")
    expect(finds).to_have_attribute("aria-busy", "false")
    held = []
    one.page.route("**/v1/search?*note=wall*", lambda route: held.append(route))
    with one.page.expect_request("**/v1/search?*note=wall*"):
        one.page.get_by_label("Note holds").fill("wall")
    expect(finds).to_have_attribute("aria-busy", "true")
    expect(finds.locator("> li")).to_have_count(len(found))
    held.pop().continue_()
    expect(finds).to_have_attribute("aria-busy", "false")
    expect(finds.locator("> li")).to_have_count(1)


def test_only_blurred_pictures_are_asked_for(person, library, armour_id, found):
    one = person(library)
    for path in ("/", "/search?name=armour", "/gallery?name=armour"):
        one.open(path)
        for picture in one.page.locator("#finds img").all():
            picture.scroll_into_view_if_needed()
            expect(picture).to_have_js_property("complete", True)
            assert picture.evaluate("each => each.naturalWidth") > 0
    pictures = [each for each in one.asked if "/frames/" in each or "/still" in each or "/clip" in each]
    assert len(set(pictures)) == len(found)
    assert all(each.endswith("/review") for each in pictures)


def test_the_gallery_shows_one_class(person, library, armour_id, found):
    one = person(library).open("/gallery?name=armour")
    crops = one.page.locator("#finds > li")
    expect(crops).to_have_count(len(found))
    one.page.get_by_label("Weapon class").select_option(found[0]["class"])
    expect(crops).to_have_count(sum(each["class"] == found[0]["class"] for each in found))
    assert f"class={found[0]['class']}" in one.page.url
    cut = crops.locator("img").first.evaluate("each => getComputedStyle(each).objectViewBox")
    assert cut.startswith("inset(")
    crops.get_by_role("link").first.click()
    one.page.wait_for_url(f"{library.url}/scans/{armour_id}#*")


def test_long_lists_come_page_by_page(person, library, found):
    one = person(library)
    everything = []

    def first_page_of_two(route):
        answer = route.fetch()
        page = answer.json()
        everything.append(page["items"])
        page["next"] = "more" if len(everything) == 1 else None
        route.fulfill(response=answer, json=page)

    one.page.route(
        "**/v1/search?*cursor=more*", lambda route: route.continue_(url=f"{library.url}/v1/search?name=armour")
    )
    one.page.route("**/v1/search?name=armour&limit=*", first_page_of_two, times=1)
    one.open("/search?name=armour")
    expect(one.page.locator("#shown")).to_have_text(f"{len(found)} shown, there are more")
    one.page.get_by_role("button", name="Show more").click()
    expect(one.page.locator("#finds > li")).to_have_count(2 * len(found))
    expect(one.page.get_by_role("button", name="Show more")).to_be_hidden()


@pytest.mark.parametrize("page", ["/search", "/gallery"])
def test_who_comes_back_from_a_find_goes_on_where_they_were(visit, many_scan, page):
    visit.open(page)
    finds = visit.page.locator("#finds > li")
    for count in (100, 150, 200, 250):
        visit.page.get_by_role("button", name="Show more").click()
        expect(finds).to_have_count(count)
    opened = finds.nth(220).get_by_role("link")
    address = opened.get_attribute("href")
    opened.click()
    visit.page.wait_for_url(f"**{address}")
    visit.page.go_back()
    expect(finds).to_have_count(250)
    expect(opened).to_have_attribute("href", address)
    expect(opened).to_be_focused()
    expect(opened).to_be_in_viewport()


def test_a_break_is_proposed_for_what_was_looked_at_on_all_pages(person, library, found):
    with library.client() as client:
        client.put("/v1/preferences", json={"break_minutes": 2}).raise_for_status()
    one = person(library)
    one.page.clock.install()
    one.open("/gallery?name=armour")
    one.page.clock.fast_forward(15_000)
    for _ in range(5):
        one.page.clock.run_for(15_000)
    expect(one.page.locator("#break")).to_be_empty()
    one.open("/search?name=armour")
    one.page.clock.run_for(45_000)
    expect(one.page.locator("#break")).to_contain_text("2 minutes")
    with library.client() as client:
        client.put("/v1/preferences", json={"break_minutes": 25}).raise_for_status()
