"""The application: routes, errors, headers, logs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detector import __version__
from service.api import (
    catalogue,
    events,
    exports,
    health,
    new_scans,
    outline,
    outputs,
    preferences,
    problem,
    proposals,
    scans,
    search,
    sessions,
    stills,
    uploads,
    verdicts,
    whole_uploads,
)
from service.api.bodies import SmallBodies
from service.api.context import Context, check_query
from service.api.examples import show_examples
from service.api.live import Hub
from service.api.tus_wire import TusWire
from service.intake import Office
from service.jobs.engine import Jobs
from service.settings import Settings
from service.store.blobs import open_blobs
from service.store.clips import drop_copies
from service.store.database import open_database
from service.store.removal import remove_left_files
from service.tracing import span
from service.web import pages

log = logging.getLogger("ordnance.api")

TIDY_SECONDS = 60.0
_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
_TUS_HEADERS = ("Location", "Upload-Offset", "Upload-Length", "Upload-Expires", "Tus-Resumable", "Ordnance-Scan")


def create_app(settings: Settings) -> FastAPI:
    """The app of an API process. The database must be migrated."""
    settings.uploads_folder.mkdir(parents=True, exist_ok=True)
    settings.work_folder.mkdir(parents=True, exist_ok=True)
    database = open_database(settings)
    office = Office(settings, database, open_blobs(settings), Jobs(settings, database))
    context = Context(office, Hub(database))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        chores = (context.hub.run(), whole_uploads.complete_whole_uploads(context), _tidy_here(context))
        running = [asyncio.create_task(each) for each in chores]
        yield
        for each in running:
            each.cancel()
            with suppress(asyncio.CancelledError):
                await each
        await asyncio.to_thread(context.viewer.close)
        office.jobs.close()
        database.close()

    app = FastAPI(
        title="Ordnance",
        version=__version__,
        summary="Finds weapons in video and says when, where and how surely.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.docs else None,
        redirect_slashes=False,
        dependencies=[Depends(check_query)],
    )
    app.state.context = context
    app.state.metrics = health.Metrics(context)
    problem.install(app)
    for each in (
        new_scans,
        scans,
        outline,
        stills,
        outputs,
        events,
        verdicts,
        proposals,
        exports,
        search,
        uploads,
        sessions,
        preferences,
        catalogue,
        health,
    ):
        app.include_router(each.router)
        _answer_head(app, each.router)
    show_examples(app)
    pages.install(app)
    _answer_head(app, pages.router)
    app.add_middleware(SmallBodies, stall_seconds=settings.upload_stall_seconds)
    app.add_middleware(TusWire)
    app.add_middleware(Watch, metrics=app.state.metrics)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=list(_TUS_HEADERS),
        )
    return app


async def _tidy_here(context: Context) -> None:
    """Of clips that were removed by way of another machine, and of uploads that were given up, nothing stays on this
    one: it may have no worker, which would see to it."""
    while True:
        await asyncio.sleep(TIDY_SECONDS)
        try:
            await asyncio.to_thread(drop_copies, context.database, context.blobs)
            await asyncio.to_thread(remove_left_files, context.settings, context.database)
        except Exception:
            log.exception("what is left on this machine cannot be seen to; tried again in a minute")


def _answer_head(app: FastAPI, router: APIRouter) -> None:
    """As GET, whose body the server leaves out; but not where the body has no end, and the connection waits for it."""
    for route in router.routes:
        if isinstance(route, APIRoute) and route.methods == {"GET"} and not route.path.endswith(problem.ENDLESS):
            app.add_api_route(
                route.path,
                route.endpoint,
                methods=["HEAD"],
                response_model=route.response_model,
                response_class=route.response_class,
                include_in_schema=False,
            )


class Watch:
    """Adds the headers that every answer has, and keeps the log and the counts."""

    def __init__(self, app: ASGIApp, metrics: health.Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def watch_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name.lower() for name, _ in message["headers"]}
                extra = [(name, value) for name, value in _HEADERS.items() if name not in present]
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        async def watch_receive() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                self._metrics.received.inc(len(message.get("body", b"")))
            return message

        with span("request", http_request_method=scope["method"]) as traced:
            try:
                await self._app(scope, watch_receive, watch_send)
            finally:
                self._note(scope, status, time.perf_counter() - started, traced)

    def _note(self, scope: Scope, status: int, seconds: float, traced: Any) -> None:
        route: Any = scope.get("route")
        path = getattr(route, "path", "other")
        if traced is not None:
            traced.update_name(f"{scope['method']} {path}")
            traced.set_attributes({"http.route": path, "http.response.status_code": status})
        self._metrics.requests.labels(scope["method"], path, str(status)).inc()
        self._metrics.seconds.labels(path).observe(seconds)
        if path not in ("/healthz", "/readyz", "/metrics"):
            log.info(
                "answered",
                extra={
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "seconds": round(seconds, 4),
                },
            )
