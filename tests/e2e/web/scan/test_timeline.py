"""What the strip draws of a part of the clip."""

import pytest
from playwright.sync_api import expect
from scan_page import appearance, put_in, scanned, write_vfr_clip

TIMES = [0.1 * number for number in range(100)]
# Of the upper lane the pixels that a bar may cover, below the name of its class: how opaque those of a column are.
OPACITY = """(column) => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => {
  const canvas = document.querySelector("#strip canvas");
  const { data } = canvas.getContext("2d").getImageData(column, 16, 1, 20);
  resolve([...data].filter((_, at) => at % 4 === 3));
})))"""


@pytest.fixture
def two_tanks(reviewing, tmp_path):
    """One at the clip's start, and one at its end."""
    scan_id = scanned(reviewing, write_vfr_clip(tmp_path / "strip.mp4", TIMES), plan="every-frame")
    put_in(reviewing, scan_id, [appearance([at, at + 0.5], (20, 20, 90, 90)) for at in (0.5, 8.5)], 320, 240)
    return scan_id


def test_the_strip_of_a_clip_without_finds_is_not_stretched(visit, reviewing, bands):
    visit.open_scan(scanned(reviewing, bands))
    expect(visit.page.locator("#panel-title")).to_have_text("Nothing found")
    drawn, shown = visit.page.locator("#strip canvas").evaluate(
        "(canvas) => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() =>"
        " resolve([canvas.width / canvas.height, canvas.clientWidth / canvas.clientHeight]))))"
    )
    assert drawn == pytest.approx(shown, rel=0.02)


def test_what_lies_before_the_part_that_is_shown_is_not_drawn(visit, two_tanks):
    visit.open_scan(two_tanks)
    width = visit.page.locator("#strip").bounding_box()["width"]
    assert max(visit.page.evaluate(OPACITY, round(0.075 * width))) > 200
    visit.press("End", "+", "+")
    visit.page.wait_for_function("() => document.querySelector('#strip').getAttribute('aria-valuenow') > 8")
    assert max(visit.page.evaluate(OPACITY, 0)) == 0
