"""The two clients: the same steps, waited for in one and awaited in the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from detector.report import Report
from service.api.shapes import AppearanceOut, ScanOut
from service.client import connection, scans
from service.client.asking import Pause, Steps, T, pause_after
from service.client.events import Event, EventReader, headers_after
from service.client.upload import OnProgress, upload

ANSWER_SECONDS = 5.0
ENDED = ("done", "failed", "cancelled")
OnWait = Callable[[str], None]
"""Is told why, when a request is going to be tried again."""


class Client:
    """A connection to a server: `Client("http://127.0.0.1:8008", key="ord_…")`. Methods raise ServerError; BadOption is
    raised here where the address or the key cannot be one, or a scan has no such option."""

    def __init__(
        self, server: str, key: str | None = None, *, timeout_seconds: float = 60.0, on_wait: OnWait | None = None
    ) -> None:
        self._http = httpx.Client(
            base_url=connection.address(server), headers=connection.headers(key), timeout=timeout_seconds
        )
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
        return self.scan(self._run(upload(clip, options, on_progress)))

    def scan(self, scan_id: str) -> ScanOut:
        return self._run(scans.scan(scan_id))

    def scans(self, **filters: Any) -> list[ScanOut]:
        return self._run(scans.scans(filters))

    def appearances(self, scan_id: str, min_confidence: float = 0.0) -> list[AppearanceOut]:
        return self._run(scans.appearances(scan_id, min_confidence))

    def report(self, scan_id: str) -> Report:
        return self._run(scans.report(scan_id))

    def fetch(self, path: str) -> bytes:
        """What lies at one of a scan's links."""
        return self._run(scans.fetch(path))

    def cancel(self, scan_id: str) -> ScanOut:
        return self._run(scans.cancel(scan_id))

    def delete(self, scan_id: str) -> None:
        self._run(scans.delete(scan_id))

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
            reader = EventReader()
            failed: httpx.Response | Exception | None = None
            try:
                with self._http.stream("GET", f"/v1/scans/{scan_id}/events", headers=headers_after(after)) as answer:
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
                self._wait(pause_after(failed, failures))
            elif self.scan(scan_id).state in ENDED:
                return

    def _wait(self, pause: Pause) -> None:
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
                    if isinstance(asked, Pause):
                        self._wait(asked)
                    else:
                        answer = self._http.send(connection.request(self._http, asked))
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
        self._http = httpx.AsyncClient(
            base_url=connection.address(server), headers=connection.headers(key), timeout=timeout_seconds
        )
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
        return await self.scan(await self._run(upload(clip, options, on_progress)))

    async def scan(self, scan_id: str) -> ScanOut:
        return await self._run(scans.scan(scan_id))

    async def scans(self, **filters: Any) -> list[ScanOut]:
        return await self._run(scans.scans(filters))

    async def appearances(self, scan_id: str, min_confidence: float = 0.0) -> list[AppearanceOut]:
        return await self._run(scans.appearances(scan_id, min_confidence))

    async def report(self, scan_id: str) -> Report:
        return await self._run(scans.report(scan_id))

    async def fetch(self, path: str) -> bytes:
        return await self._run(scans.fetch(path))

    async def cancel(self, scan_id: str) -> ScanOut:
        return await self._run(scans.cancel(scan_id))

    async def delete(self, scan_id: str) -> None:
        await self._run(scans.delete(scan_id))

    async def wait(self, scan_id: str) -> ScanOut:
        async for _ in self.events(scan_id):
            pass
        return await self.scan(scan_id)

    async def events(self, scan_id: str, after: int = 0) -> AsyncIterator[Event]:
        failures = 0
        while True:
            reader = EventReader()
            failed: httpx.Response | Exception | None = None
            try:
                async with self._http.stream(
                    "GET", f"/v1/scans/{scan_id}/events", headers=headers_after(after)
                ) as answer:
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
                await self._wait(pause_after(failed, failures))
            elif (await self.scan(scan_id)).state in ENDED:
                return

    async def _wait(self, pause: Pause) -> None:
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
                    if isinstance(asked, Pause):
                        await self._wait(asked)
                    else:
                        answer = await self._http.send(connection.request(self._http, asked))
                except httpx.TransportError as error:
                    answer = error
                except BaseException as error:
                    interruption = error
        except StopIteration as end:
            result: T = end.value
            return result


def _ignore(_: str) -> None:
    pass
