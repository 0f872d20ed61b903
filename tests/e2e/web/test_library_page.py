"""The list of scans: live, narrowed down, and worked on several at once."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from browsing import padded
from playwright.sync_api import expect
from service_server import cut_demo, upload, wait_for

WATCH = """() => {
    window.seen = [];
    new MutationObserver(() => {
        for (const item of document.querySelectorAll("#scans > li")) {
            const meter = item.querySelector("progress");
            window.seen.push([item.dataset.id, item.dataset.state, meter.hidden ? null : meter.value]);
        }
    }).observe(document.querySelector("#scans"), { subtree: true, childList: true, attributes: true });
}"""


def test_progress_is_live(person, library, armour):
    one = person(library).open()
    one.page.evaluate(WATCH)
    one.page.locator("#plan").select_option("interval")
    one.page.locator("#every").fill("0.25")
    one.choose(armour)
    expect(one.page.locator("#upload-list > li")).to_have_attribute("data-state", "done", timeout=60_000)
    scan_id = one.page.locator("#upload-list a").get_attribute("href").split("/")[-1]
    item = one.page.locator(f"#scans > li[data-id='{scan_id}']")
    one.expect_state(item, "done")
    expect(item.locator(".chip").first).to_be_visible()
    seen = [(state, value) for each, state, value in one.page.evaluate("window.seen") if each == scan_id]
    values = [value for state, value in seen if state == "running" and value is not None]
    assert any(0 < value < 1 for value in values)
    assert values == sorted(values)
    with library.client() as client:
        found = client.get(f"/v1/scans/{scan_id}").json()
        expect(item.locator(".chip")).to_have_count(len(found["classes"]))
        assert client.delete(f"/v1/scans/{scan_id}").status_code == 204
    assert (found["options"]["plan"], found["options"]["every_s"]) == ("interval", 0.25)


def test_many_scans_are_live_over_one_connection(person, library, tmp_path):
    """A browser opens six connections to a server: a stream for each scan would leave none for anything else."""
    one = person(library).open("/?name=live-")
    one.page.evaluate(WATCH)
    clips = [cut_demo(tmp_path / f"live-{at}.mp4", at, at + 5.0) for at in (36.0, 78.0, 114.0, 148.0, 160.0)]
    with library.client() as client:
        scans = [upload(client, clip, plan="interval", every_s="0.1")["id"] for clip in clips]
        expect(one.scans()).to_have_count(len(clips))
        client.delete(f"/v1/scans/{scans.pop()}").raise_for_status()
        expect(one.scans()).to_have_count(len(scans))
        for scan in scans:
            wait_for(client, scan)
        for place in range(len(scans)):
            expect(one.scans().nth(place)).to_have_attribute("data-state", "done")
        assert {scan for scan, state, _ in one.page.evaluate("window.seen") if state == "running"} >= set(scans)
        streams = [each for each in one.asked if "/events" in each]
        assert len(streams) == 1 and f"{library.url}/v1/events" in streams[0]
        for scan in scans:
            client.delete(f"/v1/scans/{scan}").raise_for_status()


# Something happens to some scan all the time, and the list takes longer to be read than news waits to be shown.
BUSY_AND_SLOW = """
window.EventSource = class extends EventTarget {
  static CLOSED = 2;
  constructor() {
    super();
    let number = 0;
    setInterval(() => {
      const data = JSON.stringify({ scan: "0", number: (number += 1), state: "running" });
      this.dispatchEvent(new MessageEvent("state", { data, lastEventId: String(number) }));
    }, 200);
  }
  close() {}
};
const real = window.fetch;
window.fetch = async (path, ...rest) => {
  if (String(path).startsWith("/v1/scans?")) await new Promise((resolve) => setTimeout(resolve, 2500));
  return real(path, ...rest);
};
"""


def test_a_list_that_is_slow_to_read_is_kept_up_to_date_all_the_same(person, library, bands, tmp_path):
    one = person(library)
    one.context.add_init_script(BUSY_AND_SLOW)
    one.open("/?name=slowly")
    expect(one.scans()).to_have_count(0)
    with library.client() as client:
        scan = upload(client, padded(bands, 45_000, tmp_path / "slowly.mp4"))["id"]
        expect(one.scans()).to_have_count(1, timeout=20_000)
        one.page.get_by_label("File name holds").fill("no such name")
        expect(one.scans()).to_have_count(0, timeout=20_000)
        wait_for(client, scan)
        client.delete(f"/v1/scans/{scan}").raise_for_status()


@pytest.fixture
def seventy(library, bands, tmp_path):
    """Answers the library's question for scans as if there were seventy."""
    with library.client() as client:
        scan = wait_for(client, upload(client, padded(bands, 46_000, tmp_path / "one-of-many.mp4"))["id"])
        client.delete(f"/v1/scans/{scan['id']}").raise_for_status()
    many = [{**scan, "id": f"{number:032x}"} for number in range(70)]

    def page(route):
        asked = parse_qs(urlsplit(route.request.url).query)
        start, limit = int(asked.get("cursor", ["0"])[0]), int(asked["limit"][0])
        end = start + limit
        route.fulfill(json={"items": many[start:end], "next": str(end) if end < len(many) else None})

    return page


def test_more_scans_stay_shown_where_the_list_is_slow_to_read(person, library, seventy):
    one = person(library)
    one.page.route("**/v1/scans?*", seventy)
    one.context.add_init_script(BUSY_AND_SLOW)
    one.open()
    expect(one.scans()).to_have_count(50, timeout=20_000)
    one.page.get_by_role("button", name="Show more").click()
    expect(one.scans()).to_have_count(70, timeout=20_000)
    with one.page.expect_request(lambda each: "limit=70" in each.url, timeout=20_000):
        pass
    one.page.wait_for_timeout(3000)
    expect(one.scans()).to_have_count(70)


def test_who_comes_back_from_a_scan_goes_on_where_they_were(person, library, seventy):
    one = person(library)
    one.page.route("**/v1/scans?*", seventy)
    one.open()
    one.page.get_by_role("button", name="Show more").click()
    expect(one.scans()).to_have_count(70)
    opened = one.scans().nth(60).get_by_role("link")
    opened.click()
    one.page.wait_for_url("**/scans/*")
    one.page.go_back()
    expect(one.scans()).to_have_count(70)
    expect(opened).to_be_focused()
    expect(opened).to_be_in_viewport()


def test_filters_narrow_the_list_and_stay_in_the_address(person, library, armour_id):
    with library.client() as client:
        found = client.get(f"/v1/scans/{armour_id}/appearances").json()["items"]
        client.put(f"/v1/scans/{armour_id}/appearances/{found[0]['number']}/verdict", json={"verdict": "confirmed"})
        everything = client.get("/v1/scans", params={"limit": 200}).json()["items"]
    one = person(library).open()
    expect(one.scans()).to_have_count(len(everything))
    item = one.page.locator(f"#scans > li[data-id='{armour_id}']")
    expect(item).to_contain_text(f"1 of {len(found)} judged")
    one.page.get_by_label("Weapon class").select_option(found[0]["class"])
    expect(one.scans()).to_have_count(sum(found[0]["class"] in each["classes"] for each in everything))
    expect(item).to_be_visible()
    one.page.get_by_label("Confidence from").fill("1")
    expect(one.page.locator("#empty")).to_have_text("No scan matches these filters.")
    one.page.get_by_role("button", name="Clear filters").click()
    expect(one.scans()).to_have_count(len(everything))
    one.page.get_by_label("File name holds").fill("BANDS")
    expect(one.scans()).to_have_count(sum("bands" in each["clip"]["name"] for each in everything))
    expect(one.scan_of("bands.mp4")).to_contain_text("Nothing found")
    one.page.reload()
    expect(one.page.get_by_label("File name holds")).to_have_value("BANDS")
    expect(one.scans()).to_have_count(sum("bands" in each["clip"]["name"] for each in everything))
    waiting = sum(each["reviewed"] < sum(each["classes"].values()) for each in everything)
    shown = {"state=failed": 0, "reviewed=false": waiting, "until=2020-01-01": 0, "since=2020-01-01": len(everything)}
    for query, count in shown.items():
        one.open(f"/?{query}")
        expect(one.scans()).to_have_count(count)


def test_dates_and_sizes_are_written_as_where_the_reader_is(person, library, armour_id):
    one = person(library, locale="en-GB", extra_http_headers={"Accept-Language": "en-GB"}).open("/?name=armour")
    facts = one.page.locator(f"#scans > li[data-id='{armour_id}'] .facts")
    expect(facts).to_have_text(re.compile(r"^\d{1,2} \w{3,4} \d{4}, \d\d:\d\d · "))
    sizes = "async () => { const { bytes } = await import('/static/format.js'); return [1, 900, 4700].map(bytes); }"
    assert one.page.evaluate(sizes) == ["1 byte", "900 bytes", "4.7 kB"]


@pytest.mark.parametrize("page", ["/", "/search", "/gallery"])
def test_days_are_those_of_the_clock_by_which_times_are_shown(person, library, page):
    """Riyadh is three hours ahead of UTC."""
    one = person(library, timezone_id="Asia/Riyadh").open(f"{page}?since=2026-11-30&until=2026-11-30")
    asked = parse_qs(next(each for each in one.asked if "until=" in each and "/v1/" in each).partition("?")[2])
    assert asked["since"] + asked["until"] == ["2026-11-29T21:00:00.000Z", "2026-11-30T21:00:00.000Z"]
    expect(one.page.get_by_label("Scanned from")).to_have_value("2026-11-30")
    expect(one.page.locator("#problem")).to_have_text("")


def test_an_address_may_name_what_is_no_filter(person, library):
    one = person(library).open("/?length=5&item=2&name=bands")
    expect(one.page.get_by_label("File name holds")).to_have_value("bands")
    expect(one.scan_of("bands.mp4")).to_be_visible()


def test_several_scans_are_scanned_again_and_deleted_after_a_question(person, library, bands, tmp_path):
    names = ["batch-1.mp4", "batch-2.mp4"]
    with library.client() as client:
        for number, name in enumerate(names):
            clip = padded(bands, bands.stat().st_size + 500 + number, tmp_path / name)
            wait_for(client, upload(client, clip)["id"])
    one = person(library).open("/?name=batch-")
    expect(one.scans()).to_have_count(2)
    expect(one.page.get_by_role("button", name="Delete")).to_be_disabled()
    one.page.get_by_label("Select all shown").check()
    expect(one.page.locator("#selected")).to_have_text("2 selected")
    expect(one.page.get_by_role("button", name="Stop")).to_be_disabled()

    one.page.get_by_role("button", name="Scan again").click()
    one.page.locator("#rescan-plan").select_option("keyframes")
    one.page.locator("#confirm-yes").click()
    expect(one.scans()).to_have_count(4)
    for place in range(4):
        one.expect_state(one.scans().nth(place), "done")

    one.page.get_by_label("Select all shown").check()
    one.page.locator("[data-batch=delete]").click()
    expect(one.page.locator("#confirm-words")).to_contain_text("Delete 4 scans")
    one.page.keyboard.press("Escape")
    expect(one.scans()).to_have_count(4)
    one.page.locator("[data-batch=delete]").click()
    one.page.locator("#confirm-yes").click()
    expect(one.page.locator("#empty")).to_be_visible()
    with library.client() as client:
        assert client.get("/v1/scans", params={"name": "batch-"}).json()["items"] == []


@pytest.mark.parametrize(
    ("language", "words"), [("en", "1 other file of these folders was left out: it is no video."), ("ar", "ملف واحد")]
)
def test_one_of_a_thing_is_not_called_several(person, library, tmp_path, language, words):
    (tmp_path / "notes.txt").write_text("no film")
    one = person(library, locale=language).open("/?name=none")
    one.page.set_input_files("#folder", str(tmp_path))
    expect(one.page.locator("#left-out")).to_contain_text(words)


def test_a_running_scan_is_stopped(person, library, armour):
    with library.client() as client:
        scan_id = upload(client, armour, plan="every-frame")["id"]
    one = person(library).open("/?name=armour")
    item = one.page.locator(f"#scans > li[data-id='{scan_id}']")
    item.get_by_role("checkbox").check()
    one.page.get_by_role("button", name="Stop").click()
    one.page.locator("#confirm-yes").click()
    one.expect_state(item, "cancelled")
    with library.client() as client:
        assert client.delete(f"/v1/scans/{scan_id}").status_code == 204


def test_a_scan_that_was_deleted_is_said_to_be_gone(person, library, bands, tmp_path):
    with library.client() as client:
        scan = wait_for(client, upload(client, padded(bands, 40_000, tmp_path / "gone.mp4"))["id"])
        one = person(library).open("/?name=gone")
        link = one.page.get_by_role("link", name="gone.mp4")
        expect(link).to_be_visible()
        address = link.get_attribute("href")
        # The library hears of the deletion and takes the link away, so it is followed by its address.
        client.delete(f"/v1/scans/{scan['id']}")
    one.open(address)
    expect(one.page.get_by_role("heading", name="This scan is not here")).to_be_visible()
    expect(one.page.locator("main")).to_contain_text("It was deleted")
    one.page.get_by_role("link", name="To the library").click()
    expect(one.page.get_by_role("heading", name="Library")).to_be_visible()
    one.open("/no-such-page")
    expect(one.page.get_by_role("heading", name="There is no such page")).to_be_visible()
