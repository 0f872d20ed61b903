"""Bodies that a request's handler gets as a whole: they are held in memory, before a key is asked for."""

from __future__ import annotations

import asyncio
import re

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problem import problem
from service.api.tus_wire import is_tus

MAX_BODY_BYTES = 2 * 1024 * 1024
_TOO_LARGE = f"The body of this request is larger than the {MAX_BODY_BYTES} bytes taken here; send less at a time."


class SmallBodies:
    """Refuses a body that is too large, and takes one of which nothing more comes as broken off. Those of uploads are
    read otherwise (see `receiving`)."""

    def __init__(self, app: ASGIApp, stall_seconds: float) -> None:
        self._app = app
        self._stall_seconds = stall_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == "/v1/scans" or is_tus(scope["path"]):
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if re.fullmatch(r"\d+", announced) and int(announced[:20]) > MAX_BODY_BYTES:
            await problem("upload_too_large", _TOO_LARGE)(scope, receive, send)
            return
        size, is_whole = 0, False

        async def receive_some() -> Message:
            nonlocal size, is_whole
            if is_whole:
                return await receive()
            try:
                async with asyncio.timeout(self._stall_seconds):
                    message = await receive()
            except TimeoutError:
                is_whole = True
                return {"type": "http.disconnect"}
            is_whole = not message.get("more_body", False)
            size += len(message.get("body", b""))
            if size > MAX_BODY_BYTES:
                raise HTTPException(413, _TOO_LARGE)
            return message

        await self._app(scope, receive_some, send)
