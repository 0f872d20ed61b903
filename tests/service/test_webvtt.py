"""Appearances as a text track."""

from __future__ import annotations

import re
from pathlib import Path

from detector.frame import SUSPECTED_OVERLAY
from detector.report import Report
from service.api.webvtt import appearances_vtt

REPORT = Path(__file__).parents[1] / "detector" / "report" / "data" / "report-first-form.json"


def test_a_suspected_overlay_is_no_cue() -> None:
    """It would stand over the whole clip; the other forms of the report do not show it either."""
    report = Report.from_json(REPORT.read_text())
    logo, *others = report.appearances
    marked = report.model_copy(
        update={"appearances": (logo.model_copy(update={"flags": (SUSPECTED_OVERLAY,)}), *others)}
    )
    cues = re.findall(r"^(\S+)\n\d\d:\d\d:\d\d\.\d{3} -->", appearances_vtt(marked), re.MULTILINE)
    assert cues == [each.id for each in others]
    assert others
