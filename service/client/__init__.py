"""A typed client of the service, for Python: `Client` waits, `AsyncClient` is awaited; both can do the same."""

from __future__ import annotations

from service.client.asking import ServerError
from service.client.clients import AsyncClient, Client
from service.client.events import Event

__all__ = ["AsyncClient", "Client", "Event", "ServerError"]
