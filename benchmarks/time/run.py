"""One run: build the clips, let the contenders take turns on them, score what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.contender_process import Failed
from benchmarks.machine import machine_facts
from benchmarks.outcome import model_facts
from benchmarks.time.clips import BuiltClip, build_clip
from benchmarks.time.contenders import REFERENCE, TIMED_ONLY, Contender, Job, Outcome, all_contenders
from benchmarks.time.goals import DEFAULT_PLAN, goals
from benchmarks.time.memory import peak_by_length
from benchmarks.time.pictures import PictureSet
from benchmarks.time.scoring import (
    ClipScore,
    errors_of,
    lasting,
    made_up,
    recall_by_bucket,
    sampled,
    score_clip,
    sightings,
    true_sightings,
    wrongly_named,
)
from benchmarks.time.script import ClipSpec
from benchmarks.time.truth import IN_VIEW, Truth
from benchmarks.time.worker import Worker
from detector.errors import OrdnanceError
from detector.models.backend import available_threads

SCHEMA_VERSION = "1.0"


@dataclass(frozen=True, slots=True)
class Settings:
    """What to run. `repetitions` is how often each contender goes over the speed clips.

    `memory_minutes` are the lengths of the two clips between which memory is compared; empty leaves that out.
    """

    accuracy: tuple[ClipSpec, ...]
    speed: tuple[ClipSpec, ...]
    pictures: PictureSet
    cache: Path
    seed: int = 1
    repetitions: int = 1
    model: str = "default"
    device: str = "auto"
    contenders: tuple[Contender, ...] = field(default_factory=lambda: tuple(all_contenders()))
    quick: bool = False
    memory_minutes: tuple[float, ...] = ()


class BenchmarkFailed(OrdnanceError):
    """The run cannot give a result."""

    code = "benchmark_failed"


def run_time_benchmark(settings: Settings, say: Callable[[str], None]) -> dict[str, Any]:
    """Run everything; returns the result as it is written to JSON. `say` is told what is under way.

    Raises BenchmarkFailed where the reference itself cannot run.
    """
    started = datetime.now(UTC)
    facts = machine_facts()
    say("building clips (kept for the next run)")
    accuracy, speed = _built(settings)
    with ExitStack() as stack:
        turns = _Turns(settings, stack, say)
        accuracy_outcomes = {clip.spec.name: turns.on_accuracy_clip(clip) for clip in accuracy}
        oracle_outcomes = {clip.spec.name: turns.with_oracle(clip) for clip in accuracy}
        speed_outcomes = {clip.spec.name: turns.on_speed_clip(clip) for clip in speed}
    result = {
        "schema_version": SCHEMA_VERSION,
        "suite": "time",
        "started_at": started.isoformat(timespec="seconds"),
        "elapsed_s": round((datetime.now(UTC) - started).total_seconds(), 1),
        "machine": facts,
        "model": _model_facts(settings),
        "settings": {
            "quick": settings.quick,
            "seed": settings.seed,
            "repetitions": settings.repetitions,
            "in_view": IN_VIEW,
            "pictures": settings.pictures.source,
            "pictures_sha256": settings.pictures.sha256(),
        },
        "contenders": turns.facts(),
        "clips": [_clip_facts(clip) for clip in (*accuracy, *speed)],
        "accuracy": _accuracy(accuracy, accuracy_outcomes, turns),
        "sampling": _sampling(accuracy, oracle_outcomes, turns),
        "speed": {clip.spec.name: _speed(clip, speed_outcomes[clip.spec.name], turns) for clip in speed},
        "memory": _memory(settings, say),
        "not_measured": turns.notes(),
    }
    result["goals"] = goals(result)
    return result


class _Turns:
    """The contenders' processes, and who is still in the run."""

    def __init__(self, settings: Settings, stack: ExitStack, say: Callable[[str], None]) -> None:
        self.dropped: dict[str, str] = {}
        self._say = say
        self._repetitions = settings.repetitions
        self._workers: list[Worker] = []
        for contender in settings.contenders:
            say(f"loading {contender.name}")
            worker = stack.enter_context(Worker(contender, settings.model, settings.device))
            failure = worker.ready()
            if failure is not None:
                self._drop(contender, failure)
                continue
            self._workers.append(worker)
            if TIMED_ONLY in worker.facts:
                say(f"{contender.name}: {worker.facts[TIMED_ONLY]}")

    def on_accuracy_clip(self, clip: BuiltClip) -> dict[str, Outcome]:
        """What everybody says of one clip, by name."""
        judged = [each for each in self._workers if each.contender.every_clip and self.is_judged(each.contender.name)]
        return dict(self._one_round(clip, "scan", judged))

    def with_oracle(self, clip: BuiltClip) -> dict[str, Outcome]:
        """What our plans say of it with a perfect detector."""
        return dict(self._one_round(clip, "oracle", self._plans()))

    def on_speed_clip(self, clip: BuiltClip) -> dict[str, list[Outcome]]:
        """Rounds in turn; the last item of each of our plans is the replay of its last round."""
        outcomes: dict[str, list[Outcome]] = {}
        for _ in range(self._repetitions):
            for name, outcome in self._one_round(clip, "scan", list(self._workers), keep_answers=True):
                outcomes.setdefault(name, []).append(outcome)
        for name, outcome in self._one_round(clip, "replay", self._plans()):
            outcomes[name].append(outcome)
        return outcomes

    def facts(self) -> dict[str, Any]:
        return {
            each.contender.name: {**asdict(each.contender), **each.facts, "peak_memory_mb": each.peak_memory_mb}
            for each in self._workers
        }

    def names(self) -> list[str]:
        return [each.contender.name for each in self._workers]

    def is_plan(self, name: str) -> bool:
        return any(each.contender.name == name for each in self._plans())

    def is_judged(self, name: str) -> bool:
        """Whether what it finds means anything."""
        return not any(each.contender.name == name and TIMED_ONLY in each.facts for each in self._workers)

    def notes(self) -> list[dict[str, object]]:
        """Who was not measured, or only in part, and why."""
        partly = {each.contender.name: each.facts[TIMED_ONLY] for each in self._workers if TIMED_ONLY in each.facts}
        return [{"name": name, "reason": reason} for name, reason in (partly | self.dropped).items()]

    def _plans(self) -> list[Worker]:
        return [each for each in self._workers if each.contender.kind == "plan"]

    def _one_round(
        self, clip: BuiltClip, mode: str, workers: Sequence[Worker], *, keep_answers: bool = False
    ) -> Iterator[tuple[str, Outcome]]:
        for worker in workers:
            name = worker.contender.name
            self._say(f"{clip.spec.name}: {name}" + ("" if mode == "scan" else f" ({mode})"))
            job = Job(mode, clip.path, clip.marked, clip.path.parent / "truth.json", keep_answers)
            answer = worker.run(job)
            if isinstance(answer, Failed):
                self._drop(worker.contender, Failed(f"failed on {clip.spec.name}: {answer.reason}"))
                self._workers.remove(worker)
            else:
                yield name, answer

    def _drop(self, contender: Contender, failure: Failed) -> None:
        if contender.name == REFERENCE:
            raise BenchmarkFailed(f"The reference, every frame, could not be run: {failure.reason}.")
        self._say(f"not measured: {contender.name}: {failure.reason}")
        self.dropped[contender.name] = failure.reason


def _memory(settings: Settings, say: Callable[[str], None]) -> dict[str, Any]:
    """Peak memory by plan after each of the lengths, in minutes."""
    if not settings.memory_minutes:
        return {}
    say("memory by length of clip")
    peaks = peak_by_length(settings.contenders, settings.memory_minutes, settings.cache, settings.model)
    return {"minutes": list(settings.memory_minutes), "peak_mb": peaks}


def _built(settings: Settings) -> tuple[list[BuiltClip], list[BuiltClip]]:
    specs = (*settings.accuracy, *settings.speed)
    digest = settings.pictures.sha256()
    workers = min(max(1, len(specs)), available_threads())
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = [
            pool.submit(build_clip, spec, settings.pictures, settings.seed, settings.cache, pictures_sha256=digest)
            for spec in specs
        ]
        clips = [job.result() for job in jobs]
    return clips[: len(settings.accuracy)], clips[len(settings.accuracy) :]


def _model_facts(settings: Settings) -> dict[str, object]:
    from detector.models.manifest import find_weights

    return {**model_facts(settings.model), "classes": find_weights(settings.model)[0].classes}


def _clip_facts(clip: BuiltClip) -> dict[str, Any]:
    truth = clip.truth
    return {
        **asdict(clip.spec),
        "frames": len(truth.pts_seconds),
        "seconds": round(truth.duration_seconds, 3),
        "cuts": len(truth.cuts_seconds),
        "true_appearances": len(truth.appearances),
        "weapon_share": round(truth.weapon_share(), 4),
        "bytes": clip.path.stat().st_size,
    }


def _accuracy(
    clips: Sequence[BuiltClip], outcomes: Mapping[str, Mapping[str, Outcome]], turns: _Turns
) -> dict[str, Any]:
    """Every contender against what the reference saw, added up over the clips."""
    rows = {}
    scores: dict[str, list[ClipScore]] = {}
    for name in turns.names():
        for clip in clips:
            by_name = outcomes[clip.spec.name]
            if name in by_name:
                expected = sightings(clip.truth, by_name[REFERENCE].found)
                scores.setdefault(name, []).append(score_clip(clip.truth, by_name[name], expected))
        if name in scores:
            rows[name] = _accuracy_row(scores[name])
    if DEFAULT_PLAN in rows:
        for name in [each for each in rows if not turns.is_plan(each)]:
            rows |= as_few_made_up(name, scores[name], rows[DEFAULT_PLAN]["made_up_per_hour"])
    return rows


def as_few_made_up(peer: str, scores: Sequence[ClipScore], made_up_per_hour: float) -> dict[str, dict[str, Any]]:
    """The row of a peer with the lowest of the tried thresholds at which it makes up no more than this, by its name.

    Nothing where that is so at the thresholds that it has, or where it was not tried with others.
    """
    if _accuracy_row(scores)["made_up_per_hour"] <= made_up_per_hour:
        return {}
    for times in sorted(scores[0].outcome.stricter):
        stricter = [
            score_clip(each.truth, replace(each.outcome, found=each.outcome.stricter[times]), each.expected)
            for each in scores
        ]
        row = _accuracy_row(stricter)
        if row["made_up_per_hour"] <= made_up_per_hour:
            return {f"{peer}, thresholds x {times:g}": row | {"thresholds_times": times}}
    return {}


def _accuracy_row(scores: Sequence[ClipScore]) -> dict[str, Any]:
    hours = sum(each.truth.duration_seconds for each in scores) / 3600
    reported = [(each.truth, each.outcome.found) for each in scores]
    row = {
        **_recall(scores),
        "true_appearances": sum(len(each.truth.appearances) for each in scores),
        "true_appearances_found": sum(len(each.seen) for each in scores),
        "first_seen": asdict(errors_of(scores, "first")),
        "last_seen": asdict(errors_of(scores, "last")),
        "made_up_per_hour": round(sum(made_up(*each) for each in reported) / hours, 2),
        "wrongly_named_per_hour": round(sum(wrongly_named(*each) for each in reported) / hours, 2),
        **_cost(scores),
        "seconds": round(sum(each.outcome.seconds for each in scores), 3),
        "video_seconds": round(hours * 3600, 3),
    }
    if any(each.outcome.own_times for each in scores):
        row["first_seen_by_own_clock"] = asdict(errors_of(scores, "first", own_clock=True))
    return row


def _sampling(
    clips: Sequence[BuiltClip], outcomes: Mapping[str, Mapping[str, Outcome]], turns: _Turns
) -> dict[str, Any]:
    """Our plans with a perfect detector, against the truth."""
    rows = {}
    for name in turns.names() if clips else ():
        if not turns.is_plan(name):
            continue
        runs = [(clip.truth, outcomes[clip.spec.name][name]) for clip in clips]
        scores = [score_clip(truth, outcome, true_sightings(truth)) for truth, outcome in runs]
        promised = [sampled_of(truth, run, run.promise_seconds or run.guarantee_seconds or 0.0) for truth, run in runs]
        stated = [sampled_of(truth, run, run.guarantee_seconds or 0.0) for truth, run in runs]
        rows[name] = {
            **_recall(scores),
            "first_seen": asdict(errors_of(scores, "first")),
            "last_seen": asdict(errors_of(scores, "last")),
            "promise_s": sorted({run.promise_seconds for _, run in runs if run.promise_seconds is not None}),
            "stated_guarantee_s": [run.guarantee_seconds for _, run in runs],
            "sampled_of_promised": [sum(pair) for pair in zip(*promised, strict=True)],
            "sampled_of_stated": [sum(pair) for pair in zip(*stated, strict=True)],
            "unreadable_samples": sum(run.unreadable for _, run in runs),
            **_cost(scores),
        }
    return rows


def sampled_of(truth: Truth, outcome: Outcome, at_least_seconds: float) -> tuple[int, int]:
    """Of the appearances that last so long, how many the model was shown at least once, and how many there are."""
    long_enough = lasting(truth, at_least_seconds)
    return sum(sampled(each, outcome.inferred_frames) for each in long_enough), len(long_enough)


def _recall(scores: Sequence[ClipScore]) -> dict[str, Any]:
    buckets = recall_by_bucket(scores)
    found, expected = (sum(pair[which] for pair in buckets.values()) for which in (0, 1))
    return {
        "found": found,
        "expected": expected,
        "recall": found / expected if expected else None,
        "by_duration": {name: list(pair) for name, pair in buckets.items()},
    }


def _cost(scores: Sequence[ClipScore]) -> dict[str, Any]:
    decoded = [each.outcome.frames_decoded for each in scores]
    return {
        "frames": sum(len(each.truth.pts_seconds) for each in scores),
        "inferred": sum(each.outcome.inferred for each in scores),
        "frames_decoded": sum(decoded) if all(each is not None for each in decoded) else None,
    }


def _speed(clip: BuiltClip, outcomes: Mapping[str, list[Outcome]], turns: _Turns) -> dict[str, Any]:
    rows = {}
    reference = sightings(clip.truth, outcomes[REFERENCE][0].found)
    for name, runs in outcomes.items():
        if name in turns.dropped:
            continue
        replay = runs[-1] if turns.is_plan(name) else None
        timed = runs[:-1] if replay else runs
        seen = sightings(clip.truth, timed[0].found)
        inference = [run.inference_seconds for run in timed]
        rows[name] = {
            "seconds": [round(run.seconds, 3) for run in timed],
            "median_s": round(median(run.seconds for run in timed), 3),
            "inference_s": round(median(inference), 3) if all(each is not None for each in inference) else None,
            "without_inference_s": round(replay.seconds, 3) if replay else None,
            "inferred_again_in_replay": replay.inferred if replay else None,
            "inferred": timed[0].inferred,
            "frames_decoded": timed[0].frames_decoded,
            "true_appearances_found": len(seen) if turns.is_judged(name) else None,
            "found_of_reference": len(seen.keys() & reference.keys()) if turns.is_judged(name) else None,
            "reference_found": len(reference),
        }
    for row in rows.values():
        row["times_faster_than"] = {
            name: round(rows[name]["median_s"] / row["median_s"], 2) for name in rows if "predict" in name
        }
    return rows
