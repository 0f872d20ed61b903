"""`ordnance models` and `ordnance schema`: what is there, and what form a report has."""

from __future__ import annotations

from typing import Annotated

import typer


def models_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest's entries as JSON.")] = False,
    tune: Annotated[
        bool, typer.Option("--tune", help="Time the backends here again, and use the fastest from now on.")
    ] = False,
) -> None:
    """List the models and how well each knows its classes."""
    import json

    from detector.models import WEIGHTS_FOLDER, read_manifest

    manifest = read_manifest(WEIGHTS_FOLDER / "manifest.json")
    if tune:
        _tune([each.name for each in manifest.models if (WEIGHTS_FOLDER / each.file).is_file()], as_json=as_json)
        return
    if as_json:
        typer.echo(json.dumps(manifest.model_dump(mode="json"), indent=2))
        return
    for entry in manifest.models:
        note = "  (default)" if entry.name == manifest.default else ""
        if entry.made_from is not None:
            note = f"  ({entry.made_from} in {entry.precision.upper()})"
        again = ""
        if view := entry.second_view:
            again = f", again mirrored at {view.longer_side}" + (f" by {view.model}" if view.model else "")
        typer.echo(f"{entry.name}{note}  {entry.input_size} px{again}  {entry.bytes / 1e6:.1f} MB  {entry.sha256[:12]}")
        measured = entry.metrics.get("ap50")
        for name in entry.classes:
            ap50 = measured.get(name) if isinstance(measured, dict) else None
            shown = f"AP50 {ap50:.2f}" if isinstance(ap50, int | float) else "not measured"
            typer.echo(f"  {name:<24} threshold {entry.thresholds[name]:.2f}  {shown}")


def _tune(models: list[str], *, as_json: bool) -> None:
    import json
    from dataclasses import asdict

    from detector.models import tune_model
    from detector.models.cache import cache_folder

    timings = {name: tune_model(name) for name in models}
    able = [each for several in timings.values() for each in several if each.milliseconds is not None]
    if able and not any(each.chosen for each in able):
        typer.echo(
            f"ordnance: nothing of this is remembered, as {cache_folder()} cannot be written; mend that, or name "
            "another folder in XDG_CACHE_HOME.",
            err=True,
        )
    if as_json:
        rows = [{"model": name, **asdict(each)} for name, several in timings.items() for each in several]
        typer.echo(json.dumps(rows, indent=2))
        return
    wide = max((len(name) for name in models), default=0)
    typer.echo(f"{'model':<{wide}}  {'threads':>7}  {'backend':<11}  {'ms a picture':>12}")
    for name, several in timings.items():
        for each in several:
            taken = "" if each.milliseconds is None else f"{each.milliseconds:.1f}"
            note = "  used from now on" if each.chosen else f"  {each.problem}" if each.problem else ""
            typer.echo(f"{name:<{wide}}  {each.threads:>7}  {each.backend:<11}  {taken:>12}{note}")


def schema_command() -> None:
    """Print the JSON Schema of the report."""
    import json

    from detector.report import report_json_schema

    typer.echo(json.dumps(report_json_schema(), indent=2))
