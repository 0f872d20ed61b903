"""What routes work with, and who asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, get_args, get_origin

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from detector.errors import BadOption
from service.access.browser import (
    COOKIE,
    PROXY_HEADERS,
    check_same_site,
    has_own_origin,
    host_of,
    is_loopback,
    signed_in,
)
from service.access.keys import LOCAL, Principal, no_key, principal_of
from service.access.limits import RateLimiter
from service.api.live import Hub
from service.decoding import Viewer
from service.intake import Office
from service.problems import Forbidden, Unauthorized, given_again
from service.settings import Settings

_bearer = HTTPBearer(
    auto_error=False, scheme_name="key", description="A key of `ordnance keys create`; none is needed on loopback."
)
_session = APIKeyCookie(
    name=COOKIE,
    auto_error=False,
    scheme_name="session",
    description="A browser that POST /v1/session signed in; what changes something needs its X-CSRF-Token as well.",
)


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
        self.viewer = Viewer(office.settings, office.blobs)


def context_of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def remote_of(request: Request) -> str:
    """The address that the request came from, for the audit log."""
    return request.client.host if request.client else ""


async def check_query(request: Request) -> None:
    """A dependency of all routes. Raises BadOption for a parameter that an address of the API does not take, or takes
    once: passed over, a filter would give another answer than was asked for."""
    if not request.url.path.startswith("/v1/"):
        return
    taken = request.scope["route"].dependant.query_params
    known = [each.alias for each in taken]
    if (unknown := next((each for each in request.query_params if each not in known), None)) is not None:
        takes = f"it takes: {', '.join(known)}" if known else "it takes none"
        raise BadOption(f"'{unknown[:64]}' is no parameter of this address; {takes}.")
    for each in taken:
        kind = each.field_info.annotation
        is_list = any(get_origin(part) is list for part in (kind, *get_args(kind)))
        if not is_list and len(request.query_params.getlist(each.alias)) > 1:
            raise given_again(each.alias)


def identify(request: Request, credentials: HTTPAuthorizationCredentials | None, cookie: str | None) -> Principal:
    """Who asks: the holder of a key, who is signed in, or a program on this machine.

    Raises Unauthorized, Forbidden or TooManyRequests.
    """
    principal = _known(request, credentials, cookie)
    context_of(request).limiter.take(principal)
    return principal


def require(scope: str | None) -> Callable[..., Principal]:
    """A dependency: whoever asks, with this scope, or with any."""

    def principal(
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
        cookie: Annotated[str | None, Security(_session)],
    ) -> Principal:
        who = identify(request, credentials, cookie)
        if scope is not None:
            who.require(scope)
        return who

    return principal


def _still_reads(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    cookie: Annotated[str | None, Security(_session)],
) -> Callable[[Principal], bool]:
    """A dependency: tells whenever it is called whether this is still who asks and may read, for answers that take
    long."""

    def may_read(who: Principal) -> bool:
        try:
            known = _known(request, credentials, cookie)
            return known.key_id == who.key_id and known.may("read")
        except (Unauthorized, Forbidden):
            return False

    return may_read


def _known(request: Request, credentials: HTTPAuthorizationCredentials | None, cookie: str | None) -> Principal:
    """Raises Unauthorized or Forbidden."""
    context = context_of(request)
    if credentials is not None:
        return principal_of(context.database, credentials.credentials)
    return _without_key(request, context, cookie)


def _without_key(request: Request, context: Context, cookie: str | None) -> Principal:
    is_local = _is_local(request, context.settings)
    if cookie:
        try:
            return signed_in(context.database, request, cookie)
        except Unauthorized:
            if not is_local:
                raise
    if not is_local:
        raise no_key()
    return LOCAL


def _is_local(request: Request, settings: Settings) -> bool:
    """Whether the request comes from a program on this machine, not from a page or a proxy that borrowed it."""
    if not (settings.allow_anonymous and settings.is_loopback) or request.headers.get("authorization"):
        return False
    if any(name in request.headers for name in PROXY_HEADERS) or not is_loopback(remote_of(request)):
        return False
    # A page of another site reaches a loopback address as well: through a name that it points there, or by a form.
    if not is_loopback(host_of(request)):
        return False
    if not has_own_origin(request):
        return False
    check_same_site(request)
    return True


async def _context(request: Request) -> Context:
    """Asynchronous, as is the next: FastAPI gives every other dependency a thread of its own, for each request."""
    return context_of(request)


async def _remote(request: Request) -> str:
    return remote_of(request)


Ctx = Annotated[Context, Depends(_context)]
Remote = Annotated[str, Depends(_remote)]
Known = Annotated[Principal, Depends(require(None))]
Reader = Annotated[Principal, Depends(require("read"))]
Writer = Annotated[Principal, Depends(require("write"))]
Reviewer = Annotated[Principal, Depends(require("review"))]
Admin = Annotated[Principal, Depends(require("admin"))]
StillReads = Annotated[Callable[[Principal], bool], Depends(_still_reads)]
