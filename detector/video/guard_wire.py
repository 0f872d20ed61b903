"""What a decoder process and its keeper say to each other: a line of JSON, then as many raw bytes as it names.

Nothing is pickled: whoever takes over a decoder through a hostile clip must not be able to make objects in the keeper.
"""

from __future__ import annotations

import json
import math
import socket
import struct
from collections.abc import Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from detector.frame import Frame
from detector.video.display import Display, Orientation
from detector.video.packets import Times
from detector.video.planes import Colours, Planes
from detector.video.probing import OtherStream, Probe
from detector.video.problems import DecodeProblem

if TYPE_CHECKING:
    from detector.sampling.cuts import CutWatch

MAX_HEADER_BYTES = 4 * 1024 * 1024
MAX_FAILED = 1_000_000
"""So many packets and pictures that could not be decoded are told of; in the keeper each takes about 150 bytes."""
_LENGTHS = struct.Struct("<IQ")
_PLAIN = (
    *("bytes", "container", "codec", "stream_index", "timeline_origin_seconds", "width", "height", "coded_width"),
    *("coded_height", "first_pts_seconds", "duration_seconds", "promised_end_seconds", "times"),
    *("has_late_streams", "unread_recordings", "end_byte"),
)
_CUTS_PLAIN = ("_shortest", "_seen_seconds", "_begins_after", "_is_sampled", "_is_between")
_FRACTIONS = ("time_base", "frame_rate_from_header", "pixel_aspect")


class WireClosed(Exception):
    """The other side is gone."""


class WireBroken(Exception):
    """The other side says what is not in the protocol."""


def send(connection: socket.socket, header: dict[str, Any], body: Sequence[memoryview] = ()) -> None:
    """Send one message; `body` are C-contiguous byte views, one after the other."""
    text = json.dumps(header).encode()
    size = sum(part.nbytes for part in body)
    try:
        connection.sendall(_LENGTHS.pack(len(text), size) + text)
        for part in body:
            connection.sendall(part)
    except (BrokenPipeError, ConnectionResetError) as error:
        raise WireClosed from error


def receive(connection: socket.socket, max_body_bytes: int) -> tuple[dict[str, Any], bytearray]:
    """The next message. Raises WireClosed, WireBroken, or TimeoutError as the socket is set."""
    header_bytes, body_bytes = _LENGTHS.unpack(exactly(connection, _LENGTHS.size))
    if header_bytes > MAX_HEADER_BYTES or body_bytes > max_body_bytes:
        raise WireBroken(f"a message of {header_bytes} and {body_bytes} bytes")
    try:
        header = json.loads(exactly(connection, header_bytes))
    except ValueError as error:
        raise WireBroken("no JSON") from error
    if not isinstance(header, dict):
        raise WireBroken("no object")
    return header, exactly(connection, body_bytes)


def exactly(connection: socket.socket, count: int) -> bytearray:
    """The next `count` bytes. Raises WireClosed, or TimeoutError as the socket is set."""
    buffer = bytearray(count)
    view, done = memoryview(buffer), 0
    while done < count:
        try:
            got = connection.recv_into(view[done:])
        except ConnectionResetError as error:
            raise WireClosed from error
        if got == 0:
            raise WireClosed
        done += got
    return buffer


def pack_probe(probe: Probe) -> tuple[dict[str, Any], list[memoryview]]:
    """A probe as header and body; the path stays with the keeper."""
    header: dict[str, Any] = {name: getattr(probe, name) for name in _PLAIN}
    for name in _FRACTIONS:
        value = getattr(probe, name)
        header[name] = [value.numerator, value.denominator]
    turned = probe.orientation
    header["orientation"] = [turned.transpose, turned.flip_x, turned.flip_y]
    header["other_streams"] = [[each.kind, each.codec] for each in probe.other_streams]
    header["strays"] = [[*packet, ticks] for packet, ticks in probe.strays.items()]
    header["missing"] = probe.missing
    header["packets"] = len(probe.pts_seconds)
    columns = (
        probe.pts_seconds.astype("<f8"),
        probe.is_keyframe.astype("u1"),
        probe.keyframe_seek_ticks.astype("<i8"),
        probe.packet_bytes.astype("<u4"),
    )
    return header, [np.ascontiguousarray(column).data.cast("B") for column in columns]


def unpack_probe(header: dict[str, Any], body: bytearray, path: Path) -> Probe:
    """The probe of `pack_probe`. Raises WireBroken where the parts do not fit together."""
    try:
        packets = int(header["packets"])
        pts = np.frombuffer(body, "<f8", packets).astype(np.float64)
        keys = np.frombuffer(body, "u1", packets, packets * 8).astype(np.bool_)
        ticks = np.frombuffer(body, "<i8", int(keys.sum()), packets * 9).astype(np.int64)
        sizes = np.frombuffer(body, "<u4", offset=packets * 9 + len(ticks) * 8).astype(np.uint32)
        plain: dict[str, Any] = {name: header[name] for name in _PLAIN}
        fractions: dict[str, Any] = {name: Fraction(*(int(part) for part in header[name])) for name in _FRACTIONS}
        times = (plain["duration_seconds"], plain["first_pts_seconds"], plain["timeline_origin_seconds"])
        if len(sizes) != packets or not np.isfinite(pts).all() or not all(map(math.isfinite, times)):
            raise WireBroken("a probe that contradicts itself")
        if (
            plain["times"] not in get_args(Times)
            or np.any(np.diff(pts) < 0)
            or plain["width"] < 1
            or plain["height"] < 1
        ):
            raise WireBroken("a probe that contradicts itself")
        return Probe(
            path=path,
            orientation=Orientation(*(bool(part) for part in header["orientation"])),
            strays={(int(ticks), int(place)): int(better) for ticks, place, better in header["strays"]},
            missing=tuple((float(start), float(end)) for start, end in header["missing"]),
            other_streams=tuple(OtherStream(str(kind), str(codec)) for kind, codec in header["other_streams"]),
            pts_seconds=pts,
            is_keyframe=keys,
            keyframe_seek_ticks=ticks,
            packet_bytes=sizes,
            **plain,
            **fractions,
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise WireBroken("no probe") from error


def pack_failed(seconds: Sequence[float]) -> list[memoryview]:
    """The times of what failed, as a body."""
    return [np.array(seconds[:MAX_FAILED], "<f8").data.cast("B")] if seconds else []


def unpack_failed(body: bytearray) -> list[float]:
    """The times of `pack_failed`. Raises WireBroken."""
    if len(body) % 8 or len(body) > 8 * MAX_FAILED:
        raise WireBroken("failures that cannot be told apart")
    times = np.frombuffer(body, "<f8")
    if not np.isfinite(times).all():
        raise WireBroken("a failure at no time")
    return [float(each) for each in times]


def pack_picture(frame: Frame) -> tuple[dict[str, Any], Sequence[NDArray[np.uint8]]]:
    """A frame's pixels as header and body: its planes where it has them, which are half as many bytes, else RGB."""
    planes = frame.unconverted
    if not isinstance(planes, Planes):
        return {"shape": frame.image.shape}, [frame.image]
    colours = planes.colours
    facts = {"matrix": colours.matrix, "full_range": colours.is_full_range, "interlaced": planes.is_interlaced}
    return facts, planes.planes


def unpack_picture(header: dict[str, Any], body: bytearray, display: Display) -> NDArray[np.uint8] | Planes:
    """What Frame takes. Raises WireBroken where it is no picture of that display."""
    try:
        if "matrix" in header:
            colours = Colours(int(header["matrix"]), bool(header["full_range"]))
            return Planes.of_bytes(body, colours, display, is_interlaced=bool(header["interlaced"]))
        height, width, channels = (int(side) for side in header["shape"])
        if (width, height, channels) != (*display.size, 3):
            raise WireBroken("a picture of another size")
        return np.frombuffer(body, np.uint8).reshape(height, width, 3)
    except (KeyError, TypeError, ValueError) as error:
        raise WireBroken("no picture") from error


def pack_cuts(watch: CutWatch, *, known: int = 0) -> dict[str, Any]:
    """What a CutWatch has seen, at a point where it holds no picture back: after a sample.

    The first `known` shots are left out, as whoever is told has them: all of them are too many for one message.
    """
    state = vars(watch)
    before = state["_before"]
    return {
        "plain": {name: state[name] for name in _CUTS_PLAIN},
        "starts": state["_starts"][known:],
        "before": None if before is None else [before.levels.tolist(), before.layout.tolist()],
    }


def unpack_cuts(header: Any, into: CutWatch | None = None) -> CutWatch:
    """The watch of `pack_cuts`, which goes on where `into` ended. Raises WireBroken."""
    from detector.sampling.cuts import CutWatch, _Grey

    try:
        watch = into or CutWatch(float(header["plain"]["_shortest"]))
        starts = [(float(after), float(at)) for after, at in header["starts"]]
        plain = {name: header["plain"][name] for name in _CUTS_PLAIN}
        numbers = [plain["_shortest"], plain["_seen_seconds"], plain["_begins_after"], *chain.from_iterable(starts)]
        are_known = isinstance(plain["_is_sampled"], bool) and isinstance(plain["_is_between"], bool)
        if not all(map(math.isfinite, numbers)) or not are_known:
            raise WireBroken("cuts at no time")
        before = header["before"]
        grey = None
        if before is not None:
            levels, layout = (np.asarray(column, np.float32) for column in before)
            grey = _Grey(levels, layout)
        vars(watch).update(
            plain, _starts=vars(watch)["_starts"] + starts, _before=grey, _held=None, _is_held_well=False
        )
        return watch
    except (KeyError, TypeError, ValueError) as error:
        raise WireBroken("no cuts") from error


def pack_problem(problem: DecodeProblem) -> list[Any]:
    return [problem.from_seconds, problem.to_seconds, problem.reason, problem.decoded]


def unpack_problem(entry: Any) -> DecodeProblem:
    """Raises WireBroken."""
    try:
        start, end, reason, decoded = entry
        if not (math.isfinite(start) and math.isfinite(end)):
            raise WireBroken("a problem at no time")
        return DecodeProblem(float(start), float(end), str(reason)[:500], bool(decoded))
    except (TypeError, ValueError) as error:
        raise WireBroken("no problem") from error
