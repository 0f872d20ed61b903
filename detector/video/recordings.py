"""Files that were joined end to end (`cat a.mp4 b.mp4`) and that FFmpeg reads only in part."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from detector.video.hashing import CHUNK_BYTES
from detector.video.opening import open_bytes

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
_MATROSKA_START = re.compile(rb"\x1a\x45\xdf\xa3(?:[\x80-\xff]|\x01\0{6}[\0-\xff])\x42\x86\x81\x01")
_SEGMENT, _TRACKS, _TRACK = b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\xae"
_NUMBER, _TYPE, _CODEC, _CODEC_HEADER, _VIDEO = b"\xd7", b"\x83", b"\x86", b"\x63\xa2", b"\1"
"""Elements of Matroska (RFC 9559), and what a track's type says of video."""
_HEADER_IN_KEYFRAMES = (b"V_VP8", b"V_VP9", b"V_AV1")
"""Codecs whose keyframes say all that is needed to decode them."""
_MOST_START_BYTES = 16
_MOST_COMPARED_BYTES = 16 * 1024**2
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
        head = file.read(_MOST_START_BYTES) or b""
        begins = next((start for start in _STARTS if start.match(head)), None)
        return _counted(_further(file, size) if begins is None else islice(_matches(file, begins), 1, None), size)


def recordings_in_matroska(path: Path) -> Recordings:
    """The same of a Matroska or WebM file, all of which is read for it.

    FFmpeg reads on, but with the first header: what is coded otherwise comes out as rubbish. Raises as `open_bytes`.
    """
    with open_bytes(path) as opened:
        file = opened.raw
        assert isinstance(file, FileIO)
        return _counted(_further_in_matroska(file), file.seek(0, 2))


def _counted(further: Iterable[int | None], size: int) -> Recordings:
    read, unread, end = 1, 0, size
    for place in further:
        if place is None:
            read += 1
        else:
            end = end if unread else place
            unread += 1
    return Recordings(read, unread, end)


def _further_in_matroska(file: FileIO) -> Iterator[int | None]:
    """As `_further`."""
    first, *others = list(_matches(file, _MATROSKA_START)) or [0]
    coding, goes_on = _coding_in_matroska(file, first), True
    for start in others:
        goes_on = goes_on and _coding_in_matroska(file, start) == coding
        yield None if goes_on else start


def _coding_in_matroska(file: FileIO, start: int) -> list[tuple[bytes | None, ...]]:
    """Number, codec and codec's header of each video track of the recording that begins at `start`."""
    file.seek(start)
    head = _elements(file.read(CHUNK_BYTES) or b"")
    segment = next((content for kind, content in head if kind == _SEGMENT), b"")
    tracks = next((content for kind, content in _elements(segment) if kind == _TRACKS), b"")
    coding: list[tuple[bytes | None, ...]] = []
    for facts in (dict(_elements(content)) for kind, content in _elements(tracks) if kind == _TRACK):
        if facts.get(_TYPE) == _VIDEO:
            header = None if facts.get(_CODEC) in _HEADER_IN_KEYFRAMES else facts.get(_CODEC_HEADER)
            coding.append((facts.get(_NUMBER), facts.get(_CODEC), header))
    return coding


def _elements(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The elements of an EBML document (RFC 8794), kind and content."""
    at = 0
    while at < len(content):
        size_at = at + 9 - content[at].bit_length()
        begin = size_at + 9 - int.from_bytes(content[size_at : size_at + 1]).bit_length()
        size = int.from_bytes(content[size_at:begin]) & ((1 << 7 * (begin - size_at)) - 1)
        yield content[at:size_at], content[begin : begin + size]
        at = begin + size


def _matches(file: FileIO, start: re.Pattern[bytes]) -> Iterator[int]:
    """Where in the file it matches."""
    file.seek(0)
    at, content, last = 0, b"", -1
    while chunk := file.read(CHUNK_BYTES):
        content = content[1 - _MOST_START_BYTES :] + chunk
        at += len(chunk)
        for match in start.finditer(content):
            place = at - len(content) + match.start()
            if place > last:
                last = place
                yield place


def _further(file: FileIO, size: int) -> Iterator[int | None]:
    """For each recording behind the first: None where it is read on with that, else where it begins."""
    parts = _parts(file, size)
    first = next(parts)
    tracks = _tracks(_content(file, first.header)) if first.header and first.fragment else None
    goes_on = tracks is not None
    for part in parts:
        goes_on = goes_on and _goes_on(file, part, tracks)
        yield None if goes_on else part.start


def _parts(file: FileIO, size: int) -> Iterator[_Recording]:
    part = _Recording(0)
    for box in _boxes(file, size):
        if box.start == 0 and box.kind != b"ftyp":
            break
        if box.kind == b"ftyp" and part.header:
            if part.has_media or part.start == 0:
                yield part
            part = _Recording(box.start)
        elif box.kind == b"moov":
            part.header = part.header or box
        elif box.kind == b"moof":
            part.fragment = part.fragment or box
        elif box.kind == b"mdat":
            part.has_media = True
    if part.has_media or part.start == 0:
        yield part


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


def _goes_on(file: FileIO, part: _Recording, tracks: list[bytes] | None) -> bool:
    """Whether FFmpeg reads `part` with a first one that has such `tracks`."""
    if part.fragment is None:
        return False
    fragment = _content(file, part.fragment).partition(b"tfhd")[2]
    if len(fragment) < 4 or int.from_bytes(fragment[1:4]) & _ABSOLUTE_OFFSETS:
        return False
    return part.header is None or _tracks(_content(file, part.header)) == tracks


def _tracks(header: bytes) -> list[bytes]:
    """What a header says of its tracks: their ticks a second, what they hold, and what their fragments leave unsaid."""
    ticks = [content[20:24] if content[:1] == b"\1" else content[12:16] for content in _contents(header, b"mdhd")]
    return [*ticks, *_contents(header, b"stsd"), *_contents(header, b"trex")]


def _contents(header: bytes, kind: bytes) -> Iterator[bytes]:
    at = header.find(kind)
    while at >= 4:
        end = max(at + 4, at - 4 + int.from_bytes(header[at - 4 : at]))
        yield header[at + 4 : end]
        at = header.find(kind, end)


def _content(file: FileIO, box: _Box) -> bytes:
    file.seek(box.start)
    return file.read(min(box.end - box.start, _MOST_COMPARED_BYTES)) or b""
