"""Large documents on their way out."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import Any

from fastapi import Response

LEVEL = 3
"""Of gzip's 1 to 9: a higher one takes three times as long for a twentieth less."""


def small_json(content: dict[str, Any], accept_encoding: str) -> Response:
    """Columns of numbers shrink to a third."""
    body = json.dumps(content, separators=(",", ":")).encode()
    headers = {"Cache-Control": "private, no-cache"}
    return small(body, accept_encoding, media_type="application/json", headers=headers)


def small(
    body: bytes, accept_encoding: str, *, media_type: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Compressed for clients that take it. Nothing secret may be in it beside what a stranger chooses (BREACH)."""
    headers = {**(headers or {}), "Vary": "Accept-Encoding"}
    if "gzip" in accept_encoding:
        body = gzip.compress(body, LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(body, status, headers, media_type)
