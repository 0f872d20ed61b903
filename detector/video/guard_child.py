"""What a decoder process does, from its first message to its end. `guard_template` forks it."""

from __future__ import annotations

import mmap
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from av.container import InputContainer

from detector.errors import NoDecodableFrame, OrdnanceError, TooManyStreams, UnsupportedCodec
from detector.frame import Frame
from detector.memory import give_back_freed
from detector.video import guard_wire as wire
from detector.video.decode import Video
from detector.video.guard_kernel import refuse_calls, refuse_files, refuse_new_privileges
from detector.video.guard_memory import Outlet
from detector.video.probing import Probe, moving_pictures, probe

WATCH_SECONDS = 0.5
BUSY_SECONDS = 0.5
"""So often it is said that pictures are decoded, though none of them is asked for."""
EXIT_MEMORY = 70
EXIT_ORPHANED = 71


def serve(connection: socket.socket, *, watch: int | None = None) -> None:
    """Give up all rights but those to one clip, then answer until the keeper is gone.

    `watch` is the parent to end with, where the system does not see to that.
    """
    order, _ = wire.receive(connection, 0)
    path = Path(order["path"])
    if watch is not None:
        threading.Thread(target=_watch, args=(watch,), daemon=True).start()
    wire.send(connection, {"isolation": _lock_down(path, order)})
    try:
        _answer(connection, path, order)
    except wire.WireClosed:
        return
    except MemoryError:
        os._exit(EXIT_MEMORY)


def _answer(connection: socket.socket, path: Path, limits: dict[str, Any]) -> None:
    facts: Probe | None = None
    video: Video | None = None
    outlet = Outlet(connection)
    while True:
        outlet.settle()
        request, body = wire.receive(connection, wire.MAX_HEADER_BYTES * 1024)
        try:
            if request["do"] == "probe":
                facts = probe(path, lambda container: _check_streams(path.name, container, limits))
                give_back_freed()
                header, columns = wire.pack_probe(facts)
                wire.send(connection, {"probe": header}, columns)
            elif request["do"] == "known":
                facts = wire.unpack_probe(request["probe"], body, path)
            elif request["do"] == "memory":
                outlet.receive_memory(request)
            elif facts is not None:
                if video is None or request["afresh"]:
                    video = Video(facts, threads=int(limits["threads"]), on_picture=_Beat(connection))
                _read(connection, outlet, video, request)
        except OrdnanceError as error:
            wire.send(connection, {"error": error.code, "message": str(error)})


class _Beat:
    """Says now and then that the process is on its way."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._said = time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self._said >= BUSY_SECONDS:
            wire.send(self._connection, {"busy": True})
            self._said = time.monotonic()


def _read(connection: socket.socket, outlet: Outlet, video: Video, request: dict[str, Any]) -> None:
    """The frames of one request, and at its end what reading them brought besides."""
    frames_before = video.frames_decoded
    watch = wire.unpack_cuts(request["cuts"]) if request.get("cuts") else None
    failure = None
    try:
        if request["do"] == "frames_at":
            for target, frame in video.frames_at(request["targets"], watch):
                _send_frame(outlet, target, frame)
        else:
            for frame in video.frames(keyframes_only=request["keyframes_only"]):
                _send_frame(outlet, None, frame)
    except NoDecodableFrame as error:
        if not _has_room_for_more(video.probe):
            raise MemoryError from error
        failure = error
    account = {
        "end": True,
        "problems": [wire.pack_problem(each) for each in video.errors],
        "frames_decoded": video.frames_decoded - frames_before,
        "seekable": video.is_seekable,
        "cuts": wire.pack_cuts(watch) if watch else None,
        "error": failure.code if failure else None,
        "message": str(failure) if failure else "",
        "cpu_seconds": time.process_time(),
    }
    wire.send(connection, account, wire.pack_failed(video.failed))


def _has_room_for_more(facts: Probe) -> bool:
    """Whether two more pictures could be held: where FFmpeg gets no memory it often says that a picture is damaged."""
    pixels = max(facts.width * facts.height, facts.coded_width * facts.coded_height)
    try:
        mmap.mmap(-1, 2 * pixels * 3).close()
    except OSError:
        return False
    return True


def _send_frame(outlet: Outlet, target: float | None, frame: Frame) -> None:
    facts, parts = wire.pack_picture(frame)
    outlet.send({"target": target, "pts": frame.pts_seconds, "key": frame.is_keyframe, **facts}, parts)


def _check_streams(name: str, container: InputContainer, limits: dict[str, Any]) -> None:
    """Refuse, before a byte is decoded, what the limits do not allow."""
    count = len(container.streams)
    if count > limits["max_streams"]:
        raise TooManyStreams(
            f"{name}: this file holds {count} streams, more than the {limits['max_streams']} allowed; "
            "export the video track alone."
        )
    codec = moving_pictures(name, container).codec_context.codec.canonical_name
    if codec not in limits["codecs"]:
        raise UnsupportedCodec(
            f"{name}: video of the codec '{codec}' is not decoded here; convert it to H.264 in MP4 first."
        )


def _lock_down(path: Path, limits: dict[str, Any]) -> list[str]:
    """Give up what a decoder does not need; the names of what the system really enforces."""
    enforced = []
    if sys.platform != "win32":
        import resource

        memory, seconds, files = limits["memory_bytes"], limits["cpu_seconds"], limits["open_files"]
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        # Where both limits are one, Linux sends SIGKILL at once, which could be anybody's.
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        enforced.append("limits")
    if refuse_new_privileges():
        enforced.append("no new privileges")
        libraries = {Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[2], *map(Path, ("/lib", "/lib64"))}
        if refuse_files([path.resolve(), *libraries]):
            enforced.append("files")
        if refuse_calls():
            enforced.append("network and programs")
    return enforced


def _watch(parent: int) -> None:
    """End with the parent, however it ended."""
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(EXIT_ORPHANED)
