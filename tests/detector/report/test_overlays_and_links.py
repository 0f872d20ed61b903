"""Suspected overlays and appearances that go on: in the JSON always, elsewhere apart or by a word."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from detector.cli.table import print_report
from detector.errors import DataError
from detector.frame import SUSPECTED_OVERLAY
from detector.report import Report, detections_csv, render_html, summary, write_report

OLD_REPORT = Path(__file__).parent / "data" / "report-first-form.json"


@pytest.fixture
def with_overlay(make_report, tracked) -> Report:
    logo = replace(tracked("a0002", "mlrs", 13.0, 180.0, 0.95), flags=(SUSPECTED_OVERLAY,))
    again = replace(tracked("a0003", "tank", 60.0, 70.0), continues="a0001")
    return make_report(tracked("a0001", "tank", 12.0, 20.0), logo, again)


def table_of(report: Report) -> str:
    stream = io.StringIO()
    print_report(report, None, stream)
    return stream.getvalue()


def test_of_a_clip_whose_times_begin_late_the_table_says_how_long_it_is_and_from_when_on(make_report) -> None:
    table = table_of(make_report(first_pts_s=360_000.0, duration_s=360_100.0))
    assert table.startswith("patrol.mp4  (01:40.0 from 100:00:00.0 on)\n")
    assert table_of(make_report(first_pts_s=100.0)).startswith("patrol.mp4  (03:05.0)\n")


def test_the_json_has_everything(with_overlay: Report) -> None:
    document = json.loads(with_overlay.to_json())
    assert [each["flags"] for each in document["appearances"]] == [[], ["suspected_overlay"], []]
    assert [each["continues"] for each in document["appearances"]] == [None, None, "a0001"]
    assert Report.from_json(with_overlay.to_json()) == with_overlay


def test_the_table_counts_overlays_and_says_where_they_are(with_overlay: Report) -> None:
    text = table_of(with_overlay)
    assert "mlrs" not in text and "1 suspected overlay not shown" in text and "JSON" in text
    assert "the one of 00:12.0 again" in text


def test_only_overlays_are_nothing_found(make_report, tracked) -> None:
    report = make_report(replace(tracked("a1", "mlrs", 1.0, 180.0), flags=(SUSPECTED_OVERLAY,)))
    assert "nothing found" in table_of(report)
    assert summary(report) == "No weapon was found in 03:05.0 of video."
    page = render_html(report, {})
    assert "Nothing to show" in page and "1 suspected overlay, not counted above" in page


def test_the_csv_leaves_them_out(with_overlay: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(detections_csv(with_overlay), newline="")))
    assert {row["appearance"] for row in rows} == {"a0001", "a0003"}


def test_the_page_has_them_in_a_closed_section(with_overlay: Report) -> None:
    page = render_html(with_overlay, {})
    [(attributes, inside)] = re.findall(r'<details class="panel overlays"([^>]*)>(.*?)</details>', page, re.DOTALL)
    assert "open" not in attributes and 'id="a0002"' in inside and "suspected overlay" in inside
    outside = page.replace(inside, "")
    assert 'href="#a0002"' not in outside and "2 appearances in" in outside
    assert 'The same object as <a href="#a0001">a0001</a>' in outside


def test_their_pictures_are_written_and_come_last_on_the_page(with_overlay: Report, tmp_path, thumbnails) -> None:
    jpeg = thumbnails["a3-crop.jpg"]
    pictures = {f"{each.id}-{kind}.jpg": jpeg for each in with_overlay.appearances for kind in ("frame", "crop")}
    folder = write_report(with_overlay, pictures, tmp_path / "report")
    assert (folder / "thumbnails" / "a0002-crop.jpg").exists()


@pytest.mark.parametrize("link", ["a0009", "a0003", "a0002"])
def test_a_link_leads_to_an_earlier_appearance(with_overlay: Report, link: str) -> None:
    document = json.loads(with_overlay.to_json())
    document["appearances"][0]["continues"] = link
    with pytest.raises(DataError, match="not an earlier appearance"):
        Report.from_json(json.dumps(document))


def test_a_report_of_the_first_form_is_read_and_shown() -> None:
    text = OLD_REPORT.read_text("utf-8")
    report = Report.from_json(text)
    assert [each.class_name for each in report.appearances] == ["humvee", "tow_launcher"]
    assert report.coverage.not_found_means == "" and report.coverage.shots is None
    assert "Anything visible for at least 1.04 s" in table_of(report)
    assert "02:28.1" in render_html(report, {}) and len(detections_csv(report).splitlines()) == 7
    kept = json.loads(report.to_json())

    def same_or_more(before: object, after: object) -> bool:
        if isinstance(before, dict) and isinstance(after, dict):
            return all(key in after and same_or_more(value, after[key]) for key, value in before.items())
        if isinstance(before, list) and isinstance(after, list):
            return len(before) == len(after) and all(map(same_or_more, before, after))
        return before == after

    assert same_or_more(json.loads(text), kept)
