"""How long a user waits: for `ordnance --help`, for the first picture to be looked at, for many clips at once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from detector.batch import run_batch
from detector.batch_clip import BatchOptions
from detector.models.backend import available_threads
from detector.scanner import ScanOptions

_FIRST_SAMPLE = """
import sys
from pathlib import Path
from detector.models import load_model
from detector.scanner import Scanner
class Seen(Exception): pass
def seen(progress): raise Seen
try:
    Scanner(load_model(sys.argv[2], device="cpu")).scan(Path(sys.argv[1]), seen)
except Seen:
    pass
"""


def help_seconds(rounds: int) -> list[float]:
    """Of `ordnance --help`, in a process of its own each time."""
    return [_process_seconds("-m", "service", "--help") for _ in range(rounds)]


def first_sample_seconds(clip: Path, model: str, rounds: int) -> list[float]:
    """From the start of Python until the first pictures of `clip` went through the model and the process has ended.

    The first run chooses the backend for this machine if it was never chosen; it is left out.
    """
    runs = [_process_seconds("-c", _FIRST_SAMPLE, str(clip), model) for _ in range(rounds + 1)]
    return runs[1:]


def batch_seconds(clips: list[Path], model: str) -> float:
    """Of a batch over all the clips, every frame of them, with a job for each processor; workers' starts included."""
    options = BatchOptions(
        scan=ScanOptions(plan="every-frame"), model=model, device="cpu", out=None, jobs=available_threads()
    )
    begun = time.perf_counter()
    for outcome in run_batch([str(clip) for clip in clips], options):
        if outcome.failure is not None:
            raise RuntimeError(outcome.failure.message)
    return time.perf_counter() - begun


def _process_seconds(*arguments: str) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - begun
