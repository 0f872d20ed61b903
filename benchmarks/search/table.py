"""The result of `ordnance bench search` as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def result_table(result: Mapping[str, Any]) -> str:
    """A block for each size of the archive, a line for each query and contender, then how the times grew."""
    lines = [
        f"search in an archive, {result['database']}, medians of {result['rounds']} (least to most), ms; "
        f"{result['machine']['processor']}, {result['machine']['cores']} cores"
    ]
    for size in result["sizes"]:
        lines += ["", f"{size['scans']} scans, {size['appearances']} appearances"]
        lines.append(f"  {'':<26}{'':<34}{'finds':>7}{'first page':>28}{'all finds':>28}")
        for row in size["queries"]:
            for position, name in enumerate(row["first_page_ms"]):
                kind, found = (row["kind"], row["found"]) if position == 0 else ("", "")
                cells = _cell(row["first_page_ms"][name]) + _cell(row["all_pages_ms"][name])
                lines.append(f"  {kind:<26}{name:<34}{found!s:>7}{cells}")
    lines += growth_lines(result["growth"])
    return "\n".join(lines)


def growth_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each find cost in the second largest archive and in the largest."""
    if not rows:
        return []
    lines = ["", f"all finds by the API: {'finds':>16}{'ms':>22}{'us a find':>20}"]
    for row in rows:
        found, ms, each = (" -> ".join(map(str, row[name])) for name in ("found", "ms", "us_a_find"))
        lines.append(f"  {row['kind']:<24}{found:>14}{ms:>22}{each:>18}")
    return lines


def _cell(summary: Mapping[str, float]) -> str:
    spread = f"({summary['least']:.1f} to {summary['most']:.1f})"
    return f"{summary['median']:>10.1f} {spread:>17}"
