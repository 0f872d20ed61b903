"""What `ordnance bench search` does."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

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
    result = run_search_benchmark(settings, lambda line: print(line, file=sys.stderr, flush=True))
    out.mkdir(parents=True, exist_ok=True)
    table = result_table(result)
    (out / "search.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (out / "search.txt").write_text(table + "\n", encoding="utf-8")
    print(table)
    print(f"\nwritten: {out / 'search.json'}, {out / 'search.txt'}")
    return result
