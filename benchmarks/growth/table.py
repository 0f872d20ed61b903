"""The result of `ordnance bench growth` as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def result_table(result: Mapping[str, Any]) -> str:
    """A block for each axis and plan, a line for each point, then the goals."""
    machine = result["machine"]
    lines = [
        f"growth, medians of {result['rounds']}; {machine['processor']}, {machine['cores']} cores",
        "network: loaded and run once, then answered for at no cost, but for 'clips', where it runs",
    ]
    for axis in result["axes"]:
        lines += ["", f"{axis['name']}, plan {axis['plan']}"]
        lines.append(
            f"  {'':<16}{axis['unit']:>20}{'CPU s':>10}{'clock s':>10}{'peak MB':>10}{'before MB':>11}"
            f"{'samples':>9}{'decoded':>9}{'finds':>7}"
        )
        for row in axis["points"]:
            lines.append(
                f"  {row['label']:<16}{row['x']:>20.6g}{row['cpu_seconds']:>10.2f}{row['seconds']:>10.2f}"
                f"{_number(row['peak_mb']):>10}{_number(row['before_mb']):>11}"
                f"{row['samples']:>9}{row['decoded']:>9}{row['finds']:>7}"
            )
        lines.append(f"  CPU: {_said(axis['cpu_line'], 's', axis['unit'])}")
        if axis["memory_line"]:
            lines.append(f"  memory: {_said(axis['memory_line'], 'MB', axis['unit'])}")
    lines.append("")
    for goal in result["goals"]:
        verdict = {True: "reached", False: "MISSED", None: "not measured"}[goal["reached"]]
        lines.append(f"{verdict:<13}{goal['goal']}: {goal['measured'] if goal['measured'] is not None else '-'}")
    return "\n".join(lines)


def _said(line: Mapping[str, Any], quantity: str, unit: str) -> str:
    text = f"{line['start']:.3g} {quantity} + {line['slope']:.3g} {quantity} for each 1 of {unit}"
    if line["last_over_line"] is None:
        return text
    word = "straight" if line["straight"] else "NOT STRAIGHT"
    return f"{text}; {word}: the last point is {line['last_over_line']:.2f} of what the line through the others says"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
