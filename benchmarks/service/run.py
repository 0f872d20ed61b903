"""One run: the clips without the service, uploads of all of them at once, and a large one beside a plain copy."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.machine import machine_facts
from benchmarks.outcome import model_facts
from benchmarks.service.cancelling import measure_cancelling
from benchmarks.service.clips import MIB, Clip, build_clips, build_minutes, paint_clip
from benchmarks.service.goals import goals
from benchmarks.service.local import LocalRun, LocalScans
from benchmarks.service.reading import StatusReader
from benchmarks.service.server import KINDS, BenchmarkFailed, MemoryWatch, Server
from benchmarks.service.throughput import measure_throughput
from benchmarks.service.uploads import Uploaded, upload_all

SCHEMA_VERSION = "1.0"
SCANS_PER_WORKER = 2
IDLE_SECONDS = 3.0
LONGEST_STANDSTILL_SECONDS = 300.0
"""So long may no scan end before the rest is taken for lost."""
UNLIMITED = 1_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What to run. `rounds` is how often the large clip of `large_mib` takes its turns, `minutes` how many clips of a
    minute each are uploaded after the `uploads` short ones."""

    uploads: int
    minutes: int
    workers: int
    threads: int
    large_mib: int
    rounds: int
    model: str = "default"
    device: str = "auto"
    quick: bool = False


@dataclass(frozen=True, slots=True)
class _Load:
    """What the many uploads gave."""

    uploaded: list[Uploaded]
    scans: dict[str, dict[str, Any]]
    appearances: dict[str, list[dict[str, Any]]]
    started: float
    taken: float
    ended: float
    cpu_seconds: dict[str, float]
    reads: list[tuple[float, float]]
    read_errors: list[str]


def run_service_benchmark(settings: Settings, say: Callable[[str], None]) -> dict[str, Any]:
    """Run everything; returns the result as it is written to JSON. `say` is told what is under way.

    Raises BenchmarkFailed where the service does not start or does not take the large clip.
    """
    began = datetime.now(UTC)
    facts = machine_facts()
    model = model_facts(settings.model)
    with tempfile.TemporaryDirectory(prefix="ordnance-bench-") as name:
        folder = Path(name)
        say(f"building {settings.uploads} clips")
        clips = build_clips(folder, settings.uploads)
        painted = paint_clip(folder / "small.mp4")
        minutes = build_minutes(folder, settings.minutes)
        local, local_minutes = (_Local(settings, painted, folder / each, say) for each in ("reports", "minutes"))
        local.scan(clips[::2])
        local_minutes.scan(minutes[::2])
        server = Server(
            folder,
            MODEL=settings.model,
            DEVICE=settings.device,
            THREADS=settings.threads,
            WORKERS=settings.workers,
            SCANS_PER_WORKER=SCANS_PER_WORKER,
            REQUESTS_PER_MINUTE=UNLIMITED,
        )
        say("starting the service")
        with server, MemoryWatch(server) as memory:
            throughput = measure_throughput(
                server.url, painted, folder, size=settings.large_mib * MIB, rounds=settings.rounds, say=say
            )
            time.sleep(IDLE_SECONDS)
            load = _load(server, clips, say)
            load_minutes = _load(server, minutes, say)
            say("cancelling")
            cancelling = measure_cancelling(server)
            faults = server.faults()
        local.scan(clips[1::2])
        local_minutes.scan(minutes[1::2])
        result: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "suite": "service",
            "started_at": began.isoformat(timespec="seconds"),
            "elapsed_s": round((datetime.now(UTC) - began).total_seconds(), 1),
            "machine": facts,
            "model": model,
            "settings": {
                "quick": settings.quick,
                "uploads": settings.uploads,
                "minutes": settings.minutes,
                "workers": settings.workers,
                "threads": settings.threads,
                "scans_per_worker": SCANS_PER_WORKER,
                "large_mib": settings.large_mib,
                "rounds": settings.rounds,
            },
            "uploads": _uploads(clips, load, local.appearances),
            "status": _status(load),
            "memory": _memory(memory, load),
            "throughput": throughput,
            "overhead": _overhead(load, local),
            "overhead_of_minutes": {"clips": len(minutes), **_overhead(load_minutes, local_minutes)},
            "cancelling": cancelling,
            "troubles": [
                *_troubles(load, faults, local.appearances),
                *_troubles(load_minutes, (), local_minutes.appearances),
            ],
        }
    result["goals"] = goals(result)
    return result


class _Local:
    """The turns without the service, added up."""

    def __init__(self, settings: Settings, warm_up: Path, out: Path, say: Callable[[str], None]) -> None:
        self._settings, self._warm_up, self._out, self._say = settings, warm_up, out, say
        self.appearances: dict[Path, list[dict[str, Any]]] = {}
        self.seconds = self.cpu_seconds = 0.0

    def scan(self, clips: Sequence[Clip]) -> None:
        if not clips:
            return
        settings = self._settings
        self._say(f"scanning {len(clips)} clips without the service")
        with LocalScans(
            settings.workers,
            self._warm_up,
            self._out,
            model=settings.model,
            device=settings.device,
            threads=settings.threads,
        ) as scans:
            run: LocalRun = scans.scan([clip.path for clip in clips])
        self.appearances |= run.appearances
        self.seconds += run.seconds
        self.cpu_seconds += run.cpu_seconds


def _load(server: Server, clips: Sequence[Clip], say: Callable[[str], None]) -> _Load:
    say(f"{len(clips)} uploads at once")
    with StatusReader(server.url) as reader:
        cpu_before, started = server.cpu_seconds(), time.monotonic()
        uploaded = upload_all(server.url, clips, reader.tell)
        taken = time.monotonic()
        with httpx.Client(base_url=server.url, timeout=120) as http:
            scans = _ended(http, [each.scan for each in uploaded if each.scan is not None], say)
            ended, cpu_after = time.monotonic(), server.cpu_seconds()
            found = {
                scan: http.get(f"/v1/scans/{scan}/report.json").raise_for_status().json()["appearances"]
                for scan, row in scans.items()
                if row["state"] == "done"
            }
    cpu = {kind: after - cpu_before[kind] for kind, after in cpu_after.items()}
    return _Load(uploaded, scans, found, started, taken, ended, cpu, reader.reads, reader.errors)


def _ended(http: httpx.Client, ids: list[str], say: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """The scans once all have ended, or none has for a long time."""
    scans: dict[str, dict[str, Any]] = {}
    open_ids, moved_at = list(ids), time.monotonic()
    while open_ids and time.monotonic() - moved_at < LONGEST_STANDSTILL_SECONDS:
        row = scans[open_ids[0]] = http.get(f"/v1/scans/{open_ids[0]}").raise_for_status().json()
        if row["state"] in ("queued", "running"):
            time.sleep(0.25)
            continue
        open_ids.pop(0)
        moved_at = time.monotonic()
        if len(open_ids) % 20 == 0:
            say(f"{len(open_ids)} scans to go")
    return scans


def _uploads(clips: Sequence[Clip], load: _Load, expected: Mapping[Path, list[dict[str, Any]]]) -> dict[str, Any]:
    ways = {"raw POST": False, "tus": True}
    return {
        "count": len(clips),
        "bytes": sum(os.stat(clip.path).st_size for clip in clips),
        "video_seconds": round(sum(clip.seconds for clip in clips), 1),
        "taken": len({each.scan for each in load.uploaded if each.scan is not None}),
        "done": sum(row["state"] == "done" for row in load.scans.values()),
        "same_appearances": sum(_is_same(each, load, expected) for each in load.uploaded),
        "appearances": sum(map(len, load.appearances.values())),
        "seconds": round(load.taken - load.started, 3),
        "done_after_s": round(load.ended - load.started, 3),
        "by_way": {
            way: _way([each for each in load.uploaded if each.clip.by_tus == by_tus]) for way, by_tus in ways.items()
        },
    }


def _way(uploaded: Sequence[Uploaded]) -> dict[str, Any]:
    seconds = [each.seconds for each in uploaded] or [0.0]
    return {
        "count": len(uploaded),
        "taken": sum(each.scan is not None for each in uploaded),
        "p50_s": round(median(seconds), 3),
        "slowest_s": round(max(seconds), 3),
    }


def _is_same(each: Uploaded, load: _Load, expected: Mapping[Path, list[dict[str, Any]]]) -> bool:
    if each.scan is None or each.scan not in load.appearances:
        return False
    return _seen(load.appearances[each.scan]) == _seen(expected[each.clip.path])


def _seen(appearances: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """Class, times and every box of each appearance, to the last digit; pictures are kept apart by the service."""
    return [
        (
            each["class"],
            each["confidence"],
            each["first_seen_s"],
            each["last_seen_s"],
            [(box["pts_s"], box["box"], box["score"]) for box in each["detections"]],
        )
        for each in appearances
    ]


def _status(load: _Load) -> dict[str, Any]:
    seconds = sorted(seconds for at, seconds in load.reads if load.started <= at <= load.ended)
    return {
        "reads": len(seconds),
        "p50_s": _quantile(seconds, 0.5),
        "p99_s": _quantile(seconds, 0.99),
        "slowest_s": seconds[-1] if seconds else None,
        "errors": len(load.read_errors),
    }


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that `share` of all do not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def _memory(memory: MemoryWatch, load: _Load) -> dict[str, Any]:
    """The first quarter of the time under load is left out of the comparison: libraries warm up in it."""
    spent = load.ended - load.started
    found = {}
    for kind in KINDS:
        rows = [(at, by_kind[kind]) for at, by_kind in memory.samples]
        idle = [mb for at, mb in rows if load.started - IDLE_SECONDS <= at < load.started]
        second = [mb for at, mb in rows if 0.25 <= (at - load.started) / spent < 0.5]
        last = [mb for at, mb in rows if 0.75 <= (at - load.started) / spent <= 1]
        if not (idle and second and last):
            continue
        begin, end = median(second), median(last)
        found[kind] = {
            "idle_mb": round(median(idle), 1),
            "second_quarter_mb": round(begin, 1),
            "last_quarter_mb": round(end, 1),
            "peak_mb": round(max(mb for at, mb in rows if load.started <= at <= load.ended), 1),
            "growth": round(end / begin - 1, 4) if begin and kind != "decoders" else None,
            "over_time_mb": [(round(at - load.started, 1), round(mb, 1)) for at, mb in rows if at >= load.started],
        }
    return found


def _overhead(load: _Load, local: _Local) -> dict[str, Any]:
    service = load.ended - load.started
    cpu = sum(load.cpu_seconds.values()) if load.cpu_seconds else None
    if not local.seconds:
        raise BenchmarkFailed("There is nothing to compare with: no clip was scanned without the service.")
    return {
        "local_s": round(local.seconds, 2),
        "local_cpu_s": round(local.cpu_seconds, 2),
        "service_s": round(service, 2),
        "service_cpu_s": None if cpu is None else round(cpu, 2),
        "service_cpu_by_kind_s": {kind: round(spent, 2) for kind, spent in load.cpu_seconds.items()},
        "wall": round(service / local.seconds - 1, 4),
        "cpu": None if cpu is None else round(cpu / local.cpu_seconds - 1, 4),
    }


def _troubles(load: _Load, faults: Sequence[str], expected: Mapping[Path, list[dict[str, Any]]]) -> list[str]:
    found = [f"{each.clip.path.name}: {each.error}" for each in load.uploaded if each.error]
    for each in load.uploaded:
        row = load.scans.get(each.scan or "")
        if row is not None and row["state"] != "done":
            found.append(f"{each.clip.path.name}: {row['state']}, {row['error'] and row['error']['message']}")
        elif row is not None and not _is_same(each, load, expected):
            found.append(f"{each.clip.path.name} ({each.clip.source}): other appearances than without the service")
    found += sorted(set(load.read_errors))[:10]
    return [*found, *(f"log: {line}" for line in faults[:20])]
