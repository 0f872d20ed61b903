"""What tus 1.0 asks of every request and answer at its addresses, whichever route it is for."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PREFIX = "/v1/uploads"
VERSION = "1.0.0"
_OVERRIDES = ("PATCH", "DELETE", "HEAD", "OPTIONS")


class TusWire:
    """POST may stand for another method, where a proxy lets no other through, and each answer, an error as well, names
    the version."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_tus(scope["path"]):
            await self._app(scope, receive, send)
            return
        meant = Headers(scope=scope).get("x-http-method-override", "").upper()
        if scope["method"] == "POST" and meant in _OVERRIDES:
            scope["method"] = meant

        async def send_with_version(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Tus-Resumable"] = VERSION
            await send(message)

        await self._app(scope, receive, send_with_version)


def is_tus(path: str) -> bool:
    """Whether it is an address of resumable uploads."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")
