"""What `ordnance bench service` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.outcome import say, write_result
from benchmarks.service.run import Settings, run_service_benchmark
from benchmarks.service.table import result_table
from detector.models.backend import available_threads

QUICK_UPLOADS, FULL_UPLOADS = 10, 200
QUICK_MINUTES, FULL_MINUTES = 2, 6
QUICK_MIB, FULL_MIB = 64, 512
QUICK_ROUNDS, FULL_ROUNDS = 1, 5


def run(
    *,
    out: Path,
    quick: bool,
    uploads: int | None = None,
    workers: int | None = None,
    model: str = "default",
    device: str = "auto",
) -> dict[str, Any]:
    """Run the benchmark; write service.json and service.txt into `out`, and the tables to stdout.

    Each worker has one thread, and there is one for each processor unless `workers` says otherwise.
    """
    settings = Settings(
        uploads=uploads or (QUICK_UPLOADS if quick else FULL_UPLOADS),
        minutes=QUICK_MINUTES if quick else FULL_MINUTES,
        workers=workers or available_threads(),
        threads=1,
        large_mib=QUICK_MIB if quick else FULL_MIB,
        rounds=QUICK_ROUNDS if quick else FULL_ROUNDS,
        model=model,
        device=device,
        quick=quick,
    )
    result = run_service_benchmark(settings, say)
    write_result("service", result, result_table(result), out)
    return result
