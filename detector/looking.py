"""From a plan's request to pictures for the model: decoded ahead in a thread of their own, some of them kept."""

from __future__ import annotations

import math
import queue
import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from detector.appearances import Look, StaticPicture, look_of
from detector.best_pictures import BestPictures
from detector.frame import Frame
from detector.models.letterbox import Square
from detector.sampling.coverage import SAME_PICTURE_SECONDS
from detector.sampling.cuts import CutWatch
from detector.sampling.identical import is_near_identical
from detector.sampling.plan import Request
from detector.video import Probe, Readable
from detector.video.decode import Watch
from detector.video.reader import SAME_TIME_SECONDS
from detector.video.timed import OutOfTime, TimedWatch

MEMORY_BYTES = 192 * 1024**2
"""What pictures may take that wait for the model, and once more what those may take that are kept for later."""
BATCH = 8
"""Samples given to the model at once, if their pictures fit into MEMORY_BYTES."""
QUEUE = 12
"""Decoded samples that may wait for the model, on the same condition."""


IN_FLIGHT = 2
"""Batches that the model works on at a time, so that it need not wait while what it said of one is looked at."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A frame ready for the model; `repeats`: as the model sees it, the last one that does not is the same.

    `small` is the whole picture at half the size at which the model sees it, RGB uint8 (height, width, 3).
    """

    frame: Frame
    square: Square
    small: NDArray[np.uint8]
    look: Look
    repeats: bool


@dataclass(slots=True, eq=False)
class ScanState:
    """What one scan remembers from request to request.

    `static` gathers what stays on the picture, `best` the frames that the report may show, `kept` holds frames by PTS,
    `room` of them at most. `again` tells that the first pass over the clip is done, `finds` how many appearances there
    are so far. `deadline` and `coarse_deadline` are on the clock of time.monotonic, infinite without a budget.
    """

    room: int
    static: StaticPicture
    best: BestPictures
    cuts: CutWatch | None = None
    deadline: float = float("inf")
    coarse_deadline: float = float("inf")
    kept: dict[float, Frame] = field(default_factory=dict)
    finds: int = 0
    again: bool = False

    def is_over(self, request: Request) -> bool:
        """Whether there is no time left for the request."""
        return time.monotonic() >= self.deadline_of(request)

    def deadline_of(self, request: Request) -> float:
        return self.coarse_deadline if request.coarse else self.deadline

    def coarse_seconds_left(self) -> float:
        return self.coarse_deadline - time.monotonic()


def pictures_in_memory(probe: Probe, most: int, memory_bytes: int = MEMORY_BYTES) -> int:
    """How many of the clip's pictures `memory_bytes` hold: `most` at most, one at least."""
    return max(1, min(most, memory_bytes // max(1, 3 * probe.width * probe.height)))


def pictures(video: Readable, request: Request, input_px: int, state: ScanState) -> Iterator[Picture]:
    """The frames of a request in time order, and what is to be known of each before the model sees it.

    Every frame of a plan that asks for every frame goes to the model, however like the one before it is.
    """
    compares = request.times is not None or request.keyframes_only
    before: NDArray[np.uint8] | None = None
    for frame in _frames(video, request, state):
        square = Square.of(frame, input_px)
        repeats = compares and before is not None and is_near_identical(before, square.pixels)
        before = before if repeats else square.pixels
        small = _halved(square.picture)
        yield Picture(frame, square, small, look_of(small), repeats)


def _halved(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    size = max(1, image.shape[1] // 2), max(1, image.shape[0] // 2)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _frames(video: Readable, request: Request, state: ScanState) -> Iterator[Frame]:
    """The frames of a request, as far as its time allows."""
    try:
        yield from _all_frames(video, request, state)
    except OutOfTime:
        return


def _all_frames(video: Readable, request: Request, state: ScanState) -> Iterator[Frame]:
    if request.keyframes_only:
        listed = video.probe.keyframe_seconds.tolist() if request.times is None else request.times
        yield from _keyframes(video, tuple(listed))
    elif request.times is None:
        yield from video.frames()
    elif request.shots and state.cuts is not None:
        cuts = state.cuts.between() if request.between else state.cuts
        try:
            for _, frame in video.frames_at(request.times, _within(state.deadline_of(request), cuts)):
                yield frame
        finally:
            if request.between:
                state.cuts.take_over(cuts)
    else:
        yield from _frames_and_kept(video, request, request.times, state)


def _keyframes(video: Readable, times: tuple[float, ...]) -> Iterator[Frame]:
    """The keyframes that the container lists at these times, quickly for as long as the decoder agrees.

    Where it does not take a whole one for such (intra refresh, codecs that do not tell), the others are sought.
    """
    errors_before, served = video.decode_errors, 0
    for frame in video.frames(keyframes_only=True):
        reached = bisect_right(times, frame.pts_seconds + SAME_PICTURE_SECONDS)
        if reached > served + 1 and video.decode_errors == errors_before:
            break
        served = reached
        yield frame
    if served < len(times) and video.decode_errors == errors_before:
        for _, frame in video.frames_at(times[served:]):
            yield frame


def _frames_and_kept(video: Readable, request: Request, times: tuple[float, ...], state: ScanState) -> Iterator[Frame]:
    """As asked for, from what was kept where that will do; keeps what the request says will be asked for next."""
    state.kept = {
        pts: frame for pts, frame in state.kept.items() if any(left < pts < right for left, right in request.keep)
    }
    ready = {pts: state.kept[pts] for pts in times if pts in state.kept}
    room = state.room - len(state.kept)
    listed = video.probe.pts_seconds
    to_keep: list[float] = []
    for left, right in request.keep:
        if len(to_keep) < room and any(left < pts < right and pts not in ready for pts in times):
            first = int(np.searchsorted(listed, left, side="right"))
            end = int(np.searchsorted(listed, right, side="left"))
            to_keep += [pts for pts in listed[first:end].tolist() if pts not in state.kept]
    keeping = set(to_keep[: max(0, room)])
    asked = sorted(set(times) - set(ready))
    answered = 0
    waiting = sorted(ready)
    watch = _within(state.deadline_of(request), None)
    for target, frame in video.frames_at(sorted(keeping.union(asked)), watch) if asked else ():
        while waiting and waiting[0] < frame.pts_seconds:
            yield ready[waiting.pop(0)].without_image()
        if target in keeping:
            state.kept[frame.pts_seconds] = frame.without_image()
        # Where pictures are lost, one that is to be kept may answer for later times too.
        reached = bisect_right(asked, max(target, frame.pts_seconds) + SAME_TIME_SECONDS)
        if reached > answered:
            answered = reached
            yield frame
    for pts in waiting:
        yield ready[pts].without_image()


def _within(deadline: float, watch: CutWatch | None) -> Watch | None:
    return watch if math.isinf(deadline) else TimedWatch(deadline, watch)


class Ahead(Generic[Item]):
    """Runs an iterator in a thread of its own, `limit` items ahead at the most.

    PyAV and OpenCV release the interpreter's lock, so decoding and inference overlap.
    """

    def __init__(self, source: Iterator[Item], limit: int) -> None:
        self._queue: queue.Queue[tuple[Item] | BaseException | None] = queue.Queue(limit)
        self._stop = threading.Event()
        self._is_over = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(source,), name="decode", daemon=True)

    def __enter__(self) -> Ahead[Item]:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    def take(self, most: int, *, fill: bool) -> list[Item]:
        """The next items: `most` of them with `fill`, else those that wait already, one at least; none at the end."""
        items: list[Item] = []
        while len(items) < most and not self._is_over:
            if items and not fill and self._queue.empty():
                break
            entry = self._queue.get()
            if isinstance(entry, tuple):
                items.append(entry[0])
            else:
                self._is_over, self._failure = True, entry
        if not items and self._failure is not None:
            raise self._failure
        return items

    def _run(self, source: Iterator[Item]) -> None:
        try:
            for item in source:
                self._queue.put((item,))
                if self._stop.is_set():
                    return
            self._queue.put(None)
        except BaseException as error:
            self._queue.put(error)


def in_flight(work: Callable[[Item], Result], items: Iterator[Item], most: int) -> Iterator[tuple[Item, Result]]:
    """Each item and what `work` makes of it, in order; `most` items are at work at a time, each in a thread."""
    at_work: deque[tuple[Item, Future[Result]]] = deque()
    pool = ThreadPoolExecutor(most, "infer")
    failure: BaseException | None = None
    try:
        while True:
            try:
                item = next(items, None)
            except BaseException as error:
                # What is at work already was asked for before the failure, and counts.
                failure = error
                break
            if item is None:
                break
            at_work.append((item, pool.submit(work, item)))
            if len(at_work) == most:
                done, future = at_work.popleft()
                yield done, future.result()
        while at_work:
            done, future = at_work.popleft()
            yield done, future.result()
        if failure is not None:
            raise failure
    finally:
        pool.shutdown(cancel_futures=True)
