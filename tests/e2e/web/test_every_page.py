"""What holds for every page: nothing from elsewhere, no barriers, narrow screens, right to left, the same looks."""

import re

import httpx
import pytest
from browsing import complaints
from playwright.sync_api import expect

PAGES = {
    "library": "/?name=armour",
    "search": "/search?name=armour",
    "gallery": "/gallery?name=armour",
    "settings": "/settings",
    "sign-in": "/sign-in",
    "scan": "/scans/{scan}",
    "no-scan": "/scans/00000000000000000000000000000000",
    "missing": "/missing",
}


@pytest.fixture(params=PAGES.values(), ids=PAGES)
def path(request, armour_id):
    return request.param.format(scan=armour_id)


def settle(page) -> None:
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("language", ["en", "ar"])
def test_axe_finds_nothing(person, library, path, language):
    one = person(library, locale=language).open(path)
    settle(one.page)
    expect(one.page.locator("html")).to_have_attribute("dir", {"en": "ltr", "ar": "rtl"}[language])
    expect(one.page.locator("html")).to_have_attribute("lang", language)
    assert complaints(one.page) == []


@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_narrow_screen_needs_no_sideways_scrolling_and_has_no_barriers(person, library, path, language):
    one = person(library, locale=language, viewport={"width": 360, "height": 740}).open(path)
    settle(one.page)
    wide = one.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 360, one.page.evaluate(
        "[...document.querySelectorAll('body *')].filter((each) => each.getBoundingClientRect().right > 361 "
        "|| each.getBoundingClientRect().left < -1).slice(0, 5).map((each) => each.outerHTML.slice(0, 200))"
    )
    assert complaints(one.page) == []


def test_nothing_is_asked_of_another_host_and_no_policy_is_broken(person, library, path):
    one = person(library)
    said = []
    one.page.on("console", lambda message: said.append(message.text))
    one.open(path)
    settle(one.page)
    assert one.elsewhere() == []
    assert [each for each in said if "Content Security Policy" in each or "Refused" in each] == []
    answer = httpx.get(library.url + path, headers={"Accept": "text/html"})
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert answer.headers["Cache-Control"] == "no-store"


def test_pages_look_as_before(person, library, path, request):
    one = person(library).open(path)
    settle(one.page)
    expect(one.page.locator("img[src].empty")).to_have_count(0)
    one.looks_like(request.node.callspec.id)


def test_dialogs_have_no_barriers(person, library):
    one = person(library).open("/?name=armour")
    one.page.get_by_label("Select all shown").check()
    one.page.get_by_role("button", name="Scan again").click()
    expect(one.page.locator("#confirm")).to_be_visible()
    assert complaints(one.page) == []


def test_the_library_prints_without_its_controls(person, library):
    one = person(library).open("/?name=armour")
    one.page.emulate_media(media="print")
    expect(one.page.get_by_role("link", name="armour.mp4")).to_be_visible()
    for hidden in ("#drop", "#filters", "#batch", ".top nav"):
        expect(one.page.locator(hidden)).to_be_hidden()
    assert one.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_a_link_of_the_report_page_to_a_picture_comes_from_this_site(person, library, armour_id):
    """The page is in a sandbox: of no origin, its links would come without the session's cookie and be refused."""
    one = person(library).open()
    picture = f"/v1/scans/{armour_id}/frames/1/thumbnail"

    def with_link(route):
        route.fulfill(response=route.fetch(), body=f'<a href="{picture}">Open the picture</a>')

    one.page.route("**/report.html", with_link)
    one.page.goto(f"{library.url}/v1/scans/{armour_id}/report.html")
    with one.page.expect_response(f"**{picture}") as answer:
        one.page.get_by_role("link", name="Open the picture").click()
    assert answer.value.status == 200


def test_a_printed_report_has_the_pictures_that_were_chosen_alone(person, library, armour_id):
    one = person(library)
    one.page.goto(f"{library.url}/v1/scans/{armour_id}/report.html")
    pictures = one.page.locator(".veil.frame")
    pictures.first.click()
    one.page.emulate_media(media="print")
    expect(pictures.first).to_be_visible()
    expect(pictures.nth(1)).to_be_hidden()


def test_every_module_is_announced_and_asked_for_once(person, library, path):
    one = person(library).open(path)
    settle(one.page)
    announced = one.page.eval_on_selector_all("link[rel=modulepreload]", "all => all.map((each) => each.href)")
    modules = [each.removeprefix("GET ") for each in one.asked if each.endswith(".js")]
    assert sorted(modules) == sorted(announced)
    # The library reads its list once more when its stream of events stands.
    asked = [each for each in one.asked if "/v1/" in each and "/v1/scans?" not in each]
    assert len(asked) == len(set(asked))
    assert not [each for each in asked if each.endswith(("/v1/preferences", "/v1/taxonomy"))]


def test_files_are_kept_until_another_version_has_others(person, library):
    page = httpx.get(library.url).text
    current = re.search(r'href="(/static/[0-9a-f]{16}/)base.css"', page)[1]
    kept = httpx.get(f"{library.url}{current}api.js")
    assert "immutable" in kept.headers["Cache-Control"]
    assert kept.headers["Content-Type"].startswith("text/javascript")
    for unversioned in ("/static/", "/static/0123456789abcdef/"):
        first = httpx.get(f"{library.url}{unversioned}api.js")
        assert first.text == kept.text
        assert first.headers["Cache-Control"] == "no-cache"
        again = httpx.get(f"{library.url}{unversioned}api.js", headers={"If-None-Match": first.headers["ETag"]})
        assert again.status_code == 304
    plain = httpx.get(f"{library.url}{current}api.js", headers={"Accept-Encoding": "identity"})
    assert plain.text == kept.text and "Content-Encoding" not in plain.headers
    for missing in ("../pages.py", "%2e%2e/pages.py", "nothing.js", "", "0123456789abcdef/"):
        assert httpx.get(f"{library.url}/static/{missing}").status_code == 404
