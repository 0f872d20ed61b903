"""The HTML pages. They hold no data of a scan: their scripts ask the API for it, as whoever is signed in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import quote, urlencode

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from detector.sampling.names import DEFAULT_CADENCE_SECONDS, DEFAULT_PLAN, PLAN_NAMES
from service.access.browser import COOKIE
from service.access.keys import Principal
from service.api.context import context_of, identify
from service.api.search import ReviewState
from service.api.shapes import State
from service.api.verdicts import Verdict
from service.problems import Forbidden, NotFound, TooManyRequests, Unauthorized
from service.store.preferences import read_preferences
from service.store.scans import find_scan
from service.web.words import best_language, languages, words_in

if TYPE_CHECKING:
    from jinja2 import Environment

router = APIRouter(include_in_schema=False)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}


def install(app: FastAPI) -> None:
    """Add the pages and what they load. A browser that asks for a page that is not there gets one that says so."""
    app.include_router(router)
    folder = str(files("service.web").joinpath("static"))
    app.mount("/static", _Unchanged(directory=folder), name="static")
    answer_with_problem: Callable[[Request, Exception], Awaitable[Response]] = app.exception_handlers[HTTPException]

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        is_page = request.method == "GET" and "text/html" in request.headers.get("accept", "")
        if error.status_code != 404 or not is_page or request.url.path.startswith(("/v1/", "/static/")):
            return await answer_with_problem(request, error)
        return _render(request, "error", None, None, status=404, kind="missing")


@router.get("/")
def library_page(request: Request) -> Response:
    cadences = DEFAULT_CADENCE_SECONDS
    return _page(
        request, "library", states=get_args(State), plans=PLAN_NAMES, default_plan=DEFAULT_PLAN, cadences=cadences
    )


@router.get("/search")
def search_page(request: Request) -> Response:
    choices = {"states": get_args(State), "verdicts": get_args(Verdict), "review_states": get_args(ReviewState)}
    return _page(request, "search", **choices)


@router.get("/gallery")
def gallery_page(request: Request) -> Response:
    return _page(request, "gallery")


@router.get("/settings")
def settings_page(request: Request) -> Response:
    return _page(request, "settings", languages={tag: words_in(tag)("language.name") for tag in languages()})


@router.get("/scans/{scan_id}")
def scan_page(request: Request, scan_id: str) -> Response:
    return _page(request, "scan", scan_id=scan_id)


@router.get("/sign-in")
def sign_in_page(request: Request) -> Response:
    return _render(request, "sign_in", None, None)


def _page(request: Request, name: str, **values: Any) -> Response:
    """The page for whoever asks, in their language; who is not known is sent to sign in."""
    context = context_of(request)
    try:
        who = identify(request, None, request.cookies.get(COOKIE))
    except Unauthorized:
        asked = quote(request.url.path) + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse("/sign-in?" + urlencode({"next": asked}), 303, _HEADERS)
    except (Forbidden, TooManyRequests) as error:
        status = 403 if isinstance(error, Forbidden) else 429
        return _render(request, "error", None, None, status=status, kind=error.code)
    with context.database.read() as session:
        language = read_preferences(session, who.reviewer_id).get("language")
        if "scan_id" in values:
            try:
                find_scan(session, who.owner, values["scan_id"])
            except NotFound:
                return _render(request, "error", who, language, status=404, kind="no_scan")
    return _render(request, name, who, language, **values)


def _render(
    request: Request, name: str, who: Principal | None, language: str | None, *, status: int = 200, **values: Any
) -> Response:
    words = words_in(best_language(language, request.headers.get("accept-language", "")))
    owner = None if who is None else who.owner
    is_signed_in = who is not None and who.key_id != ""
    content = (
        _templates()
        .get_template(f"{name}.html")
        .render(t=words, words=words, page=name, owner=owner, is_signed_in=is_signed_in, status=status, **values)
    )
    headers = {**_HEADERS, "Content-Language": words.language}
    return Response(content, status, headers, "text/html; charset=utf-8")


class _Unchanged(StaticFiles):
    """Files with an ETag that browsers ask for again each time, so that an update is seen at once."""

    def file_response(self, *arguments: object, **named: object) -> Response:
        response = super().file_response(*arguments, **named)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        return response


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("service.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
