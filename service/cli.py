"""The `ordnance` command: the library's commands; the service adds its own here."""

from __future__ import annotations

import sys

from detector.cli import run


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run())
