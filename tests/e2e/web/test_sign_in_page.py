"""Signing in and out with a key, where one is needed."""

import pytest
from browsing import complaints
from playwright.sync_api import expect
from service_server import Server


@pytest.fixture(scope="module")
def guarded(chromium, tmp_path_factory):
    """A server that asks everybody for a key, and has no workers."""
    server = Server(tmp_path_factory.mktemp("guarded") / "store", ALLOW_ANONYMOUS="false", WORKERS=0).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def key(guarded):
    return guarded.key("asma")


def sign_in(one, key: str) -> None:
    one.page.get_by_label("Key").fill(key)
    one.page.get_by_role("button", name="Sign in").click()


def test_pages_ask_for_a_key_and_lead_on_to_where_one_wanted_to_go(person, guarded, key):
    one = person(guarded).open("/search?note=a%20b&class=tank")
    assert "/sign-in" in one.page.url
    expect(one.page.get_by_role("navigation")).to_have_count(0)
    sign_in(one, "ord_000000000000_wrong")
    expect(one.page.get_by_role("alert").filter(has_text="not valid")).to_be_visible()
    sign_in(one, f" {key} ")
    one.page.wait_for_url(f"{guarded.url}/search?note=a%20b&class=tank")
    expect(one.page.get_by_label("Note holds")).to_have_value("a b")
    (cookie,) = one.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
    assert one.page.evaluate("document.cookie") == ""
    assert key not in one.page.content()


def test_a_place_on_a_page_is_kept_through_the_sign_in(person, guarded, key):
    """A link names an appearance so; what follows the # is known to the browser alone."""
    one = person(guarded).open("/settings#7")
    sign_in(one, key)
    one.page.wait_for_url(f"{guarded.url}/settings#7")
    one.context.clear_cookies()
    one.page.get_by_role("button", name="Save").click()
    expect(one.page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(one, key)
    one.page.wait_for_url(f"{guarded.url}/settings#7")


def test_signing_out_ends_it_in_every_tab(person, guarded, key):
    one = person(guarded).open("/settings")
    sign_in(one, key)
    expect(one.page.get_by_role("heading", name="Settings")).to_be_visible()
    other = one.context.new_page()
    other.goto(guarded.url)
    expect(other.locator(".who")).to_contain_text("asma")
    one.page.evaluate("localStorage.setItem('ordnance.uploads', '[]')")
    other.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    assert one.context.cookies() == []
    assert other.evaluate("localStorage.length") == 0
    one.page.get_by_role("button", name="Save").click()
    expect(one.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_who_could_not_be_signed_out_is_told_and_can_try_again(person, guarded, key):
    one = person(guarded).open("/settings")
    sign_in(one, key)
    why = "The database is away; try again in a moment."
    body = {"code": "unavailable", "status": 503, "detail": why}
    refusal = {"status": 503, "json": body, "content_type": "application/problem+json"}

    def refuse(route):
        if route.request.method == "DELETE":
            route.fulfill(**refusal)
        else:
            route.continue_()

    one.page.route("**/v1/session", refuse)
    button = one.page.get_by_role("button", name="Sign out")
    button.click()
    expect(one.page.get_by_role("alert").filter(has_text=why)).to_have_text(f"You are still signed in: {why}")
    assert "/settings" in one.page.url
    assert complaints(one.page) == []
    one.page.unroute("**/v1/session")
    button.click()
    expect(one.page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert one.context.cookies() == []


def test_settings_are_each_persons_own(person, guarded, key):
    one = person(guarded).open("/settings")
    sign_in(one, key)
    expect(one.page.get_by_label("Without colours")).to_be_checked()
    expect(one.page.get_by_label("Ask before a frame is revealed")).to_be_checked()
    expect(one.page.get_by_label("Sound")).not_to_be_checked()
    one.page.get_by_label("Thumbnails (pixels)").fill("120")
    one.page.get_by_label("Without colours").uncheck()
    one.page.get_by_label("Confidence from which").fill("0.4")
    one.page.get_by_role("button", name="Save").click()
    expect(one.page.locator("#saved")).to_have_text("Saved.")
    one.page.reload()
    expect(one.page.get_by_label("Thumbnails (pixels)")).to_have_value("120")
    expect(one.page.get_by_label("Without colours")).not_to_be_checked()
    one.page.get_by_label("Blur of the player").fill("65")
    one.page.get_by_role("button", name="Save").click()
    assert one.page.get_by_label("Blur of the player").evaluate("each => each.validity.rangeOverflow")

    one.page.get_by_label("Blur of the player").fill("30")
    one.page.get_by_label("Language").select_option("ar")
    one.page.get_by_role("button", name="Save").click()
    expect(one.page.get_by_role("heading", level=1)).to_have_text("الإعدادات")

    other = person(guarded).open("/settings")
    sign_in(other, guarded.key("basim"))
    expect(other.page.get_by_label("Thumbnails (pixels)")).to_have_value("200")
    expect(other.page.get_by_role("heading", level=1)).to_have_text("Settings")


@pytest.mark.parametrize(
    "elsewhere", ["https://example.org/", "//example.org/", "/\\example.org", "javascript:alert(1)", "//["]
)
def test_signing_in_leads_nowhere_else(person, guarded, key, elsewhere):
    one = person(guarded)
    one.page.goto(f"{guarded.url}/sign-in?next={elsewhere}")
    sign_in(one, key)
    one.page.wait_for_url(f"{guarded.url}/")
    assert one.elsewhere() == []
