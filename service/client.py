"""A typed client of the service, for Python: `Client` waits, `AsyncClient` is awaited; both can do the same."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
import zlib
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from detector.errors import BadOption, OrdnanceError
from detector.report import Report
from detector.report.fields import without_surrogates
from service.api.problem import Problem
from service.api.shapes import AppearanceOut, AppearancePage, ScanOut, ScanPage

MIB = 1024 * 1024
FIRST_CHUNK_BYTES, LEAST_CHUNK_BYTES, MOST_CHUNK_BYTES = 8 * MIB, 1 * MIB, 64 * MIB
SHORT_CHUNK_SECONDS, LONG_CHUNK_SECONDS = 1.0, 10.0
"""A chunk that travelled faster makes later ones larger, as each costs the server a sync to disk; a slower one makes
them smaller, as what a broken connection had brought of one is lost."""
PIECE_BYTES = 256 * 1024
"""A chunk goes to the socket in pieces: httpx copies what is left of a piece with every part that the socket takes."""
ATTEMPTS = 8
"""How often a request is tried whose connection failed; the pauses grow from half a second to half a minute."""
MAKING_PAUSE_SECONDS = 2.0
"""How long to wait between two questions whether a clip that has arrived whole has its scan."""
ANSWER_SECONDS = 5.0
GIVE_UP_SECONDS = 10.0
"""How long to wait until the server has removed an upload that is broken off; it waits 5 s for what is on its way."""
ENDED = ("done", "failed", "cancelled")
_TUS = {"Tus-Resumable": "1.0.0"}
_LATER = (429, 502, 503, 504)
_AGAIN = (409, 460, *_LATER)
_GONE = (404, 410)
_LOST = (502, 504)
"""A proxy's words for an answer that it did not get."""

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
OnProgress = Callable[[int, int], None]
OnWait = Callable[[str], None]
"""Is told why, when a request is going to be tried again."""


class ServerError(OrdnanceError):
    """The server refused a request or does not answer; `code` is its stable word, `status` 0 without an answer."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a scan: kind `state`, `progress` or `appearance`."""

    number: int
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    path: str
    headers: dict[str, str] | None = None
    content: bytes | None = None
    params: dict[str, Any] | None = None
    seconds: float | None = None
    """How long to wait for the answer; the client's own time by default."""


@dataclass(frozen=True, slots=True)
class _Pause:
    """`reason` is why, where it is the first of its kind."""

    seconds: float
    reason: str = ""


Steps = Generator[_Call | _Pause, Any, T]
"""What is to be asked, written once: a generator yields calls and is sent the answers, or is thrown what interrupts."""


class Client:
    """A connection to a server: `Client("http://127.0.0.1:8008", key="ord_…")`. Methods raise ServerError; BadOption is
    raised here where the address or the key cannot be one."""

    def __init__(
        self, server: str, key: str | None = None, *, timeout_seconds: float = 60.0, on_wait: OnWait | None = None
    ) -> None:
        self._http = httpx.Client(base_url=_address(server), headers=_headers(key), timeout=timeout_seconds)
        self._on_wait = on_wait or _ignore

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def answers(self) -> bool:
        """Whether anything listens at the server's address; asked once."""
        try:
            self._http.get("/healthz", timeout=ANSWER_SECONDS)
        except httpx.TransportError:
            return False
        return True

    def submit(self, clip: Path, on_progress: OnProgress | None = None, **options: Any) -> ScanOut:
        """Upload a clip, resuming where the connection breaks, and have it scanned. Options as in the API.

        An upload that ends half-way, also by Ctrl-C, is removed from the server; where it is not, a note of the
        exception (see BaseException.add_note) says so.
        """
        return self._run(_submit(clip, options, on_progress))

    def scan(self, scan_id: str) -> ScanOut:
        return self._run(_scan(scan_id))

    def scans(self, **filters: Any) -> list[ScanOut]:
        return self._run(_scans(filters))

    def appearances(self, scan_id: str, min_confidence: float = 0.0) -> list[AppearanceOut]:
        return self._run(_appearances(scan_id, min_confidence))

    def report(self, scan_id: str) -> Report:
        return self._run(_report(scan_id))

    def fetch(self, path: str) -> bytes:
        """What lies at one of a scan's links."""
        return self._run(_fetch(path))

    def cancel(self, scan_id: str) -> ScanOut:
        return self._run(_cancel(scan_id))

    def delete(self, scan_id: str) -> None:
        self._run(_delete(scan_id))

    def wait(self, scan_id: str) -> ScanOut:
        """The scan once it has ended."""
        for _ in self.events(scan_id):
            pass
        return self.scan(scan_id)

    def events(self, scan_id: str, after: int = 0) -> Iterator[Event]:
        """What happens to a scan until it has ended; a connection that breaks is taken up again, and so is one that a
        proxy refuses while the server starts."""
        failures = 0
        while True:
            reader = _EventReader()
            failed: httpx.Response | Exception | None = None
            try:
                with self._http.stream("GET", f"/v1/scans/{scan_id}/events", headers=_after(after)) as answer:
                    if answer.status_code == 200:
                        for line in answer.iter_lines():
                            failures = 0
                            if (event := reader.take(line)) is not None:
                                after = event.number
                                yield event
                    else:
                        answer.read()
                        failed = answer
            except httpx.TransportError as error:
                failed = error
            if failed is not None:
                failures += 1
                self._wait(_pause_after(failed, failures))
            elif self.scan(scan_id).state in ENDED:
                return

    def _wait(self, pause: _Pause) -> None:
        if pause.reason:
            self._on_wait(pause.reason)
        time.sleep(pause.seconds)

    def _run(self, steps: Steps[T]) -> T:
        answer: Any = None
        interruption: BaseException | None = None
        try:
            while True:
                asked = steps.throw(interruption) if interruption is not None else steps.send(answer)
                answer = interruption = None
                try:
                    if isinstance(asked, _Pause):
                        self._wait(asked)
                    else:
                        answer = self._http.send(_request(self._http, asked))
                except httpx.TransportError as error:
                    answer = error
                except BaseException as error:
                    interruption = error
        except StopIteration as end:
            result: T = end.value
            return result


class AsyncClient:
    """As Client, for asyncio."""

    def __init__(
        self, server: str, key: str | None = None, *, timeout_seconds: float = 60.0, on_wait: OnWait | None = None
    ) -> None:
        self._http = httpx.AsyncClient(base_url=_address(server), headers=_headers(key), timeout=timeout_seconds)
        self._on_wait = on_wait or _ignore

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def answers(self) -> bool:
        try:
            await self._http.get("/healthz", timeout=ANSWER_SECONDS)
        except httpx.TransportError:
            return False
        return True

    async def submit(self, clip: Path, on_progress: OnProgress | None = None, **options: Any) -> ScanOut:
        return await self._run(_submit(clip, options, on_progress))

    async def scan(self, scan_id: str) -> ScanOut:
        return await self._run(_scan(scan_id))

    async def scans(self, **filters: Any) -> list[ScanOut]:
        return await self._run(_scans(filters))

    async def appearances(self, scan_id: str, min_confidence: float = 0.0) -> list[AppearanceOut]:
        return await self._run(_appearances(scan_id, min_confidence))

    async def report(self, scan_id: str) -> Report:
        return await self._run(_report(scan_id))

    async def fetch(self, path: str) -> bytes:
        return await self._run(_fetch(path))

    async def cancel(self, scan_id: str) -> ScanOut:
        return await self._run(_cancel(scan_id))

    async def delete(self, scan_id: str) -> None:
        await self._run(_delete(scan_id))

    async def wait(self, scan_id: str) -> ScanOut:
        async for _ in self.events(scan_id):
            pass
        return await self.scan(scan_id)

    async def events(self, scan_id: str, after: int = 0) -> AsyncIterator[Event]:
        failures = 0
        while True:
            reader = _EventReader()
            failed: httpx.Response | Exception | None = None
            try:
                async with self._http.stream("GET", f"/v1/scans/{scan_id}/events", headers=_after(after)) as answer:
                    if answer.status_code == 200:
                        async for line in answer.aiter_lines():
                            failures = 0
                            if (event := reader.take(line)) is not None:
                                after = event.number
                                yield event
                    else:
                        await answer.aread()
                        failed = answer
            except httpx.TransportError as error:
                failed = error
            if failed is not None:
                failures += 1
                await self._wait(_pause_after(failed, failures))
            elif (await self.scan(scan_id)).state in ENDED:
                return

    async def _wait(self, pause: _Pause) -> None:
        if pause.reason:
            self._on_wait(pause.reason)
        await asyncio.sleep(pause.seconds)

    async def _run(self, steps: Steps[T]) -> T:
        answer: Any = None
        interruption: BaseException | None = None
        try:
            while True:
                asked = steps.throw(interruption) if interruption is not None else steps.send(answer)
                answer = interruption = None
                try:
                    if isinstance(asked, _Pause):
                        await self._wait(asked)
                    else:
                        answer = await self._http.send(_request(self._http, asked))
                except httpx.TransportError as error:
                    answer = error
                except BaseException as error:
                    interruption = error
        except StopIteration as end:
            result: T = end.value
            return result


def _submit(clip: Path, options: dict[str, Any], on_progress: OnProgress | None) -> Steps[ScanOut]:
    size = clip.stat().st_size
    if not size:
        raise BadOption(f"{clip.name} is empty; copy it again.")
    given = {"filename": clip.name, **{name: _as_text(value) for name, value in options.items() if value is not None}}
    metadata = ",".join(
        f"{name} {base64.b64encode(without_surrogates(value).encode()).decode()}".rstrip()
        for name, value in given.items()
    )
    headers = {**_TUS, "Upload-Length": str(size), "Upload-Metadata": metadata}
    made = yield from _ask(_Call("POST", "/v1/uploads", headers))
    if "Location" not in made.headers:
        raise _error_of(made)
    address = httpx.URL(made.headers["Location"]).raw_path.decode()
    try:
        scan_id = yield from _send(clip, size, address, on_progress)
    except GeneratorExit:
        raise
    except BaseException as error:
        # Else the server may have the whole clip, and scans it as soon as it can.
        if not (isinstance(error, ServerError) and error.status in (0, *_LATER)):
            yield from _give_up(address, clip, error)
        raise
    return (yield from _scan(scan_id))


def _give_up(address: str, clip: Path, error: BaseException) -> Steps[None]:
    """Have an upload removed; `error` gets a note where it is not."""
    answer = yield _Call("DELETE", address, _TUS, seconds=GIVE_UP_SECONDS)
    if not (isinstance(answer, httpx.Response) and (answer.is_success or answer.status_code in _GONE)):
        error.add_note(
            f"What has arrived of {clip.name} could not be removed from the server and stays there until the upload "
            f"expires: {_error_of(answer)}"
        )


def _send(clip: Path, size: int, address: str, on_progress: OnProgress | None) -> Steps[str]:
    """Send the bytes of an upload that is made; returns its scan's id."""
    offset, failures, length = 0, 0, FIRST_CHUNK_BYTES
    with ThreadPoolExecutor(1) as reader:
        # The next chunk is read and summed while this one travels.
        chunk, ahead = _chunk(clip, size, 0, length), None
        while True:
            if chunk.offset + len(chunk.content) < size:
                ahead = reader.submit(_chunk, clip, size, chunk.offset + len(chunk.content), length)
            headers = {
                **_TUS,
                "Content-Type": "application/offset+octet-stream",
                "Upload-Offset": str(offset),
                "Upload-Checksum": f"crc32 {chunk.checksum}",
            }
            started = time.monotonic()
            answer = yield _Call("PATCH", address, headers, chunk.content)
            if isinstance(answer, httpx.Response) and answer.is_success:
                offset, failures = int(answer.headers["Upload-Offset"]), 0
                length = _next_length(len(chunk.content), time.monotonic() - started)
            else:
                failures += 1
                length = max(len(chunk.content) // 2, LEAST_CHUNK_BYTES)
                if isinstance(answer, httpx.Response) and answer.status_code not in _AGAIN:
                    raise _error_of(answer)
                if failures >= ATTEMPTS:
                    raise _error_of(answer)
                yield _Pause(_pause(failures), _reason(answer, failures))
                answer = yield from _ask(_Call("HEAD", address, _TUS))
                offset = int(answer.headers["Upload-Offset"])
            if on_progress:
                on_progress(offset, size)
            if offset == size and "Ordnance-Scan" not in answer.headers and clip.exists():
                _refuse_changed(clip, size, clip.stat().st_size)
            reason = "The server has the whole clip and is about to begin its scan; waiting for that."
            while offset == size and "Ordnance-Scan" not in answer.headers:
                yield _Pause(MAKING_PAUSE_SECONDS, reason)
                reason = ""
                answer = yield from _ask(_Call("HEAD", address, _TUS))
                offset = int(answer.headers["Upload-Offset"])
            scan = answer.headers.get("Ordnance-Scan")
            if scan is not None:
                return str(scan.rsplit("/", 1)[-1])
            following = ahead.result() if ahead is not None else None
            chunk = following if following and following.offset == offset else _chunk(clip, size, offset, length)


def _next_length(length: int, seconds: float) -> int:
    """How long a chunk should be after one of `length` bytes that travelled for so many seconds."""
    if seconds < SHORT_CHUNK_SECONDS:
        return min(2 * length, MOST_CHUNK_BYTES)
    return max(length // 2, LEAST_CHUNK_BYTES) if seconds > LONG_CHUNK_SECONDS else length


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Bytes of a clip from `offset` on, and their CRC-32 as tus wants it."""

    offset: int
    content: bytes
    checksum: str


def _chunk(clip: Path, size: int, offset: int, length: int) -> _Chunk:
    """Raises BadOption where the clip no longer has the `size` that was announced."""
    with clip.open("rb") as file:
        _refuse_changed(clip, size, os.fstat(file.fileno()).st_size)
        file.seek(offset)
        content = file.read(length)
    return _Chunk(offset, content, base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode())


def _refuse_changed(clip: Path, size: int, now: int) -> None:
    """Raises BadOption."""
    if now != size:
        raise BadOption(
            f"{clip.name} has changed its size since its upload began; upload it again once nothing writes to it."
        )


def _scan(scan_id: str) -> Steps[ScanOut]:
    return _read(ScanOut, (yield from _ask(_Call("GET", f"/v1/scans/{scan_id}"))))


def _scans(filters: dict[str, Any]) -> Steps[list[ScanOut]]:
    found: list[ScanOut] = []
    cursor = None
    while True:
        params = {**filters, "limit": 200, **({"cursor": cursor} if cursor else {})}
        answer = yield from _ask(_Call("GET", "/v1/scans", params=params))
        page = _read(ScanPage, answer)
        found += page.items
        cursor = page.next
        if cursor is None:
            return found


def _appearances(scan_id: str, min_confidence: float) -> Steps[list[AppearanceOut]]:
    found: list[AppearanceOut] = []
    cursor = None
    while True:
        params = {"min_confidence": min_confidence, "limit": 500, **({"cursor": cursor} if cursor else {})}
        answer = yield from _ask(_Call("GET", f"/v1/scans/{scan_id}/appearances", params=params))
        page = _read(AppearancePage, answer)
        found += page.items
        cursor = page.next
        if cursor is None:
            return found


def _report(scan_id: str) -> Steps[Report]:
    answer = yield from _ask(_Call("GET", f"/v1/scans/{scan_id}/report.json"))
    return Report.from_json(answer.content)


def _fetch(path: str) -> Steps[bytes]:
    answer = yield from _ask(_Call("GET", path))
    return bytes(answer.content)


def _cancel(scan_id: str) -> Steps[ScanOut]:
    answer = yield from _ask(_Call("POST", f"/v1/scans/{scan_id}/cancel"), done_before=409)
    if answer.is_success:
        return _read(ScanOut, answer)
    scan = yield from _scan(scan_id)
    if scan.state != "cancelled":
        raise _error_of(answer)
    return scan


def _delete(scan_id: str) -> Steps[None]:
    yield from _ask(_Call("DELETE", f"/v1/scans/{scan_id}"), done_before=404)


def _ask(call: _Call, *, done_before: int | None = None) -> Steps[httpx.Response]:
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
        yield _pause_after(answer, failures)


def _read(kind: type[M], answer: httpx.Response) -> M:
    """Raises ServerError where the answer is of another kind."""
    try:
        return kind.model_validate_json(answer.content)
    except ValidationError:
        raise _error_of(answer) from None


def _error_of(answer: httpx.Response | Exception) -> ServerError:
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
        else:
            words = f"The server answered {answer.status_code}; is it Ordnance that listens there?"
        return ServerError("error", words, answer.status_code)


class _EventReader:
    """Puts the lines of a stream together (HTML standard, server-sent events)."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def take(self, line: str) -> Event | None:
        if line.startswith(":"):
            return None
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        if "id" not in fields or "data" not in fields:
            return None
        return Event(int(fields["id"]), fields.get("event", "message"), json.loads(fields["data"]))


class _Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The bytes of a body, a piece at a time."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._content), PIECE_BYTES):
            yield self._content[start : start + PIECE_BYTES]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


def _request(http: httpx.Client | httpx.AsyncClient, call: _Call) -> httpx.Request:
    timeout = http.timeout if call.seconds is None else call.seconds
    request = http.build_request(
        call.method, call.path, headers=call.headers, params=call.params, content=call.content, timeout=timeout
    )
    if call.content is not None:
        request.stream = _Pieces(call.content)
    return request


def _address(server: str) -> httpx.URL:
    """Raises BadOption."""
    reason = "it names no scheme and host"
    try:
        url = httpx.URL(server)
        if url.scheme in ("http", "https") and url.host:
            return url
    except httpx.InvalidURL as error:
        reason = str(error)
    raise BadOption(f"'{server[:200]}' is no address of a server ({reason}); give http(s)://host:port.")


def _headers(key: str | None) -> dict[str, str]:
    """Raises BadOption."""
    if key is not None and not (key.isascii() and key.isprintable()):
        raise BadOption("The key holds characters that no key has; give it as `ordnance keys create` printed it.")
    return {"User-Agent": "ordnance", **({"Authorization": f"Bearer {key}"} if key else {})}


def _after(number: int) -> dict[str, str]:
    return {"Last-Event-ID": str(number)} if number else {}


def _pause(failures: int) -> float:
    return float(min(0.5 * 2.0 ** (failures - 1), 30.0))


def _pause_after(answer: httpx.Response | Exception, failures: int) -> _Pause:
    """How long to wait before asking again what has failed so often. Raises ServerError where that is in vain."""
    is_final = isinstance(answer, httpx.Response) and answer.status_code not in _LATER
    if is_final or failures >= ATTEMPTS:
        raise _error_of(answer)
    return _Pause(_pause(failures), _reason(answer, failures))


def _reason(answer: httpx.Response | Exception, failures: int) -> str:
    return f"{_error_of(answer)} Trying again." if failures == 1 else ""


def _ignore(_: str) -> None:
    pass


def _as_text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
