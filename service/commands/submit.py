"""`ordnance submit`: have clips scanned by a server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.exit_codes import ExitCode
from detector.cli.printable import printable
from detector.cli.scan import out_folder

if TYPE_CHECKING:
    from rich.progress import Progress

    from service.client import Client


def submit_command(
    clips: Annotated[list[str], typer.Argument(help="Clips, folders or glob patterns.", metavar="CLIP")],
    server: Annotated[
        str, typer.Option(envvar="ORDNANCE_SERVER", help="The service's address.")
    ] = "http://127.0.0.1:8008",
    key: Annotated[
        str | None, typer.Option(envvar="ORDNANCE_KEY", help="API key; better given by the variable than here.")
    ] = None,
    plan: Annotated[str | None, typer.Option(help="Sampling plan; the server's default.")] = None,
    every: Annotated[float | None, typer.Option(help="The plan's cadence in seconds.")] = None,
    budget: Annotated[
        str | None, typer.Option(help="How long a scan may take: 30s, or 2x the clip's length; adaptive plan only.")
    ] = None,
    shortest_shot: Annotated[
        float | None, typer.Option(help="Sample every shot that lasts this many seconds; adaptive plan only.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="A model of the server.")] = None,
    classes: Annotated[str | None, typer.Option(help="Weapon classes with commas between; all by default.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Score from which to report, 0..1.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the reports.", parser=out_folder, metavar="<path>")] = Path(
        "ordnance-report"
    ),
    formats: Annotated[
        str, typer.Option("--format", help="Of json, html, csv, vtt; commas between.")
    ] = "json,html,csv",
    wait: Annotated[bool, typer.Option(help="Wait for the report.")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")] = False,
) -> int:
    """Upload clips to a server (resuming where the connection breaks), follow their scans, fetch their reports."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    from detector.clip_files import find_clips
    from detector.errors import BadOption, OrdnanceError
    from detector.report import check_out
    from detector.report.fields import without_surrogates
    from service.client import Client, ServerError

    wanted = [word.strip() for word in formats.split(",") if word.strip()]
    unknown = sorted(set(wanted) - {"json", "html", "csv", "vtt"})
    if unknown or not wanted:
        raise BadOption(f"'{unknown[0] if unknown else formats}' is not an output format; use: json, html, csv, vtt.")
    if wait:
        check_out(out)
    options = {
        **{"plan": plan, "every_s": every, "shortest_shot_s": shortest_shot, "budget": budget},
        **{"model": model, "classes": classes, "threshold": threshold},
    }
    failed = False
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    console = Console(file=sys.stderr)
    progress = Progress(*columns, console=console, disable=quiet)

    def say(words: str) -> None:
        if not quiet:
            progress.console.print(printable(words), markup=False, highlight=False, soft_wrap=True)

    def complain(clip: Path, words: str, error: BaseException) -> None:
        if said := " ".join(filter(None, (words, *getattr(error, "__notes__", ())))):
            typer.echo(printable(without_surrogates(f"{clip}: {said}")), err=True)

    is_away = False
    with Client(server, key, on_wait=say) as client, progress:
        found, unnamed = find_clips(clips)
        for path, shut in unnamed:
            failed = True
            complain(path, str(shut), shut)
        for clip in found:
            try:
                if not clip.is_file():
                    raise BadOption(f"There is no file {clip}; check the path.")
                if is_away and not client.answers():
                    # The clip before this one has waited for it.
                    raise OrdnanceError("The server still does not answer; the clip was not sent.")
                is_away = False
                said = _one(client, clip, progress, options, out=out, formats=wanted, wait=wait)
            except OrdnanceError as error:
                failed = True
                is_away = is_away or (isinstance(error, ServerError) and error.status == 0)
                complain(clip, str(error), error)
            except OSError as error:
                failed = True
                words = f"{error.filename or clip} cannot be read or written ({error.strerror}); check its rights."
                complain(clip, words, error)
            except KeyboardInterrupt as interruption:
                complain(clip, "", interruption)
                raise
            else:
                typer.echo(printable(without_surrogates(said)))
    return ExitCode.CLIPS_FAILED if failed else ExitCode.DONE


def _one(
    client: Client,
    clip: Path,
    progress: Progress,
    options: dict[str, object],
    *,
    out: Path,
    formats: list[str],
    wait: bool,
) -> str:
    from detector.errors import OrdnanceError
    from detector.report import folder_name, remove_unfinished, write_fetched
    from detector.report.fields import without_surrogates
    from service.client import ServerError

    name = printable(without_surrogates(clip.name))
    bar = progress.add_task(f"{name}: upload", total=max(1, clip.stat().st_size))
    scan = client.submit(clip, lambda sent, _: progress.update(bar, completed=sent), **options)
    if not wait:
        return f"{clip}: scan {scan.id}"
    progress.update(bar, description=f"{name}: scan", completed=0, total=None)
    try:
        for event in client.events(scan.id):
            if event.kind == "progress":
                data = event.data
                length, begins = data.get("duration_s"), data.get("starts_s", 0.0)
                if length is not None and "position_s" in data:
                    progress.update(bar, completed=max(0.0, data["position_s"] - begins), total=length - begins)
        scan = client.scan(scan.id)
    except (KeyboardInterrupt, ServerError) as error:
        error.add_note(f"Its scan {scan.id} goes on at the server.")
        raise
    progress.remove_task(bar)
    if scan.state != "done":
        raise OrdnanceError(scan.error.message if scan.error else f"The scan is {scan.state}.")
    names = [f"report.{form}" for form in formats]
    files = {name: client.fetch(scan.links[name]) for name in names}
    remove_unfinished(out)
    plain = folder_name(clip.name)
    folder = write_fetched(files, out / plain, out / f"{plain}-{scan.id[:12]}")
    found = scan.progress.appearances
    undecoded = scan.coverage.undecoded if scan.coverage else ()
    lost = f", {sum(each.to_s - each.from_s for each in undecoded):.2f} s could not be decoded" if undecoded else ""
    return f"{clip}: {found} appearance{'' if found == 1 else 's'}{lost}, report in {folder}"
