"""Files that were joined end to end (`cat a.mp4 b.mp4`) and that FFmpeg reads only in part."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import NamedTuple

from detector.video.hashing import CHUNK_BYTES
from detector.video.opening import open_bytes

_MOST_COMPARED_BYTES = 16 * 1024**2
_STARTS = tuple(
    re.compile(start)
    for start in (
        rb"FLV\x01[\0-\x05]\0\0\0\t\0\0\0\0",
        rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c",
        rb"\.RMF\0\0\0[\x10-\x12]\0[\0\1]",
        rb"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        rb"DKIF\0\0\x20\0",
    )
)
"""How a recording begins in FLV, ASF, RealMedia, APNG and IVF."""
_MOST_START_BYTES = 16
_ABSOLUTE_OFFSETS = 1
"""In the flags of a track fragment (ISO 14496-12, `tfhd`): places are counted from the file's start."""


class _Box(NamedTuple):
    kind: bytes
    start: int
    end: int


@dataclass(slots=True)
class _Recording:
    start: int
    header: _Box | None = None
    fragment: _Box | None = None
    has_media: bool = False


@dataclass(frozen=True, slots=True)
class Recordings:
    """The recordings in a file: `read` of them are read as one, from the file's start to the byte `end`; `unread` more
    follow."""

    read: int
    unread: int
    end: int


def recordings_in(path: Path) -> Recordings:
    """What an MP4, MOV, FLV, ASF, RealMedia, APNG or IVF file consists of; any other is one recording.

    In MP4 and MOV FFmpeg heeds the first header alone. What is in fragments behind a further one it reads all the same
    where the tracks are described alike and places are counted from each fragment; a recording whose places are counted
    from its own start it would look for in the wrong place, and a plain one it passes over. In the others a recording
    ends where its header or a mark says, or what comes is taken for one packet of it. Raises as `open_bytes`.
    """
    with open_bytes(path) as opened:
        file = opened.raw
        assert isinstance(file, FileIO)
        size = file.seek(0, 2)
        file.seek(0)
        head = file.read(_MOST_START_BYTES)
        begins = next((start for start in _STARTS if start.match(head)), None)
        if begins is not None:
            starts = _matches(file, begins)
            return Recordings(1, len(starts) - 1, starts[1] if len(starts) > 1 else size)
        parts = _parts(file, size)
        read = next((place for place in range(1, len(parts)) if not _goes_on(file, parts[0], parts[place])), len(parts))
        return Recordings(read, len(parts) - read, parts[read].start if read < len(parts) else size)


def _matches(file: FileIO, start: re.Pattern[bytes]) -> list[int]:
    """Where in the file it matches."""
    found: list[int] = []
    file.seek(0)
    at, content = 0, b""
    while chunk := file.read(CHUNK_BYTES):
        content = content[1 - _MOST_START_BYTES :] + chunk
        at += len(chunk)
        found += [
            place for match in start.finditer(content) if (place := at - len(content) + match.start()) not in found
        ]
    return found


def _parts(file: FileIO, size: int) -> list[_Recording]:
    parts = [_Recording(0)]
    for box in _boxes(file, size):
        if box.start == 0 and box.kind != b"ftyp":
            break
        if box.kind == b"ftyp" and parts[-1].header:
            parts.append(_Recording(box.start))
        elif box.kind == b"moov":
            parts[-1].header = parts[-1].header or box
        elif box.kind == b"moof":
            parts[-1].fragment = parts[-1].fragment or box
        elif box.kind == b"mdat":
            parts[-1].has_media = True
    return [parts[0], *(part for part in parts[1:] if part.has_media)]


def _boxes(file: FileIO, size: int) -> Iterator[_Box]:
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length, kind = struct.unpack_from(">I4s", head)
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack_from(">Q", head, 8)
        elif length == 0:
            length = size - at
        if length < 8:
            return
        yield _Box(kind, at, min(at + length, size))
        at += length


def _goes_on(file: FileIO, first: _Recording, part: _Recording) -> bool:
    """Whether FFmpeg reads `part` as it reads the first."""
    if first.fragment is None or part.fragment is None or first.header is None:
        return False
    track = _content(file, part.fragment).partition(b"tfhd")[2]
    if len(track) < 4 or int.from_bytes(track[1:4]) & _ABSOLUTE_OFFSETS:
        return False
    return part.header is None or _tracks(_content(file, part.header)) == _tracks(_content(file, first.header))


def _tracks(header: bytes) -> list[bytes]:
    """What a header says of its tracks: their ticks a second, what they hold, and what their fragments leave unsaid."""
    ticks = [content[20:24] if content[:1] == b"\1" else content[12:16] for content in _contents(header, b"mdhd")]
    return [*ticks, *_contents(header, b"stsd"), *_contents(header, b"trex")]


def _contents(header: bytes, kind: bytes) -> Iterator[bytes]:
    at = header.find(kind)
    while at >= 4:
        yield header[at + 4 : at - 4 + int.from_bytes(header[at - 4 : at])]
        at = header.find(kind, at + 4)


def _content(file: FileIO, box: _Box) -> bytes:
    file.seek(box.start)
    return file.read(min(box.end - box.start, _MOST_COMPARED_BYTES)) or b""
