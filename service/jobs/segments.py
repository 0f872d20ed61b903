"""A scan cut into segments that are made one after another, by whichever process is alive.

The pipeline is `detector.scan.Scanner`'s; only two things differ. Its clip is open in a decoder process, and what
it asks to look at is cut into segments, each of which starts from a decoder that has read nothing. So a segment
depends on the clip and its times alone, and a scan that was interrupted ends in the report of one that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from detector.appearances import StaticPicture
from detector.errors import DecoderEnded, OrdnanceError, VideoError
from detector.frame import Appearance, Frame
from detector.models import Model
from detector.sampling.plan import Request
from detector.scan import Progress, Scanner, ScanOptions, _Sample
from detector.video import DecodeProblem, Probe
from detector.video.guard import GuardedVideo, GuardLimits, open_guarded
from detector.video.problems import ProblemLog

MAX_ENDED_DECODERS = 5
"""So many segments in a row may end with their decoder before the clip is given up."""
MAX_RETRIES = 3
"""How often a segment is tried again whose decoder was killed by somebody else."""


class ScanStopped(Exception):
    """The scan was cancelled or removed, or another worker has it."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What one segment brought. `problems` and the counts are the segment's own; `error` ends the scan."""

    samples: tuple[_Sample, ...]
    problems: tuple[tuple[float, float, str, bool], ...]
    decode_errors: int
    frames_decoded: int
    decoder_ended: bool
    error: tuple[str, str] | None = None

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in Segment.__slots__}


Carry = dict[str, Any]
"""What the pipeline gathers over all samples: the state of a StaticPicture."""


class Journal(Protocol):
    """Where segments are kept, so that no one is made twice."""

    def segment(self, number: int, make: Callable[[], tuple[Segment, Carry]]) -> tuple[Segment, bool]:
        """A segment, and whether it was made just now."""
        ...

    def carry(self) -> Carry | None:
        """What the last segment that is kept left to carry on with."""
        ...

    def on_batch(self, progress: Progress) -> None:
        """Called often while a segment is made. Raises ScanStopped."""
        ...


class SegmentedScanner(Scanner):
    """A scanner of one clip. `size` (width, height) and `duration_seconds` are the clip's once it is open."""

    def __init__(
        self, model: Model, options: ScanOptions, *, limits: GuardLimits, segment_samples: int, journal: Journal
    ) -> None:
        super().__init__(model, options)
        self._limits = limits
        self._segment_samples = segment_samples
        self._journal = journal
        self._number = 0
        self._ended_in_a_row = 0
        self._static: StaticPicture | None = None
        self._probe: Probe | None = None
        self.samples: list[_Sample] = []
        """All so far, by time."""

    @property
    def size(self) -> tuple[int, int]:
        return (self._probe.width, self._probe.height) if self._probe else (1, 1)

    @property
    def duration_seconds(self) -> float:
        return self._probe.duration_seconds if self._probe else 0.0

    @contextmanager
    def _open(self, path: Path) -> Iterator[Any]:
        with open_guarded(path, self._limits) as video:
            self._probe = video.probe
            yield _SegmentedVideo(video)

    def _look(
        self,
        video: Any,
        request: Request,
        static: StaticPicture,
        seen_before: int,
        started: float,
        on_progress: Callable[[Progress], None] | None,
    ) -> Iterator[_Sample]:
        self._static = static
        last, stale = float("-inf"), False
        for times in self._cut(video.probe, request):

            def make(times: tuple[float, ...] = times, stale: bool = stale) -> tuple[Segment, Carry]:
                if stale:
                    self._restore(static)
                return self._make(video, times, static)

            segment, is_fresh = self._journal.segment(self._number, make)
            stale = not is_fresh
            self._number += 1
            video.add(segment)
            self._check(segment)
            # A frame that stands for the last time of one segment and the first of the next is one sample.
            fresh = [sample for sample in segment.samples if sample.pts_seconds > last]
            if fresh:
                last = fresh[-1].pts_seconds
            self.samples = sorted([*self.samples, *fresh], key=lambda sample: sample.pts_seconds)
            yield from fresh
        if stale:
            self._restore(static)

    def appearances(self) -> list[Appearance]:
        """What the samples so far amount to."""
        assert self._static is not None and self._probe is not None
        return self._link(self.samples, self._static, self._probe)

    def _restore(self, static: StaticPicture) -> None:
        carry = self._journal.carry()
        if carry is not None:
            vars(static).update(carry)

    def _check(self, segment: Segment) -> None:
        self._ended_in_a_row = self._ended_in_a_row + 1 if segment.decoder_ended else 0
        if segment.error is not None:
            raise _error(*segment.error)
        if self._ended_in_a_row >= MAX_ENDED_DECODERS:
            reason = segment.problems[-1][2]
            raise DecoderEnded(
                f"The decoder ended {MAX_ENDED_DECODERS} times in a row ({reason}); the clip is damaged or made to "
                "harm.",
                reason=reason,
                fault_of_clip=True,
            )

    def _cut(self, probe: Probe, request: Request) -> Iterator[tuple[float, ...]]:
        if request.times is not None:
            times: Sequence[float] = request.times
        elif request.keyframes_only and probe.is_keyframe.any():
            times = probe.keyframe_seconds.tolist()
        else:
            times = probe.pts_seconds.tolist()
        if not times:
            # No packet is listed: one segment finds out whether anything can be decoded.
            times = (0.0,)
        size = self._segment_samples
        for start in range(0, len(times), size):
            yield tuple(times[start : start + size])

    def _make(self, video: Any, times: tuple[float, ...], static: StaticPicture) -> tuple[Segment, Carry]:
        guarded: GuardedVideo = video.guarded
        for attempt in range(MAX_RETRIES + 1):
            samples: list[_Sample] = []
            gathered = deepcopy(static)
            try:
                for sample in super()._look(guarded, Request(times), gathered, 0, 0.0, self._journal.on_batch):
                    samples.append(sample)
                segment = Segment(
                    tuple(samples),
                    tuple((p.from_seconds, p.to_seconds, p.reason, p.decoded) for p in guarded.errors),
                    guarded.decode_errors,
                    guarded.frames_decoded,
                    False,
                )
            except DecoderEnded as ended:
                if not ended.fault_of_clip and attempt < MAX_RETRIES:
                    continue
                start = samples[-1].pts_seconds if samples else times[0]
                reason = f"the decoder process ended: {ended.reason}"
                segment = Segment(tuple(samples), ((start, times[-1], reason, False),), 0, len(samples), True)
            except VideoError as error:
                segment = Segment((), (), 0, 0, False, (error.code, str(error)))
            break
        vars(static).update(vars(gathered))
        return segment, dict(vars(static))


class _SegmentedVideo:
    """The clip as the pipeline sees it: the accounts of all segments, and pictures decoded again."""

    def __init__(self, guarded: GuardedVideo) -> None:
        self.guarded = guarded
        self.probe = guarded.probe
        self.decode_errors = 0
        self.frames_decoded = 0
        self._problems = ProblemLog()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.guarded, name)

    @property
    def errors(self) -> list[DecodeProblem]:
        return list(self._problems)

    def add(self, segment: Segment) -> None:
        self.decode_errors += segment.decode_errors
        self.frames_decoded += segment.frames_decoded
        for start, end, reason, decoded in segment.problems:
            self._problems.add(DecodeProblem(start, end, reason, decoded))

    def frames_at(self, targets: Sequence[float]) -> Iterator[tuple[float, Frame]]:
        """As Video.frames_at; a target at which the decoder ends is left out."""
        waiting = list(targets)
        for _ in range(MAX_ENDED_DECODERS):
            try:
                for target, frame in self.guarded.frames_at(waiting):
                    waiting = [each for each in waiting if each > target]
                    yield target, frame
                return
            except DecoderEnded:
                waiting = waiting[1:]
            except VideoError:
                return


def _error(code: str, message: str) -> OrdnanceError:
    kinds: list[type[VideoError]] = VideoError.__subclasses__()
    for kind in kinds:
        if kind.code == code and kind is not DecoderEnded:
            return kind(message)
    return VideoError(message)
