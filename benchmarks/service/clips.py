"""Clips to upload: parts of the demo clip and painted ones, each with bytes of its own, so that none is known yet."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import av
import numpy as np

DEMO_SECONDS = 180.0
PART_SECONDS = 8.0
FIRST_PART = 4
"""The part in which the demo clip's Humvee comes into view (35 s): the smallest run has something to find, too."""
PAINTED_SECONDS, PAINTED_RATE = 3.0, 25
PAINTED_EVERY = 5
"""Each clip of this many is a painted one, in which nothing is to be found."""
MINUTE_SECONDS = 60.0
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip in a file. `by_tus` says how it is to be uploaded: resumably, or as the body of one request."""

    path: Path
    source: str
    seconds: float
    by_tus: bool


def build_clips(folder: Path, count: int) -> list[Clip]:
    """`count` clips of 3 to 8 s; every other one is for tus."""
    demo = Path(str(files("datasets") / "demo" / "demo.mp4"))
    painted = paint_clip(folder / "painted.mp4")
    parts = round(DEMO_SECONDS / PART_SECONDS)
    clips = []
    for number in range(count):
        path = folder / f"clip{number:04}.mp4"
        title = f"ordnance bench service {number}"
        if number % PAINTED_EVERY == PAINTED_EVERY - 1:
            seconds = copy_part(painted, path, 0.0, PAINTED_SECONDS, title)
            source = "painted"
        else:
            start = ((FIRST_PART + number) % parts) * PART_SECONDS
            seconds = copy_part(demo, path, start, start + PART_SECONDS, title)
            source = f"demo from {start:g} s"
        clips.append(Clip(path, source, seconds, number % 2 == 1))
    return clips


def build_minutes(folder: Path, count: int) -> list[Clip]:
    """`count` clips of a minute of the demo clip each, for tus."""
    demo = Path(str(files("datasets") / "demo" / "demo.mp4"))
    clips = []
    for number in range(count):
        path = folder / f"minute{number:04}.mp4"
        start = number * MINUTE_SECONDS % DEMO_SECONDS
        seconds = copy_part(demo, path, start, start + MINUTE_SECONDS, f"ordnance bench service minute {number}")
        clips.append(Clip(path, f"demo from {start:g} s", seconds, True))
    return clips


def copy_part(source: Path, target: Path, start: float, end: float, title: str) -> float:
    """Copy the packets from the keyframe at or before `start` up to `end`, in seconds; returns how long the part is."""
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        stream = reading.streams.video[0]
        copy = writing.add_stream_from_template(stream)
        writing.metadata["title"] = title
        assert stream.time_base is not None
        reading.seek(int(start / stream.time_base), stream=stream)
        first, last = None, 0
        for packet in reading.demux(stream):
            if packet.dts is None or packet.pts is None or packet.pts * stream.time_base > end:
                continue
            first = packet.dts if first is None else first
            packet.dts, packet.pts = packet.dts - first, packet.pts - first
            last = max(last, packet.pts)
            packet.stream = copy
            writing.mux(packet)
        return float(last * stream.time_base)


def paint_clip(path: Path) -> Path:
    """Bands that move, in H.264 with a keyframe a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=PAINTED_RATE, options={"g": str(PAINTED_RATE)})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for number in range(round(PAINTED_SECONDS * PAINTED_RATE)):
            picture = np.full((360, 640, 3), (90, 110, 130), np.uint8)
            picture[:, number * 7 % 640 :] = (120, 100, 70)
            picture[number % 360 :] += 30
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, PAINTED_RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def pad_clip(source: Path, target: Path, size: int) -> Path:
    """A large clip of `size` bytes that is quick to scan: the source, then a box of random bytes that players skip."""
    content = source.read_bytes()
    rest = size - len(content)
    with target.open("wb") as file:
        file.write(content)
        file.write(struct.pack(">I4s", rest, b"free"))
        rest -= 8
        while rest > 0:
            rest -= file.write(os.urandom(min(rest, MIB)))
    return target
