"""The parts of a scan: what each asks for, the clip as it sees it, and what it brought."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from detector.errors import DecoderEnded, VideoError
from detector.frame import Frame
from detector.sampling.cuts import CutWatch
from detector.sampling.plan import Request, Sample
from detector.video import DecodeProblem, Probe
from detector.video.guard import GuardedVideo
from detector.video.problems import ProblemLog

CLOSER_LOOKS = 16
"""Closer looks in one part; each is several pictures for the model."""
MAX_ENDED_DECODERS = 5
"""So many parts in a row may end with their decoder, each after a minute where it stalls. Then a part is left out
before the next is tried, then two, four and so on: a clip that kills its decoders takes few of them, and what is whole
behind a bad stretch is still looked at."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one part brought. `problems`, `failed` (see ProblemLog) and the count are its own; `error` ends the scan."""

    samples: tuple[Sample, ...]
    problems: tuple[tuple[float, float, str, bool], ...]
    failed: tuple[float, ...]
    frames_decoded: int
    decoder_ended: bool
    error: tuple[str, str] | None = None

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in Part.__slots__}


@dataclass(frozen=True, slots=True)
class Piece:
    """A request that is one part's; `window` are the times of what it asks for, None for all."""

    request: Request
    window: tuple[float, ...] | None


def pieces_of(request: Request, probe: Probe, size: int) -> Iterator[Piece]:
    """The request cut into those of its parts, of `size` samples at the most."""
    if request.closer:
        for start in range(0, len(request.closer), CLOSER_LOOKS):
            looks = request.closer[start : start + CLOSER_LOOKS]
            times = tuple(look.sample.pts_seconds for look in looks)
            yield Piece(replace(request, times=times, closer=looks), times)
        return
    if request.times is not None:
        for start in range(0, len(request.times), size):
            times = request.times[start : start + size]
            yield Piece(replace(request, times=times), times)
        return
    listed = probe.keyframe_seconds if request.keyframes_only else probe.pts_seconds
    if not len(listed):
        yield Piece(request, None)
    for start in range(0, len(listed), size):
        times = tuple(listed[start : start + size].tolist())
        yield Piece(replace(request, times=times) if request.keyframes_only else request, times)


class Account:
    """What the decoder reports from here on."""

    def __init__(self, guarded: GuardedVideo) -> None:
        self._guarded = guarded
        self._failed, self._frames = guarded.decode_errors, guarded.frames_decoded
        self._known = set(self._all())

    def decoded(self) -> tuple[tuple[float, ...], int]:
        """What failed, and how many pictures did not."""
        return tuple(self._guarded.failed[self._failed :]), self._guarded.frames_decoded - self._frames

    def problems(self) -> tuple[tuple[float, float, str, bool], ...]:
        return tuple(each for each in self._all() if each not in self._known)

    def _all(self) -> list[tuple[float, float, str, bool]]:
        return [(p.from_seconds, p.to_seconds, p.reason, p.decoded) for p in self._guarded.errors]


class PartedVideo:
    """The clip as the pipeline sees it: the accounts of all parts, and frames within the part that is made."""

    def __init__(self, guarded: GuardedVideo) -> None:
        self.guarded = guarded
        self.probe = guarded.probe
        self.window: tuple[float, ...] | None = None
        self.frames_decoded = 0
        self._problems = ProblemLog()

    @property
    def decode_errors(self) -> int:
        return len(self._problems.failed)

    @property
    def errors(self) -> list[DecodeProblem]:
        return list(self._problems)

    def add(self, part: Part) -> None:
        self._problems.failed.update(dict.fromkeys(part.failed))
        self.frames_decoded += part.frames_decoded
        for start, end, reason, decoded in part.problems:
            self._problems.add(DecodeProblem(start, end, reason, decoded))

    def frames(self, *, keyframes_only: bool = False) -> Iterator[Frame]:
        if self.window is None:
            yield from self.guarded.frames(keyframes_only=keyframes_only)
        else:
            for _, frame in self.guarded.frames_at(self.window):
                yield frame

    def frames_at(self, targets: Sequence[float], watch: CutWatch | None = None) -> Iterator[tuple[float, Frame]]:
        """As Video.frames_at. For the report's pictures, a target at which the decoder ends is left out."""
        if self.window is not None:
            yield from self.guarded.frames_at(targets, watch)
            return
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
