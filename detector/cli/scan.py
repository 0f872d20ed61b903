"""`ordnance scan`: clips in, reports out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from detector.cli.exit_codes import ExitCode
from detector.errors import BadOption
from detector.sampling.names import DEFAULT_CADENCE_SECONDS, DEFAULT_PLAN, PLAN_NAMES, SHORTEST_SHOT_SECONDS


def out_folder(named: str) -> Path:
    """The folder that --out names."""
    if not named:
        raise BadOption("An empty name was given for --out; name the folder that is meant (. for this one).")
    return Path(named)


def scan_command(
    clips: Annotated[list[str], typer.Argument(help="Clips, folders or glob patterns.", metavar="CLIP")],
    plan: Annotated[str, typer.Option(help=f"Sampling plan: {', '.join(PLAN_NAMES)}.")] = DEFAULT_PLAN,
    every: Annotated[
        float | None,
        typer.Option(
            help="Seconds: whatever is shown for so long is looked at. "
            f"By default {', '.join(f'{seconds:g} ({name})' for name, seconds in DEFAULT_CADENCE_SECONDS.items())}.",
            show_default=False,
        ),
    ] = None,
    shortest_shot: Annotated[
        float | None,
        typer.Option(
            help="Seconds: a shot that lasts so long gets a sample of its own where its pictures are decoded anyway "
            f"(adaptive); {SHORTEST_SHOT_SECONDS:g} by default.",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help="How long a clip may take: 30s, or 0.5x for half of its length (adaptive). Spent where it is most "
            "likely to change the answer; the report says what was not looked at."
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="A model of `ordnance models`, or the path of an .onnx file.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N.")] = "auto",
    backend: Annotated[
        str,
        typer.Option(
            help="onnxruntime, openvino, openvino-bf16 (less exact), torch or tensorrt, as in a report; auto takes the "
            "fastest of the exact ones."
        ),
    ] = "auto",
    classes: Annotated[
        str | None, typer.Option(help="Comma-separated weapon classes to look for; all by default.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Score from which to report, 0..1; the model's own per class by default.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the reports; ./ordnance-report unless --json is given.",
            parser=out_folder,
            metavar="<path>",
        ),
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
    from detector.batch import run_batch
    from detector.batch_clip import BatchOptions, suit_memory
    from detector.cli.progress import progress_display
    from detector.cli.streams import print_json
    from detector.cli.table import print_report
    from detector.scanner import ScanOptions

    if resume and as_json and out is None:
        raise BadOption("With --json nothing is kept that --resume could go on from; give --out, too.")
    options = BatchOptions(
        scan=ScanOptions(
            plan=plan,
            cadence_seconds=every,
            shortest_shot_seconds=shortest_shot,
            budget=budget,
            classes=None if classes is None else tuple(word for word in classes.split(",") if word.strip()),
            threshold=threshold,
        ),
        model=model,
        device=device,
        backend=backend,
        out=out or (None if as_json else Path("ordnance-report")),
        formats=tuple(word.strip() for word in formats.split(",") if word.strip()),
        jobs=jobs,
        resume=resume,
    )
    suit_memory(options)
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
                    print_json(outcome.report.to_json(indent=2 if outcome.alone else None))
            elif outcome.report:
                with display.paused():
                    print_report(outcome.report, outcome.folder, sys.stdout)
        if failures and not outcome.alone:
            display.say(f"{len(failures)} of {outcome.total} clips could not be scanned:")
            for line in failures:
                display.say(f"  {line}")
    return ExitCode.CLIPS_FAILED if failures else ExitCode.DONE
