"""The pipeline: decode, batch, infer, link; its result is a report and the pictures it cites."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from detector._version import __version__
from detector.appearances import Linker, StaticPicture, sharpness
from detector.best_pictures import BestPictures
from detector.errors import BadOption, ClipChanged, UnknownClass
from detector.frame import Boxes, Detection, Frame
from detector.linking import Chain, Linking
from detector.looking import (
    BATCH,
    IN_FLIGHT,
    QUEUE,
    Ahead,
    Picture,
    ScanState,
    in_flight,
    pictures,
    pictures_in_memory,
)
from detector.models import Model, load_model
from detector.models.backend import available_threads
from detector.report import AppearanceInfo, ModelInfo, PlanInfo, Report, ScanInfo, WeightsInfo
from detector.reporting import Decoding, cited_pictures, clip_info, coverage_info, errors_told
from detector.sampling.budget import COARSE_SHARE, Budget
from detector.sampling.coverage import LeftOut
from detector.sampling.cuts import CutWatch
from detector.sampling.names import DEFAULT_PLAN
from detector.sampling.plan import CloserLook, Plan, Request, Sample, Timeline
from detector.sampling.plans import ModelFacts, PlanChoice, make_plan
from detector.sampling.tiles import on_picture, tiles_about, without_doubles
from detector.taxonomy import weapon_class
from detector.video import Probe, Readable, open_side_by_side, sha256_file

MOST_DECODERS = 4
"""Decoders that read one clip at once; each holds up to 16 pictures for reference."""
MOST_KEPT = 96
"""Frames kept between two requests, if their pictures fit into memory (see detector.looking)."""
MOST_BEST, BEST_BYTES = 64, 48 * 1024**2
"""Frames kept for the report, and what their pictures may take."""


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """What to look for and where.

    `cadence_seconds` and `shortest_shot_seconds` None mean the plan's own. `budget` is what Budget.parse reads.
    `classes` None means all that the model knows; `threshold` None means the model's own per-class thresholds.
    """

    plan: str = DEFAULT_PLAN
    cadence_seconds: float | None = None
    shortest_shot_seconds: float | None = None
    budget: str | None = None
    classes: tuple[str, ...] | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan is; times in seconds, `pts_seconds` on the clip's timeline, where its pictures are shown from
    `first_pts_seconds` to `duration_seconds`.

    `again`: the clip was looked through once, and the scan looks more closely here and there.
    """

    pts_seconds: float
    first_pts_seconds: float
    duration_seconds: float
    samples: int
    finds: int
    elapsed_seconds: float
    again: bool = False

    @property
    def share(self) -> float:
        """How much of the clip, from 0 to 1, lies before `pts_seconds`."""
        length = self.duration_seconds - self.first_pts_seconds
        return min(1.0, (self.pts_seconds - self.first_pts_seconds) / length) if length > 0 else 1.0


@dataclass(frozen=True, slots=True)
class ScanResult:
    """A report and the JPEG pictures that it cites, by file name."""

    report: Report
    pictures: dict[str, bytes] = field(repr=False)


class Scanner:
    """A loaded model with options, ready to scan any number of clips.

    `threads` is how many processors decoding may use, by default all that this process may.
    """

    def __init__(self, model: Model, options: ScanOptions | None = None, *, threads: int | None = None) -> None:
        self.model = model
        self.options = options or ScanOptions()
        self._decoders = min(threads or available_threads(), MOST_DECODERS)
        self.budget = Budget.parse(self.options.budget) if self.options.budget is not None else None
        threshold = self.options.threshold
        if threshold is not None and not 0 <= threshold <= 1:
            raise BadOption(f"A threshold of {threshold} cannot be used; give a number from 0 to 1.")
        self.classes = _chosen_classes(model, self.options.classes)
        self.thresholds = {name: model.thresholds[name] if threshold is None else threshold for name in self.classes}
        self._plan()

    def scan(self, path: Path | str, on_progress: Callable[[Progress], None] | None = None) -> ScanResult:
        """Scan one clip. Raises VideoError where nothing of it can be decoded, or it was written to meanwhile."""
        path = Path(path)
        before = self._written(path)
        started_at, started = datetime.now(UTC), time.monotonic()
        samples: dict[float, Sample] = {}
        unlooked: dict[bool, set[float]] = {True: set(), False: set()}
        with _hashed(path) as digest, self._open(path) as video:
            probe = video.probe
            state = self._state(probe, started)
            plan = self._plan(state.coarse_seconds_left)
            timeline = Timeline(
                probe.pts_seconds,
                probe.is_keyframe,
                probe.duration_seconds,
                probe.width,
                probe.height,
                state.room,
                probe.packet_bytes,
            )
            linking = self._linking()
            request: Request | None = plan.first(timeline)
            while request is not None:
                fresh: list[Sample] = []
                latest: float | None = None
                if not state.is_over(request):
                    for sample in self._look(video, request, state, len(samples), started, on_progress):
                        latest = sample.pts_seconds
                        if plan.asks_once:
                            linking.add(sample)
                            continue
                        samples[sample.pts_seconds] = sample
                        fresh.append(sample)
                unlooked[request.coarse].update(_unlooked(request, latest, state))
                request = plan.more(fresh)
                state.again = request is not None and not request.coarse
            decoding = Decoding(video.frames_decoded, video.decode_errors, tuple(video.errors))
            for pts in sorted(samples):
                linking.add(samples[pts])
            appearances = linking.finish(state.static, width=probe.width, height=probe.height)
            crops = cited_pictures(video, appearances, state.best)
            sha256 = digest.result()
        if self._written(path) not in (before, None):
            raise ClipChanged(
                f"{path.name}: the file was written to while it was scanned; scan it again once it is complete."
            )
        left_out = (*self._over_budget(unlooked, samples), *plan.left_out())
        coverage = coverage_info(linking.looked_at, probe, decoding, plan, self.model, state.cuts, left_out)
        report = Report(
            clip=clip_info(path, sha256, probe),
            scan=self._scan_info(plan, started_at, time.monotonic() - started),
            appearances=tuple(AppearanceInfo.of(each, width=probe.width, height=probe.height) for each in appearances),
            coverage=coverage,
            errors=errors_told(decoding, probe, coverage.undecoded),
        )
        return ScanResult(report, crops)

    def would_repeat(self, earlier: ScanInfo) -> bool:
        """Whether a scan of the same clip would look for the same things in the same places."""
        now = self._scan_info(self._plan(), earlier.started_at, earlier.elapsed_s)
        unlike = {"backend", "device", "started_at", "elapsed_s"}
        return now.model_dump(exclude=unlike) == earlier.model_dump(exclude=unlike)

    def _written(self, path: Path) -> tuple[int, ...] | None:
        """What changes when the file is written to or replaced, its length alone not: copying may reserve room first.

        None where there is no file (any more).
        """
        try:
            facts = path.stat()
        except (OSError, ValueError):
            return None
        return facts.st_size, facts.st_mtime_ns, facts.st_ino

    def _open(self, path: Path) -> AbstractContextManager[Readable]:
        return open_side_by_side(path, decoders=self._decoders)

    def _plan(self, time_left: Callable[[], float] = lambda: math.inf) -> Plan:
        options = self.options
        choice = PlanChoice(options.plan, options.cadence_seconds, options.shortest_shot_seconds)
        facts = ModelFacts(self.thresholds, self.model.input_size)
        return make_plan(choice, facts, time_left=time_left if self.budget else None)

    def _over_budget(
        self, unlooked: Mapping[bool, Collection[float]], samples: Mapping[float, Sample]
    ) -> tuple[LeftOut, ...]:
        """What was not looked at because the budget was used up; by whether it belonged to the coarse pass."""
        left_out = []
        for coarse, what in ((True, "of the coarse pass"), (False, "where something was or may be seen")):
            times = sorted(time for time in unlooked[coarse] if not coarse or time not in samples)
            if times:
                count = f"{len(times)} sample{'s' if len(times) > 1 else ''}"
                left_out.append(
                    LeftOut(times[0], times[-1], f"{count} {what} (the budget of {self.budget} was used up)")
                )
        return tuple(left_out)

    def _state(self, probe: Probe, started: float) -> ScanState:
        """What the scan of one clip, begun at `started` on the clock of time.monotonic, remembers on its way."""
        best = BestPictures(pictures_in_memory(probe, MOST_BEST, BEST_BYTES))
        state = ScanState(pictures_in_memory(probe, MOST_KEPT), StaticPicture(), best)
        shortest = self._plan().options.get("shortest_shot_s")
        if shortest is not None:
            state.cuts = CutWatch(shortest)
        if self.budget:
            seconds = self.budget.seconds(probe.duration_seconds - probe.first_pts_seconds)
            state.deadline, state.coarse_deadline = started + seconds, started + COARSE_SHARE * seconds
        return state

    def _look(
        self,
        video: Readable,
        request: Request,
        state: ScanState,
        seen_before: int,
        started: float,
        on_progress: Callable[[Progress], None] | None,
    ) -> Iterator[Sample]:
        """Decode and judge the frames of one request, in order, as far as time allows."""
        if request.closer:
            yield from self._look_closer(video, request.closer, state)
            return
        live = Chain(self._linker())
        seen = seen_before
        before: tuple[Detection, ...] = ()
        batch_size = pictures_in_memory(video.probe, BATCH)
        source = pictures(video, request, self.model.input_size, state)
        with Ahead(source, pictures_in_memory(video.probe, QUEUE)) as ahead:
            for batch, found in in_flight(self._boxes, self._batches(ahead, batch_size, request, state), IN_FLIGHT):
                boxes = iter(found)
                for each in batch:
                    pts = each.frame.pts_seconds
                    if each.repeats:
                        before = tuple(replace(one, pts_seconds=pts) for one in before)
                    else:
                        before = self._detections(each.frame, next(boxes))
                        state.best.add(each.frame, before)
                    sample = Sample(pts, before, each.look, repeated=each.repeats)
                    live.add(sample)
                    if not state.again:
                        state.static.add(each.small)
                    seen += 1
                    yield sample
                state.finds = max(state.finds, live.linker.finds)
                if on_progress:
                    on_progress(
                        Progress(
                            batch[-1].frame.pts_seconds,
                            video.probe.first_pts_seconds,
                            video.probe.duration_seconds,
                            seen,
                            state.finds,
                            time.monotonic() - started,
                            state.again,
                        )
                    )

    def _batches(self, ahead: Ahead[Picture], size: int, request: Request, state: ScanState) -> Iterator[list[Picture]]:
        # On a processor each picture is inferred by itself: a batch need not wait until it is full.
        fill = self.model.device != "cpu"
        while not state.is_over(request) and (batch := ahead.take(size, fill=fill)):
            yield batch

    def _boxes(self, batch: Sequence[Picture]) -> list[Boxes]:
        return self.model.detect([each.square for each in batch if not each.repeats])

    def _look_closer(self, video: Readable, looks: Sequence[CloserLook], state: ScanState) -> Iterator[Sample]:
        """The samples once more, with what the model finds in parts of their pictures in the clip's own pixels."""
        by_time = {look.sample.pts_seconds: look for look in looks}
        for target, frame in video.frames_at(sorted(by_time)):
            if time.monotonic() >= state.deadline:
                return
            look = by_time[target]
            width, height = frame.size
            tiles = tiles_about(look.boxes, width, height, self.model.input_size)
            parts = [np.ascontiguousarray(frame.image[top:bottom, left:right]) for left, top, right, bottom in tiles]
            found = list(look.sample.detections)
            for tile, part, boxes in zip(tiles, parts, self.model.detect(parts), strict=True):
                within = self._detections(Frame(part, frame.pts_seconds, frame.is_keyframe), boxes)
                found += on_picture(within, tile, width, height)
            sample = replace(look.sample, detections=without_doubles(found), tiled=True)
            state.best.add(frame, sample.detections)
            yield sample

    def _detections(self, frame: Frame, boxes: Boxes) -> tuple[Detection, ...]:
        found = []
        for xyxy, score, class_id in zip(boxes.xyxy, boxes.scores, boxes.class_ids, strict=True):
            name = self.model.classes[int(class_id)]
            if name in self.thresholds:
                x1, y1, x2, y2 = (float(edge) for edge in xyxy)
                sharp = sharpness(frame, (x1, y1, x2, y2)) if score >= self.thresholds[name] else None
                found.append(Detection(name, float(score), (x1, y1, x2, y2), frame.pts_seconds, sharp))
        return tuple(found)

    def _linker(self) -> Linker:
        return Linker(self.thresholds, self.model.calibrate)

    def _linking(self) -> Linking:
        return Linking(self._linker())

    def _model_info(self) -> ModelInfo:
        second = self.model.second
        again = None if second is None else WeightsInfo(name=second.name, sha256=second.sha256)
        return ModelInfo(name=self.model.name, sha256=self.model.sha256, second_view=again)

    def _scan_info(self, plan: Plan, started_at: datetime, elapsed_seconds: float) -> ScanInfo:
        options: Mapping[str, float | str] = plan.options
        if self.budget:
            options = {**options, "budget": str(self.budget)}
        return ScanInfo(
            tool_version=__version__,
            model=self._model_info(),
            plan=PlanInfo(name=plan.name, options=dict(options)),
            backend=self.model.backend_name,
            device=self.model.device,
            classes=self.classes,
            threshold=self.options.threshold,
            thresholds=self.thresholds,
            score_floor=self.model.score_floor,
            started_at=started_at,
            elapsed_s=elapsed_seconds,
        )


def scan(
    path: Path | str,
    *,
    model: str = "default",
    device: str = "auto",
    options: ScanOptions | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> ScanResult:
    """Scan one clip with a model of the manifest; see Scanner for many clips with one model."""
    return Scanner(load_model(model, device=device), options).scan(path, on_progress)


@contextmanager
def _hashed(path: Path) -> Iterator[Future[str]]:
    """The file's hash, in the making while the file is scanned; given up where the scan ends before."""
    stop = threading.Event()
    pool = ThreadPoolExecutor(1, "hash")
    try:
        yield pool.submit(sha256_file, path, stop)
    finally:
        stop.set()
        pool.shutdown()


def _chosen_classes(model: Model, asked: Sequence[str] | None) -> tuple[str, ...]:
    if asked is None:
        return tuple(model.classes)
    chosen = {weapon_class(word).id for word in asked}
    unknown = sorted(chosen - set(model.classes))
    if unknown:
        raise UnknownClass(
            f"The model {model.name} does not know {', '.join(unknown)}; it knows: {', '.join(model.classes)}."
        )
    if not chosen:
        raise BadOption("No class was given; name at least one, or leave the option out to look for all.")
    return tuple(name for name in model.classes if name in chosen)


def _unlooked(request: Request, latest: float | None, state: ScanState) -> tuple[float, ...]:
    """The times of a request after its `latest` sample, not looked at because the budget was used up."""
    if not state.is_over(request):
        return ()
    return tuple(time for time in request.times or () if latest is None or time > latest)
