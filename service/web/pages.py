"""The HTML pages. Their scripts ask the API for what they show; the first answers, small ones, come with the page."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import quote, urlencode

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from detector.sampling.names import DEFAULT_CADENCE_SECONDS, DEFAULT_PLAN, PLAN_NAMES
from service.access.browser import COOKIE
from service.access.keys import Principal
from service.api import catalogue, preferences, scans
from service.api.compressed import small
from service.api.context import Context, context_of, identify
from service.api.search import ReviewState
from service.api.shapes import SCAN_ID, State
from service.api.verdicts import Verdict
from service.problems import Forbidden, NotFound, TooManyRequests, Unauthorized
from service.store.preferences import read_preferences
from service.web.assets import assets, serve_asset
from service.web.words import best_language, languages, words_in

if TYPE_CHECKING:
    from jinja2 import Environment

router = APIRouter(include_in_schema=False)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
_ENTRIES = {"scan": "scan/main.js", "error": None}
"""The module of a page that is not named as the page is."""


def install(app: FastAPI) -> None:
    """Add the pages and what they load. A browser that asks for a page that is not there gets one that says so."""
    app.include_router(router)
    app.add_route("/static/{path:path}", serve_asset, include_in_schema=False)
    # Read and compiled now, so that the first visitor does not wait for it.
    assets()
    for name in _templates().list_templates():
        _templates().get_template(name)
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
    try:
        answers = _answers(context, who, values.get("scan_id"))
    except NotFound:
        return _render(request, "error", who, language, status=404, kind="no_scan")
    return _render(request, name, who, language, answers=answers, **values)


def _answers(context: Context, who: Principal, scan_id: str | None) -> dict[str, Any]:
    """What the page's scripts ask for first, by path: each is the route's own answer to whoever opens the page.

    Raises NotFound where there is no such scan.
    """
    answers = {"/v1/preferences": preferences.preferences(context, who).model_dump(mode="json")}
    if not who.may("read"):
        return answers
    answers["/v1/taxonomy"] = [each.model_dump(mode="json") for each in catalogue.taxonomy(who)]
    if scan_id is not None:
        if not re.fullmatch(SCAN_ID, scan_id):
            raise NotFound("A scan's id has 32 digits from 0 to f.")
        answers[f"/v1/scans/{scan_id}"] = scans.scan(context, who, scan_id).model_dump(mode="json")
    return answers


def _render(
    request: Request,
    name: str,
    who: Principal | None,
    language: str | None,
    *,
    status: int = 200,
    answers: dict[str, Any] | None = None,
    **values: Any,
) -> Response:
    words = words_in(best_language(language, request.headers.get("accept-language", "")))
    entry = _ENTRIES.get(name, f"{name}.js")
    content = (
        _templates()
        .get_template(f"{name}.html")
        .render(
            t=words,
            words=words,
            page=name,
            owner=None if who is None else who.owner,
            is_signed_in=who is not None and who.key_id != "",
            status=status,
            answers=answers or {},
            asset=assets().address,
            entries=[each for each in ("frame.js", entry) if each],
            modules=_modules(entry),
            **values,
        )
    )
    headers = {**_HEADERS, "Content-Language": words.language}
    accepted = request.headers.get("accept-encoding", "")
    return small(content.encode(), accepted, media_type="text/html; charset=utf-8", status=status, headers=headers)


@cache
def _modules(entry: str | None) -> list[str]:
    return assets().modules(*(each for each in (entry, "frame.js") if each))


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
