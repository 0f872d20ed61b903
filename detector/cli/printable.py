"""Names on a terminal: a file may be called anything, and a terminal obeys what it is sent."""

from __future__ import annotations

import re

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    r"""`text` in one line, with each control character (C0, DEL, C1) written as `\x1b`."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
