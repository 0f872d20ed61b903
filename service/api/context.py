"""What routes work with, and who asks."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.access.keys import LOCAL, Principal, no_key, principal_of
from service.access.limits import RateLimiter
from service.api.live import Hub
from service.intake import Office
from service.problems import Forbidden
from service.settings import Settings

_bearer = HTTPBearer(
    auto_error=False, scheme_name="key", description="A key of `ordnance keys create`; none is needed on loopback."
)
_PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


class Context:
    """The service of one API process."""

    def __init__(self, office: Office, hub: Hub) -> None:
        self.office = office
        self.settings: Settings = office.settings
        self.database = office.database
        self.blobs = office.blobs
        self.jobs = office.jobs
        self.limiter = RateLimiter(office.settings)
        self.hub = hub


def context_of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def remote_of(request: Request) -> str:
    """The address that the request came from, for the audit log."""
    return request.client.host if request.client else ""


def identify(request: Request, credentials: HTTPAuthorizationCredentials | None) -> Principal:
    """Who asks. Raises Unauthorized, Forbidden or TooManyRequests."""
    context = context_of(request)
    if credentials is not None:
        principal = principal_of(context.database, credentials.credentials)
    elif _is_local(request, context.settings):
        principal = LOCAL
    else:
        raise no_key()
    context.limiter.take(principal)
    return principal


def require(scope: str) -> Callable[..., Principal]:
    """A dependency: whoever asks, with this scope."""

    def principal(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
    ) -> Principal:
        who = identify(request, credentials)
        who.require(scope)
        return who

    return principal


def _is_local(request: Request, settings: Settings) -> bool:
    """Whether the request comes from a program on this machine, not from a page or a proxy that borrowed it."""
    if not (settings.allow_anonymous and settings.is_loopback) or request.headers.get("authorization"):
        return False
    if any(name in request.headers for name in _PROXY_HEADERS) or not _is_loopback(remote_of(request)):
        return False
    # A page of another site reaches a loopback address as well: through a name that it points there, or by a form.
    if not _is_loopback(urlsplit(f"//{request.headers.get('host', '')}").hostname or ""):
        return False
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Forbidden("A page of another site may not use this service; open the service's own page.")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


Ctx = Annotated[Context, Depends(context_of)]
Remote = Annotated[str, Depends(remote_of)]
Reader = Annotated[Principal, Depends(require("read"))]
Writer = Annotated[Principal, Depends(require("write"))]
Admin = Annotated[Principal, Depends(require("admin"))]
