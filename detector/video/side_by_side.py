"""One clip read by several decoders at once, each in parts of its own that begin with a keyframe.

What comes out is in order, and exactly what one decoder gives. That holds where everything reads as the container
lists it: at the first sign of damage, or of a picture that is not where or when it should be, one decoder alone reads
on, from the beginning of the part that showed it, and says what is wrong.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from types import TracebackType
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from detector.errors import OrdnanceError
from detector.frame import Frame
from detector.memory import give_back_freed
from detector.video.decode import Video, Watch
from detector.video.limits import SEEK_COST_PACKETS
from detector.video.probing import Probe, probe
from detector.video.problems import DecodeProblem
from detector.video.reader import SAME_TIME_SECONDS, Picture

LEAST_PACKETS = 24
"""What a part costs at least, in packets to be decoded, of which seeking to a keyframe is SEEK_COST_PACKETS."""
LEAST_KEYFRAMES = 4
"""In a part where nothing but keyframes is decoded."""
PARTS_A_DECODER = 16
"""Parts of a long clip are larger, as each costs a seek, but so many that the decoders end at nearly the same time."""
MOST_PACKETS = 20 * SEEK_COST_PACKETS
MOST_KEYFRAMES = 32
"""Nor are they larger than this: a seek is then a twentieth of a part, and more pictures waiting are memory that grows
with the clip."""
WAITING_BYTES = 192 * 1024**2
"""What the pictures may take that wait for those of earlier parts."""
_LOOKS_FOR_STOP_SECONDS = 0.05

Entry = tuple[float, Frame]
Queue = queue.Queue[Entry | BaseException | None]
"""What a part brings, in order: entries, and then why there are no more, or None at its end."""


@runtime_checkable
class DivisibleWatch(Protocol):
    """A watch (see `Video.frames_at`) whose work can be divided among parts that begin and end with an answer."""

    def __call__(self, picture: Picture, is_answer: bool, /) -> Picture | None: ...

    def apart(self) -> DivisibleWatch:
        """A watch for a later part."""
        ...

    def join(self, part: DivisibleWatch, /) -> None:
        """Take over what the watch of the next part saw."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What one decoder reads at a time: pictures from `from_seconds` on, up to `until_seconds` without it.

    The last of them must be shown at `reaches_seconds` or later.
    """

    read: Callable[[Video], Iterator[Entry]]
    from_seconds: float
    until_seconds: float
    reaches_seconds: float = -np.inf
    watch: DivisibleWatch | None = None


class _NotAsListed(Exception):
    """Something in the part that begins at `from_seconds` is not as the container lists it."""

    def __init__(self, from_seconds: float) -> None:
        super().__init__(from_seconds)
        self.from_seconds = from_seconds


class SideBySide:
    """An open clip, to be used as Video, that up to `decoders` decoders read. Made by `open_side_by_side`."""

    def __init__(self, facts: Probe, *, decoders: int) -> None:
        self.probe = facts
        is_in_order = facts.times == "stated" and bool((np.diff(facts.keyframe_seconds) > SAME_TIME_SECONDS).all())
        is_whole = facts.promised_end_seconds is None and not facts.missing
        self._most = decoders if is_in_order and is_whole else 1
        self._videos = [Video(facts)]
        self._earlier_frames = 0
        self._run: _Run | None = None

    def __enter__(self) -> SideBySide:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; reading on is an error."""
        self._end_run()
        for video in self._videos:
            video.close()

    @property
    def decoders(self) -> int:
        """How many decoders have been at work, since one alone began to read if it did."""
        return len(self._videos)

    @property
    def errors(self) -> list[DecodeProblem]:
        """As those of Video."""
        return self._videos[0].errors

    @property
    def decode_errors(self) -> int:
        """As those of Video."""
        return self._videos[0].decode_errors

    @property
    def frames_decoded(self) -> int:
        """As those of Video, by all decoders."""
        return self._earlier_frames + sum(video.frames_decoded for video in self._videos)

    def frames(self, *, keyframes_only: bool = False) -> Iterator[Frame]:
        """As Video.frames, without `wanted`; side by side with `keyframes_only`."""
        self._end_run()
        edges = self._keyframe_edges() if keyframes_only and self._may_divide() else []
        if len(edges) < 3:
            return self._videos[0].frames(keyframes_only=keyframes_only)
        return self._keyframes(edges)

    def frames_at(self, targets: Sequence[float], watch: Watch | None = None) -> Iterator[Entry]:
        """As Video.frames_at, with all targets known beforehand; alone with a watch that is no DivisibleWatch."""
        self._end_run()
        edges = []
        if self._may_divide() and (watch is None or isinstance(watch, DivisibleWatch)):
            edges = self._target_edges(targets, at_answers=watch is not None)
        if len(edges) < 3:
            return self._videos[0].frames_at(targets, watch)
        return self._frames_at(edges, targets, watch)

    def _keyframes(self, edges: Sequence[int]) -> Iterator[Frame]:
        shown = -np.inf
        try:
            for _, frame in self._in_order(len(edges) - 1, self._keyframe_parts(edges)):
                shown = frame.pts_seconds
                yield frame
        except _NotAsListed:
            self._read_alone()
        if self._most > 1 and shown > -np.inf:
            return
        for frame in self._videos[0].frames(keyframes_only=True):
            if frame.pts_seconds > shown:
                yield frame

    def _frames_at(self, edges: Sequence[int], targets: Sequence[float], watch: Watch | None) -> Iterator[Entry]:
        shown = -np.inf
        divisible = watch if isinstance(watch, DivisibleWatch) else None
        try:
            for target, frame in self._in_order(
                len(edges) - 1, self._target_parts(edges, targets, divisible), divisible
            ):
                shown = frame.pts_seconds
                yield target, frame
        except _NotAsListed as place:
            self._read_alone()
            left = [target for target in targets if target >= place.from_seconds]
        else:
            return
        for target, frame in self._videos[0].frames_at(left, watch):
            if frame.pts_seconds > shown:
                yield target, frame

    def _in_order(self, count: int, parts: Iterator[_Part], watch: DivisibleWatch | None = None) -> Iterator[Entry]:
        """What all parts bring, `count` of them. Raises _NotAsListed."""
        while len(self._videos) < min(self._most, count):
            self._videos.append(Video(self.probe))
        run = self._run = _Run(self._videos, parts, self._most_waiting())
        try:
            for part, entries in run.parts():
                for entry in entries:
                    yield entry
                    if self._run is not run:
                        raise RuntimeError("this reading ended: another one was started, or the video was closed")
                if watch and part.watch:
                    watch.join(part.watch)
        finally:
            run.stop()

    def _most_waiting(self) -> int:
        """Pictures of one part that may wait; decoders, and one part more, have some each."""
        picture_bytes = 3 * self.probe.width * self.probe.height
        return max(1, WAITING_BYTES // (picture_bytes * (self._most + 1)))

    def _may_divide(self) -> bool:
        if self._most > 1 and not all(video.reads_as_listed for video in self._videos):
            # Only the first one reads alone, so only its account is to be kept.
            self._most = 1
            self._let_go(1)
        return self._most > 1

    def _read_alone(self) -> None:
        """Have a decoder that has seen nothing yet read on: it finds again, and counts once, what is wrong."""
        self._most = 1
        self._let_go(0)
        self._videos = [Video(self.probe)]

    def _let_go(self, keep: int) -> None:
        for video in self._videos[keep:]:
            self._earlier_frames += video.frames_decoded
            video.close()
        del self._videos[keep:]

    def _end_run(self) -> None:
        run, self._run = self._run, None
        if run:
            run.stop()

    def _target_edges(self, targets: Sequence[float], *, at_answers: bool) -> list[int]:
        """Where the targets are parted: positions of the first of each part, and their number.

        A part costs LEAST_PACKETS or more and begins with the first target of a keyframe; `at_answers`: with one that
        the keyframe itself answers. Empty where they cannot be parted.
        """
        keys = self.probe.keyframe_seconds
        wanted = np.asarray(targets, np.float64)
        if len(keys) < 2 or len(wanted) < 2:
            return []
        keyframe = self._keyframes_of(wanted)
        packet = np.searchsorted(self.probe.pts_seconds, wanted - SAME_TIME_SECONDS, side="left")
        read_before = packet - np.flatnonzero(self.probe.is_keyframe)[keyframe]
        is_answer = abs(wanted - keys[keyframe]) <= SAME_TIME_SECONDS
        if at_answers and not is_answer[0]:
            return []
        places = np.flatnonzero(np.diff(keyframe)) + 1
        costs = SEEK_COST_PACKETS + read_before[places - 1]
        least = max(LEAST_PACKETS, min(int(costs.sum()) // (self._most * PARTS_A_DECODER), MOST_PACKETS))
        most_targets = self._most_waiting()
        edges = [0]
        packets = 0
        for place, cost in zip(places.tolist(), costs.tolist(), strict=True):
            packets += cost
            is_large = packets >= least or (packets >= LEAST_PACKETS and place - edges[-1] >= most_targets)
            if is_large and (is_answer[place] or not at_answers):
                edges.append(place)
                packets = 0
        return [*edges, len(wanted)]

    def _target_parts(
        self, edges: Sequence[int], targets: Sequence[float], watch: DivisibleWatch | None
    ) -> Iterator[_Part]:
        for start, end in pairwise(edges):
            until = np.inf
            if end < len(targets):
                until = float(self.probe.keyframe_seconds[self._keyframes_of(np.array(targets[end]))])
            yield _target_part(tuple(targets[start:end]), until, watch.apart() if watch else None)

    def _keyframes_of(self, seconds: NDArray[np.float64]) -> NDArray[np.intp]:
        """The number of the last keyframe at or before each time, 0 where there is none."""
        after = np.searchsorted(self.probe.keyframe_seconds, seconds + 2 * SAME_TIME_SECONDS, side="right")
        return np.maximum(after - 1, 0)

    def _keyframe_edges(self) -> list[int]:
        count = len(self.probe.keyframe_seconds)
        share = count // (self._most * PARTS_A_DECODER)
        at_once = max(LEAST_KEYFRAMES, min(share, MOST_KEYFRAMES, self._most_waiting()))
        return [*range(0, count, at_once), count]

    def _keyframe_parts(self, edges: Sequence[int]) -> Iterator[_Part]:
        seconds = [*self.probe.keyframe_seconds.tolist(), np.inf]
        for first, end in pairwise(edges):
            yield _keyframe_part(first, end, seconds[first], seconds[end])


def _target_part(targets: tuple[float, ...], until_seconds: float, watch: DivisibleWatch | None) -> _Part:
    return _Part(lambda video: video.frames_at(targets, watch), targets[0], until_seconds, targets[-1], watch)


def _keyframe_part(first: int, end: int, from_seconds: float, until_seconds: float) -> _Part:
    def read(video: Video) -> Iterator[Entry]:
        return ((frame.pts_seconds, frame) for frame in video.keyframes_between(first, end))

    return _Part(read, from_seconds, until_seconds)


class _Run:
    """Parts being read by several videos at once, each by one; the earliest ones first, their pictures waiting."""

    def __init__(self, videos: Sequence[Video], parts: Iterator[_Part], most_waiting: int) -> None:
        self._free: queue.SimpleQueue[Video] = queue.SimpleQueue()
        for video in videos:
            self._free.put(video)
        self._ahead = len(videos) + 1
        self._parts = parts
        self._most_waiting = most_waiting
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(len(videos), "decode")

    def parts(self) -> Iterator[tuple[_Part, Iterator[Entry]]]:
        """The parts in order, each with what it brings. Raises _NotAsListed."""
        under_way = deque(map(self._begin, islice(self._parts, self._ahead)))
        while under_way:
            part, entries = under_way.popleft()
            yield part, self._entries(part, entries)
            under_way.extend(map(self._begin, islice(self._parts, 1)))

    def stop(self) -> None:
        """End all reading; returns once no thread is at it any more."""
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)

    def _begin(self, part: _Part) -> tuple[_Part, Queue]:
        entries: Queue = queue.Queue(self._most_waiting)
        self._pool.submit(self._read, part, entries)
        return part, entries

    def _entries(self, part: _Part, entries: Queue) -> Iterator[Entry]:
        while (entry := entries.get()) is not None:
            if isinstance(entry, BaseException):
                raise _NotAsListed(part.from_seconds) if isinstance(entry, OrdnanceError) else entry
            yield entry

    def _read(self, part: _Part, entries: Queue) -> None:
        video = self._free.get()
        reached = -np.inf
        try:
            for target, frame in part.read(video):
                reached = frame.pts_seconds
                if not video.reads_as_listed or reached >= part.until_seconds - SAME_TIME_SECONDS:
                    raise _NotAsListed(part.from_seconds)
                if not self._put(entries, (target, frame)):
                    return
            if not video.reads_as_listed or reached < part.reaches_seconds - SAME_TIME_SECONDS:
                raise _NotAsListed(part.from_seconds)
            self._put(entries, None)
        except BaseException as error:
            self._put(entries, error)
        finally:
            self._free.put(video)

    def _put(self, entries: Queue, entry: Entry | BaseException | None) -> bool:
        """Whether there was room for it before everything was stopped."""
        while not self._stopped.is_set():
            try:
                entries.put(entry, timeout=_LOOKS_FOR_STOP_SECONDS)
            except queue.Full:
                continue
            return True
        return False


def open_side_by_side(path: str | Path, *, decoders: int) -> SideBySide:
    """As `open_video`, for reading by up to `decoders` decoders at once, each with a thread of its own."""
    facts = probe(path)
    give_back_freed()
    return SideBySide(facts, decoders=decoders)
