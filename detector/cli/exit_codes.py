"""What `ordnance` answers to the shell."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes that the README documents."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    CLIPS_FAILED = 3
    INTERRUPTED = 130
