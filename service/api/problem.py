"""Errors as RFC 9457 problem documents."""

from __future__ import annotations

import logging
import math
import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from detector.errors import OrdnanceError
from detector.sampling.names import PLAN_NAMES
from service.problems import STATUS_OF_CODE, TITLES, ServiceError
from service.store.blobs import FULL, BlobGone
from service.store.database import OUTAGES

log = logging.getLogger("ordnance.api")

MEDIA_TYPE = "application/problem+json"
ENDLESS = "/events"
"""How addresses end whose answer goes on: they take no HEAD."""
_LISTED = "; /openapi.json lists what there is"
_LATER = {"Retry-After": "5"}
_CODE_OF_STATUS = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "upload_too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
}


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:ordnance:problem:unknown_plan",
                    "title": "Unknown sampling plan",
                    "status": 422,
                    "detail": f"'hourly' is not a sampling plan; use one of: {', '.join(PLAN_NAMES)}.",
                    "code": "unknown_plan",
                }
            ]
        }
    )

    type: str = Field(description="`urn:ordnance:problem:` and the code.")
    title: str = Field(description="The kind of problem in a few words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="One sentence: what was wrong, and what to do.")
    code: str = Field(description="A stable word, the same on the command line.")


def problem(code: str, detail: str, headers: dict[str, str] | None = None, status: int | None = None) -> JSONResponse:
    status = status or STATUS_OF_CODE.get(code, 400)
    content = Problem(
        type=f"urn:ordnance:problem:{code}", title=TITLES.get(code, "Error"), status=status, detail=detail, code=code
    )
    return JSONResponse(content.model_dump(), status, headers, media_type=MEDIA_TYPE)


def responses(*codes: str) -> dict[int | str, dict[str, Any]]:
    """For a route's documentation: the problems that it answers with, besides those that any route does."""
    everywhere = ("unauthorized", "forbidden", "rate_limited", "invalid_request", "not_ready")
    statuses = sorted({STATUS_OF_CODE[code] for code in (*everywhere, *codes)})
    return {
        status: {
            "model": Problem,
            "description": " or ".join(
                sorted({TITLES[code] for code in (*everywhere, *codes) if STATUS_OF_CODE[code] == status})
            ),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Let every error of the app become a problem document."""

    @app.exception_handler(OrdnanceError)
    async def _known(_: Request, error: OrdnanceError) -> JSONResponse:
        headers = {}
        if isinstance(error, ServiceError) and error.retry_after_seconds is not None:
            headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds)))
        if error.code == "unauthorized":
            headers["WWW-Authenticate"] = 'Bearer realm="ordnance"'
        return problem(error.code, str(error), headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return problem("invalid_request", _what_is_invalid(request, error.errors()[0]))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(sorted(_methods_of(app, request.url.path)))
        code = _CODE_OF_STATUS.get(error.status_code, "error")
        detail = {
            404: f"There is nothing at this address{_LISTED if app.openapi_url else ''}.",
            405: "This address does not take this method; the Allow header names those that it takes.",
        }.get(error.status_code, str(error.detail))
        return problem(code, detail, headers, error.status_code)

    @app.exception_handler(OSError)
    async def _disk(request: Request, error: OSError) -> JSONResponse:
        if isinstance(error, BlobGone):
            return problem("not_found", "These bytes are gone from the store; upload the clip again, and scan it.")
        log.error("disk or store failed", exc_info=error, extra={"method": request.method, "path": request.url.path})
        if error.errno in FULL:
            return problem("storage_full", "The disk is full; ask the operator to make room.")
        words = (
            "The disk or store that holds the clips does not do its work; try again, and tell the operator if it stays."
        )
        return problem("not_ready", words, _LATER)

    @app.exception_handler(SQLAlchemyError)
    async def _database(request: Request, error: SQLAlchemyError) -> JSONResponse:
        if not isinstance(error, OUTAGES):
            return await _unknown(request, error)
        log.error("database failed", exc_info=error, extra={"method": request.method, "path": request.url.path})
        words = "The database does not answer, or is too busy; try again, and tell the operator if it stays."
        return problem("not_ready", words, _LATER)

    @app.exception_handler(Exception)
    async def _unknown(request: Request, error: Exception) -> JSONResponse:
        log.error("request failed", exc_info=error, extra={"method": request.method, "path": request.url.path})
        return problem("internal_error", "This is a fault of the service; try again, and report it if it stays.")


def _what_is_invalid(request: Request, first: dict[str, Any]) -> str:
    if first["type"] == "json_invalid":
        return f"The body is no JSON: {first['ctx']['error']} at character {first['loc'][1]}."
    if first["loc"] == ("body",) and "json" not in request.headers.get("content-type", ""):
        return "A JSON object is needed as the body; send one with 'Content-Type: application/json'."
    where = ".".join(str(step) for step in first["loc"][1:]) or str(first["loc"][0])
    return f"{where}: {first['msg']}."


def _methods_of(app: FastAPI, path: str) -> set[str]:
    """What the documented routes of this path take; one route's own answer names its methods alone."""
    found: set[str] = set()
    for template, methods in app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"{[a-z_]+}", "[^/]+", template), path):
            found |= {name.upper() for name in methods}
    return found | {"HEAD"} if "GET" in found and not path.endswith(ENDLESS) else found
