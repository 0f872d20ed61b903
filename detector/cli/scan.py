"""`ordnance scan`: clips in, reports out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from detector.cli.exit_codes import ExitCode
from detector.sampling.names import DEFAULT_CADENCE_SECONDS, PLAN_NAMES


def scan_command(
    clips: Annotated[list[str], typer.Argument(help="Clips, folders or glob patterns.", metavar="CLIP...")],
    plan: Annotated[str, typer.Option(help=f"Sampling plan: {', '.join(PLAN_NAMES)}.")] = "interval",
    every: Annotated[
        float, typer.Option(help="Seconds between samples (interval), or the gap to fill (keyframes).")
    ] = DEFAULT_CADENCE_SECONDS,
    model: Annotated[str, typer.Option(help="A model of `ordnance models`, or the path of an .onnx file.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N.")] = "auto",
    classes: Annotated[
        str | None, typer.Option(help="Comma-separated weapon classes to look for; all by default.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Score from which to report, 0..1; the model's own per class by default.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the reports; ./ordnance-report unless --json is given.")
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", help="Comma-separated: json, html, csv. The JSON is always written.")
    ] = "json,html,csv",
    jobs: Annotated[int, typer.Option(min=1, help="Clips scanned at the same time.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Skip clips that this model and plan have scanned.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report itself, one line a clip where there are several.")
    ] = False,
) -> int:
    """Find weapons in clips and report when each was seen."""
    from detector.batch import BatchOptions, run_batch
    from detector.cli.progress import progress_display
    from detector.cli.table import print_report
    from detector.scan import ScanOptions

    options = BatchOptions(
        scan=ScanOptions(
            plan=plan,
            cadence_seconds=every,
            classes=None if classes is None else tuple(word for word in classes.split(",") if word.strip()),
            threshold=threshold,
        ),
        model=model,
        device=device,
        out=out or (None if as_json else Path("ordnance-report")),
        formats=tuple(word.strip() for word in formats.split(",") if word.strip()),
        jobs=jobs,
        resume=resume,
    )
    failures = []
    with progress_display(quiet=quiet) as display:
        for outcome in run_batch(clips, options, display.note):
            display.finished(outcome)
            if outcome.failure:
                reason = outcome.failure.reason_for(outcome.path)
                failures.append(f"{outcome.path}  [{outcome.failure.code}] {reason}")
                if outcome.alone or not quiet:
                    display.say(f"{outcome.path}: {reason}")
            elif outcome.report and as_json:
                with display.paused():
                    print(outcome.report.to_json(indent=2 if outcome.alone else None), flush=True)
            elif outcome.report:
                with display.paused():
                    print_report(outcome.report, outcome.folder, sys.stdout)
        if failures and not outcome.alone:
            display.say(f"{len(failures)} of {outcome.total} clips could not be scanned:")
            for line in failures:
                display.say(f"  {line}")
    return ExitCode.CLIPS_FAILED if failures else ExitCode.DONE
