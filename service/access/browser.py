"""What keeps a browser's rights from other sites' pages: the session's cookie, the CSRF token, Origin and Host."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from service.access.keys import Principal, is_in_use, principal_with
from service.problems import Forbidden, Unauthorized
from service.store.database import Database
from service.store.sessions import find_session

COOKIE = "ordnance_session"
CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
_OTHER_SITE = "A page of another site may not use this service; open the service's own page."


def csrf_token(cookie: str) -> str:
    """The token of a session: who has it knows the cookie's holder, and cannot come back from it to the cookie."""
    return hmac.new(cookie.encode(), b"ordnance csrf", hashlib.sha256).hexdigest()


def signed_in(database: Database, request: Request, cookie: str) -> Principal:
    """Who is signed in with `cookie`. Raises Unauthorized where nobody is, Forbidden where another site asks."""
    with database.read() as session:
        found = find_session(session, cookie)
    if found is None or not is_in_use(found[1]):
        raise Unauthorized("Nobody is signed in here any more; sign in again with a key.")
    check_same_site(request)
    if request.method not in SAFE_METHODS:
        given = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(given.encode(), csrf_token(cookie).encode()):
            raise Forbidden(f"The header {CSRF_HEADER} is missing or wrong; take it from GET /v1/session.")
    return principal_with(found[1])


def check_same_site(request: Request) -> None:
    """Raises Forbidden where the browser says that another site's page asks."""
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin") or not has_own_origin(request):
        raise Forbidden(_OTHER_SITE)


def has_own_origin(request: Request) -> bool:
    """Whether the request comes from a page of this very address, or from no page. A proxy must pass Host on."""
    origin = request.headers.get("origin")
    try:
        return origin is None or urlsplit(origin).netloc == request.headers.get("host")
    except ValueError:
        return False


def set_cookie(response: Response, request: Request, cookie: str, hours: float) -> None:
    """Have the browser keep the cookie: never shown to scripts, never sent for another site, over TLS only, but for
    plain HTTP on this very machine."""
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=int(hours * 3600),
        path="/",
        secure=not _is_plain_loopback(request),
        httponly=True,
        samesite="strict",
    )


def drop_cookie(response: Response, request: Request) -> None:
    response.delete_cookie(COOKIE, path="/", secure=not _is_plain_loopback(request), httponly=True, samesite="strict")


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or address without port, is this machine and cannot be another."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(request: Request) -> str:
    """The host that the client believes it talks to, without port; empty where the header makes no sense."""
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _is_plain_loopback(request: Request) -> bool:
    is_plain = request.url.scheme == "http" and not any(name in request.headers for name in PROXY_HEADERS)
    return is_plain and is_loopback(host_of(request))
