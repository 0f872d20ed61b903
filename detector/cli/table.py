"""The result of a scan as lines of text."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from detector.report import Report, short


def print_report(report: Report, folder: Path | None, stream: TextIO) -> None:
    """A line an appearance, what was looked at, and where the report lies."""
    print(f"{report.clip.name}  ({short(report.clip.duration_s)})", file=stream)
    if not report.appearances:
        print("  nothing found", file=stream)
    for each in report.appearances:
        print(
            f"  {short(each.first_seen_s)} → {short(each.last_seen_s)}  {each.class_name:<22}  "
            f"{each.confidence:.2f}  best frame at {short(each.best.pts_s)}",
            file=stream,
        )
    print(f"  {report.coverage.statement}", file=stream)
    for error in report.errors:
        print(f"  warning: {error.message}", file=stream)
    if folder:
        page = folder / "report.html"
        print(f"  report: {page if page.exists() else folder / 'report.json'}", file=stream)
    stream.flush()
