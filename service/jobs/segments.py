"""A scan cut into segments that are kept one after another, so that whichever process is alive can go on.

The pipeline is `detector.Scanner`'s; two things differ. Its clip is open in a decoder process, and what it looks
at is cut into parts, some of which make a segment. Plans are deterministic: given the samples of the parts that are
kept, the scan asks for the same again, and goes on with the first part that is not kept. At the start of each segment
the decoder begins afresh, so that a scan that was interrupted sees what one that was not sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy, deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from detector.errors import DecoderEnded, OrdnanceError, VideoError
from detector.frame import Appearance
from detector.linking import LookedAt
from detector.looking import ScanState
from detector.models import Model
from detector.report import CoverageInfo, ErrorInfo
from detector.reporting import Decoding, coverage_info
from detector.sampling.cuts import CutWatch
from detector.sampling.plan import Plan, Request, Sample
from detector.scanner import Progress, Scanner, ScanOptions, ScanResult
from detector.video.guard import GuardedVideo, GuardLimits, open_guarded
from detector.video.guard_process import Decoders
from detector.video.guard_wire import pack_cuts, unpack_cuts
from service.jobs.parts import MAX_ENDED_DECODERS, Account, Part, PartedVideo, Piece, pieces_of

MAX_RETRIES = 3
"""How often a part, or opening the clip, is tried again where somebody else killed the decoder."""


class ScanStopped(Exception):
    """The scan was cancelled or removed, or another worker has it."""


Carry = dict[str, Any]
"""What the pipeline gathers over all samples: the state of its StaticPicture and its CutWatch."""


class Journal(Protocol):
    """Where segments are kept, so that no part is made twice."""

    def kept(self) -> list[list[Part]]:
        """The segments that are kept, in order."""
        ...

    def carry(self) -> Carry | None:
        """What the last segment that is kept left to carry on with."""
        ...

    def keep(self, number: int, parts: Sequence[Part] | None, carry: Carry | None) -> None:
        """Keep segment `number`; None tells that the scan came past one that is kept. Raises ScanStopped."""
        ...

    def on_batch(self, progress: Progress) -> None:
        """Called often while a part is made. Raises ScanStopped."""
        ...


class SegmentedScanner(Scanner):
    """A scanner of one clip. `size` (width, height) and `duration_seconds` are the clip's once it is open."""

    def __init__(
        self,
        model: Model,
        options: ScanOptions,
        *,
        limits: GuardLimits,
        decoders: Decoders,
        segment_samples: int,
        journal: Journal,
    ) -> None:
        super().__init__(model, options)
        self._limits = limits
        self._decoders = decoders
        self._segment_samples = segment_samples
        self._journal = journal
        segments = journal.kept()
        self._kept = [(part, place == len(parts) - 1) for parts in segments for place, part in enumerate(parts)]
        self._came_to = 0
        self._segment = 0
        self._open_parts: list[Part] = []
        self._ended_in_a_row = 0
        self._last_reason = ""
        self._parts_to_leave_out = 0
        self._has_left_out = False
        self._scan_state: ScanState | None = None
        self._video: PartedVideo | None = None
        self._running_plan: Plan | None = None
        self._in_the_making: list[Sample] = []
        self.samples: dict[float, Sample] = {}
        """All of the parts so far, by time."""

    @property
    def size(self) -> tuple[int, int]:
        return (self._video.probe.width, self._video.probe.height) if self._video else (1, 1)

    @property
    def duration_seconds(self) -> float:
        return self._video.probe.duration_seconds if self._video else 0.0

    @property
    def first_pts_seconds(self) -> float:
        return self._video.probe.first_pts_seconds if self._video else 0.0

    @property
    def decode_seconds(self) -> float:
        """Processor time of the decoders so far."""
        return self._video.guarded.cpu_seconds if self._video else 0.0

    def scan(self, path: Path | str, on_progress: Callable[[Progress], None] | None = None) -> ScanResult:
        """As Scanner's. Raises DecoderEnded as well: where decoders ended before one picture could be looked at."""
        result = super().scan(path, on_progress)
        if not self.samples and self._ended_in_a_row:
            reason = self._last_reason
            raise DecoderEnded(
                f"Not one picture could be looked at ({reason}); play the clip to check, or export it again, smaller "
                "where memory ran out.",
                reason=reason,
                fault_of_clip=True,
            )
        if not self._has_left_out:
            return result
        told = ErrorInfo(
            code=DecoderEnded.code,
            message=f"Over and over {self._last_reason}; some of what could not be decoded was not even tried. "
            "Play the clip to check, or export it again.",
        )
        return replace(result, report=result.report.model_copy(update={"errors": (*result.report.errors, told)}))

    def so_far(self) -> list[Sample]:
        """The samples by time, with those of the part that is being made."""
        latest = {**self.samples, **{sample.pts_seconds: sample for sample in self._in_the_making}}
        return [latest[pts] for pts in sorted(latest)]

    def appearances(self, samples: Sequence[Sample]) -> list[Appearance]:
        """What these samples amount to."""
        assert self._scan_state is not None and self._video is not None
        linking = self._linking()
        for sample in samples:
            linking.add(sample)
        width, height = self.size
        return linking.finish(self._scan_state.static, width=width, height=height)

    def coverage(self, samples: Sequence[Sample]) -> CoverageInfo:
        """What was looked at with these samples; what is still to come counts as not looked at."""
        assert self._scan_state is not None and self._video is not None and self._running_plan is not None
        video = self._video
        decoding = Decoding(video.frames_decoded, video.decode_errors, tuple(video.errors))
        looked_at = LookedAt()
        for sample in samples:
            looked_at.add(sample)
        return coverage_info(
            looked_at, video.probe, decoding, self._running_plan, self.model, self._scan_state.cuts, ()
        )

    def rest(self) -> tuple[int, list[Part]]:
        """The parts that are in no segment, and the number of the segment that they would be."""
        return self._segment, self._open_parts

    def _keep_open(self) -> None:
        """Have the parts that are in no segment yet kept as one."""
        assert self._scan_state is not None
        parts, self._open_parts = self._open_parts, []
        self._journal.keep(self._segment, parts, _carry_of(self._scan_state))
        self._segment += 1

    def _note(self, part: Part) -> None:
        self.samples.update((sample.pts_seconds, sample) for sample in part.samples)

    @contextmanager
    def _open(self, path: Path) -> Iterator[Any]:
        with self._guarded(path) as video:
            self._video = PartedVideo(video)
            yield self._video

    def _guarded(self, path: Path) -> GuardedVideo:
        for _ in range(MAX_RETRIES):
            try:
                return open_guarded(path, self._limits, self._decoders)
            except DecoderEnded as ended:
                if ended.fault_of_clip:
                    raise
        return open_guarded(path, self._limits, self._decoders)

    def _written(self, path: Path) -> None:
        """Nobody writes to clips in the store; a copy's time tells when it was last asked for."""

    def _plan(self, *given: Any) -> Plan:
        self._running_plan = super()._plan(*given)
        return self._running_plan

    def _look(
        self,
        video: Any,
        request: Request,
        state: ScanState,
        seen_before: int,
        started: float,
        on_progress: Callable[[Progress], None] | None,
    ) -> Iterator[Sample]:
        self._scan_state = state
        last = float("-inf")
        if not request.coarse:
            # It asks about what was found, which is where decoding went well.
            self._parts_to_leave_out = 0
        for piece in pieces_of(request, video.probe, self._segment_samples):
            if state.is_over(request):
                return
            if self._parts_to_leave_out:
                self._parts_to_leave_out -= 1
                self._leave_out(video, piece)
                continue
            part = self._next_part(video, piece, state)
            self._check(part)
            # A frame that stands for the last time of one part and the first of the next is one sample.
            for sample in part.samples:
                if sample.pts_seconds > last:
                    last = sample.pts_seconds
                    yield sample

    def _next_part(self, video: Any, piece: Piece, state: ScanState) -> Part:
        if self._came_to < len(self._kept):
            part, ends_segment = self._kept[self._came_to]
            self._came_to += 1
            video.add(part)
            self._note(part)
            if ends_segment:
                self._journal.keep(self._segment, None, None)
                self._segment += 1
            if self._came_to == len(self._kept):
                self._restore(state)
            return part
        if not self._open_parts:
            # Where every reading begins at the clip's start, it comes to the same, and would take the whole way again.
            if video.guarded.is_seekable:
                video.guarded.begin_afresh()
            state.kept.clear()
        part = self._make(video, piece, state)
        video.add(part)
        self._note(part)
        self._open_parts.append(part)
        if sum(len(each.samples) for each in self._open_parts) >= self._segment_samples or part.decoder_ended:
            self._keep_open()
        return part

    def _restore(self, state: ScanState) -> None:
        carry = self._journal.carry()
        if carry is not None:
            vars(state.static).update(carry["static"])
            if state.cuts is not None and carry["cuts"] is not None:
                unpack_cuts(carry["cuts"], state.cuts)

    def _check(self, part: Part) -> None:
        if part.error is not None:
            raise _error(*part.error)
        if not part.decoder_ended:
            self._ended_in_a_row = 0
            return
        self._ended_in_a_row += 1
        self._last_reason = part.problems[-1][2]
        if self._ended_in_a_row >= MAX_ENDED_DECODERS:
            self._parts_to_leave_out = 2 ** (self._ended_in_a_row - MAX_ENDED_DECODERS)

    def _leave_out(self, video: Any, piece: Piece) -> None:
        self._has_left_out = True
        if self._is_first(piece):
            reason = f"not tried, as before it {self._ended_in_a_row} times in a row {self._last_reason}"
            video.add(Part((), (self._lost(piece, (), reason),), (), 0, False))

    def _lost(self, piece: Piece, samples: Sequence[Sample], reason: str) -> tuple[float, float, str, bool]:
        """The problem that a part is of which there are only these samples."""
        times = piece.window or (0.0, self.duration_seconds)
        start = samples[-1].pts_seconds if samples else times[0]
        return (start, max(start, times[-1]) if self._is_first(piece) else start, reason, False)

    def _is_first(self, piece: Piece) -> bool:
        """Whether nothing has looked there before; what lies between the times of a closer look, the first pass saw."""
        return piece.request.coarse or (self._running_plan is not None and self._running_plan.asks_once)

    def _make(self, video: Any, piece: Piece, state: ScanState) -> Part:
        guarded: GuardedVideo = video.guarded
        for attempt in range(MAX_RETRIES + 1):
            samples: list[Sample] = []
            self._in_the_making = samples
            before = Account(guarded)
            tried = copy(state)
            tried.static, tried.cuts = deepcopy(state.static), _copy_of(state.cuts)
            video.window = piece.window
            try:
                for sample in super()._look(video, piece.request, tried, 0, 0.0, self._journal.on_batch):
                    samples.append(sample)
            except DecoderEnded as ended:
                state.kept.clear()
                if not ended.fault_of_clip and attempt < MAX_RETRIES:
                    continue
                lost = self._lost(piece, samples, f"the decoder process ended: {ended.reason}")
                part = Part(tuple(samples), (*before.problems(), lost), *before.decoded(), True)
            except VideoError as error:
                part = Part((), before.problems(), *before.decoded(), False, (error.code, str(error)))
            else:
                part = Part(tuple(samples), before.problems(), *before.decoded(), False)
            finally:
                video.window = None
                self._in_the_making = []
            break
        state.static, state.cuts, state.kept, state.finds = tried.static, tried.cuts, tried.kept, tried.finds
        return part


def _carry_of(state: ScanState) -> Carry:
    return {"static": dict(vars(state.static)), "cuts": pack_cuts(state.cuts) if state.cuts else None}


def _copy_of(cuts: CutWatch | None) -> CutWatch | None:
    return None if cuts is None else unpack_cuts(pack_cuts(cuts))


def _error(code: str, message: str) -> OrdnanceError:
    kinds: list[type[VideoError]] = VideoError.__subclasses__()
    for kind in kinds:
        if kind.code == code and kind is not DecoderEnded:
            return kind(message)
    return VideoError(message)
