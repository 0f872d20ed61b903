"""The scan page in a real browser: what it says of a scan, of one that runs too, and what goes wrong."""

import pytest
from playwright.sync_api import expect
from scan_page import (
    Visit,
    scanned,
)
from service_server import DEMO, Server, cut_demo, upload, wait_for

from detector.report.timecode import hms, short


def as_running(route):
    """The page of an ended scan as it would be had the scan not ended; what it asks for is answered as it is."""
    answer = route.fetch()
    route.fulfill(response=answer, body=answer.text().replace('"state": "done"', '"state": "running"'))


def test_the_report_is_on_the_page(visit, reviewing, demo_scan):
    visit.open_scan(demo_scan)
    with reviewing.client() as client:
        found = client.get(f"/v1/scans/{demo_scan}/appearances").json()["items"]
        coverage = client.get(f"/v1/scans/{demo_scan}").json()["coverage"]
    expect(visit.page.locator("#name")).to_have_text("demo.mp4")
    expect(visit.page.locator("#list [role=option]:visible")).to_have_count(len(found))
    expect(visit.page.locator("#count")).to_have_text(f"{len(found)} of {len(found)} appearances shown")
    expect(visit.page.locator("#coverage-words")).to_contain_text(f"{coverage['samples']} pictures")
    for row, each in zip(visit.page.locator("#list [role=option]:visible").all(), found, strict=True):
        expect(row).to_contain_text(f"{short(each['first_seen_s'])} → {short(each['last_seen_s'])}")
        expect(row).to_contain_text(f"{each['confidence']:.2f}")
    label = visit.page.locator("#strip canvas").get_attribute("aria-label")
    assert "Tank" in label and "03:00.0" in label


def test_the_threshold_works_on_stored_scores(visit, reviewing, demo_scan):
    visit.open_scan(demo_scan)
    with reviewing.client() as client:
        found = client.get(f"/v1/scans/{demo_scan}/appearances").json()["items"]
    slider = visit.page.locator("#threshold")
    slider.fill("0.75")
    sure = sum(each["confidence"] >= 0.75 for each in found)
    expect(visit.page.locator("#count")).to_have_text(f"{sure} of {len(found)} appearances shown")
    expect(visit.page.locator("#list [role=option]:visible")).to_have_count(sure)
    slider.fill("0.1")
    expect(visit.page.locator("#count")).to_contain_text("that the scan's own threshold left out")
    weak = visit.page.locator("#list [role=option]", has_text="(weak)").first
    weak.click()
    visit.mode("still")
    expect(visit.page.locator("[data-verdict=confirmed]")).to_be_disabled()
    visit.press("\\")
    expect(visit.page.locator("#count")).to_have_text(f"{len(found)} of {len(found)} appearances shown")
    assert not [each for each in visit.asked if each.startswith("POST")]
    assert visit.sharp() == []


def test_a_threshold_of_ones_own_holds_for_a_scan_that_ends_while_it_is_watched(visit, reviewing, demo_scan):
    with reviewing.client() as client:
        client.put("/v1/preferences", json={"threshold": 0.1}).raise_for_status()
        try:
            visit.page.route(f"**/scans/{demo_scan}", as_running, times=1)
            visit.page.goto(f"{reviewing.url}/scans/{demo_scan}")
            expect(visit.page.locator("body")).to_have_attribute("data-ready", "running")
            expect(visit.page.locator("#clip-facts")).to_contain_text("Done")
            expect(visit.page.locator("#count")).to_contain_text("that the scan's own threshold left out")
        finally:
            client.put("/v1/preferences", json={"threshold": None}).raise_for_status()


def test_times_are_those_of_the_report_to_the_millisecond(visit, demo_scan):
    visit.open_scan(demo_scan)
    times = [round(1001 * number / 30000, 6) for number in range(20_000)]
    shown = visit.page.evaluate(
        "async (times) => { const { clock } = await import('/static/scan/clock.js'); return times.map(clock); }", times
    )
    assert [pair for pair in zip(shown, map(hms, times), strict=True) if pair[0] != pair[1]] == []


def test_partial_results_go_on_after_the_server_was_restarted(chromium, tmp_path):
    server = Server(tmp_path / "store", SEGMENT_SAMPLES=8).start()
    context = chromium.new_context()
    try:
        visiting = Visit(context, server)
        with server.client() as client:
            scan_id = upload(client, DEMO, plan="interval", every_s="0.3")["id"]
            wait_for(client, scan_id, "running")
            visiting.open_scan(scan_id)
            expect(visiting.page.locator("#progress")).to_be_visible()
            expect(visiting.page.locator("#list [role=option]:visible").first).to_be_visible(timeout=60_000)
            expect(visiting.page.locator("[data-verdict=confirmed]")).to_be_disabled()
        server.kill()
        server.start()
        with server.client() as client:
            assert wait_for(client, scan_id)["state"] == "done"
            found = client.get(f"/v1/scans/{scan_id}/appearances").json()["items"]
        expect(visiting.page.locator("#progress")).to_be_hidden(timeout=30_000)
        expect(visiting.page.locator("#count")).to_have_text(f"{len(found)} of {len(found)} appearances shown")
        rows = visiting.page.locator("#list [role=option]:visible")
        expect(rows).to_have_count(len(found))
        assert len({row.get_attribute("id") for row in rows.all()}) == len(found)
        visiting.press("j")
        expect(visiting.page.locator("[data-verdict=confirmed]")).to_be_enabled()
        assert visiting.faults == []
    finally:
        context.close()
        server.stop()


@pytest.mark.parametrize(("part", "failures"), [("", 2), ("/outline", 1)], ids=["scan", "appearances"])
def test_the_end_of_a_scan_is_read_again_where_reading_it_failed(visit, reviewing, demo_scan, part, failures):
    address = f"**/v1/scans/{demo_scan}{part}"
    visit.page.route(f"**/scans/{demo_scan}", as_running, times=1)
    visit.page.route("**/events?*", lambda route: None, times=1)
    visit.page.goto(f"{reviewing.url}/scans/{demo_scan}")
    expect(visit.page.locator("body")).to_have_attribute("data-ready", "running")
    visit.page.route(address, lambda route: route.abort(), times=failures)
    with visit.page.expect_response(f"**{address.removeprefix('**')}", timeout=30_000) as answer:
        visit.page.evaluate(
            "for (const isSeen of [false, true]) {"
            " Object.defineProperty(document, 'hidden', { value: !isSeen, configurable: true });"
            " document.dispatchEvent(new Event('visibilitychange')); }"
        )
    assert answer.value.ok
    expect(visit.page.locator("#clip-facts")).to_contain_text("Done")
    expect(visit.page.locator("#notices [data-name=problem]")).to_contain_text("The server does not answer")


def test_a_page_of_a_scan_that_was_removed_says_so(visit, reviewing, tmp_path):
    scan_id = scanned(reviewing, cut_demo(tmp_path / "removed.mp4", 36.0, 39.0))
    visit.open_scan(scan_id)
    with reviewing.client() as client:
        assert client.delete(f"/v1/scans/{scan_id}").status_code == 204
    visit.press("y")
    expect(visit.page.locator("#notices [data-name=gone]")).to_contain_text("This scan was removed")
    expect(visit.page.locator("#list [role=option]:visible")).to_have_count(0)
    assert visit.page.locator("#picture").get_attribute("src") is None


def test_why_a_scan_failed_is_said_where_its_page_begins(visit, reviewing):
    with reviewing.client() as client:
        made = client.post("/v1/scans", files={"file": ("holiday.mp4", b"this is no film\n" * 50)}).json()
        assert wait_for(client, made["id"])["state"] == "failed"
    visit.open_scan(made["id"])
    notice = visit.page.locator("#notices [data-name=failed]")
    expect(notice).to_contain_text("This scan failed: holiday.mp4: this is a text file, not a video")
    expect(notice).to_be_in_viewport()
    expect(visit.page.locator("#exports li:not([hidden])")).to_have_count(3)


def test_markup_in_names_is_text(visit, reviewing, tmp_path):
    name = "<img src=x onerror=alert(1)>&amp;.mp4"
    clip = cut_demo(tmp_path / "plain.mp4", 36.0, 38.0)
    with reviewing.client() as client:
        clip_bytes = clip.read_bytes()
        answer = client.post("/v1/scans", files={"file": ("plain.mp4", clip_bytes)}, data={"name": name})
        scan_id = wait_for(client, answer.json()["id"])["id"]
    visit.open_scan(scan_id)
    expect(visit.page.locator("#name")).to_have_text(name)
    assert visit.page.locator("#name img").count() == 0
    visit.press("y")
    visit.page.locator("#go-on").uncheck()
    visit.press("c")
    visit.page.keyboard.type("<b>bold</b> & more")
    visit.press("Enter")
    expect(visit.page.locator("#panel-others q")).to_have_text("<b>bold</b> & more")


def test_a_name_from_right_to_left_begins_where_the_page_does(visit, reviewing, tmp_path):
    clip = cut_demo(tmp_path / "دبابة.mp4", 150.0, 152.0)
    visit.open_scan(scanned(reviewing, clip))
    left_edge = """name => { const text = document.createRange(); text.selectNodeContents(document.querySelector(name));
        return text.getBoundingClientRect().left; }"""
    expect(visit.page.locator("#name")).to_have_css("direction", "rtl")
    assert abs(visit.page.evaluate(left_edge, "#name") - visit.page.evaluate(left_edge, "#timeline-heading")) < 3


def test_two_reviewers_who_disagree_are_shown(visit, reviewing, demo_scan):
    key = reviewing.key("local", "--note", "second pair of eyes", "--scopes", "read,review")
    with reviewing.client(key) as other:
        answer = other.put(f"/v1/scans/{demo_scan}/appearances/3/verdict", json={"verdict": "wrong"})
        assert answer.status_code == 200, answer.text
    visit.open_scan(demo_scan)
    visit.page.locator("#go-on").uncheck()
    visit.press("j", "j")
    expect(visit.page.locator("#panel-others")).to_contain_text("second pair of eyes: wrong")
    with visit.page.expect_response(lambda answer: answer.request.method == "PUT"):
        visit.press("y")
    expect(visit.page.locator("#panel-others .disagreed")).to_be_visible()
    visit.page.locator("#review").select_option("disagreed")
    expect(visit.page.locator("#list [role=option]:visible")).to_have_count(1)
    visit.page.reload()
    visit.page.locator("body[data-ready]").wait_for()
    visit.page.locator("#review").select_option("disagreed")
    expect(visit.page.locator("#list [role=option]:visible .badge")).to_contain_text("disagreement")
    visit.press("j", "z")
    expect(visit.page.locator("#list [role=option]:visible")).to_have_count(0)


def test_what_another_reviewer_said_meanwhile_is_there_when_the_page_is_seen_again(visit, reviewing, demo_scan):
    visit.open_scan(demo_scan)
    visit.page.wait_for_load_state("networkidle")
    key = reviewing.key("local", "--note", "meanwhile", "--scopes", "read,review")
    with reviewing.client(key) as other:
        other.put(f"/v1/scans/{demo_scan}/appearances/1/verdict", json={"verdict": "unsure"}).raise_for_status()
        try:
            visit.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            expect(visit.page.locator("#panel-others")).to_contain_text("meanwhile: unsure")
        finally:
            other.delete(f"/v1/scans/{demo_scan}/appearances/1/verdict").raise_for_status()


def test_on_paper_there_is_a_table_of_everything(visit, many_scan):
    visit.open_scan(many_scan)
    visit.page.emulate_media(media="print")
    expect(visit.page.locator("#print tbody tr")).to_have_count(2000)
    expect(visit.page.locator("#list")).to_be_hidden()
    expect(visit.page.locator("#exports-heading")).to_be_hidden()
    expect(visit.page.locator("#stage")).to_be_hidden()
    visit.page.emulate_media(media="screen")
    expect(visit.page.locator("#print tbody tr")).to_have_count(0)


def test_the_timeline_is_drawn_dark_on_paper(visit, demo_scan):
    visit.open_scan(demo_scan)
    darkest = """() => {
        const context = document.querySelector("#strip canvas").getContext("2d");
        const { data } = context.getImageData(12, 0, 60, 12);
        let least = 255;
        for (let at = 0; at < data.length; at += 4)
            if (data[at + 3] > 200) least = Math.min(least, Math.max(data[at], data[at + 1], data[at + 2]));
        return least; }"""
    assert visit.page.evaluate(darkest) > 100
    visit.page.emulate_media(media="print")
    visit.page.wait_for_function(f"() => ({darkest})() < 60")


def test_what_was_not_looked_at_is_hatched_on_white_on_paper_and_the_legend_says_so(visit, many_scan):
    visit.open_scan(many_scan)
    expect(visit.page.locator("#legend-unseen")).to_be_visible()
    visit.page.emulate_media(media="print")
    expect(visit.page.locator("#legend-unseen")).to_be_visible()
    # Of the band of what was looked at, how much is light and how much is drawn dark on it.
    visit.page.wait_for_function("""() => {
        const canvas = document.querySelector("#strip canvas");
        const { data } = canvas.getContext("2d").getImageData(40, canvas.height - 37, 400, 8);
        const pixels = Array.from({ length: data.length / 4 }, (_, at) => data.slice(4 * at, 4 * at + 4));
        const share = (test) => pixels.filter((each) => each[3] > 200 && test(each[0])).length / pixels.length;
        return share((red) => red > 230) > 0.4 && share((red) => red < 140) > 0.05; }""")


def test_thousands_of_appearances_are_a_few_rows(visit, many_scan):
    visit.open_scan(many_scan)
    rows = visit.page.locator("#list [role=option]")
    assert rows.count() < 40
    visit.press("End")
    expect(visit.page.locator("#list [aria-selected=true]")).to_have_attribute("aria-posinset", "2000")
    visit.page.locator("#list").evaluate("list => { list.scrollTop = list.scrollHeight / 2; }")
    expect(visit.page.locator("#list [aria-posinset='1000']")).to_be_visible()
    assert rows.count() < 40


def test_a_page_that_nobody_sees_holds_no_connection(visit, reviewing, demo_scan):
    """A browser opens six connections to a server: six running scans in tabs left none for any page."""
    visit.context.add_init_script(
        "window.streams = []; window.EventSource = class extends EventSource {"
        " constructor(...all) { super(...all); streams.push(this); } };"
        "window.see = (isSeen) => { Object.defineProperty(document, 'hidden', { value: !isSeen, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); };"
    )
    visit.page.route(f"**/scans/{demo_scan}", as_running, times=1)
    visit.page.route("**/events?*", lambda route: None, times=1)
    visit.page.goto(f"{reviewing.url}/scans/{demo_scan}")
    expect(visit.page.locator("body")).to_have_attribute("data-ready", "running")
    states = "() => streams.map(({ readyState }) => readyState)"
    assert visit.page.evaluate(states) == [0]
    visit.page.evaluate("see(false)")
    assert visit.page.evaluate(states) == [2]
    visit.page.evaluate("see(true)")
    expect(visit.page.locator("#clip-facts")).to_contain_text("Done")
    assert len(visit.page.evaluate(states)) == 2
