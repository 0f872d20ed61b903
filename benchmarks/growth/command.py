"""What `ordnance bench growth` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.growth.plot import draw
from benchmarks.growth.run import Settings, run_growth_benchmark
from benchmarks.growth.table import result_table
from benchmarks.outcome import say, write_result

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
    result = run_growth_benchmark(QUICK if quick else FULL, say)
    write_result("growth", result, result_table(result), out, lambda path: draw(result, path))
    return result
