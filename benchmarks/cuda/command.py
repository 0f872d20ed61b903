"""What `ordnance bench cuda` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.cuda.run import Settings, run_cuda_benchmark
from benchmarks.cuda.table import result_table
from benchmarks.outcome import say, write_result

BATCHES, QUICK_BATCHES = (1, 2, 4, 8, 16, 32), (1, 8, 32)


def run(
    *,
    quick: bool,
    out: Path,
    model: str = "default",
    device: str = "cuda:0",
    clip: Path | None = None,
    gpu_price_per_hour: float | None = None,
) -> dict[str, Any]:
    """Run the benchmark; write cuda.json and cuda.txt into `out`, and the table to stdout."""
    settings = Settings(
        batches=QUICK_BATCHES if quick else BATCHES,
        seconds=1.0 if quick else 5.0,
        clip_seconds=20.0 if quick else 120.0,
        rounds=1 if quick else 3,
        model=model,
        device=device,
        clip=clip,
        price_per_hour=gpu_price_per_hour,
    )
    result = run_cuda_benchmark(settings, say)
    write_result("cuda", result, result_table(result), out)
    return result
