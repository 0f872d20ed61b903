"""/v1/session: signing a browser in and out, and who is signed in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Cookie, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.access import audit
from service.access.browser import COOKIE, check_same_site, csrf_token, drop_cookie, set_cookie
from service.access.keys import Principal, principal_of
from service.api.context import Ctx, Known, Remote
from service.api.problem import responses
from service.store.database import now
from service.store.sessions import close_session, find_session, open_session

router = APIRouter(prefix="/v1/session", tags=["session"])

_NOT_KEPT = {"Cache-Control": "no-store"}
_SessionCookie = Annotated[str | None, Cookie(alias=COOKIE, include_in_schema=False)]


class SignIn(BaseModel):
    """The key of whoever signs in."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"key": "ord_0123456789ab_" + "x" * 43}]})

    key: str = Field(min_length=1, max_length=200, description="A key of `ordnance keys create`.")


class SessionOut(BaseModel):
    """Who asks, and what a page needs to ask for more."""

    owner: str = Field(description="Whose scans they see.")
    reviewer: str = Field(description="The name that their verdicts are shown under.")
    scopes: list[str] = Field(description="What they may do: read, write, review, admin.")
    csrf: str | None = Field(
        description="Send it as X-CSRF-Token with whatever changes something; null where no cookie is used."
    )
    expires_at: AwareDatetime | None = Field(description="When the browser must sign in again; null without a cookie.")
    needs_key: bool = Field(description="False for a program or page on a server's own machine that needs no key.")


@router.post("", response_model=SessionOut, responses=responses("bad_request"), summary="Sign a browser in with a key")
def sign_in(ctx: Ctx, remote: Remote, request: Request, asked: SignIn) -> Response:
    """The answer sets the cookie; it is HttpOnly, SameSite=Strict and, but for plain HTTP on this machine, Secure."""
    check_same_site(request)
    who = principal_of(ctx.database, asked.key.strip())
    ctx.limiter.take(who)
    hours = ctx.settings.session_hours
    with ctx.database.write() as session:
        cookie = open_session(session, who.key_id, hours)
        audit.note(session, who, "sign-in", remote=remote)
    answer = _answer(who, cookie, now() + hours * 3600)
    set_cookie(answer, request, cookie, hours)
    return answer


@router.get("", response_model=SessionOut, responses=responses(), summary="Who is signed in")
def session_of(ctx: Ctx, who: Known, request: Request, cookie: _SessionCookie = None) -> Response:
    expires_at = None
    if cookie:
        with ctx.database.read() as session:
            found = find_session(session, cookie)
        if found is not None and found[1].id == who.key_id:
            expires_at = found[0].expires_at
    return _answer(who, cookie if expires_at is not None else None, expires_at)


@router.delete("", status_code=204, response_class=Response, responses=responses(), summary="Sign the browser out")
def sign_out(ctx: Ctx, who: Known, remote: Remote, request: Request, cookie: _SessionCookie = None) -> Response:
    """Where no cookie is used there is nothing to end; that is no error."""
    answer = Response(status_code=204, headers=_NOT_KEPT)
    if cookie:
        with ctx.database.write() as session:
            close_session(session, cookie)
            audit.note(session, who, "sign-out", remote=remote)
        drop_cookie(answer, request)
    return answer


def _answer(who: Principal, cookie: str | None, expires_at: float | None) -> Response:
    content = SessionOut(
        owner=who.owner,
        reviewer=who.reviewer,
        scopes=sorted(who.scopes),
        csrf=None if cookie is None else csrf_token(cookie),
        expires_at=None if expires_at is None else datetime.fromtimestamp(expires_at, UTC),
        needs_key=who.key_id != "",
    )
    return Response(content.model_dump_json(), media_type="application/json", headers=_NOT_KEPT)
