"""How long a file says that it is, to tell by it that the file was cut off."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from av.container import InputContainer
from av.video.stream import VideoStream

from detector.video.hashing import CHUNK_BYTES
from detector.video.opening import open_bytes
from detector.video.timeline import MICROSECOND

_AS_FFMPEG_TELLS = frozenset(("matroska,webm", "avi", "flv", "asf"))
"""Containers whose header states the duration of the whole file; elsewhere FFmpeg estimates it."""
_HEADER_BYTES = 64 * 1024
"""An MXF file may begin with so much of something else; in an ASF file the properties come early."""
_MXF_PARTITION = bytes.fromhex("060e2b34020501010d0102010102")
_MXF_COMPLETE = (3, 4)
"""The header was written anew once the recording had ended (SMPTE ST 377-1, partition status)."""
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_FIELDS = struct.Struct("<16s Q 16s Q Q Q Q Q Q L")
_ASF_IS_LIVE = 1

_LONGEST_FRAGMENT_TIME = 64
"""Bytes from the beginning of a fragment's `tfhd` to the end of its `tfdt` (ISO 14496-12), at most."""


def stated_seconds(path: Path, container: InputContainer, stream: VideoStream) -> float | None:
    """The duration that the header of the whole file states; None where it states none. Raises as `open_bytes`.

    Where the file's size is not the stated one, as where it was cut off, FFmpeg passes over that of an ASF file and
    shortens that of an AVI file; of an MXF file that is still being recorded it makes one up of the bit rate.
    """
    name = container.format.name
    if name == "avi" and stream.time_base and stream.frames > (stream.duration or 0):
        return float(stream.frames * stream.time_base)
    if name == "asf" and not container.duration:
        return _of_cut_asf(_beginning(path), container.size)
    is_counted = name == "ivf" and stream.frames > 0
    is_stated = is_counted or name in _AS_FFMPEG_TELLS or (name == "mxf" and _is_complete(_beginning(path)))
    return float(container.duration * MICROSECOND) if is_stated and container.duration else None


def _beginning(path: Path) -> bytes:
    with open_bytes(path) as file:
        return file.read(_HEADER_BYTES)


def _is_complete(head: bytes) -> bool:
    status = head.find(_MXF_PARTITION) + len(_MXF_PARTITION)
    return len(_MXF_PARTITION) <= status < len(head) and head[status] in _MXF_COMPLETE


def _of_cut_asf(head: bytes, size: int) -> float | None:
    """What the header states, if it also states that the file has more bytes than `size`."""
    place = head.find(_ASF_PROPERTIES)
    if not 0 <= place <= len(head) - _ASF_FIELDS.size:
        return None
    _, _, _, stated_size, _, _, play, _, preroll_ms, flags = _ASF_FIELDS.unpack_from(head, place)
    seconds = play / 1e7 - preroll_ms / 1e3
    return seconds if stated_size > size and seconds > 0 and not flags & _ASF_IS_LIVE else None


def last_fragment_ticks(path: Path, end: int, track: int) -> int | None:
    """The decoding time at which the last fragment of a track of an MP4 file begins, in the track's ticks.

    Only what lies before the byte `end` is searched. None where there is no fragment. Raises as `open_bytes`.
    """
    begins = re.compile(
        rb"tfhd.{4}" + re.escape(track.to_bytes(4)) + rb".{0,32}tfdt(?:\x00.{3}(.{4})|\x01.{3}(.{8}))", re.DOTALL
    )
    with open_bytes(path) as file:
        after = b""
        while end > 0:
            start = max(0, end - CHUNK_BYTES)
            file.seek(start)
            content = file.read(end - start) + after
            if found := list(begins.finditer(content)):
                return int.from_bytes(found[-1][1] or found[-1][2])
            end, after = start, content[:_LONGEST_FRAGMENT_TIME]
    return None
