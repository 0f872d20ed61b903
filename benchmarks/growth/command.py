"""What `ordnance bench growth` does."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.growth.plot import draw
from benchmarks.growth.run import Settings, run_growth_benchmark
from benchmarks.growth.table import result_table

SIZES = ((426, 240), (640, 360), (854, 480), (1280, 720), (1920, 1080), (2560, 1440), (3840, 2160))
QUICK = Settings(
    minutes=(1, 4, 10),
    clips=(1, 20, 50),
    sizes=(SIZES[0], SIZES[3], SIZES[4]),
    size_seconds=8,
    boxes=(0, 1, 2),
    finds_minutes=1,
    rounds=1,
    model="default",
)
FULL = Settings(
    minutes=(1, 10, 30, 60, 120, 240),
    clips=(1, 10, 100, 300, 1000),
    sizes=SIZES,
    size_seconds=20,
    boxes=(0, 1, 2, 4),
    finds_minutes=20,
    rounds=1,
    model="default",
)


def run(*, quick: bool, out: Path) -> dict[str, Any]:
    """Run the benchmark; write growth.json, growth.txt and growth.png into `out`, and the table to stdout."""
    result = run_growth_benchmark(QUICK if quick else FULL, lambda line: print(line, file=sys.stderr, flush=True))
    out.mkdir(parents=True, exist_ok=True)
    table = result_table(result)
    written = [out / "growth.json", out / "growth.txt"]
    written[0].write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    written[1].write_text(table + "\n", encoding="utf-8")
    print(table)
    try:
        draw(result, out / "growth.png")
        written.append(out / "growth.png")
    except ImportError:
        print("no plot: it needs matplotlib (pip install 'ordnance[bench]')", file=sys.stderr)
    print(f"\nwritten: {', '.join(map(str, written))}")
    return result
