"""What reviewers said of another scan of the clip is proposed on the page of a further one."""

import pytest
from playwright.sync_api import expect
from scan_page import scanned
from service_server import cut_demo


@pytest.fixture
def two_scans(reviewing, tmp_path):
    """Two scans of one clip by different plans, most of the first one judged; and what was said, by number."""
    clip = cut_demo(tmp_path / "twice.mp4", 78.0, 105.0)
    # So low that several things are found, whatever the weights are.
    options = {"plan": "interval", "threshold": "0.08"}
    first, second = (scanned(reviewing, clip, every_s=every, **options) for every in ("0.5", "0.3"))
    key = reviewing.key("local", "--note", "Ann <b>", "--scopes", "read,review")
    with reviewing.client(key) as ann:
        for each in ann.get(f"/v1/scans/{first}/appearances").json()["items"]:
            body = {"verdict": "wrong" if each["number"] % 2 else "confirmed", "note": f"was {each['number']}"}
            ann.put(f"/v1/scans/{first}/appearances/{each['number']}/verdict", json=body).raise_for_status()
    with reviewing.client() as client:
        proposed = client.get(f"/v1/scans/{second}/proposals").raise_for_status().json()["items"]
        yield second, {each["appearance"]: each["verdict"] for each in proposed if each["verdict"]}
        for scan in (first, second):
            client.delete(f"/v1/scans/{scan}").raise_for_status()


def given(reviewing, scan):
    with reviewing.client() as client:
        items = client.get(f"/v1/scans/{scan}/verdicts").json()["items"]
    return {each["appearance"]: each["verdict"] for each in items}


def test_earlier_verdicts_are_taken_over_by_one_key_and_back(visit, reviewing, two_scans):
    scan, proposed = two_scans
    assert len(proposed) > 1
    visit.open_scan(scan)
    expect(visit.page.locator("#earlier-words")).to_contain_text(f"{len(proposed)} appearances here were judged")
    expect(visit.page.locator("#list .badge.earlier").first).to_be_visible()
    assert given(reviewing, scan) == {}
    first = min(proposed)
    while visit.chosen() != f"row-a{first}":
        visit.press("j")
    expect(visit.page.locator("#panel-earlier")).to_contain_text(f"{proposed[first]}, by Ann <b>")
    visit.press("e")
    expect(visit.page.locator("#earlier-words")).to_contain_text(f"{len(proposed) - 1} appearances")
    expect(visit.page.locator("#reviewed")).to_contain_text("1 of")
    visit.press("Shift+E")
    expect(visit.page.locator("#earlier-words")).to_contain_text(f"{len(proposed) - 1} earlier verdicts are now yours")
    assert given(reviewing, scan) == proposed
    visit.page.locator("#undo-all").click()
    expect(visit.page.locator("#reviewed")).to_contain_text("1 of")
    visit.page.wait_for_load_state("networkidle")
    assert given(reviewing, scan) == {first: proposed[first]}
    visit.page.locator("#earlier-close").click()
    expect(visit.page.locator("#earlier")).to_be_hidden()
    visit.page.reload()
    expect(visit.page.locator("#earlier-words")).to_contain_text(f"{len(proposed) - 1} appearances")


def test_a_proposal_does_not_outweigh_what_the_reviewer_says(visit, reviewing, two_scans):
    scan, proposed = two_scans
    visit.open_scan(scan)
    expect(visit.page.locator("#take-all")).to_be_visible()
    visit.page.locator("#go-on").uncheck()
    number = max(proposed)
    while visit.chosen() != f"row-a{number}":
        visit.press("j")
    visit.press("u")
    expect(visit.page.locator("#panel-earlier")).to_be_hidden()
    visit.page.locator("#take-all").click()
    expect(visit.page.locator("#undo-all")).to_be_visible()
    assert given(reviewing, scan) == {**proposed, number: "unsure"}


def take_over(visit, scan):
    """All earlier verdicts, on a page that stays where it is after a verdict."""
    visit.open_scan(scan)
    expect(visit.page.locator("#take-all")).to_be_visible()
    visit.page.locator("#go-on").uncheck()
    visit.press("Shift+E")


def test_taking_all_back_leaves_what_the_reviewer_said_since(visit, reviewing, two_scans):
    scan, proposed = two_scans
    take_over(visit, scan)
    expect(visit.page.locator("#earlier-words")).to_contain_text(f"{len(proposed)} earlier verdicts are now yours")
    number = max(proposed)
    while visit.chosen() != f"row-a{number}":
        visit.press("j")
    with visit.page.expect_response(lambda each: each.request.method == "PUT"):
        visit.press("u")
    expect(visit.page.locator("#earlier-words")).to_contain_text(f"{len(proposed) - 1} earlier verdicts are now yours")
    with visit.page.expect_response("**/verdicts/take-back"):
        visit.page.locator("#undo-all").click()
    expect(visit.page.locator("#reviewed")).to_contain_text("1 of")
    assert given(reviewing, scan) == {number: "unsure"}


def test_what_was_said_since_and_taken_back_is_taken_back_with_the_others(visit, reviewing, two_scans):
    scan, proposed = two_scans
    take_over(visit, scan)
    expect(visit.page.locator("#undo-all")).to_be_visible()
    while visit.chosen() != f"row-a{max(proposed)}":
        visit.press("j")
    visit.press("u")
    with visit.page.expect_response(lambda each: each.request.method == "DELETE"):
        visit.press("z")
    expect(visit.page.locator("#earlier-words")).to_contain_text(f"{len(proposed)} earlier verdicts are now yours")
    with visit.page.expect_response("**/verdicts/take-back"):
        visit.page.locator("#undo-all").click()
    expect(visit.page.locator("#reviewed")).to_contain_text("0 of")
    assert given(reviewing, scan) == {}
