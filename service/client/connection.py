"""The connection that a client has: its address, its key, and a call as the request that httpx sends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx

from detector.errors import BadOption
from service.client.asking import Call

PIECE_BYTES = 256 * 1024
"""A chunk goes to the socket in pieces: httpx copies what is left of a piece with every part that the socket takes."""


def address(server: str) -> httpx.URL:
    """Raises BadOption."""
    reason = "it names no scheme and host"
    try:
        url = httpx.URL(server)
        if url.scheme in ("http", "https") and url.host:
            return url
    except httpx.InvalidURL as error:
        reason = str(error)
    raise BadOption(f"'{server[:200]}' is no address of a server ({reason}); give http(s)://host:port.")


def headers(key: str | None) -> dict[str, str]:
    """Raises BadOption."""
    if key is not None and not (key.isascii() and key.isprintable()):
        raise BadOption("The key holds characters that no key has; give it as `ordnance keys create` printed it.")
    return {"User-Agent": "ordnance", **({"Authorization": f"Bearer {key}"} if key else {})}


def request(http: httpx.Client | httpx.AsyncClient, call: Call) -> httpx.Request:
    timeout = http.timeout if call.seconds is None else call.seconds
    made = http.build_request(
        call.method, call.path, headers=call.headers, params=call.params, content=call.content, timeout=timeout
    )
    if call.content is not None:
        made.stream = _Pieces(call.content)
    return made


class _Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The bytes of a body, a piece at a time."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._content), PIECE_BYTES):
            yield self._content[start : start + PIECE_BYTES]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece
