"""The `ordnance` command. What it needs is imported in `main`, so that a Ctrl-C meanwhile is answered as any other."""

from __future__ import annotations

import sys

from service.watched import go_on_watched


def main() -> None:
    """Entry point of the console script."""
    if sys.argv[1:2] == ["scan"]:
        go_on_watched()
    try:
        from service.commands import run
    except KeyboardInterrupt:
        print("ordnance: interrupted; nothing was begun.", file=sys.stderr)
        sys.exit(130)
    sys.exit(run())
