"""Bytes from the network into a file: written and hashed by another thread while the next ones arrive."""

from __future__ import annotations

import asyncio
import hashlib
import os
import zlib
from pathlib import Path
from typing import IO, Protocol

from service.problems import StorageFull
from service.store.blobs import FULL
from service.store.writeback import begin_writeback

BUFFER_BYTES = 1024 * 1024
"""Handed to the thread at once; as much again may gather meanwhile, and is in memory with it."""


class Digest(Protocol):
    """As in hashlib."""

    def update(self, content: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class Crc32:
    """CRC-32 (ISO-HDLC) in the form of a hash; four bytes, most significant first."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, content: bytes, /) -> None:
        self._value = zlib.crc32(content, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def new_digest(algorithm: str) -> Digest:
    return Crc32() if algorithm == "crc32" else hashlib.new(algorithm, usedforsecurity=False)


class FileWriter:
    """Appends to the file `path` and lets `digests` see what it writes. Nothing is written before `settle` or
    BUFFER_BYTES; what `write` took is in the file, in order, once `settle` returns.

    Unless it `makes` the file, that must be there: what somebody removed in the meantime must not come back. Raises
    StorageFull, or FileNotFoundError where there is no such file.
    """

    def __init__(self, path: Path, *digests: Digest, makes: bool = False) -> None:
        self._path = path
        self._mode = "xb" if makes else "r+b"
        self._digests = digests
        self._file: IO[bytes] | None = None
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._writing: asyncio.Future[None] | None = None

    async def write(self, content: bytes) -> None:
        self._gathered.append(content)
        self._gathered_bytes += len(content)
        if self._gathered_bytes >= BUFFER_BYTES:
            await self._written()
            self._hand_over()

    async def settle(self) -> None:
        """Wait until everything is in the file, and close it."""
        await self._written()
        self._hand_over(close=True)
        await self._written()

    def abandon(self, *, remove: bool = False) -> None:
        """Close the file, and `remove` it, as soon as nothing is being written; what was not written never will be."""
        self._gathered.clear()

        def end(written: asyncio.Future[None] | None) -> None:
            if written is not None and not written.cancelled():
                written.exception()
            self._close()
            if remove:
                self._path.unlink(missing_ok=True)

        if self._writing is None:
            end(None)
        else:
            self._writing.add_done_callback(end)

    def _hand_over(self, *, close: bool = False) -> None:
        batch, self._gathered, self._gathered_bytes = self._gathered, [], 0
        self._writing = asyncio.get_running_loop().run_in_executor(None, self._append, batch, close)

    async def _written(self) -> None:
        if self._writing is None:
            return
        try:
            # A request that is cancelled must not leave a thread behind that nobody waits for.
            await asyncio.shield(self._writing)
        except OSError as error:
            if error.errno in FULL:
                raise StorageFull("The disk is full; ask the operator to make room.") from error
            raise
        self._writing = None

    def _append(self, batch: list[bytes], close: bool) -> None:
        if self._file is None:
            self._file = self._path.open(self._mode, buffering=0)
            self._file.seek(0, os.SEEK_END)
        begin = self._file.tell()
        for content in batch:
            rest = memoryview(content)
            while rest:
                rest = rest[self._file.write(rest) :]
            for digest in self._digests:
                digest.update(content)
        begin_writeback(self._file.fileno(), begin, self._file.tell() - begin)
        if close:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
