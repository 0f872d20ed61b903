"""The result of a scan as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from detector.cli.printable import printable
from detector.report import CoverageInfo, Report, short

MOST_LINES = 5
"""Stretches not decoded, or left out, that are told one by one."""


def print_report(report: Report, folder: Path | None, stream: TextIO) -> None:
    """A line an appearance, what was looked at, and where the report lies."""
    begins = f" from {short(report.clip.drawn_from_s)} on" if report.clip.drawn_from_s else ""
    print(f"{printable(report.clip.name)}  ({short(report.clip.drawn_s)}{begins})", file=stream)
    if not report.shown:
        print("  nothing found", file=stream)
    first_seen = {each.id: each.first_seen_s for each in report.appearances}
    for each in report.shown:
        again = f", the one of {short(first_seen[each.continues])} again" if each.continues else ""
        print(
            f"  {short(each.first_seen_s)} → {short(each.last_seen_s)}  {each.class_name:<22}  "
            f"{each.confidence:.2f}  best frame at {short(each.best.pts_s)}{again}",
            file=stream,
        )
    if report.overlays:
        where = "in report.json and in the closed section of report.html" if folder else "in the JSON, with that flag"
        print(
            f"  {_count(len(report.overlays), 'suspected overlay')} not shown (logos and the like): {where}",
            file=stream,
        )
    for line in coverage_lines(report.coverage):
        print(f"  {line}", file=stream)
    for error in report.errors:
        print(f"  warning: {printable(error.message)}", file=stream)
    if folder:
        page = folder / "report.html"
        print(f"  report: {printable(str(page if page.exists() else folder / 'report.json'))}", file=stream)
    stream.flush()


def coverage_lines(coverage: CoverageInfo) -> Iterator[str]:
    """What was looked at and what was not, a line each; what there is nothing to say of is left out."""
    yield coverage.statement
    beyond = coverage.unseen_count and coverage.promise_s is not None
    if coverage.longest_gap_at_s is not None and coverage.samples:
        after = short(coverage.longest_gap_at_s)
        aim = f"; {_count(coverage.unseen_count, 'gap')} longer than the plan's aim" if beyond else ""
        yield f"longest gap between pictures looked at: {coverage.longest_gap_s:.2f} s from {after}{aim}"
    if coverage.shots is not None:
        missed = "none without a sample"
        if coverage.longest_unsampled_shot and coverage.shots_unsampled:
            longest = coverage.longest_unsampled_shot
            length = f"{longest.to_s - longest.from_s:.2f} s at {short(longest.from_s)}"
            missed = f"{coverage.shots_unsampled} without a sample (the longest {length})"
        hidden = "; the gaps may hide more" if beyond else ""
        yield f"{_count(coverage.shots, 'shot')}, {missed}{hidden}"
    if coverage.near_identical:
        yield f"{_count(coverage.near_identical, 'picture')} as good as identical with the one before, not judged again"
    if coverage.tiled:
        yield f"{_count(coverage.tiled, 'picture')} looked at again in tiles"
    for lost in coverage.undecoded[:MOST_LINES]:
        yield f"not decoded: {short(lost.from_s)} → {short(lost.to_s)} ({lost.reason})"
    for left in coverage.left_out[:MOST_LINES]:
        yield f"left out: {short(left.from_s)} → {short(left.to_s)} ({left.what})"
    more = max(len(coverage.undecoded) - MOST_LINES, 0) + max(len(coverage.left_out) - MOST_LINES, 0)
    if more:
        yield f"and {more} more stretches not decoded or left out: see the report"
    if coverage.smallest_object_px:
        yield f"smallest object to be expected to be seen: about {coverage.smallest_object_px:.0f} px across"
    if coverage.not_found_means:
        yield coverage.not_found_means


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
