"""The measuring: along each axis some points, and whether they lie on a straight line."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.growth.clips import repeated_clip
from benchmarks.growth.point import Cost, Job, measure
from benchmarks.machine import machine_facts

SMALL = (160, 90)
PLANS = ("adaptive", "keyframes-only")
GOAL_RATIO, GOAL_MB = 1.1, 700.0
"""Peak memory for the longest clip, beside that for 10 min, and at all."""
GOAL_MINUTES = (10.0, 240.0)
MOST_ABOVE = 1.2
"""The last point may lie so much above the line through the others; more is called bent."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The points of each axis, ascending, and how often each is measured."""

    minutes: Sequence[float]
    clips: Sequence[int]
    sizes: Sequence[tuple[int, int]]
    size_seconds: float
    boxes: Sequence[int]
    finds_minutes: float
    rounds: int
    model: str


@dataclass(frozen=True, slots=True)
class _Point:
    x: float
    label: str
    job: Job


def run_growth_benchmark(settings: Settings, say: Callable[[str], None]) -> dict[str, Any]:
    """The result as it goes into growth.json."""
    machine = machine_facts()
    axes = []
    with tempfile.TemporaryDirectory(prefix="ordnance-growth-") as temporary:
        folder = Path(temporary)
        for name, unit, plan, points in _axes(settings, folder):
            axes.append(_measure_axis(name, unit, plan, points, settings.rounds, say))
    return {
        "machine": machine,
        "rounds": settings.rounds,
        "model": settings.model,
        "axes": axes,
        "goals": goals(axes),
    }


def goals(axes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What must be reached, and whether it was; None where the lengths that it needs were not measured."""
    judged = []
    for axis in axes:
        if axis["name"] != "length":
            continue
        peaks = {row["x"]: row["peak_mb"] for row in axis["points"]}
        short, long = (peaks.get(minutes) for minutes in GOAL_MINUTES)
        ratio = None if not (short and long) else long / short
        judged += [
            {
                "goal": f"{axis['plan']}: peak memory for 4 h <= {GOAL_RATIO} x that for 10 min",
                "measured": None if ratio is None else round(ratio, 3),
                "reached": None if ratio is None else ratio <= GOAL_RATIO,
            },
            {
                "goal": f"{axis['plan']}: peak memory for 4 h <= {GOAL_MB:.0f} MB",
                "measured": long,
                "reached": None if long is None else long <= GOAL_MB,
            },
        ]
    return judged


def line(points: Sequence[tuple[float, float]]) -> dict[str, float | bool | None]:
    """The straight line through (x, y): its slope, its height at x = 0, and whether the points bend upwards.

    `last_over_line` is the last y over what the line through all the others gives there; None with fewer than three
    points or where that line gives nothing above nought. `straight` is then None as well.
    """
    x, y = (np.array(values, float) for values in zip(*points, strict=True))
    slope, start = np.polyfit(x, y, 1) if len(points) > 1 else (0.0, y[0])
    ratio = None
    if len(points) > 2:
        expected = float(np.polyval(np.polyfit(x[:-1], y[:-1], 1), x[-1]))
        ratio = float(y[-1]) / expected if expected > 0 else None
    return {
        "slope": float(slope),
        "start": float(start),
        "last_over_line": None if ratio is None else round(ratio, 3),
        "straight": None if ratio is None else ratio <= MOST_ABOVE,
    }


def _axes(settings: Settings, folder: Path) -> Iterator[tuple[str, str, str, list[_Point]]]:
    model = settings.model
    lengths = []
    for minutes in settings.minutes:
        clip = repeated_clip(folder / f"{minutes:g}min.mp4", width=SMALL[0], height=SMALL[1], seconds=60 * minutes)
        lengths.append((minutes, clip))
    for plan in PLANS:
        points = [_Point(minutes, f"{minutes:g} min", Job(clip, plan, model)) for minutes, clip in lengths]
        yield "length", "minutes", plan, points
    for _, clip in lengths:
        clip.unlink()

    sized = []
    for width, height in settings.sizes:
        clip = folder / f"{height}p.mp4"
        repeated_clip(clip, width=width, height=height, seconds=settings.size_seconds, base_frames=50)
        sized.append((width, height, clip))
    for plan in PLANS:
        points = [_Point(width * height / 1e6, f"{height}p", Job(clip, plan, model)) for width, height, clip in sized]
        yield "resolution", "megapixels", plan, points
    for *_, clip in sized:
        clip.unlink()

    clip = repeated_clip(folder / "finds.mp4", width=640, height=360, seconds=60 * settings.finds_minutes)
    points = [_Point(boxes, f"{boxes} a picture", Job(clip, PLANS[1], model, boxes=boxes)) for boxes in settings.boxes]
    yield "finds", "finds", PLANS[1], points
    clip.unlink()

    batches = []
    tiny = repeated_clip(folder / "tiny.mp4", width=SMALL[0], height=SMALL[1], seconds=2, base_frames=50)
    for count in settings.clips:
        clips, out = folder / f"{count}-clips", folder / f"{count}-reports"
        clips.mkdir()
        for number in range(count):
            shutil.copyfile(tiny, clips / f"clip-{number:05d}.mp4")
        batches.append(_Point(count, f"{count} clips", Job(clips, PLANS[1], model, batch=True, out=out)))
    yield "clips", "clips in one batch", PLANS[1], batches


def _measure_axis(
    name: str, unit: str, plan: str, points: Sequence[_Point], rounds: int, say: Callable[[str], None]
) -> dict[str, Any]:
    costs: list[list[Cost]] = [[] for _ in points]
    for _ in range(rounds):
        for taken, point in zip(costs, points, strict=True):
            say(f"{name}, {plan}: {point.label}")
            taken.append(measure(point.job))
            if point.job.out:
                shutil.rmtree(point.job.out, ignore_errors=True)
    rows = [_row(point, taken, name == "finds") for point, taken in zip(points, costs, strict=True)]
    return {
        "name": name,
        "unit": unit,
        "plan": plan,
        "points": rows,
        "cpu_line": line([(row["x"], row["cpu_seconds"]) for row in rows]),
        "memory_line": None if rows[0]["peak_mb"] is None else line([(row["x"], row["peak_mb"]) for row in rows]),
    }


def _row(point: _Point, costs: Sequence[Cost], by_finds: bool) -> dict[str, Any]:
    last = asdict(costs[-1])
    peaks = [cost.peak_mb for cost in costs if cost.peak_mb is not None]
    return {
        **last,
        "x": costs[-1].finds if by_finds else point.x,
        "label": point.label,
        "seconds": round(statistics.median(cost.seconds for cost in costs), 3),
        "cpu_seconds": round(statistics.median(cost.cpu_seconds for cost in costs), 3),
        "cpu_spread": [round(pick(cost.cpu_seconds for cost in costs), 3) for pick in (min, max)],
        "peak_mb": max(peaks) if peaks else None,
    }
