"""`ordnance serve`, `ordnance worker` and `ordnance config`: run the service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

Store = Annotated[
    Path | None, typer.Option(help="Folder with the database, the clips and uploads under way (ORDNANCE_STORE).")
]


class WithSettings(TyperCommand):
    """A command whose help ends with the settings."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        from service.settings import describe

        with formatter.section("Settings, from the environment or a .env file"):
            formatter.write_dl(
                [(name, f"{words} [{default}]" if default else words) for name, default, words in describe()]
            )


def serve_command(
    store: Store = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on (ORDNANCE_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one (ORDNANCE_PORT).")] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Worker processes (ORDNANCE_WORKERS).")] = None,
) -> None:
    """Run the service: the HTTP API and its workers."""
    from service.serving import serve
    from service.settings import load_settings

    serve(load_settings(store=store, host=host, port=port, workers=workers))


def worker_command(
    store: Store = None,
    parent: Annotated[int | None, typer.Option(hidden=True, help="End when this process is gone.")] = None,
) -> None:
    """Run one worker that takes scans from the queue; `serve` starts its own."""
    from service.jobs.worker import run_worker
    from service.logs import set_up_logs
    from service.settings import load_settings
    from service.store.database import migrate

    settings = load_settings(store=store)
    set_up_logs(settings.log_format, settings.log_level)
    if parent is None:
        migrate(settings)
    run_worker(settings, parent=parent)


config_app = typer.Typer(no_args_is_help=True, help="Look at the service's settings.")


@config_app.command("check")
def check_command(store: Store = None) -> int:
    """Say what of the settings cannot work, and what is unsafe; exit code 1 where something cannot work."""
    from service.checking import check
    from service.settings import load_settings

    findings = check(load_settings(store=store))
    for each in findings:
        typer.echo(f"{'wrong' if each.is_wrong else 'note'}: {each.words}")
    if not any(each.is_wrong for each in findings):
        typer.echo("The settings can be used.")
    return 1 if any(each.is_wrong for each in findings) else 0


@config_app.command("show")
def show_command() -> None:
    """Print every setting with its value; secrets are not shown."""
    from service.settings import load_settings, shown_values

    for name, value in shown_values(load_settings()):
        typer.echo(f"{name}={value}")
