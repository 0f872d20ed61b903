"""Bytes from the network into a file, hashed on the way and never held in memory as a whole."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from service.access.limits import over_quota
from service.api.writing import FileWriter
from service.problems import BadRequest, NotReady, ServiceError, UploadTooLarge, given_again
from service.settings import Settings

MAX_FIELD_BYTES = 64 * 1024
MAX_FIELDS = 32
_CONTENT_LENGTH = re.compile(r"\d{1,18}")
_EXTENDED_NAME = re.compile(rb";\s*filename\*\s*=\s*utf-8'[^']*'([^;\s]+)", re.IGNORECASE)
"""As .NET and older Python clients send names that are not ASCII (RFC 8187); their `filename` is unfit to be shown."""


class Received:
    """A file that grows; use `close` and then `path`, `sha256` and `bytes`, or `discard`."""

    def __init__(self, settings: Settings, quota_bytes: int) -> None:
        self.path: Path = settings.uploads_folder / f"{secrets.token_hex(16)}.partial"
        self.bytes = 0
        self._most = settings.max_upload_bytes
        self._quota = quota_bytes
        self._hash = hashlib.sha256()
        self._writer = FileWriter(self.path, self._hash, makes=True)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    async def write(self, chunk: bytes) -> None:
        """Raises UploadTooLarge, QuotaExceeded or StorageFull."""
        self.bytes += len(chunk)
        if self.bytes > self._most:
            raise UploadTooLarge(f"More than the {self._most} bytes taken here; cut the clip into parts.")
        if self.bytes > self._quota:
            raise over_quota(f"More than the {self._quota} bytes that are left of today's quota")
        await self._writer.write(chunk)

    async def close(self) -> None:
        """Raises StorageFull, or BadRequest where there is not one byte."""
        if self.bytes == 0:
            raise BadRequest("The upload is empty; send the clip's bytes.")
        await self._writer.settle()

    def discard(self) -> None:
        self._writer.abandon(remove=True)


def announced_bytes(request: Request) -> int | None:
    """The size that the request's header states. Raises BadRequest."""
    header = request.headers.get("content-length")
    if header is None:
        return None
    if not _CONTENT_LENGTH.fullmatch(header):
        raise BadRequest("Content-Length is no number of bytes.")
    return int(header)


async def receive_raw(request: Request, settings: Settings, quota_bytes: int) -> Received:
    """The body as it is. Raises UploadTooLarge, QuotaExceeded, StorageFull, or BadRequest where it was cut off."""
    received = Received(settings, quota_bytes)
    line = Line()
    try:
        if not await read_body(request, settings.upload_stall_seconds, received.write, line):
            raise _cut_off(line)
        await received.close()
    except BaseException:
        received.discard()
        raise
    return received


async def receive_form(request: Request, settings: Settings, quota_bytes: int) -> tuple[Received, str, dict[str, str]]:
    """A multipart body: its part `file`, that part's file name, and the other fields as text.

    Raises as receive_raw, and BadRequest for what is no form, BadOption for a field that is there twice.
    """
    _, parameters = parse_options_header(request.headers.get("content-type", ""))
    boundary = parameters.get(b"boundary")
    if not boundary:
        raise BadRequest("The form's Content-Type names no boundary; let the HTTP client set it.")
    form, line = _Form(settings, quota_bytes), Line()
    try:
        try:
            parser = MultipartParser(boundary, form.callbacks())

            async def parse(chunk: bytes) -> None:
                parser.write(chunk)
                await form.drain()

            if not await read_body(request, settings.upload_stall_seconds, parse, line):
                raise _cut_off(line)
            parser.finalize()
            await form.drain()
        except MultipartParseError as error:
            raise BadRequest(
                "The body is not the form that its Content-Type says; send multipart/form-data."
            ) from error
        if form.file is None or not form.ended:
            raise BadRequest("The form holds no whole part 'file'; send the clip in it.")
        await form.file.close()
        return form.file, form.file_name, form.fields
    except BaseException:
        if form.file is not None:
            form.file.discard()
        raise


class _Form:
    """What the parser says, put in order. The parser calls back without waiting, so bytes queue until `drain`."""

    def __init__(self, settings: Settings, quota_bytes: int) -> None:
        self.file: Received | None = None
        self.file_name = ""
        self.fields: dict[str, str] = {}
        self.ended = False
        self._settings = settings
        self._quota = quota_bytes
        self._queue: list[bytes] = []
        self._header = bytearray(), bytearray()
        self._disposition: dict[bytes, bytes] = {}
        self._name = ""
        self._value = bytearray()

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._all,
        }

    async def drain(self) -> None:
        for chunk in self._queue:
            assert self.file is not None
            await self.file.write(chunk)
        self._queue.clear()

    def _begin(self) -> None:
        self._disposition, self._name, self._value = {}, "", bytearray()
        self._header = bytearray(), bytearray()

    def _header_end(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            _, self._disposition = parse_options_header(bytes(value))
            if extended := _EXTENDED_NAME.search(value):
                self._disposition[b"filename"] = unquote_to_bytes(extended[1])
        self._header = bytearray(), bytearray()

    def _headers_end(self) -> None:
        self._name = self._disposition.get(b"name", b"").decode(errors="replace")
        if self._name == "file":
            if self.file is not None:
                raise BadRequest("The form holds more than one part 'file'; send one clip a request.")
            self.file = Received(self._settings, self._quota)
            self.file_name = self._disposition.get(b"filename", b"").decode(errors="replace")
        elif self._name in self.fields:
            raise given_again(self._name)
        elif len(self.fields) >= MAX_FIELDS:
            raise BadRequest(f"The form holds more than {MAX_FIELDS} fields.")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._name == "file":
            self._queue.append(data[start:end])
        else:
            self._value += data[start:end]
            if len(self._value) > MAX_FIELD_BYTES:
                words = f"The form's field '{self._name[:64]}' is longer than {MAX_FIELD_BYTES} bytes"
                raise BadRequest(f"{words}; send the clip in the part 'file'.")

    def _end(self) -> None:
        if self._name != "file":
            self.fields[self._name] = self._value.decode(errors="replace")

    def _all(self) -> None:
        self.ended = True


class Line:
    """A request's body on its way, which another request may ask to give way."""

    def __init__(self) -> None:
        self.gives_way = False
        self.limit: asyncio.Timeout | None = None

    def give_way(self) -> None:
        self.gives_way = True
        if self.limit is not None and not self.limit.expired():
            self.limit.reschedule(0)


_lines: set[Line] = set()


def end_uploads() -> None:
    """Have all bodies on their way give way: the server stops. What came of a resumable upload is kept."""
    for line in list(_lines):
        line.give_way()


async def read_body(
    request: Request,
    stall_seconds: float,
    take: Callable[[bytes], Awaitable[None]],
    line: Line,
) -> bool:
    """Give the body to `take` as it arrives; whether it came whole.

    It did not where the client went away, where nothing came for `stall_seconds` (a connection may break without a
    word), and where `line` was told to give way.
    """
    _lines.add(line)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(stall_seconds) as limit:
            line.limit = limit
            async for chunk in request.stream():
                limit.reschedule(None)
                if chunk:
                    await take(chunk)
                if line.gives_way:
                    return False
                limit.reschedule(loop.time() + stall_seconds)
    except ClientDisconnect:
        return False
    except TimeoutError:
        if not limit.expired():
            raise
        return False
    finally:
        line.limit = None
        _lines.discard(line)
    return True


def _cut_off(line: Line) -> ServiceError:
    if line.gives_way:
        return NotReady("The server stops just now; send the upload again in a moment.", retry_after_seconds=5)
    return BadRequest("The upload was cut off; send it again, or use /v1/uploads, which resumes.")
