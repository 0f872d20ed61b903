"""A reviewer judges a hundred appearances and touches nothing but the keyboard."""

import re

from playwright.sync_api import expect

VERDICTS = {"y": "confirmed", "n": "wrong", "u": "unsure"}


def test_a_hundred_appearances_are_judged_by_keyboard(visit, reviewing, many_scan):
    visit.open_scan(many_scan)
    given = {}
    for number in range(1, 101):
        key = "yyynyu"[number % 6]
        given[number] = VERDICTS[key]
        expect(visit.page.locator("#list [aria-selected=true]")).to_have_attribute("aria-posinset", str(number))
        visit.press(key)
    expect(visit.page.locator("#reviewed")).to_have_text("100 of 2000 judged by you")
    visit.press("k", "k")
    expect(visit.page.locator("#panel [aria-pressed=true]")).to_have_attribute("data-verdict", given[99])
    visit.page.wait_for_load_state("networkidle")
    with reviewing.client() as client:
        kept = client.get(f"/v1/scans/{many_scan}/verdicts").json()["items"]
    assert {each["appearance"]: each["verdict"] for each in kept if each["mine"]} == given
    visit.press("z")
    expect(visit.page.locator("#reviewed")).to_have_text("99 of 2000 judged by you")
    expect(visit.page.locator("#list [aria-selected=true]")).to_have_attribute("aria-posinset", "100")
    visit.press("y")
    assert visit.sharp() == []


def test_other_class_note_help_and_filters_need_no_mouse(visit, reviewing, many_scan):
    visit.open_scan(many_scan)
    visit.press("End", "o")
    expect(visit.page.locator("#other-class")).to_be_visible()
    visit.page.keyboard.type("Tank")
    visit.press("Tab", "Enter")
    expect(visit.page.locator("#other-class")).not_to_be_visible()
    visit.press("c")
    visit.page.keyboard.type("turret without a gun, y n u")
    visit.press("Enter")
    expect(visit.page.locator("#panel-others")).to_contain_text("other class: Tank")
    expect(visit.page.locator("#panel-others q")).to_have_text("turret without a gun, y n u")
    visit.press("?")
    expect(visit.page.locator("#help").get_by_role("button", name="Close")).to_be_in_viewport()
    visit.press("j", "Escape")
    expect(visit.page.locator("#help")).not_to_be_visible()
    expect(visit.page.locator("#list [aria-selected=true]")).to_have_attribute("aria-posinset", "2000")
    visit.press("[", "[")
    expect(visit.page.locator("#threshold-value")).to_have_text("0.40")
    visit.press("\\")
    expect(visit.page.locator("#threshold-value")).to_have_text("as scanned")


def test_where_the_keyboard_is_can_be_seen_on_what_is_pressed_too(visit, demo_scan):
    visit.open_scan(demo_scan)
    visit.page.locator("#go-on").uncheck()
    visit.press("y")
    for name in ("#classes .chip >> nth=0", "[data-verdict=confirmed]"):
        button = visit.page.locator(name)
        expect(button).to_have_attribute("aria-pressed", "true")
        visit.press("Tab")
        button.focus()
        expect(button).to_have_css("outline-style", "solid")
        expect(button).to_have_css("outline-offset", "2px")


def test_shortcuts_can_be_switched_off(visit, demo_scan):
    visit.open_scan(demo_scan)
    before = visit.chosen()
    visit.press("?")
    visit.page.locator("#keys-on").uncheck()
    visit.press("Escape", "j")
    assert visit.chosen() == before
    visit.press("?")
    visit.page.locator("#keys-on").check()
    visit.press("Escape", "j")
    expect(visit.page.locator("#list")).not_to_have_attribute("aria-activedescendant", before)


def test_letters_count_by_their_place_on_other_layouts(visit, demo_scan):
    visit.open_scan(demo_scan)
    before = visit.chosen()
    visit.page.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'ت', code: 'KeyJ', bubbles: true}))"
    )
    expect(visit.page.locator("#list")).not_to_have_attribute("aria-activedescendant", before)


def test_what_is_judged_before_the_verdicts_have_come_stays(visit, reviewing, demo_scan):
    """The list of verdicts is read when the page opens; what is given meanwhile is not in that answer."""
    held = []
    visit.page.route("**/verdicts", lambda route: held.append(route))
    visit.open_scan(demo_scan)
    visit.page.wait_for_timeout(300)
    visit.press("u", "u")
    expect(visit.page.locator("#reviewed")).to_contain_text("2 of")
    assert len(held) == 1
    held[0].fulfill(json={"items": [], "summary": {}})
    visit.page.unroute("**/verdicts")
    visit.page.wait_for_load_state("networkidle")
    visit.page.wait_for_timeout(300)
    expect(visit.page.locator("#reviewed")).to_contain_text("2 of")
    visit.press("z", "z")
    expect(visit.page.locator("#reviewed")).to_contain_text("0 of")


def test_the_one_after_what_was_judged_comes_next_where_that_leaves_the_list(visit, reviewing, four_finds):
    """Wherever the picture is, and though something that was passed over is still in view."""
    visit.open_scan(four_finds)
    visit.page.locator("#review").select_option("open")
    visit.press("j", "y")
    expect(visit.page.locator("#count")).to_have_text("3 of 4 appearances shown")
    assert visit.chosen() == "row-a3"
    visit.press("Shift+ArrowRight", "Shift+ArrowRight")
    expect(visit.page.locator("#clock")).to_have_text(re.compile("00:00:0(3.9|4.0)"))
    visit.press("n")
    expect(visit.page.locator("#count")).to_have_text("2 of 4 appearances shown")
    assert visit.chosen() == "row-a4"


def test_a_key_that_is_held_down_judges_one_appearance_and_walks_on_over_many(visit, reviewing, four_finds):
    visit.open_scan(four_finds)
    for _ in range(3):
        visit.page.keyboard.down("y")
    visit.page.keyboard.up("y")
    expect(visit.page.locator("#reviewed")).to_have_text("1 of 4 judged by you")
    assert visit.chosen() == "row-a2"
    visit.page.locator("[data-verdict=wrong]").focus()
    for _ in range(3):
        visit.page.keyboard.down("Enter")
    visit.page.keyboard.up("Enter")
    expect(visit.page.locator("#reviewed")).to_have_text("2 of 4 judged by you")
    for _ in range(2):
        visit.page.keyboard.down("k")
    visit.page.keyboard.up("k")
    assert visit.chosen() == "row-a1"
    visit.press("z", "z")
    expect(visit.page.locator("#reviewed")).to_have_text("0 of 4 judged by you")


def test_a_verdict_is_spoken_before_the_appearance_that_comes_next(visit, reviewing, four_finds):
    visit.open_scan(four_finds)
    visit.press("y")
    expect(visit.page.locator("#voice")).to_have_text("Number 1: confirmed. Tank, 2 of 4, confidence 0.90")
    visit.press("z")
    expect(visit.page.locator("#voice")).to_have_text("Verdict on number 1 taken back. Tank, 1 of 4, confidence 0.90")
