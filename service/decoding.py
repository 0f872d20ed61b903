"""Single frames of clips that nobody vouches for, by decoder processes that stay open while somebody steps through.

A request for a frame finds its clip open where another one came shortly before: the packets are not read again, and the
next frame is decoded from where the last one was.
"""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.errors import VideoError
from detector.frame import Frame
from detector.video.guard import GuardedVideo, GuardLimits, open_guarded
from detector.video.guard_process import Decoders
from service.problems import FrameNotDecodable, NotFound, NotReady
from service.settings import Settings
from service.store.blobs import BlobStore
from service.store.clips import link_clip
from service.store.tables import ScanRow

MOST_OPEN = 4
"""Clips that are open at a time; each has a decoder process."""
IDLE_SECONDS = 45.0
"""A clip from which nothing was asked for this long is closed."""
WAIT_SECONDS = 30.0
"""So long a request waits where MOST_OPEN others are being answered."""
MOST_FACTS_KEPT = 32
"""Clips whose packet times are remembered after they were closed; an hour of video takes about 1 MB."""
SAME_TIME_SECONDS = 1e-6
"""Times that went over the wire are rounded to microseconds."""


def guard_limits(settings: Settings) -> GuardLimits:
    """What the settings allow a decoder process."""
    return GuardLimits(
        memory_bytes=settings.guard_memory_bytes,
        cpu_seconds=settings.guard_cpu_seconds,
        stall_seconds=settings.guard_stall_seconds,
        max_duration_seconds=settings.max_duration_seconds,
        max_pixels=settings.max_pixels,
        max_streams=settings.max_streams,
    )


@dataclass(frozen=True, slots=True, eq=False)
class ClipFacts:
    """`times` are the presentation times of all frames in seconds, float64, ascending, as the packets state them;
    `width` and `height` are in display pixels."""

    times: NDArray[np.float64]
    width: int
    height: int


@dataclass(slots=True, eq=False)
class _OpenClip:
    sha256: str
    folder: Path
    lock: threading.Lock = field(default_factory=threading.Lock)
    video: GuardedVideo | None = None
    users: int = 0
    is_gone: bool = False
    used_at: float = field(default_factory=time.monotonic)

    def close(self) -> None:
        if self.video is not None:
            self.video.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Viewer:
    """Frames and frame times of scans' clips. Threads share it; close it at the end.

    Its methods raise NotFound where the clip's bytes are gone, FrameNotDecodable where the clip is to blame, and
    NotReady where too many ask at once.
    """

    def __init__(self, settings: Settings, blobs: BlobStore) -> None:
        self._settings = settings
        self._blobs = blobs
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(MOST_OPEN)
        self._decoders: Decoders | None = None
        self._open: OrderedDict[str, _OpenClip] = OrderedDict()
        self._facts: OrderedDict[str, ClipFacts] = OrderedDict()
        self._tidying: threading.Timer | None = None

    def facts(self, scan: ScanRow) -> ClipFacts:
        with self._lock:
            known = self._facts.get(scan.clip_sha256)
        if known is not None:
            return known
        with self._clip(scan) as video:
            return self._note_facts(scan, video)

    def frame_at(self, scan: ScanRow, seconds: float) -> Frame:
        """The frame that is on display at `seconds`: the last one that begins by then, or else the first.

        Where that one cannot be decoded it is the next that can.
        """
        with self._clip(scan) as video:
            times = self._note_facts(scan, video).times
            # Read to the end: what a decoder still had to send would cost it its life.
            frames = [frame for _, frame in video.frames_at([float(times[place_at(times, seconds)])])]
        if not frames:
            raise FrameNotDecodable(f"{scan.name}: no frame could be decoded there; try another time.")
        return frames[0]

    def frames_at(self, scan: ScanRow, times: Sequence[float]) -> Iterator[tuple[float, Frame]]:
        """Each of the ascending times of frames with its frame, by a decoder of its own; those that cannot be decoded
        are left out."""
        folder = self._settings.work_folder / f"view-{secrets.token_hex(8)}"
        with self._place():
            try:
                with self._opened(scan, folder) as video:
                    yield from video.frames_at(times)
            except VideoError as error:
                raise FrameNotDecodable(f"{scan.name}: {_reason(error)}") from error
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def forget(self, sha256: str) -> None:
        """Close the clip, because it is about to be removed; where it is being read, once that has ended."""
        with self._lock:
            self._facts.pop(sha256, None)
            entry = self._open.pop(sha256, None)
            if entry is not None:
                entry.is_gone = True
        if entry is not None and entry.users == 0:
            entry.close()

    def close(self) -> None:
        with self._lock:
            entries, self._open = list(self._open.values()), OrderedDict()
            decoders, self._decoders = self._decoders, None
            if self._tidying is not None:
                self._tidying.cancel()
        for entry in entries:
            entry.close()
        if decoders is not None:
            decoders.close()

    def _note_facts(self, scan: ScanRow, video: GuardedVideo) -> ClipFacts:
        probe = video.probe
        if not len(probe.pts_seconds):
            raise FrameNotDecodable(f"{scan.name}: this clip holds no frame.")
        with self._lock:
            facts = self._facts.get(scan.clip_sha256) or ClipFacts(probe.pts_seconds, probe.width, probe.height)
            self._facts[scan.clip_sha256] = facts
            self._facts.move_to_end(scan.clip_sha256)
            while len(self._facts) > MOST_FACTS_KEPT:
                self._facts.popitem(last=False)
        return facts

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(timeout=WAIT_SECONDS):
            raise NotReady("Too many frames are asked for at once; try again in a moment.", retry_after_seconds=5)
        try:
            yield
        finally:
            self._places.release()

    @contextmanager
    def _clip(self, scan: ScanRow) -> Iterator[GuardedVideo]:
        with self._place():
            entry = self._take(scan)
            try:
                with entry.lock:
                    if entry.video is None:
                        entry.video = self._opened(scan, entry.folder)
                    yield entry.video
            except VideoError as error:
                raise FrameNotDecodable(f"{scan.name}: {_reason(error)}") from error
            finally:
                self._give_back(entry)

    def _take(self, scan: ScanRow) -> _OpenClip:
        with self._lock:
            entry = self._open.get(scan.clip_sha256)
            if entry is None:
                folder = self._settings.work_folder / f"view-{secrets.token_hex(8)}"
                entry = self._open[scan.clip_sha256] = _OpenClip(scan.clip_sha256, folder)
            entry.users += 1
            self._open.move_to_end(scan.clip_sha256)
            idle = [each for each in self._open.values() if each.users == 0]
            spare = idle[: max(0, len(self._open) - MOST_OPEN)]
            for each in spare:
                del self._open[each.sha256]
        for each in spare:
            each.close()
        return entry

    def _give_back(self, entry: _OpenClip) -> None:
        with self._lock:
            entry.users -= 1
            entry.used_at = time.monotonic()
            is_over = entry.users == 0 and (entry.video is None or entry.is_gone)
            if is_over and self._open.get(entry.sha256) is entry:
                del self._open[entry.sha256]
            if self._tidying is None and self._open:
                self._tidying = threading.Timer(IDLE_SECONDS, self._close_idle)
                self._tidying.daemon = True
                self._tidying.start()
        if is_over:
            entry.close()

    def _close_idle(self) -> None:
        now = time.monotonic()
        with self._lock:
            idle = [each for each in self._open.values() if each.users == 0 and now - each.used_at >= IDLE_SECONDS - 1]
            for each in idle:
                del self._open[each.sha256]
            self._tidying = None
            if self._open:
                self._tidying = threading.Timer(IDLE_SECONDS, self._close_idle)
                self._tidying.daemon = True
                self._tidying.start()
        for each in idle:
            each.close()

    def _opened(self, scan: ScanRow, folder: Path) -> GuardedVideo:
        try:
            path = link_clip(self._blobs, scan.clip_sha256, scan.name, folder)
        except FileNotFoundError as error:
            raise NotFound("The clip's bytes are gone from the store; upload it again.") from error
        with self._lock:
            if self._decoders is None:
                self._decoders = Decoders()
            decoders = self._decoders
        return open_guarded(path, guard_limits(self._settings), decoders)


def place_at(times: NDArray[np.float64], seconds: float) -> int:
    """The place in ascending `times` of the frame on display at `seconds`; the first one's before it."""
    return max(0, int(np.searchsorted(times, seconds + SAME_TIME_SECONDS, side="right")) - 1)


def _reason(error: VideoError) -> str:
    """The error's sentence without the name of the link under which the decoder knows the clip."""
    _, colon, rest = str(error).partition(": ")
    return rest if colon else str(error)
