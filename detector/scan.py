"""The pipeline: decode, batch, infer, link; its result is a report and the pictures it cites."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from detector._version import __version__
from detector.appearances import (
    Linker,
    Look,
    Scenes,
    Seen,
    StaticPicture,
    flag_overlays,
    look_of,
    numbered,
    sharpness,
)
from detector.errors import BadOption, UnknownClass
from detector.frame import Appearance, Boxes, Detection, Frame
from detector.models import Model, load_model
from detector.report import (
    AppearanceInfo,
    ClipInfo,
    CoverageInfo,
    ErrorInfo,
    ModelInfo,
    PlanInfo,
    Report,
    ScanInfo,
    crop_name,
    encode_crop,
    encode_thumbnail,
    thumbnail_name,
)
from detector.sampling.coverage import Effort, UndecodedRange, measure_coverage, smallest_object
from detector.sampling.names import DEFAULT_CADENCE_SECONDS
from detector.sampling.plan import Plan, Request, SampleScore, Timeline, make_plan
from detector.taxonomy import weapon_class
from detector.video import DecodeProblem, Probe, Video, open_video, sha256_file

BATCH = 8
"""Samples given to the model at once."""
QUEUE = 12
"""Decoded samples that may wait for the model; bounds the memory that pictures take."""


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """What to look for and where.

    `classes` None means all that the model knows; `threshold` None means the model's own per-class thresholds.
    """

    plan: str = "interval"
    cadence_seconds: float = DEFAULT_CADENCE_SECONDS
    classes: tuple[str, ...] | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan is; times in seconds, `pts_seconds` on the clip's timeline."""

    pts_seconds: float
    duration_seconds: float
    samples: int
    finds: int
    elapsed_seconds: float


@dataclass(frozen=True, slots=True)
class ScanResult:
    """A report and the JPEG pictures that it cites, by file name."""

    report: Report
    pictures: dict[str, bytes]


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    pts_seconds: float
    look: Look
    detections: tuple[Detection, ...]


@dataclass(frozen=True, slots=True)
class _Decoding:
    """What decoding brought, before the pictures for the report were fetched again."""

    frames_decoded: int
    decode_errors: int
    problems: tuple[DecodeProblem, ...]


class _Chain:
    """A linker that sees for itself, from sample to sample, whether a cut lies between."""

    def __init__(self, linker: Linker) -> None:
        self.linker = linker
        self.shot = 0
        self._scenes = Scenes()

    def add(self, sample: _Sample) -> tuple[Appearance, ...]:
        """Take the next sample; returns the appearances that ended before it."""
        place = self._scenes.add(sample.look)
        self.shot = place.shot
        return self.linker.add(sample.pts_seconds, sample.detections, new_shot=place.new_shot, scene=place.scene)


class Scanner:
    """A loaded model with options, ready to scan any number of clips."""

    def __init__(self, model: Model, options: ScanOptions | None = None) -> None:
        self.model = model
        self.options = options or ScanOptions()
        make_plan(self.options.plan, self.options.cadence_seconds)
        threshold = self.options.threshold
        if threshold is not None and not 0 <= threshold <= 1:
            raise BadOption(f"A threshold of {threshold} cannot be used; give a number from 0 to 1.")
        self.classes = _chosen_classes(model, self.options.classes)
        self.thresholds = {name: model.thresholds[name] if threshold is None else threshold for name in self.classes}

    def scan(self, path: Path, on_progress: Callable[[Progress], None] | None = None) -> ScanResult:
        """Scan one clip. Raises VideoError where nothing of it can be decoded."""
        started_at, started = datetime.now(UTC), time.monotonic()
        digest = sha256_file(path)
        plan = make_plan(self.options.plan, self.options.cadence_seconds)
        samples: list[_Sample] = []
        static = StaticPicture()
        with open_video(path) as video:
            probe = video.probe
            request: Request | None = plan.first(Timeline(probe.pts_seconds, probe.is_keyframe, probe.duration_seconds))
            while request is not None:
                fresh = list(self._look(video, request, static, len(samples), started, on_progress))
                samples = sorted([*samples, *fresh], key=lambda sample: sample.pts_seconds)
                request = plan.more(
                    [SampleScore(s.pts_seconds, max((d.score for d in s.detections), default=0.0)) for s in fresh]
                )
            decoding = _Decoding(video.frames_decoded, video.decode_errors, tuple(video.errors))
            appearances = self._link(samples, static, probe)
            pictures = _pictures(video, appearances)
        report = Report(
            clip=_clip_info(path, digest, probe),
            scan=self._scan_info(plan, started_at, time.monotonic() - started),
            appearances=tuple(AppearanceInfo.of(each, width=probe.width, height=probe.height) for each in appearances),
            coverage=_coverage_info(samples, probe, decoding, plan, self.model),
            errors=_errors(decoding),
        )
        return ScanResult(report, pictures)

    def would_repeat(self, earlier: ScanInfo) -> bool:
        """Whether a scan of the same clip would look for the same things in the same places."""
        plan = make_plan(self.options.plan, self.options.cadence_seconds)
        now = self._scan_info(plan, earlier.started_at, earlier.elapsed_s)
        unlike = {"backend", "device", "started_at", "elapsed_s"}
        return now.model_dump(exclude=unlike) == earlier.model_dump(exclude=unlike)

    def _look(
        self,
        video: Video,
        request: Request,
        static: StaticPicture,
        seen_before: int,
        started: float,
        on_progress: Callable[[Progress], None] | None,
    ) -> Iterator[_Sample]:
        """Decode and judge the frames of one request, in order."""
        live = self._chain()
        seen = seen_before
        with _Ahead(_requested(video, request), QUEUE) as frames:
            while batch := list(islice(frames, BATCH)):
                found = self.model.detect([frame.image for frame in batch])
                for frame, boxes in zip(batch, found, strict=True):
                    sample = _Sample(frame.pts_seconds, look_of(frame.image), self._detections(frame, boxes))
                    live.add(sample)
                    static.add(frame.image)
                    seen += 1
                    yield sample
                if on_progress:
                    on_progress(
                        Progress(
                            batch[-1].pts_seconds,
                            video.probe.duration_seconds,
                            seen,
                            live.linker.finds,
                            time.monotonic() - started,
                        )
                    )

    def _detections(self, frame: Frame, boxes: Boxes) -> tuple[Detection, ...]:
        found = []
        for xyxy, score, class_id in zip(boxes.xyxy, boxes.scores, boxes.class_ids, strict=True):
            name = self.model.classes[int(class_id)]
            if name in self.thresholds:
                x1, y1, x2, y2 = (float(edge) for edge in xyxy)
                sharp = sharpness(frame.image, (x1, y1, x2, y2)) if score >= self.thresholds[name] else None
                found.append(Detection(name, float(score), (x1, y1, x2, y2), frame.pts_seconds, sharp))
        return tuple(found)

    def _chain(self) -> _Chain:
        return _Chain(Linker(self.thresholds, self.model.calibrate))

    def _link(self, samples: Sequence[_Sample], static: StaticPicture, probe: Probe) -> list[Appearance]:
        chain = self._chain()
        appearances: list[Appearance] = []
        seen = []
        for sample in samples:
            appearances.extend(chain.add(sample))
            seen.append(Seen(sample.pts_seconds, chain.shot, sample.detections))
        appearances.extend(chain.linker.finish())
        return flag_overlays(numbered(appearances), seen, static.mask(), width=probe.width, height=probe.height)

    def _scan_info(self, plan: Plan, started_at: datetime, elapsed_seconds: float) -> ScanInfo:
        cadence = plan.cadence_seconds
        return ScanInfo(
            tool_version=__version__,
            model=ModelInfo(name=self.model.name, sha256=self.model.sha256),
            plan=PlanInfo(name=plan.name, options={} if cadence is None else {"every_s": cadence}),
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
    return Scanner(load_model(model, device=device), options).scan(Path(path), on_progress)


class _Ahead:
    """Runs an iterator of frames in a thread of its own, `limit` items ahead at the most.

    PyAV and OpenCV release the interpreter's lock, so decoding and inference overlap.
    """

    def __init__(self, source: Iterator[Frame], limit: int) -> None:
        self._queue: queue.Queue[Frame | BaseException | None] = queue.Queue(limit)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(source,), name="decode", daemon=True)

    def __enter__(self) -> Iterator[Frame]:
        self._thread.start()
        return iter(self._items())

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    def _run(self, source: Iterator[Frame]) -> None:
        try:
            for frame in source:
                self._queue.put(frame)
                if self._stop.is_set():
                    return
            self._queue.put(None)
        except BaseException as error:
            self._queue.put(error)

    def _items(self) -> Iterator[Frame]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item


def _requested(video: Video, request: Request) -> Iterator[Frame]:
    if request.times is None or request.keyframes_only:
        yield from video.frames(keyframes_only=request.keyframes_only)
    else:
        for _, frame in video.frames_at(request.times):
            yield frame


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


def _pictures(video: Video, appearances: Sequence[Appearance]) -> dict[str, bytes]:
    """Thumbnail and crop of each appearance, decoded again at its best frame."""
    wanted: dict[float, list[Appearance]] = {}
    for each in appearances:
        wanted.setdefault(each.best.pts_seconds, []).append(each)
    pictures: dict[str, bytes] = {}
    for target, frame in video.frames_at(sorted(wanted)):
        for each in wanted[target]:
            colour = weapon_class(each.class_name).colour
            pictures[thumbnail_name(each.id)] = encode_thumbnail(frame.image, each.best.box, colour)
            pictures[crop_name(each.id)] = encode_crop(frame.image, each.best.box)
    return pictures


def _clip_info(path: Path, digest: str, probe: Probe) -> ClipInfo:
    return ClipInfo(
        name=path.name,
        sha256=digest,
        bytes=probe.bytes,
        container=probe.container,
        codec=probe.codec,
        width=probe.width,
        height=probe.height,
        duration_s=probe.duration_seconds,
        first_pts_s=probe.first_pts_seconds,
    )


def _coverage_info(
    samples: Sequence[_Sample], probe: Probe, decoding: _Decoding, plan: Plan, model: Model
) -> CoverageInfo:
    times = [sample.pts_seconds for sample in samples]
    coverage = measure_coverage(
        times,
        probe.pts_seconds.tolist(),
        probe.duration_seconds,
        [UndecodedRange(p.from_seconds, p.to_seconds, p.reason) for p in decoding.problems if not p.decoded],
        promise_seconds=plan.cadence_seconds,
        effort=Effort(
            smallest_object_px=smallest_object(model.smallest_side_px, probe.width, probe.height, model.input_size)
        ),
    )
    return CoverageInfo.of(
        coverage,
        sampled=times,
        frames_decoded=decoding.frames_decoded,
        decode_errors=decoding.decode_errors,
        promise_s=plan.cadence_seconds,
    )


def _errors(decoding: _Decoding) -> tuple[ErrorInfo, ...]:
    errors = []
    lost = [problem for problem in decoding.problems if not problem.decoded]
    if decoding.decode_errors or lost:
        message = f"{decoding.decode_errors} damaged packets or pictures were skipped"
        if lost:
            message += f"; nothing could be decoded {_longest(lost)}"
        errors.append(ErrorInfo(code="decode_errors", message=f"{message}."))
    damaged = [problem for problem in decoding.problems if problem.decoded]
    if damaged:
        message = f"Pictures were decoded with visible damage {_longest(damaged)}; what they show can be missed."
        errors.append(ErrorInfo(code="damaged_pictures", message=message))
    return tuple(errors)


def _longest(problems: Sequence[DecodeProblem]) -> str:
    worst = max(problems, key=lambda problem: problem.to_seconds - problem.from_seconds)
    others = f", and in {len(problems) - 1} more places" if len(problems) > 1 else ""
    return f"from {worst.from_seconds:.2f} s to {worst.to_seconds:.2f} s ({worst.reason}){others}"
