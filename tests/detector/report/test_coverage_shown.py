"""The coverage as the page and the table tell it."""

from __future__ import annotations

import html
import io
import json
import re

import pytest
from jsonschema import Draft202012Validator

from detector.cli.table import print_report
from detector.report import CoverageInfo, Report, render_html, report_json_schema
from detector.sampling.coverage import Effort, LeftOut, UndecodedRange, measure_coverage

FRAMES = [n / 25 for n in range(25 * 180)]
SAMPLED = sorted({*(float(n) for n in range(180) if not 60 < n < 70), *(100 + n / 5 for n in range(25))})


def coverage_of(**options) -> CoverageInfo:
    facts = {
        "undecoded": [UndecodedRange(60.5, 69.5, "damaged packets")],
        "shots": [(0.0, 62.0), (62.0, 68.0), (68.0, 180.0)],
        "effort": Effort(
            near_identical=12,
            tiled=3,
            left_out=(LeftOut(30.0, 40.0, "a closer look, for want of budget"),),
            smallest_object_px=295.38,
        ),
    }
    facts |= options
    coverage = measure_coverage(SAMPLED, FRAMES, 180.0, promise_seconds=1.0, **facts)
    return CoverageInfo.of(coverage, sampled=SAMPLED, frames_decoded=300, decode_errors=2, promise_s=1.0)


@pytest.fixture
def covered(report: Report) -> Report:
    return report.model_copy(update={"coverage": coverage_of()})


def words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def lines(report: Report) -> str:
    stream = io.StringIO()
    print_report(report, None, stream)
    return stream.getvalue()


def test_the_report_holds_it_and_reads_it_back(covered: Report) -> None:
    document = json.loads(covered.to_json())
    Draft202012Validator(report_json_schema()).validate(document)
    assert Report.from_json(covered.to_json()) == covered
    coverage = document["coverage"]
    assert [(each["from_s"], each["to_s"], each["samples"]) for each in coverage["sampled"]] == [
        (0.0, 60.0, 61),
        (70.0, 100.0, 31),
        (100.2, 105.0, 25),
        (106.0, 179.0, 74),
    ]
    assert [(each["from_s"], each["to"]) for each in coverage["unseen"]] == [(60.0, "00:01:10.000")]
    assert (coverage["shots"], coverage["shots_unsampled"]) == (3, 1)
    assert coverage["shot_starts_s"] == sorted(coverage["shot_starts_s"]) and len(coverage["shot_starts_s"]) == 3
    assert coverage["longest_unsampled_shot"]["from"] == "00:01:02.000"
    assert coverage["left_out"][0]["what"] == "a closer look, for want of budget"


def test_the_page_tells_all_of_it(covered: Report) -> None:
    text = words(render_html(covered, {}))
    for said in (
        covered.coverage.statement,
        covered.coverage.not_found_means,
        "12 as good as identical with the one before, not judged again",
        "3 looked at again in tiles",
        "10.00 s from 01:00.0",
        "1 gap longer than that",
        "Shots 3 1 without a look, the longest 6.0 s at 01:02.0 the gaps longer than the plan's aim may hide more",
        "295 px across",
        "00:30.0 00:40.0 a closer look, for want of budget",
        "01:00.5 01:09.5 damaged packets",
    ):
        assert said in text


def test_the_strip_shows_gaps_and_closer_looks_at_their_place(covered: Report) -> None:
    page = render_html(covered, {})
    [gap] = re.findall(r'<rect class="unseen" x="([\d.]+)%" width="([\d.]+)%"', page)
    assert [float(part) for part in gap] == pytest.approx([100 * 60 / 185.033, 100 * 10 / 185.033], abs=0.01)
    [closer] = re.findall(r'<rect class="closer" x="([\d.]+)%"', page)
    assert float(closer) == pytest.approx(100 * 100 / 185.033, abs=0.2)


def test_the_strip_stays_small_however_many_gaps_there_are(report: Report) -> None:
    times = [n * 0.3 for n in range(40_000)]
    coverage = measure_coverage(times, [n * 0.1 for n in range(120_000)], 12_000.0)
    told = CoverageInfo.of(coverage, sampled=times, frames_decoded=40_000, decode_errors=0, promise_s=None)
    page = render_html(report.model_copy(update={"coverage": told}), {})
    assert page.count('class="unseen"') <= 1000
    assert len(report.model_copy(update={"coverage": told}).to_json()) < 500_000


def test_the_table_tells_all_of_it(covered: Report) -> None:
    text = lines(covered)
    for said in (
        covered.coverage.statement,
        covered.coverage.not_found_means,
        "longest gap between pictures looked at: 10.00 s from 01:00.0; 1 gap longer than the plan's aim",
        "3 shots, 1 without a sample (the longest 6.00 s at 01:02.0); the gaps may hide more",
        "12 pictures as good as identical",
        "3 pictures looked at again in tiles",
        "not decoded: 01:00.5 → 01:09.5 (damaged packets)",
        "left out: 00:30.0 → 00:40.0 (a closer look, for want of budget)",
        "about 295 px",
    ):
        assert said in text


def test_what_there_is_nothing_to_say_of_is_not_said(report: Report) -> None:
    plain = coverage_of(undecoded=[], shots=[(0.0, 180.0)], effort=Effort())
    text = lines(report.model_copy(update={"coverage": plain}))
    assert "1 shot, none without a sample" in text
    for word in ("tiles", "identical", "left out", "not decoded", "smallest"):
        assert word not in text


def test_a_long_list_is_cut_short(report: Report) -> None:
    many = coverage_of(undecoded=[UndecodedRange(n, n + 0.5, "damaged") for n in range(60)])
    text = lines(report.model_copy(update={"coverage": many}))
    assert text.count("not decoded:") == 5 and "and 55 more stretches" in text
