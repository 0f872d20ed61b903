"""What `ordnance bench search` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.outcome import say, write_result
from benchmarks.search.run import Settings, run_search_benchmark
from benchmarks.search.table import result_table

SIZES = (1, 10, 100, 1000)
QUICK_SIZES = (1, 30, 100)
QUICK_ROUNDS, FULL_ROUNDS = 3, 9


def run(*, quick: bool, out: Path, rounds: int | None = None, seed: int = 1, model: str = "default") -> dict[str, Any]:
    """Run the benchmark; write search.json and search.txt into `out`, and the table to stdout."""
    settings = Settings(
        sizes=QUICK_SIZES if quick else SIZES,
        rounds=rounds or (QUICK_ROUNDS if quick else FULL_ROUNDS),
        seed=seed,
        model=model,
    )
    result = run_search_benchmark(settings, say)
    write_result("search", result, result_table(result), out)
    return result
