"""A clip's frames, straight through or at chosen times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType

import av
import numpy as np

from detector.errors import NoDecodableFrame
from detector.frame import Frame
from detector.video.display import Display
from detector.video.limits import SEEK_COST_PACKETS
from detector.video.opening import ASK_FOR_COPY
from detector.video.probing import Probe, probe
from detector.video.problems import DecodeProblem, ProblemLog
from detector.video.reader import SAME_TIME_SECONDS, Picture, Reader, cut_off
from detector.video.reasons import reason_of


class Video:
    """An open clip. Made by `open_video`; use it in a `with` statement.

    One reading at a time: starting `frames` or `frames_at` ends the reading that was under way. Not for
    several threads at once. Memory does not grow with the pixels or the length of what was read.
    """

    def __init__(self, facts: Probe, *, threads: int = 1) -> None:
        self.probe = facts
        self.seeks = 0
        self._threads = threads
        self._keyframe_seconds = facts.keyframe_seconds
        self._display = Display(facts.width, facts.height, facts.orientation)
        self._problems = ProblemLog()
        self._reader: Reader | None = None
        self._reading: object = None
        self._seekable = True
        self._closed = False
        self._earlier_errors = 0
        self._earlier_frames = 0
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

        That the file is cut off is known from the beginning; damage only once it was read over.
        """
        return list(self._problems)

    @property
    def decode_errors(self) -> int:
        """How many packets could not be decoded, over all readings."""
        return self._earlier_errors + (self._reader.decode_errors if self._reader else 0)

    @property
    def frames_decoded(self) -> int:
        """How many pictures were decoded, converted or not, over all readings."""
        return self._earlier_frames + (self._reader.frames_decoded if self._reader else 0)

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

    def frames_at(self, targets: Iterable[float]) -> Iterator[tuple[float, Frame]]:
        """For ascending times in seconds: (target, the first frame shown at or after it).

        A target beyond the last frame gets the last frame, and ends the iteration. A frame that serves
        several targets is yielded once, with the first of them. `targets` is read one at a time and only
        when its next answer is due, so it may depend on the frames so far. A smaller target than the one
        before it counts as served. Frames between the targets are skipped by seeking where that is cheaper
        than decoding them. The images are exactly those of `frames`; only within ranges that `errors` reports
        as damaged may they differ, because what a decoder makes up depends on what it saw before.

        Raises NoDecodableFrame if there were targets but the clip has no picture that can be decoded.
        """
        return self._frames_at(self._begin(keep_reader=True), targets)

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

    def _frames_at(self, reading: object, targets: Iterable[float]) -> Iterator[tuple[float, Frame]]:
        served = -np.inf
        for target in targets:
            goal = target - SAME_TIME_SECONDS
            if served >= goal:
                continue
            self._approach(reading, goal)
            while (picture := self._current(reading).read()) is not None:
                if picture.seconds < goal:
                    continue
                frame = self._convert(picture)
                if frame is not None:
                    served = picture.seconds
                    yield target, frame
                    break
            else:
                last = self._current(reading).last_read
                if last is None:
                    raise self._no_decodable_frame()
                frame = self._convert(last) if last.seconds > served else None
                if frame is not None:
                    yield target, frame
                return

    def _approach(self, reading: object, goal: float) -> None:
        """Bring the reader before the first picture at or after `goal`, by seeking if that saves work."""
        if self._reading is reading and self._reader is None:
            self._open_reader()
        reader = self._current(reading)
        is_past = reader.last_read is not None and reader.last_read.seconds >= goal
        keyframe = self._last_keyframe_before(goal, reader)
        if keyframe is None or not self._is_seek_cheaper(keyframe, reader, is_past):
            if is_past:
                self._open_reader()
            return
        self.seeks += 1
        if not reader.seek(keyframe):
            # The container's keyframe flags or its index lie: read everything from here on.
            self._seekable = False
            self._open_reader()

    def _last_keyframe_before(self, goal: float, reader: Reader) -> int | None:
        """The number of the last keyframe from which `goal` can be reached, if there is one to seek to."""
        if not self._seekable or reader.reorders_times:
            return None
        keyframe = int(np.searchsorted(self._keyframe_seconds, goal + 2 * SAME_TIME_SECONDS, side="right")) - 1
        return keyframe if keyframe >= 0 else None

    def _is_seek_cheaper(self, keyframe: int, reader: Reader, is_past: bool) -> bool:
        if is_past:
            return True
        seconds = self._keyframe_seconds[keyframe]
        packet = int(np.searchsorted(self.probe.pts_seconds, seconds, side="left"))
        return packet - reader.next_packet > SEEK_COST_PACKETS

    def _begin(self, *, keep_reader: bool = False) -> object:
        if self._closed:
            raise ValueError(f"{self.probe.path.name} is closed")
        if not keep_reader or (self._reader is not None and self._reader.keyframes_only):
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
        return self._reader

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._earlier_errors += self._reader.decode_errors
            self._earlier_frames += self._reader.frames_decoded
            self._reader.close()
            self._reader = None

    def _convert(self, picture: Picture) -> Frame | None:
        try:
            image = self._display.image(picture.frame)
        except (av.FFmpegError, ValueError) as error:
            self._earlier_errors += 1
            reason = f"the picture could not be converted to RGB ({reason_of(error)})"
            self._problems.add(DecodeProblem(picture.seconds, picture.seconds, reason))
            return None
        return Frame(image, picture.seconds, picture.is_keyframe)

    def _no_decodable_frame(self) -> NoDecodableFrame:
        reason = self._reader.last_reason if self._reader else "unknown"
        return NoDecodableFrame(
            f"{self.probe.path.name}: not one picture of this video could be decoded ({reason}); "
            f"it is damaged or encrypted: {ASK_FOR_COPY}."
        )


def open_video(path: str | Path, *, threads: int = 1) -> Video:
    """Open a clip for reading: `with open_video(path) as video: for frame in video: ...`.

    `threads` is how many threads decode; one is right where several clips are scanned side by side. Reads
    all packets first (see `probe`, whose errors it raises).
    """
    return Video(probe(path), threads=threads)
