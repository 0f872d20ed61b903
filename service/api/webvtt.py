"""Appearances as WebVTT (W3C), so that any player can show them as a text track."""

from __future__ import annotations

from detector.report import Report
from detector.report.html import class_label
from detector.report.timecode import hms

SHORTEST_CUE_SECONDS = 0.5
"""An appearance seen on one sample would be a cue of no length, which players do not show."""


def appearances_vtt(report: Report) -> str:
    """A cue for each appearance, in order of its start. Suspected overlays are left out, as they are not shown."""
    cues = []
    for each in sorted(report.shown, key=lambda one: (one.first_seen_s, one.id)):
        start = max(0.0, each.first_seen_s)
        end = max(each.last_seen_s, start + SHORTEST_CUE_SECONDS)
        words = f"{class_label(each.class_name)} {each.confidence:.2f}"
        safe = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        cues.append(f"{each.id}\n{hms(start)} --> {hms(end)}\n{safe}\n")
    return "\n".join(["WEBVTT\n", *cues])
