"""Memory in which a decoder process leaves pictures for its keeper, so that their pixels go through no socket.

It is made by the keeper for one process (what one clip's decoder left there, another one must not read) and sealed, so
that the process cannot make it smaller under the keeper. The process says in a message which place holds a picture; the
keeper copies it out and answers with one byte, from when on the place may be used again. Where the system has no such
memory, or a picture does not fit, the pixels follow the message.
"""

from __future__ import annotations

import mmap
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.video import guard_wire as wire

MEMORY_BYTES = 64 * 1024**2
MOST_PLACES = 4
"""A decoder may be so many pictures ahead, as far as they fit into MEMORY_BYTES; one always does."""
_TAKEN = b"t"


class Places:
    """`count` places for a picture of up to `place_bytes` each; close it."""

    def __init__(self, memory: mmap.mmap, place_bytes: int, count: int) -> None:
        self._memory = memory
        self.place_bytes = place_bytes
        self.count = count

    def put(self, place: int, parts: Sequence[NDArray[np.uint8]]) -> None:
        """Leave the parts in a place, one after the other."""
        start = place * self.place_bytes
        for part in parts:
            room = np.frombuffer(self._memory, np.uint8, part.size, start).reshape(part.shape)
            np.copyto(room, part)
            start += part.size

    def take(self, place: Any, size: Any) -> bytearray:
        """A copy of the first `size` bytes of a place. Raises WireBroken where there is no such place or so much."""
        if not (isinstance(place, int) and isinstance(size, int)):
            raise wire.WireBroken("a picture at no place")
        if not (0 <= place < self.count and 0 < size <= self.place_bytes):
            raise wire.WireBroken(f"a picture of {size} bytes at place {place}")
        start = place * self.place_bytes
        with memoryview(self._memory) as whole, whole[start : start + size] as part:
            return bytearray(part)

    def close(self) -> None:
        self._memory.close()


def share(connection: socket.socket, picture_bytes: int) -> Places | None:
    """Make memory for pictures of so many bytes and hand it to the process; None where the system gives none.

    Raises WireClosed.
    """
    place_bytes = -(-picture_bytes // mmap.PAGESIZE) * mmap.PAGESIZE
    count = max(1, min(MOST_PLACES, MEMORY_BYTES // place_bytes))
    made = _sealed(place_bytes * count)
    if made is None:
        return None
    handle, memory = made
    try:
        wire.send(connection, {"do": "memory", "place_bytes": place_bytes, "count": count})
        socket.send_fds(connection, [_TAKEN], [handle])
    except (BrokenPipeError, ConnectionResetError) as error:
        raise wire.WireClosed from error
    finally:
        os.close(handle)
    return Places(memory, place_bytes, count)


def _sealed(size: int) -> tuple[int, mmap.mmap] | None:
    """A file in memory that nobody can make smaller or larger, open, and as its maker may read it."""
    if sys.platform != "linux":
        return None
    import fcntl

    try:
        handle = os.memfd_create("ordnance-pictures", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:
        return None
    try:
        os.ftruncate(handle, size)
        fcntl.fcntl(handle, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        return handle, mmap.mmap(handle, size, prot=mmap.PROT_READ)
    except OSError:
        os.close(handle)
        return None


def tell_taken(connection: socket.socket) -> None:
    """Let the process use the place again. That it has ended is told by what is received next."""
    try:
        connection.sendall(_TAKEN)
    except (BrokenPipeError, ConnectionResetError):
        return


class Outlet:
    """How a decoder process sends its pictures."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._places: Places | None = None
        self._sent = 0
        self._in_use = 0

    def receive_memory(self, order: dict[str, Any]) -> None:
        """Use the memory that follows `order` from now on, where the limits leave room for it."""
        _, handles, _, _ = socket.recv_fds(self._connection, len(_TAKEN), 1)
        for handle in handles:
            with suppress(OSError):
                memory = mmap.mmap(handle, order["place_bytes"] * order["count"])
                self._places = Places(memory, order["place_bytes"], order["count"])
            os.close(handle)

    def send(self, header: dict[str, Any], parts: Sequence[NDArray[np.uint8]]) -> None:
        """Send one picture. Raises WireClosed."""
        size = sum(part.nbytes for part in parts)
        if self._places is None or size > self._places.place_bytes:
            wire.send(self._connection, header, [np.ascontiguousarray(part).data.cast("B") for part in parts])
            return
        self._wait_for_room(self._places.count - 1)
        place = self._sent % self._places.count
        self._places.put(place, parts)
        wire.send(self._connection, {**header, "place": place, "bytes": size})
        self._sent += 1
        self._in_use += 1

    def settle(self) -> None:
        """Wait until all pictures are taken: after that, what comes is an order. Raises WireClosed."""
        self._wait_for_room(0)

    def _wait_for_room(self, most_in_use: int) -> None:
        if self._in_use > most_in_use:
            wire.exactly(self._connection, self._in_use - most_in_use)
            self._in_use = most_in_use
