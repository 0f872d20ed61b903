"""What reviewers say, in the report."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from jsonschema import Draft202012Validator

from detector.errors import DataError
from detector.report import Report, class_label, render_html, report_json_schema
from detector.report.review import ReviewInfo, VerdictInfo


def said(reviewer: str, verdict: str, class_name: str | None = None, note: str = "") -> VerdictInfo:
    at = datetime(2026, 7, 31, 9, 30, tzinfo=UTC)
    return VerdictInfo(reviewer=reviewer, verdict=verdict, class_name=class_name, note=note, at=at)


@pytest.fixture
def reviewed(report: Report) -> Report:
    reviews = (
        ReviewInfo(
            appearance="a1",
            state="disagreed",
            verdict=None,
            verdicts=(said("Ann <b>", "wrong", note="<script>alert(1)</script>"), said("Ben", "confirmed")),
        ),
        ReviewInfo(
            appearance="a3",
            state="single",
            verdict="other_class",
            class_name="atgm_launcher",
            verdicts=(said("Ann <b>", "other_class", "atgm_launcher"),),
        ),
    )
    return report.model_copy(update={"review": reviews})


def test_a_reviewed_report_is_written_read_and_fits_the_schema(reviewed: Report) -> None:
    document = json.loads(reviewed.to_json())
    Draft202012Validator(report_json_schema()).validate(document)
    assert document["review"][1]["class"] == "atgm_launcher"
    assert Report.from_json(reviewed.to_json()) == reviewed


def test_a_review_of_nothing_or_of_the_same_twice_is_refused(reviewed: Report) -> None:
    document = json.loads(reviewed.to_json())
    twice = document | {"review": [document["review"][0]] * 2}
    nothing = document | {"review": [document["review"][0] | {"appearance": "a9"}]}
    for wrong in (twice, nothing):
        with pytest.raises(DataError, match="review"):
            Report.from_json(json.dumps(wrong))


def test_the_page_shows_verdicts_reviewers_and_notes_as_text(reviewed: Report, thumbnails: dict[str, bytes]) -> None:
    page = render_html(reviewed, thumbnails)
    assert "2 of 3 appearances reviewed" in page
    assert "reviewers disagree" in page
    assert f"another weapon: {class_label('atgm_launcher')}" in page
    assert "Ann &lt;b&gt;" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page


def test_the_page_of_an_unreviewed_report_says_nothing_of_reviews(report: Report, thumbnails: dict[str, bytes]) -> None:
    assert "eviewed" not in render_html(report, thumbnails)
