"""What the suites write: JSON with the facts it was measured under, a table, a plot; and goals held against it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import machine_facts, machine_lines
from detector.models.manifest import find_second_view, find_weights


def say(line: str) -> None:
    """What goes on, to stderr: the table alone goes to stdout."""
    print(line, file=sys.stderr, flush=True)


def begin_result(suite: str, *, quick: bool, model: str) -> dict[str, Any]:
    """The head of a result: suite, machine, model."""
    return {"suite": suite, "quick": quick, "machine": machine_facts(), "model": model_facts(model)}


def model_facts(model: str) -> dict[str, Any]:
    """Which weights are measured, with those of the other model that gives the second view, if one does."""
    entry, path = find_weights(model)
    facts = {"name": entry.name, "sha256": entry.sha256, "input_size": entry.input_size}
    if second := find_second_view(entry, path):
        facts["second_view"] = {"name": second[0].name, "sha256": second[0].sha256}
    return facts


def goal(aim: str, measured: str | None, reached: bool | None) -> dict[str, Any]:
    """One goal of the project; `reached` is None where it was not measured."""
    return {"goal": aim, "measured": measured, "reached": reached}


def at_least(aim: str, ratio: float | None, least: float, unit: str = "times") -> dict[str, Any]:
    return goal(aim, None, None) if ratio is None else goal(aim, f"{ratio:.2f} {unit}", ratio >= least)


def at_most(aim: str, value: float | None, most: float, unit: str) -> dict[str, Any]:
    return goal(aim, None, None) if value is None else goal(aim, f"{value:.2f} {unit}", value <= most)


def head_lines(result: Mapping[str, Any]) -> list[str]:
    machine, model = result["machine"], result["model"]
    return [
        f"ordnance bench {result['suite']}{', quick' if result['quick'] else ''}, "
        f"commit {machine['commit'] or 'unknown'}",
        *machine_lines(machine),
        f"model {model['name']} {model['sha256'][:12]} at {model['input_size']} px",
    ]


def tail_lines(result: Mapping[str, Any]) -> list[str]:
    lines = goal_lines(result["goals"])
    if result["not_measured"]:
        lines += ["", "Not measured", *(f"  {each['name']}: {each['reason']}" for each in result["not_measured"])]
    return lines


def goal_lines(goals: Sequence[Mapping[str, Any]]) -> list[str]:
    if not goals:
        return []
    words = {True: "reached", False: "missed", None: "not measured"}
    width = max(len(each["goal"]) for each in goals)
    lines = ["", "Goals"]
    lines += [
        f"  {each['goal']:<{width}}  {words[each['reached']]:<12} {each['measured'] or ''}".rstrip() for each in goals
    ]
    return lines


def write_result(
    suite: str, result: Mapping[str, Any], table: str, out: Path, draw: Callable[[Path], None] | None = None
) -> None:
    """SUITE.json, SUITE.txt and, where matplotlib is there, SUITE.png in `out`; the table first to stdout."""
    print(table)
    out.mkdir(parents=True, exist_ok=True)
    written = [out / f"{suite}.json", out / f"{suite}.txt"]
    written[0].write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    written[1].write_text(table + "\n", encoding="utf-8")
    if draw is not None:
        try:
            draw(out / f"{suite}.png")
            written.append(out / f"{suite}.png")
        except ImportError:
            say("No plot: matplotlib is not installed; pip install 'ordnance[bench]'.")
    print(f"\nwritten: {', '.join(map(str, written))}")


def draw_bars(rows: Mapping[str, Mapping[str, Mapping[str, Any]]], value: str, label: str, path: Path) -> None:
    """Horizontal bars, logarithmic, a panel for each job and a bar for each contender. Raises ImportError."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = max(len(row) for row in rows.values())
    figure, panels = plt.subplots(len(rows), 1, figsize=(9, len(rows) * (0.8 + 0.28 * names)), squeeze=False)
    for panel, (job, row) in zip(panels[:, 0], rows.items(), strict=True):
        shown = sorted(row, key=lambda name: -row[name][value])
        bars = panel.barh(shown, [row[name][value] for name in shown])
        panel.bar_label(bars, fmt="%.3g", padding=3)
        panel.set(title=job, xlabel=label, xscale="log")
        panel.margins(x=0.15)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
