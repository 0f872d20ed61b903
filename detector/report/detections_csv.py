"""The detections as a table, one row each, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io

from detector.report.schema import Report

COLUMNS = (
    "clip",
    "sha256",
    "appearance",
    "class",
    "score",
    "pts_s",
    "time",
    *("x1", "y1", "x2", "y2"),
    *("x1_norm", "y1_norm", "x2_norm", "y2_norm"),
)

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def detections_csv(report: Report) -> str:
    """The table with its heading, in the order of appearances and times (RFC 4180, to be stored as UTF-8).

    Suspected overlays are left out; the JSON has them.
    Text that a spreadsheet would take for a formula, such as a file named `=1+1.mp4`, gets a leading `'`;
    all text is in quotes, because spreadsheets part fields at semicolons and tabs as well.
    """
    table = io.StringIO(newline="")
    csv.writer(table).writerow(COLUMNS)
    writer = csv.writer(table, quoting=csv.QUOTE_NONNUMERIC)
    clip = (_as_text(report.clip.name), report.clip.sha256)
    for appearance in report.shown:
        kind = _as_text(appearance.class_name)
        for each in appearance.detections:
            writer.writerow((*clip, appearance.id, kind, each.score, each.pts_s, each.pts, *each.box, *each.box_norm))
    return table.getvalue()


def _as_text(value: str) -> str:
    return f"'{value}" if value.lstrip(" ").startswith(_FORMULA_STARTS) else value
