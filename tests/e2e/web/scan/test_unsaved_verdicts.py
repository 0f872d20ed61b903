"""Verdicts that the server did not take: the page shows what is saved, and what was written stays."""

import pytest
from playwright.sync_api import expect

NOTE = "Barrel and muzzle brake in full view; took a while to write."


@pytest.fixture
def judging(visit, reviewing, demo_scan):
    """A person at the last appearance of the demo clip, whose verdict is taken back, and the requests held back."""
    with reviewing.client() as client:
        last = client.get(f"/v1/scans/{demo_scan}/appearances").json()["items"][-1]["number"]
        while client.delete(f"/v1/scans/{demo_scan}/appearances/{last}/verdict").status_code == 200:
            pass
    visit.open_scan(demo_scan)
    visit.page.wait_for_load_state("networkidle")
    visit.page.locator("#go-on").uncheck()
    visit.press("End")
    held = []
    visit.page.route("**/verdict", lambda route: held.append(route))

    def held_back(count):
        for _ in range(100):
            if len(held) >= count:
                return held
            visit.page.wait_for_timeout(50)
        raise AssertionError(f"{len(held)} requests were made, not {count}")

    return held_back


def given(visit):
    return visit.page.locator("[data-verdict][aria-pressed=true]")


def test_of_two_verdicts_that_were_not_saved_none_is_shown(visit, judging):
    badge = visit.page.locator("#list [aria-selected=true] .badge")
    before = badge.text_content()
    visit.press("y", "n")
    judging(1)[0].abort()
    judging(2)[1].abort()
    expect(visit.page.locator("#notices [data-name=verdict]")).to_contain_text("was not saved")
    expect(given(visit)).to_have_count(0)
    expect(badge).to_have_text(before)


def test_a_verdict_saved_after_one_that_was_not_stays_shown(visit, reviewing, demo_scan, judging):
    visit.press("y", "n")
    judging(1)[0].abort()
    with visit.page.expect_response(lambda each: each.request.method == "PUT"):
        judging(2)[1].continue_()
    expect(given(visit)).to_have_attribute("data-verdict", "wrong")
    with reviewing.client() as client:
        (said,) = client.get(f"/v1/scans/{demo_scan}/verdicts").json()["items"][-1:]
    assert said["verdict"] == "wrong" and said["mine"]
    visit.page.unroute("**/verdict")
    with visit.page.expect_response(lambda each: each.request.method == "DELETE"):
        visit.press("z")


def test_a_note_outlives_that_its_verdict_was_not_saved_because_the_session_is_over(visit, judging):
    address = visit.page.url
    visit.press("c")
    visit.page.keyboard.type(NOTE)
    visit.press("Escape", "y")
    body = {
        "code": "unauthorized",
        "status": 401,
        "detail": "Nobody is signed in here any more; sign in again with a key.",
    }
    judging(1)[0].fulfill(status=401, json=body, content_type="application/problem+json")
    notice = visit.page.locator("#notices [data-name=verdict]")
    expect(notice).to_contain_text("was not saved: Nobody is signed in here any more")
    expect(notice.get_by_role("link", name="Sign in")).to_have_attribute("target", "_blank")
    expect(given(visit)).to_have_count(0)
    expect(visit.page.locator("#note")).to_have_value(NOTE)
    visit.press("Home", "End")
    expect(visit.page.locator("#note")).to_have_value(NOTE)
    assert visit.page.url.partition("#")[0] == address.partition("#")[0]


def test_who_leaves_with_a_note_that_is_not_saved_is_asked(visit, judging):
    asked = []
    visit.page.on("dialog", lambda dialog: asked.append(dialog.type))
    visit.press("c")
    visit.page.keyboard.type(NOTE)
    visit.press("Enter")
    expect(visit.page.locator("#panel-wait")).to_have_text("The note will be saved with your verdict.")
    visit.page.reload()
    assert asked == ["beforeunload"]


def test_who_leaves_while_verdicts_wait_to_be_sent_is_asked(visit, judging):
    asked = []
    visit.page.on("dialog", lambda dialog: asked.append(dialog.type))
    visit.press("y", "n")
    judging(1)
    visit.page.reload()
    assert asked == ["beforeunload"]


def test_who_leaves_once_all_is_saved_is_not_asked(visit, reviewing, demo_scan, judging):
    asked = []
    visit.page.on("dialog", lambda dialog: asked.append(dialog.type))
    visit.press("y")
    with visit.page.expect_response(lambda each: each.request.method == "PUT"):
        judging(1)[0].continue_()
    visit.page.unroute("**/verdict")
    with visit.page.expect_response(lambda each: each.request.method == "DELETE"):
        visit.press("z")
    expect(given(visit)).to_have_count(0)
    visit.page.wait_for_timeout(100)
    visit.page.reload()
    assert asked == []


def test_the_first_verdict_goes_out_at_once(visit, demo_scan):
    """It bears a proof of who is signed in, which is read before anybody judges."""
    visit.open_scan(demo_scan)
    visit.page.wait_for_load_state("networkidle")
    assert any(each.endswith("/v1/session") for each in visit.asked)


def test_each_of_several_verdicts_that_were_not_saved_is_named_until_it_is_given(visit, four_finds):
    visit.open_scan(four_finds)
    visit.page.wait_for_load_state("networkidle")
    visit.context.set_offline(True)
    visit.press("y", "n", "u")
    notice = visit.page.locator("#notices [data-name=verdict]")
    expect(notice).to_contain_text("3 verdicts were not saved: The server does not answer.")
    expect(notice.get_by_role("link")).to_have_text(["No. 1", "No. 2", "No. 3"])
    visit.context.set_offline(False)
    notice.get_by_role("link", name="No. 2").click()
    expect(visit.page.locator("#list")).to_have_attribute("aria-activedescendant", "row-a2")
    visit.press("n")
    expect(notice.get_by_role("link")).to_have_text(["No. 1", "No. 3"])
    visit.press("u", "Home", "y")
    expect(notice).to_have_count(0)
    expect(visit.page.locator("#reviewed")).to_have_text("3 of 4 judged by you")
