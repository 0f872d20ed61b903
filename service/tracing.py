"""Spans for an OpenTelemetry collector: requests, scans, segments, webhooks. Off, nothing of it is imported.

A span names routes, ids and codes; never file names, notes, keys or addresses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from detector import __version__
from detector.errors import BadOption
from service.settings import Settings

_provider: Any = None


def set_up_tracing(settings: Settings, part: Literal["api", "worker"]) -> None:
    """Send the spans of this process where the settings say, if they do. Raises BadOption where that cannot be."""
    global _provider
    if settings.otel_endpoint is None:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise BadOption("ORDNANCE_OTEL_ENDPOINT is set; that needs: pip install 'ordnance[otel]'.") from error
    resource = Resource.create({"service.name": f"ordnance-{part}", "service.version": __version__})
    _provider = TracerProvider(resource=resource)
    address = f"{settings.otel_endpoint.rstrip('/')}/v1/traces"
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=address)))


def send_rest() -> None:
    """Send what waits to be sent, before this process ends."""
    if _provider is not None:
        _provider.shutdown()


@contextmanager
def span(name: str, **attributes: str | int | float) -> Iterator[Any]:
    """What is done in the block, as a span below the one that is open; gives the span, None where tracing is off.

    Underscores in the names of `attributes` become dots.
    """
    if _provider is None:
        yield None
        return
    named = {name.replace("_", "."): value for name, value in attributes.items()}
    with _provider.get_tracer("ordnance").start_as_current_span(name, attributes=named) as opened:
        yield opened
