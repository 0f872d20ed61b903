"""FFmpeg's own words for a failure, without FFmpeg writing to the process's stderr."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

# Decoder threads of FFmpeg log outside the capture below; without a handler Python would print that to stderr.
logging.getLogger("libav").addHandler(logging.NullHandler())
# A clip that is read again says the same again.
av.logging.set_skip_repeated(False)

ENCRYPTED = "its packets are encrypted"


def is_encrypted(packet: Packet[Stream] | Packet[VideoStream]) -> bool:
    """Whether the container calls the packet encrypted (ISO 23001-7): a decoder makes nothing of it, or noise."""
    return packet.has_sidedata("encryption_info")


@contextmanager
def libav_reasons() -> Iterator[list[tuple[int, str, str]]]:
    """Let FFmpeg's error messages reach the exceptions it raises, and nothing else but the list that is given: level,
    component and message of each so far.

    PyAV switches FFmpeg's log off by default, and with it the `log` of its exceptions. The level is the
    process's, so it is put back on leaving; a thread that loses that race loses words, never an error.
    """
    before = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as messages:
            yield messages
    finally:
        av.logging.set_level(before)


def count_streams(container: InputContainer) -> int:
    """How many streams FFmpeg knows by now: `container.streams` are those that it knew when it opened the file."""
    with libav_reasons():
        av.logging.set_level(av.logging.INFO)
        return len(re.findall(r"^ *Stream #0:\d+", container.dumps_format(), re.MULTILINE))  # type: ignore[attr-defined]


def reason_of(error: Exception) -> str:
    """The most telling words of a PyAV error, in lower case where it begins a clause, without a full stop."""
    words = str(error)
    if isinstance(error, av.FFmpegError):
        words = error.strerror or words
        # PyAV's stub nests this differently; at run time it is (level, component, message) or None.
        if error.log and len(log := cast(tuple[int, str, str], error.log)) == 3:
            _level, component, message = log
            words = f"{component.split(',')[0]}: {' '.join(message.split())}"
    return words.strip().rstrip(".!")
