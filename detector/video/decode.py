"""A clip's frames, straight through or at chosen times."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

import av
import numpy as np

from detector.errors import NoDecodableFrame
from detector.frame import Frame
from detector.memory import give_back_freed
from detector.video.display import Display
from detector.video.opening import ASK_FOR_COPY
from detector.video.planes import Planes
from detector.video.probing import Probe, probe
from detector.video.problems import DecodeProblem, ProblemLog
from detector.video.reader import SAME_TIME_SECONDS, Picture, Reader, Sought, cut_off
from detector.video.reading_cost import ReadingCost
from detector.video.reasons import ENCRYPTED, reason_of

Watch = Callable[[Picture, bool], Picture | None]
"""Is shown a picture on the way to a target, and whether it is the answer; may hand back one it was shown before."""

_ROUNDED_PTS_SECONDS = 0.0005
MOST_UNREACHABLE = 3
"""So many keyframes to which a seek did not lead, and no other is trusted."""
LONG_INDEX_PACKETS = 10_000
"""From so many packets on, what FFmpeg frees after reading a file's index is worth giving back: 75 bytes each."""


class Readable(Protocol):
    """What a scan asks of an open clip. `Video` says what each means."""

    probe: Probe

    @property
    def errors(self) -> list[DecodeProblem]: ...

    @property
    def decode_errors(self) -> int: ...

    @property
    def frames_decoded(self) -> int: ...

    def frames(self, *, keyframes_only: bool = False) -> Iterator[Frame]: ...

    def frames_at(self, targets: Sequence[float], watch: Watch | None = None) -> Iterator[tuple[float, Frame]]: ...


class Video:
    """An open clip. Made by `open_video`; use it in a `with` statement.

    One reading at a time: starting `frames` or `frames_at` ends the reading that was under way. Not for
    several threads at once. Memory does not grow with the pixels or the length of what was read.
    """

    def __init__(self, facts: Probe, *, threads: int = 1, on_picture: Callable[[], None] | None = None) -> None:
        """`on_picture` is called for each picture on the way to one that is asked for."""
        self.probe = facts
        self._on_picture = on_picture
        self.seeks = 0
        self._threads = threads
        self._keyframe_seconds = facts.keyframe_seconds
        self._display = Display(facts.width, facts.height, facts.orientation)
        self._problems = ProblemLog()
        self._reader: Reader | None = None
        self._reading: object = None
        self._seekable = True
        self._unreachable: set[int] = set()
        self._skips = True
        self._cost = ReadingCost()
        self._closed = False
        self._earlier_frames = 0
        for start, end in facts.missing:
            self._problems.add(DecodeProblem(start, end, "the file is damaged here: its packets are lost"))
        if facts.promised_end_seconds is not None:
            self._problems.add(cut_off(facts.duration_seconds, facts.promised_end_seconds))

    def __enter__(self) -> Video:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def close(self) -> None:
        """Let go of the file; reading on is an error."""
        self._close_reader()
        self._reading = None
        self._closed = True

    @property
    def errors(self) -> list[DecodeProblem]:
        """What could not be decoded as recorded in everything read so far, by time.

        That the file is cut off or has holes is known from the beginning; damage only once it was read over.
        """
        return list(self._problems)

    @property
    def decode_errors(self) -> int:
        """How many packets and pictures could not be decoded, over all readings, each counted once."""
        return len(self._problems.failed)

    @property
    def failed(self) -> list[float]:
        """The times of those, in seconds, in the order in which they were met."""
        return list(self._problems.failed)

    @property
    def frames_decoded(self) -> int:
        """How many pictures were decoded, converted or not, over all readings."""
        return self._earlier_frames + (self._reader.frames_decoded if self._reader else 0)

    @property
    def is_seekable(self) -> bool:
        """Whether nothing says yet that every reading has to begin at the clip's start."""
        return self._seekable and not (self._reader is not None and self._reader.reorders_times)

    @property
    def reads_as_listed(self) -> bool:
        """Whether all that was read so far was whole, and where and when the container says."""
        damaged = self.decode_errors > 0 or self._problems.count > 0
        return self.is_seekable and not self._unreachable and self._skips and not damaged

    def frames(
        self, wanted: Callable[[float, bool], bool] | None = None, *, keyframes_only: bool = False
    ) -> Iterator[Frame]:
        """All frames from the beginning, times never going back.

        `wanted(pts_seconds, is_keyframe)` says which frames are converted and yielded; the others are only
        decoded. With `keyframes_only` nothing else is decoded, which is much faster: what the container calls a
        keyframe, if the decoder agrees. A clip in which there is none is read in full, for what the decoder
        calls keyframes, its first frame counting as one.

        Raises NoDecodableFrame, once the clip is read to its end, if not one picture could be decoded.
        """
        reading = self._begin()
        self._open_reader(keyframes_only=keyframes_only)
        return self._frames(reading, wanted, keyframes_only)

    def frames_at(self, targets: Iterable[float], watch: Watch | None = None) -> Iterator[tuple[float, Frame]]:
        """For ascending times in seconds: (target, the first frame shown at or after it).

        A target beyond the last frame gets the last frame, and ends the iteration. A frame that serves
        several targets is yielded once, with the first of them. `targets` is read one at a time and only
        when its next answer is due, so it may depend on the frames so far. A smaller target than the one
        before it counts as served. Frames between the targets are skipped by seeking where that is cheaper
        than decoding them, and those that no other refers to are not decoded. The images are exactly those of
        `frames`; only within ranges that `errors` reports
        as damaged may they differ, because what a decoder makes up depends on what it saw before.

        `watch` is shown every picture that any way of reading must decode: from the keyframe before a target up
        to the answer. A picture that it hands back is yielded as well, with its own time as the target.

        Raises NoDecodableFrame if there were targets but the clip has no picture that can be decoded.
        """
        return self._frames_at(self._begin(keep_reader=True), targets, watch)

    def keyframes_between(self, first: int, end: int) -> Iterator[Frame]:
        """Those of the keyframes number `first` to `end` - 1, counted as in `probe.keyframe_seconds`, that the decoder
        takes for such; nothing else is decoded. Where the container does not lead there, `reads_as_listed` is false.
        """
        return self._keyframes_between(self._begin(keep_reader=True, keyframes_only=True), first, end)

    def _frames(
        self, reading: object, wanted: Callable[[float, bool], bool] | None, keyframes_only: bool
    ) -> Iterator[Frame]:
        found = False
        fallback = False
        while True:
            picture = self._current(reading).read()
            if picture is None:
                if keyframes_only and not found and not fallback:
                    fallback = True
                    self._open_reader()
                    continue
                break
            if keyframes_only and not picture.is_keyframe and not (fallback and not found):
                continue
            found = True
            if wanted is None or wanted(picture.seconds, picture.is_keyframe):
                frame = self._convert(picture)
                if frame is not None:
                    yield frame
        if not found:
            raise self._no_decodable_frame()

    def _keyframes_between(self, reading: object, first: int, end: int) -> Iterator[Frame]:
        if self._reader is None:
            self._open_reader(keyframes_only=True)
        reader = self._current(reading)
        if (first or reader.fed_packets) and reader.seek(first) is not Sought.THERE:
            self._seekable = False
            return
        is_last = end == len(self._keyframe_seconds)
        last = np.inf if is_last else self._keyframe_seconds[end - 1] - SAME_TIME_SECONDS
        while (picture := self._current(reading).read()) is not None:
            if picture.is_keyframe and (frame := self._convert(picture)) is not None:
                yield frame
            if picture.seconds >= last:
                return

    def _frames_at(
        self, reading: object, targets: Iterable[float], watch: Watch | None
    ) -> Iterator[tuple[float, Frame]]:
        served = -np.inf
        for target in targets:
            goal = target - SAME_TIME_SECONDS
            if served >= goal:
                continue
            for picture, is_answer in self._way_to(reading, goal, watch):
                frame = self._convert(picture)
                if frame is not None:
                    yield (target if is_answer else frame.pts_seconds), frame
                    if is_answer:
                        served = picture.seconds
                        break
            else:
                last = self._current(reading).last_read
                if last is None:
                    raise self._no_decodable_frame()
                frame = self._convert(last) if last.seconds > served else None
                if frame is not None:
                    yield target, frame
                return

    def _way_to(self, reading: object, goal: float, watch: Watch | None) -> Iterator[tuple[Picture, bool]]:
        """The pictures from `goal` on, marked as answers, and before them what `watch` hands back."""
        self._approach(reading, goal)
        path_from = self._path_from(self._current(reading), goal)
        for picture in self._pictures_from(reading, goal):
            is_answer = picture.seconds >= goal
            if watch and picture.seconds >= path_from and (extra := watch(picture, is_answer)) is not None:
                yield extra, False
            if is_answer:
                yield picture, True

    def _pictures_from(self, reading: object, goal: float) -> Iterator[Picture]:
        """The pictures on the way to `goal` and on from there, without those before it that nobody needs.

        Where leaving them out cost the very picture that the container lists at `goal`, nothing is left out from
        now on and the way is gone again.
        """
        self._current(reading).skip_before_seconds = goal if self._skips else -np.inf
        pts = self.probe.pts_seconds
        place = int(np.searchsorted(pts, goal, side="left"))
        listed = float(pts[place]) if place < len(pts) else -np.inf
        arrived = False
        while True:
            reader = self._current(reading)
            started, fed = time.perf_counter(), reader.fed_packets
            picture = reader.read()
            if self._on_picture:
                self._on_picture()
            self._cost.read_on(reader.fed_packets - fed, time.perf_counter() - started)
            lost = picture is None or picture.seconds > listed + _ROUNDED_PTS_SECONDS
            late = picture is None or picture.seconds >= goal
            if late and not arrived and lost and reader.may_have_skipped:
                self._skips = False
                self._open_reader()
                self._approach(reading, goal)
                continue
            if picture is None:
                return
            arrived = arrived or late
            yield picture

    def _path_from(self, reader: Reader, goal: float) -> float:
        """The time of the last keyframe at or before `goal`, from which on everything must be decoded."""
        if reader.reorders_times:
            return -np.inf
        place = self._keyframe_before(goal)
        return float(self._keyframe_seconds[place]) - SAME_TIME_SECONDS if place >= 0 else -np.inf

    def _approach(self, reading: object, goal: float) -> None:
        """Bring the reader before the first picture at or after `goal`, by seeking if that saves work."""
        if self._reading is reading and self._reader is None:
            self._open_reader()
        reader = self._current(reading)
        while True:
            is_past = reader.last_read is not None and reader.last_read.seconds >= goal
            keyframe = self._last_keyframe_before(goal, reader)
            if keyframe is None or not self._is_seek_cheaper(keyframe, reader, is_past):
                if is_past:
                    self._open_reader()
                return
            self.seeks += 1
            started = time.perf_counter()
            sought = reader.seek(keyframe)
            self._cost.sought(time.perf_counter() - started)
            if sought is Sought.THERE:
                return
            self._unreachable.add(keyframe)
            # Where its keyframe flags or its index lie, or nearly nothing is whole, the clip must be read to be known.
            self._seekable = sought is Sought.LOST and len(self._unreachable) < MOST_UNREACHABLE
            reader = self._open_reader()

    def _last_keyframe_before(self, goal: float, reader: Reader) -> int | None:
        """The number of the last keyframe from which `goal` can be reached, if there is one to seek to."""
        if not self._seekable or reader.reorders_times:
            return None
        keyframe = self._keyframe_before(goal)
        return keyframe if keyframe >= 0 else None

    def _keyframe_before(self, goal: float) -> int:
        keyframe = int(np.searchsorted(self._keyframe_seconds, goal + 2 * SAME_TIME_SECONDS, side="right")) - 1
        while keyframe in self._unreachable:
            keyframe -= 1
        return keyframe

    def _is_seek_cheaper(self, keyframe: int, reader: Reader, is_past: bool) -> bool:
        if is_past:
            return True
        seconds = self._keyframe_seconds[keyframe]
        packet = int(np.searchsorted(self.probe.pts_seconds, seconds, side="left"))
        return self._cost.is_seek_cheaper(packet - reader.next_packet)

    def _begin(self, *, keep_reader: bool = False, keyframes_only: bool = False) -> object:
        if self._closed:
            raise ValueError(f"{self.probe.path.name} is closed")
        if not keep_reader or (self._reader is not None and self._reader.keyframes_only != keyframes_only):
            self._close_reader()
        self._reading = object()
        return self._reading

    def _current(self, reading: object) -> Reader:
        if self._reader is None or self._reading is not reading:
            raise RuntimeError("this reading ended: another one was started, or the video was closed")
        return self._reader

    def _open_reader(self, *, keyframes_only: bool = False) -> Reader:
        self._close_reader()
        self._reader = Reader(self.probe, self._problems, threads=self._threads, keyframes_only=keyframes_only)
        if len(self.probe.pts_seconds) >= LONG_INDEX_PACKETS:
            give_back_freed()
        return self._reader

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._earlier_frames += self._reader.frames_decoded
            self._reader.close()
            self._reader = None

    def _convert(self, picture: Picture) -> Frame | None:
        if (planes := Planes.of(picture.frame, self._display)) is not None:
            return Frame(planes, picture.seconds, picture.is_keyframe)
        try:
            image = self._display.image(picture.frame)
        except (av.FFmpegError, ValueError) as error:
            reason = f"the picture could not be converted to RGB ({reason_of(error)})"
            self._problems.add_failed(picture.seconds, DecodeProblem(picture.seconds, picture.seconds, reason))
            return None
        return Frame(image, picture.seconds, picture.is_keyframe)

    def _no_decodable_frame(self) -> NoDecodableFrame:
        reason = self._reader.last_reason if self._reader else "unknown"
        if reason == ENCRYPTED:
            return NoDecodableFrame(
                f"{self.probe.path.name}: this video is encrypted, as shops and streaming services do it, and cannot "
                "be decoded without its key; get a copy that is not."
            )
        return NoDecodableFrame(
            f"{self.probe.path.name}: not one picture of this video could be decoded ({reason}); "
            f"it is damaged or encrypted: {ASK_FOR_COPY}."
        )


def open_video(path: str | Path, *, threads: int = 1) -> Video:
    """Open a clip for reading: `with open_video(path) as video: for frame in video: ...`.

    `threads` is how many threads decode; one is right where several clips are scanned side by side. Reads
    all packets first (see `probe`, whose errors it raises).
    """
    facts = probe(path)
    give_back_freed()
    return Video(facts, threads=threads)
