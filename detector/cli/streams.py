"""The standard streams as a caller may leave them: closed, or in an encoding that lacks a character."""

from __future__ import annotations

import io
import os
import sys


def mend_streams() -> None:
    """Open what is closed of stdin, stdout and stderr, and let stdout write every character in some form.

    A closed number would be given to the next file that is opened, and what FFmpeg says on stderr would go into it.
    What is written to a closed stdout fails, as on a full disk; what is said on a closed stderr goes nowhere.
    """
    for number, name, mode, flags in (
        (0, "stdin", "r", os.O_RDONLY),
        (1, "stdout", "w", os.O_RDONLY),
        (2, "stderr", "w", os.O_WRONLY),
    ):
        if not _is_open(number):
            _open_nothing(number, flags)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def print_json(document: str) -> None:
    """Print JSON, which is UTF-8 whatever the encoding of the terminal is."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    print(document, flush=True)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _open_nothing(number: int, flags: int) -> None:
    opened = os.open(os.devnull, flags)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)
    os.set_inheritable(number, True)
