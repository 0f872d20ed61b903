"""All suites by name, and `ordnance bench all`, which runs those that need nothing that is not shipped."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.machine import machine_facts
from benchmarks.outcome import goal_lines

Suite = Callable[[bool, Path], dict[str, Any]]


def run_all(*, quick: bool, out: Path) -> None:
    """Run every suite of SUITES into a folder of its own below `out`; write all.json and all.txt beside them.

    A suite that fails is listed with its reason; the others still run.
    """
    out.mkdir(parents=True, exist_ok=True)
    machine = machine_facts()
    results: dict[str, Any] = {}
    failed: dict[str, str] = {}
    took: dict[str, float] = {}
    for name, suite in SUITES.items():
        print(f"\n== {name}\n", flush=True)
        begun = time.monotonic()
        try:
            results[name] = suite(quick, out / name)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"
            print(f"{name} failed: {error}", file=sys.stderr)
        took[name] = round(time.monotonic() - begun, 1)
    everything = {"suite": "all", "quick": quick, "machine": machine, "suites": results, "failed": failed, "took": took}
    text = "\n".join(_lines(everything))
    (out / "all.json").write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
    (out / "all.txt").write_text(text + "\n", encoding="utf-8")
    print(f"\n{text}\n\nwritten: {out / 'all.json'}, {out / 'all.txt'}")


def _lines(everything: dict[str, Any]) -> list[str]:
    machine, took = everything["machine"], everything["took"]
    lines = [
        f"ordnance bench all{', quick' if everything['quick'] else ''}, commit {machine['commit'] or 'unknown'}, "
        f"{machine['processor']}, {machine['cores']} cores; {sum(took.values()) / 60:.1f} min",
        "",
        *(
            f"  {name:<10}{seconds:>8.1f} s  {everything['failed'].get(name, '')}".rstrip()
            for name, seconds in took.items()
        ),
    ]
    goals = [
        each | {"goal": f"{name}: {each['goal']}"}
        for name, result in everything["suites"].items()
        for each in result.get("goals", ())
    ]
    return lines + goal_lines(goals)


def _suite(name: str) -> Suite:
    """Its packages are imported where it begins, so that one that lacks them leaves the others be."""

    def run(quick: bool, out: Path) -> dict[str, Any]:
        result: dict[str, Any] = import_module(f"benchmarks.{name}.command").run(quick=quick, out=out)
        return result

    return run


SUITES: dict[str, Suite] = {
    name: _suite(name) for name in ("decode", "infer", "scan", "service", "search", "growth", "cuda")
}
