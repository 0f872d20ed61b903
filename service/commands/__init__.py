"""The command tree: the library's commands, and those of the service; heavy imports wait until one runs."""

from __future__ import annotations

from detector.cli import app, run
from service.commands.keys import keys_app
from service.commands.serve import WithSettings, config_app, serve_command, worker_command
from service.commands.submit import submit_command

__all__ = ["app", "run"]

app.command("serve", cls=WithSettings)(serve_command)
app.command("worker", cls=WithSettings)(worker_command)
app.command("submit")(submit_command)
app.add_typer(keys_app, name="keys")
app.add_typer(config_app, name="config")
