"""Server-sent events: of one scan, and of all."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Header, Query, Response
from sse_starlette import EventSourceResponse

from service.api.context import Ctx, Reader, StillReads
from service.api.examples import EVENTS
from service.api.problem import responses
from service.api.scans import ScanId
from service.store.scans import find_scan

router = APIRouter(prefix="/v1", tags=["results"])

HEARTBEAT_SECONDS = 15
KEY_SECONDS = 5.0
"""How often it is asked whether the key of a stream is still in use, and its browser still signed in."""
END_SECONDS = 2.0
"""In this time a stream has ended when the server stops."""
_PLACE = re.compile(r"([0-9a-f]{32})\.([0-9]{1,9})")


@router.get(
    "/scans/{scan_id}/events",
    response_class=EventSourceResponse,
    responses={
        200: {
            "content": {"text/event-stream": {"example": EVENTS}},
            "description": "Events: state, progress, appearance.",
        },
        **responses("not_found"),
    },
    summary="What happens to the scan, as it happens (server-sent events)",
)
async def events(
    ctx: Ctx,
    who: Reader,
    may_read: StillReads,
    scan_id: ScanId,
    last_event_id: Annotated[str | None, Header(description="Go on after this event.")] = None,
    after: Annotated[int, Query(ge=0, le=2**31 - 1, description="As Last-Event-ID, for the first request.")] = 0,
) -> Response:
    """The stream ends with the scan. It begins with the first event unless `Last-Event-ID` or `after` is given."""

    def known() -> None:
        with ctx.database.read() as session:
            find_scan(session, who.owner, scan_id)

    await asyncio.to_thread(known)
    start = int(last_event_id) if last_event_id and last_event_id.isdecimal() and len(last_event_id) < 10 else after
    return _streamed(ctx.hub.events(who.owner, scan_id, start), partial(may_read, who))


@router.get(
    "/events",
    response_class=EventSourceResponse,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "Events: ready, state, progress, appearance, gone."},
        **responses(),
    },
    summary="What happens to all your scans, as it happens (server-sent events)",
)
async def all_events(
    ctx: Ctx,
    who: Reader,
    may_read: StillReads,
    last_event_id: Annotated[str | None, Header(description="Go on after this event.")] = None,
    after: Annotated[str, Query(max_length=50, description="As Last-Event-ID, for the first request.")] = "",
) -> Response:
    """One stream for any number of scans; it has no end. Each event names its `scan` and its `number` there, which
    grows by one. After a lost connection some events come again: those are known by their numbers. `ready` comes first:
    what is read after it misses nothing that the stream does not tell. `gone` tells of scans that were removed before
    they ended, or within a minute of their making."""
    found = _PLACE.fullmatch(last_event_id or after)
    events = ctx.hub.events_of_all(who.owner, (found[1], int(found[2])) if found else None)
    return _streamed(events, partial(may_read, who))


def _streamed(events: AsyncGenerator[dict[str, Any]], may_read: Callable[[], bool]) -> Response:
    stops = anyio.Event()

    async def stream() -> AsyncIterator[dict[str, Any]]:
        async for event in _while_allowed(events, may_read, stops):
            yield {**event, "data": json.dumps(event["data"])}

    return EventSourceResponse(
        stream(),
        ping=HEARTBEAT_SECONDS,
        headers={"Cache-Control": "no-store"},
        shutdown_event=stops,
        shutdown_grace_period=END_SECONDS,
    )


async def _while_allowed(
    events: AsyncGenerator[dict[str, Any]], may_read: Callable[[], bool], stops: anyio.Event
) -> AsyncIterator[dict[str, Any]]:
    """The events until the server stops, or `may_read` says no, which is asked every KEY_SECONDS, also while there are
    none."""
    loop = asyncio.get_running_loop()
    ask_at = loop.time() + KEY_SECONDS
    coming, stopping = asyncio.ensure_future(anext(events)), asyncio.ensure_future(stops.wait())
    try:
        while True:
            timeout = max(0.0, ask_at - loop.time())
            await asyncio.wait({coming, stopping}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                return
            if loop.time() >= ask_at:
                if not await asyncio.to_thread(may_read):
                    return
                ask_at = loop.time() + KEY_SECONDS
            if coming.done():
                try:
                    event = coming.result()
                except StopAsyncIteration:
                    return
                yield event
                coming = asyncio.ensure_future(anext(events))
    finally:
        stopping.cancel()
        coming.cancel()
        with suppress(asyncio.CancelledError, StopAsyncIteration):
            await coming
        await events.aclose()
