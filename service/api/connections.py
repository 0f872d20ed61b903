"""Connections of clients that are slow, or that never come to the end of what they send: uvicorn waits for them for
ever, and keeps all that they send before a body."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""A request's line and headers, and as much again behind its body."""
LEAST_BYTES_PER_SECOND = 500
"""A body that comes more slowly, on average, is only meant to hold the connection (Apache's mod_reqtimeout has the same
measure)."""


def protocol_with(stall_seconds: float) -> type[asyncio.Protocol]:
    """uvicorn's protocol for connections that end where a request's head has not come whole after so many seconds, a
    body drips for longer, or nothing more comes of one that nobody waits for. (Who waits for one sees to that: see
    `receiving`, `bodies`.)"""

    class Protocol(HttpToolsProtocol):
        _limit: asyncio.TimerHandle | None = None
        _in_body = False
        _unread = 0
        _body_began: float | None = None
        _body_bytes = 0

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)  # type: ignore[arg-type]
            self._set_limit()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._unset_limit()

        def data_received(self, data: bytes) -> None:
            self._unread += len(data)
            drips = self._in_body and self._drips(len(data))
            super().data_received(data)
            if self.transport.is_closing():
                return
            if drips:
                self.transport.close()
            elif self._unread > MAX_HEAD_BYTES:
                self.send_400_response(f"The head of this request is longer than {MAX_HEAD_BYTES} bytes.")
            elif self.cycle is not None and not self.cycle.response_complete:
                self._unset_limit()
            elif self._limit is None or self._in_body:
                self._set_limit()

        def on_headers_complete(self) -> None:
            self._unread, self._in_body = 0, True
            self._body_began, self._body_bytes = None, 0
            self._unset_limit()
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self._unread = 0
            super().on_body(body)

        def on_message_complete(self) -> None:
            self._unread, self._in_body = 0, False
            super().on_message_complete()

        def _drips(self, more: int) -> bool:
            """Whether the body is too slow with `more` bytes; the first ones may have been waited for in vain."""
            at = self.loop.time()
            self._body_began = self._body_began or at
            self._body_bytes += more
            return at - self._body_began > stall_seconds + self._body_bytes / LEAST_BYTES_PER_SECOND

        def _set_limit(self) -> None:
            self._unset_limit()
            self._limit = self.loop.call_later(stall_seconds, self.timeout_keep_alive_handler)

        def _unset_limit(self) -> None:
            if self._limit is not None:
                self._limit.cancel()
                self._limit = None

    return Protocol
