"""/healthz, /readyz and /metrics, for whoever runs the service."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from service.api.context import Admin, Context, Ctx
from service.api.problem import responses
from service.jobs.heartbeat import counted, living
from service.store.tables import ScanRow, ScanState

router = APIRouter(tags=["operation"])

_COUNTERS = {
    "samples": "Pictures looked at.",
    "frames_decoded": "Pictures decoded.",
    "decode_errors": "Packets that could not be decoded.",
    "decode_seconds": "Processor seconds of the decoder processes.",
    "pictures": "Pictures given to the model.",
    "batches": "Batches given to the model.",
    "infer_seconds": "Seconds in the model.",
}
"""Of all workers that there ever were."""


class Health(BaseModel):
    status: str


class Readiness(BaseModel):
    """Each part is `ok`, or what is wrong with it."""

    ready: bool
    database: str
    blobs: str
    workers: str
    model: str


class Metrics:
    """Counts of this API process, and gauges read from the database when they are asked for."""

    def __init__(self, context: Context) -> None:
        self.registry = CollectorRegistry()
        self._context = context
        labels = ("method", "route", "status")
        self.requests = Counter("ordnance_requests", "Requests answered.", labels, registry=self.registry)
        self.seconds = Histogram("ordnance_request_seconds", "Time to answer.", ("route",), registry=self.registry)
        self.received = Counter("ordnance_received_bytes", "Bytes of request bodies.", registry=self.registry)
        self.registry.register(self)

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        database = self._context.database
        scans = GaugeMetricFamily("ordnance_scans", "Scans by state.", labels=["state"])
        failed = GaugeMetricFamily("ordnance_failed_scans", "Failed scans by code.", labels=["code"])
        with database.read() as session:
            counts = dict(session.execute(select(ScanRow.state, func.count()).group_by(ScanRow.state)).all())
            for state in ScanState:
                scans.add_metric([state], counts.get(state, 0))
            query = select(ScanRow.error_code, func.count()).where(ScanRow.error_code.is_not(None))
            for code, count in session.execute(query.group_by(ScanRow.error_code)):
                failed.add_metric([code], count)
        yield scans
        yield failed
        yield GaugeMetricFamily("ordnance_workers", "Workers that live.", value=len(living(database)))
        totals = counted(database)
        for name, words in _COUNTERS.items():
            yield CounterMetricFamily(f"ordnance_{name}", words, value=totals.get(name, 0.0))


@router.get("/healthz", summary="Whether the process answers")
def healthz() -> Health:
    return Health(status="ok")


@router.get(
    "/readyz",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Not ready."}},
    summary="Whether scans can be taken and made",
)
def readyz(ctx: Ctx) -> Response:
    states = {"database": "ok", "blobs": "ok", "workers": "ok", "model": "ok"}
    try:
        ctx.database.check()
        workers = living(ctx.database)
        if not workers:
            states["workers"], states["model"] = "none runs", "not loaded: no worker runs"
        elif not any(row.ready for row in workers):
            states["model"] = "being loaded"
    except SQLAlchemyError:
        states |= {"database": "does not answer", "workers": "unknown", "model": "unknown"}
    try:
        ctx.blobs.check()
    except Exception:
        states["blobs"] = "cannot be written"
    ready = all(state == "ok" for state in states.values())
    return JSONResponse({"ready": ready, **states}, 200 if ready else 503)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **responses()},
    summary="Figures for Prometheus",
)
def metrics(request: Request, _: Admin) -> Response:
    known: Metrics = request.app.state.metrics
    return Response(generate_latest(known.registry), media_type=CONTENT_TYPE_LATEST)
