"""A question to the server and its answer: asked again while the server is away, read, or told as an error."""

from __future__ import annotations

import re
from collections.abc import Collection, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from detector.errors import OrdnanceError
from service.api.problem import Problem

ATTEMPTS = 8
"""How often a request is tried whose connection failed; the pauses grow from half a second to half a minute."""
LONGEST_PAUSE_SECONDS = 30.0
LONGEST_REFUSAL_SECONDS = 300.0
"""A server that says to come back after longer than this, such as tomorrow, is not asked again."""
LATER = (429, 502, 503, 504)
_LOST = (502, 504)
"""A proxy's words for an answer that it did not get."""

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


class ServerError(OrdnanceError):
    """The server refused a request or does not answer; `code` is its stable word, `status` 0 without an answer."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    path: str
    headers: dict[str, str] | None = None
    content: bytes | None = None
    params: dict[str, Any] | None = None
    seconds: float | None = None
    """How long to wait for the answer; the client's own time by default."""


@dataclass(frozen=True, slots=True)
class Pause:
    """`reason` is why, where it is the first of its kind."""

    seconds: float
    reason: str = ""


Steps = Generator[Call | Pause, Any, T]
"""What is to be asked, written once: a generator yields calls and is sent the answers, or is thrown what interrupts."""


def ask(call: Call, *, done_before: int | None = None) -> Steps[httpx.Response]:
    """The answer; tried again while the server cannot be reached or is not ready.

    `done_before` is the status with which the server refuses what it has done already: it is an answer, too, where an
    earlier one was lost.
    """
    failures, is_lost = 0, False
    while True:
        answer = yield call
        if isinstance(answer, httpx.Response):
            if answer.is_success or (is_lost and answer.status_code == done_before):
                return answer
            is_lost = is_lost or answer.status_code in _LOST
        else:
            is_lost = is_lost or not isinstance(answer, httpx.ConnectError | httpx.ConnectTimeout)
        failures += 1
        yield pause_after(answer, failures)


def pause_after(answer: httpx.Response | Exception, failures: int, again: Collection[int] = LATER) -> Pause:
    """How long to wait before asking again what has failed so often. Raises ServerError where that is in vain: `again`
    are the statuses after which it is not. A server that refuses for now (429) is asked for as long as it says when to
    come back."""
    is_final, wanted = False, None
    if isinstance(answer, httpx.Response):
        wanted = _retry_after(answer)
        is_final = answer.status_code not in again or (wanted or 0.0) > LONGEST_REFUSAL_SECONDS
        if answer.status_code == 429 and wanted is not None:
            failures = min(failures, ATTEMPTS - 1)
    if is_final or failures >= ATTEMPTS:
        raise error_of(answer)
    seconds = max(wanted or 0.0, min(0.5 * 2.0 ** (failures - 1), LONGEST_PAUSE_SECONDS))
    return Pause(seconds, f"{error_of(answer)} Trying again." if failures == 1 else "")


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds after which the server says to come back; None where it does not say so."""
    text = answer.headers.get("Retry-After", "")
    return float(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def read(kind: type[M], answer: httpx.Response) -> M:
    """Raises ServerError where the answer is of another kind."""
    try:
        return kind.model_validate_json(answer.content)
    except ValidationError:
        raise error_of(answer) from None


def error_of(answer: httpx.Response | Exception) -> ServerError:
    if isinstance(answer, Exception):
        return ServerError("no_answer", f"The server does not answer ({answer}); check its address.", 0)
    try:
        problem = Problem.model_validate_json(answer.content)
        return ServerError(problem.code, problem.detail, answer.status_code)
    except ValidationError:
        if answer.next_request is not None:
            words = f"That server sends on to {answer.next_request.url}; give the address of Ordnance itself."
        elif answer.status_code == 413:
            words = "A proxy before the server takes no request as large as this (413); have its limit raised."
        elif answer.status_code in LATER:
            words = f"The server answered {answer.status_code}: it is busy, or not ready yet."
        else:
            words = f"The server answered {answer.status_code}; is it Ordnance that listens there?"
        return ServerError("error", words, answer.status_code)
