"""Many clips, one after the other or several at once: a bad clip ends itself, never the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from detector.batch_clip import (
    BatchOptions,
    OnProgress,
    Outcome,
    earlier_outcome,
    failure_of,
    scan_one,
    scanned_before,
)
from detector.batch_workers import process_context, scan_in_processes
from detector.clip_files import find_clips
from detector.errors import BadOption
from detector.models import load_model
from detector.report import FORMATS, check_out, remove_unfinished
from detector.scanner import Scanner


def run_batch(
    patterns: Sequence[str], options: BatchOptions, on_progress: OnProgress | None = None
) -> Iterator[Outcome]:
    """Scan the clips that `patterns` name; yields each outcome as it is known.

    Options, output folder and model are checked before the first clip, and raise. A clip's own error becomes its
    outcome.
    """
    unknown = sorted(set(options.formats) - set(FORMATS))
    if unknown:
        raise BadOption(f"'{unknown[0]}' is not an output format; use: {', '.join(FORMATS)}.")
    if options.out:
        check_out(options.out)
        remove_unfinished(options.out)
    clips, unnamed = find_clips(patterns)
    total = len(clips) + len(unnamed)
    missing = [Outcome(path, total, failure=failure_of(error)) for path, error in unnamed]
    processes = process_context(options) if len(clips) > 1 else None
    if processes:
        yield from scan_in_processes(processes, clips, missing, options, total, on_progress)
    else:
        yield from _here(clips, missing, options, total, on_progress)


def _here(
    clips: Sequence[Path],
    missing: Sequence[Outcome],
    options: BatchOptions,
    total: int,
    on_progress: OnProgress | None,
) -> Iterator[Outcome]:
    """Scan the clips in this process."""
    scanner = Scanner(load_model(options.model, device=options.device, backend=options.backend), options.scan)
    yield from missing
    done = scanned_before(options, scanner)
    for path in clips:
        yield earlier_outcome(path, done, options, total) or scan_one(scanner, path, options, total, on_progress)
