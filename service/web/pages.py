"""The HTML pages. They hold no data of a scan: their scripts ask the API for it, as whoever is signed in."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi import Path as PathPart
from starlette.staticfiles import StaticFiles

from service.access.browser import COOKIE
from service.api.context import context_of, identify
from service.problems import ServiceError
from service.store.preferences import read_preferences
from service.web.words import Words, best_language, words_in

if TYPE_CHECKING:
    from jinja2 import Environment

router = APIRouter(include_in_schema=False)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def install(app: FastAPI) -> None:
    """Add the pages and what they load."""
    app.include_router(router)
    folder = str(files("service.web").joinpath("static"))
    app.mount("/static", _Unchanged(directory=folder), name="static")


@router.get("/scans/{scan_id}")
def scan_page(request: Request, scan_id: Annotated[str, PathPart(pattern="^[0-9a-f]{32}$")]) -> Response:
    return page(request, "scan.html", scan_id=scan_id)


def page(request: Request, template: str, **values: object) -> Response:
    """The page in the language of whoever asks."""
    words = words_for(request)
    content = _templates().get_template(template).render(t=words, words=words, **values)
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Content-Language": words.language}
    return Response(content, media_type="text/html; charset=utf-8", headers=headers)


def words_for(request: Request) -> Words:
    """As set in the preferences of whoever is signed in, else as the browser wishes."""
    wanted = None
    try:
        who = identify(request, None, request.cookies.get(COOKIE))
        with context_of(request).database.read() as session:
            wanted = read_preferences(session, who.reviewer_id).get("language")
    except ServiceError:
        wanted = None
    return words_in(best_language(wanted, request.headers.get("accept-language", "")))


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
