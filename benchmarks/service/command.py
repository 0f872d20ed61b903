"""What `ordnance bench service` does."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.service.run import Settings, run_service_benchmark
from benchmarks.service.table import result_table
from detector.models.backend import available_threads

QUICK_UPLOADS, FULL_UPLOADS = 10, 200
QUICK_MIB, FULL_MIB = 64, 512
QUICK_ROUNDS, FULL_ROUNDS = 1, 5


def bench_service(*, out: Path, quick: bool, uploads: int | None, workers: int | None, model: str, device: str) -> None:
    """Run the benchmark; write service.json and service.txt into `out`, and the tables to stdout.

    Each worker has one thread, and there is one for each processor unless `workers` says otherwise.
    """
    settings = Settings(
        uploads=uploads or (QUICK_UPLOADS if quick else FULL_UPLOADS),
        workers=workers or available_threads(),
        threads=1,
        large_mib=QUICK_MIB if quick else FULL_MIB,
        rounds=QUICK_ROUNDS if quick else FULL_ROUNDS,
        model=model,
        device=device,
        quick=quick,
    )
    result = run_service_benchmark(settings, lambda line: print(line, file=sys.stderr, flush=True))
    out.mkdir(parents=True, exist_ok=True)
    table = result_table(result)
    (out / "service.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (out / "service.txt").write_text(table + "\n", encoding="utf-8")
    print(table)
    print(f"\nwritten: {out / 'service.json'}, {out / 'service.txt'}")
