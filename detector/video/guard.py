"""Clips that nobody vouches for are decoded in a process of their own, which may crash, stall or be taken over.

`open_guarded` gives what `open_video` gives, from such a process. What it enforces is in `GuardedVideo.isolation`:
"limits" (memory, processor time, open files, no file written: POSIX), "no new privileges", "files" (Landlock: only the
clip and the program's own libraries can be read) and "network and programs" (seccomp), the last three on Linux.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from detector.errors import DecoderEnded, OrdnanceError, TooLarge, TooLong, VideoError
from detector.frame import Frame
from detector.video import guard_memory
from detector.video import guard_wire as wire
from detector.video.display import Display
from detector.video.guard_child import EXIT_MEMORY
from detector.video.guard_process import START_SECONDS, DecoderProcess, Decoders
from detector.video.limits import MAX_PICTURE_PIXELS
from detector.video.probing import Probe
from detector.video.problems import DecodeProblem, ProblemLog
from detector.video.timed import TimedWatch

if TYPE_CHECKING:
    from detector.sampling.cuts import CutWatch

CODECS = (
    *("h264", "hevc", "vvc", "av1", "vp8", "vp9", "mpeg1video", "mpeg2video", "mpeg4", "h263", "h261", "flv1"),
    *("msmpeg4v1", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2", "wmv3", "vc1", "vp3", "vp4", "vp5", "vp6", "vp6a"),
    *("vp6f", "vp7", "theora", "mjpeg", "mjpegb", "jpeg2000", "prores", "dnxhd", "dvvideo", "cfhd", "ffv1"),
    *("huffyuv", "ffvhuff", "utvideo", "rawvideo", "v210", "svq1", "svq3", "cinepak", "indeo3", "indeo4", "indeo5"),
    *("rv10", "rv20", "rv30", "rv40", "gif", "apng", "png", "webp", "qtrle", "rpza", "smc", "msvideo1", "msrle"),
    *("zmbv", "tscc", "flashsv", "cavs", "amv", "dirac", "snow"),
)
"""Decoders that a clip may ask for, by FFmpeg's canonical names: what cameras, phones, recorders, editors and websites
have written in the last thirty years. FFmpeg has some 200 more, for games and for formats nobody sends any more, whose
decoders are looked after least."""

_DAMAGED = "the file is damaged or made to harm: play it to check, or export it again from the original"
PROBE_STALL_FACTOR = 5
"""Reading all packets of a long clip delivers nothing on the way; it may take this many times the usual stall."""
BUSY_STALL_FACTOR = 60
"""Nor does decoding one from its start to a picture near its end, where it cannot be sought."""


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """What one clip, and the process that decodes it, may take."""

    memory_bytes: int = 4 * 1024**3
    cpu_seconds: int = 3600
    open_files: int = 64
    stall_seconds: float = 60.0
    threads: int = 1
    max_duration_seconds: float = 24 * 3600.0
    max_pixels: int = MAX_PICTURE_PIXELS
    max_streams: int = 64
    codecs: tuple[str, ...] = CODECS


class GuardedVideo:
    """An open clip whose bytes are read by another process. Made by `open_guarded`; use it in a `with` statement.

    As Video; `errors`, `decode_errors` and `frames_decoded` count what was read to its end. The process is started
    again after it ended: `begin_afresh` has the next reading begin as such a process would, with a decoder that has
    seen nothing, so that what comes does not depend on whether there was such an end. `cpu_seconds` is what the
    processes had used when their last reading ended, `is_seekable` whether it could be sought as far as is known.
    """

    def __init__(self, path: Path, limits: GuardLimits, decoders: Decoders | None = None) -> None:
        self._path = path
        self._limits = limits
        self._decoders = decoders or Decoders()
        self._owns_decoders = decoders is None
        self._process: DecoderProcess | None = None
        self._process_seconds = 0.0
        self._places: guard_memory.Places | None = None
        self._reading: object = None
        self._afresh = False
        self._problems = ProblemLog()
        self.isolation: tuple[str, ...] = ()
        self.frames_decoded = 0
        self.cpu_seconds = 0.0
        self.is_seekable = True
        try:
            self.probe: Probe = self._ask_for_probe()
            self._display = Display(self.probe.width, self.probe.height, self.probe.orientation)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> GuardedVideo:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._reading = None
        self._stop()
        if self._owns_decoders:
            self._decoders.close()

    @property
    def errors(self) -> list[DecodeProblem]:
        """What could not be decoded as recorded, by time."""
        return list(self._problems)

    @property
    def decode_errors(self) -> int:
        """As that of Video."""
        return len(self._problems.failed)

    @property
    def failed(self) -> list[float]:
        """As that of Video."""
        return list(self._problems.failed)

    @property
    def pid(self) -> int | None:
        """The decoder process, None while there is none."""
        return self._process.pid if self._process else None

    def begin_afresh(self) -> None:
        """Let nothing that was read before have an influence on what is read from now on."""
        self._afresh = True

    def frames(self, *, keyframes_only: bool = False) -> Iterator[Frame]:
        """As Video.frames, without `wanted`. Raises DecoderEnded as well."""
        for _, frame in self._read({"do": "frames", "keyframes_only": keyframes_only}, None):
            yield frame

    def frames_at(
        self, targets: Iterable[float], watch: CutWatch | TimedWatch | None = None
    ) -> Iterator[tuple[float, Frame]]:
        """As Video.frames_at, with all targets known beforehand. Raises DecoderEnded as well.

        What the process's copy of `watch` saw is in `watch` once the frames were read to their end. A TimedWatch looks
        at the clock with each frame.
        """
        timed = watch if isinstance(watch, TimedWatch) else None
        cuts = cast("CutWatch | None", timed.watch if timed else watch)
        request: dict[str, Any] = {"do": "frames_at", "targets": [float(each) for each in targets]}
        if cuts is not None:
            request["cuts"] = wire.pack_cuts(cuts, known=cuts.count)
        for target, frame in self._read(request, cuts):
            if timed:
                timed.check()
            yield frame.pts_seconds if target is None else target, frame

    def _read(self, request: dict[str, Any], watch: CutWatch | None) -> Iterator[tuple[float | None, Frame]]:
        reading = self._reading = object()
        connection = self._ready()
        done = False
        try:
            self._send(connection, {**request, "afresh": self._afresh})
            self._afresh = False
            came = time.monotonic()
            while True:
                header, body = self._receive(self._limits.stall_seconds)
                if header.get("busy"):
                    self._check_busy(came)
                    continue
                if header.get("end"):
                    self._note_end(header, body, watch)
                    done = True
                    if header.get("error"):
                        raise _error_of(header)
                    return
                if header.get("error"):
                    done = True
                    raise _error_of(header)
                yield self._frame(header, body)
                came = time.monotonic()
                if self._reading is not reading:
                    raise RuntimeError("this reading ended: another one was started, or the video was closed")
        finally:
            # What the process still sends belongs to this reading: the next one gets a fresh process.
            if not done and self._reading is reading:
                self._stop()

    def _ask_for_probe(self) -> Probe:
        connection = self._start()
        try:
            self._send(connection, {"do": "probe"})
            header, body = self._receive(self._limits.stall_seconds * PROBE_STALL_FACTOR)
            if "error" in header:
                raise _error_of(header)
            facts = wire.unpack_probe(header["probe"], body, self._path)
        except wire.WireBroken as error:
            self._stop()
            raise self._ended(f"it answered with {error}", fault_of_clip=True) from error
        except BaseException:
            self._stop()
            raise
        name, limits = self._path.name, self._limits
        lasts = facts.duration_seconds - facts.first_pts_seconds
        if lasts > limits.max_duration_seconds:
            self._stop()
            raise TooLong(
                f"{name}: this video lasts {lasts:.0f} s, more than the "
                f"{limits.max_duration_seconds:.0f} s allowed; cut it into parts."
            )
        if max(facts.width * facts.height, facts.coded_width * facts.coded_height) > limits.max_pixels:
            self._stop()
            raise TooLarge(
                f"{name}: this video has {facts.width}x{facts.height} pixels, more than the {limits.max_pixels} "
                "allowed; make it smaller."
            )
        return facts

    def _ready(self) -> socket.socket:
        """A connection to a process that knows the clip, and has processor time left."""
        if self._process is None or self._process_seconds >= self._limits.cpu_seconds / 2:
            self._stop()
            header, columns = wire.pack_probe(self.probe)
            self._send(self._start(), {"do": "known", "probe": header}, columns)
        assert self._process is not None
        connection = self._process.connection
        if self._places is None:
            self._share_memory(connection)
        return connection

    def _share_memory(self, connection: socket.socket) -> None:
        probe = self.probe
        pixels = max(probe.width * probe.height, probe.coded_width * probe.coded_height)
        try:
            self._places = guard_memory.share(connection, pixels * 3)
        except wire.WireClosed:
            raise self._why_it_ended() from None

    def _start(self) -> socket.socket:
        self._process = self._decoders.start()
        self._process_seconds = 0.0
        connection = self._process.connection
        self._send(connection, {"path": str(self._path.absolute()), **asdict(self._limits)})
        header, _ = self._receive(START_SECONDS)
        self.isolation = tuple(str(each) for each in header.get("isolation", ()))
        return connection

    def _stop(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process = None
        if self._places is not None:
            self._places.close()
            self._places = None

    def _send(self, connection: socket.socket, header: dict[str, Any], body: list[memoryview] | None = None) -> None:
        try:
            wire.send(connection, header, body or [])
        except wire.WireClosed:
            raise self._why_it_ended() from None

    def _receive(self, stall_seconds: float) -> tuple[dict[str, Any], bytearray]:
        assert self._process is not None
        connection = self._process.connection
        connection.settimeout(stall_seconds)
        try:
            header, body = wire.receive(connection, max(MAX_PICTURE_PIXELS * 3, wire.MAX_HEADER_BYTES * 256))
            if self._places is not None and "place" in header:
                body = self._places.take(header["place"], header.get("bytes"))
                guard_memory.tell_taken(connection)
            return header, body
        except TimeoutError:
            self._stop()
            raise self._ended(f"nothing came from it for {stall_seconds:.0f} s", fault_of_clip=True) from None
        except wire.WireClosed:
            raise self._why_it_ended() from None
        except wire.WireBroken as error:
            self._stop()
            raise self._ended(f"it answered with {error}", fault_of_clip=True) from None

    def _check_busy(self, since: float) -> None:
        """A process that is busy may be so for a while, but not for ever: a clip may have taken it over."""
        seconds = BUSY_STALL_FACTOR * self._limits.stall_seconds
        if time.monotonic() - since > seconds:
            self._stop()
            raise self._ended(f"no picture came from it for {seconds:.0f} s", fault_of_clip=True)

    def _frame(self, header: dict[str, Any], body: bytearray) -> tuple[float | None, Frame]:
        try:
            picture = wire.unpack_picture(header, body, self._display)
            target, pts = header["target"], float(header["pts"])
            if not np.isfinite(pts):
                raise ValueError
            return None if target is None else float(target), Frame(picture, pts, bool(header["key"]))
        except (KeyError, TypeError, ValueError, wire.WireBroken):
            self._stop()
            raise self._ended("it sent something that is no picture of this clip", fault_of_clip=True) from None

    def _note_end(self, header: dict[str, Any], body: bytearray, watch: CutWatch | None) -> None:
        try:
            for each in header["problems"]:
                self._problems.add(wire.unpack_problem(each))
            self._problems.failed.update(dict.fromkeys(wire.unpack_failed(body)))
            self.frames_decoded += int(header["frames_decoded"])
            self.is_seekable = bool(header["seekable"])
            seconds = float(header["cpu_seconds"])
            self.cpu_seconds += max(0.0, seconds - self._process_seconds)
            self._process_seconds = seconds
            if watch is not None:
                wire.unpack_cuts(header["cuts"], watch)
        except (KeyError, TypeError, ValueError, wire.WireBroken):
            self._stop()
            raise self._ended("it sent an account that makes no sense", fault_of_clip=True) from None

    def _why_it_ended(self) -> DecoderEnded:
        code = self._process.exit_code() if self._process else None
        self._stop()
        if code == EXIT_MEMORY:
            return self._ended(
                f"it needed more than {self._limits.memory_bytes} bytes of memory",
                fault_of_clip=True,
                remedy="make its pictures smaller, or have the operator allow more",
            )
        if code == -signal.SIGXCPU:
            return self._ended(f"it used more than {self._limits.cpu_seconds} s of processor time", fault_of_clip=True)
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in signal.Signals.__members__.values() else str(-code)
            return self._ended(f"signal {name}", fault_of_clip=code != -signal.SIGKILL)
        return self._ended(f"exit code {code}", fault_of_clip=code not in (None, 0))

    def _ended(self, reason: str, *, fault_of_clip: bool, remedy: str = _DAMAGED) -> DecoderEnded:
        return DecoderEnded(
            f"{self._path.name}: the decoder process ended ({reason}); {remedy}.",
            reason=reason,
            fault_of_clip=fault_of_clip,
        )


def open_guarded(path: str | Path, limits: GuardLimits | None = None, decoders: Decoders | None = None) -> GuardedVideo:
    """Open a clip in a process of its own, which comes from `decoders`: who opens many clips has them share one.

    Raises as `open_video` does, and TooLong, TooManyStreams, UnsupportedCodec or DecoderEnded.
    """
    return GuardedVideo(Path(path), limits or GuardLimits(), decoders)


def _error_of(header: dict[str, Any]) -> OrdnanceError:
    message = str(header.get("message", ""))[:1000]
    kinds: list[type[VideoError]] = VideoError.__subclasses__()
    for kind in kinds:
        if kind.code == header["error"] and kind is not DecoderEnded:
            return kind(message)
    return VideoError(message)
