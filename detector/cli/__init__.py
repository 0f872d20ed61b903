"""The commands of the library. `app` is complete without the service; heavy imports wait until a command runs."""

from detector.cli.app import app, run

__all__ = ["app", "run"]
