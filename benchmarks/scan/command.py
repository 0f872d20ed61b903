"""What `ordnance bench scan` does."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.excerpt import Excerpt, build_excerpt
from benchmarks.outcome import at_least, at_most, begin_result, draw_bars, head_lines, say, tail_lines, write_result
from benchmarks.scan.scanners import ADAPTIVE, DECODING, EVERY_FRAME, INFERENCE, KEYFRAMES, PREDICT, contenders
from benchmarks.scan.start import batch_seconds, first_sample_seconds, help_seconds
from benchmarks.turns import take_turns
from detector.models.backend import available_threads

QUICK_FRAMES, FULL_FRAMES = 500, 1500
QUICK_ROUNDS, FULL_ROUNDS = 1, 5
TOGETHER, TOGETHER_FRAMES = 8, 150
EVERY_FRAME_FASTER, KEYFRAMES_FASTER = 2.5, 40.0
ADAPTIVE_FASTER = {2.0: 12.0, 10.0: 5.0}
PIPELINE, LIMIT_SHARE, MOST_MB, HELP_SECONDS, FIRST_SECONDS = 1.10, 0.95, 700.0, 0.5, 2.0


def run(*, quick: bool, out: Path, rounds: int | None = None, model: str = "default") -> dict[str, Any]:
    """Run the suite; write scan.json, .txt and .png into `out`, and the table to stdout."""
    frames = QUICK_FRAMES if quick else FULL_FRAMES
    excerpts = (Excerpt(1920, 1080, 2, frames), Excerpt(1920, 1080, 10, frames))
    together = Excerpt(1920, 1080, 2, TOGETHER_FRAMES // (2 if quick else 1))
    rounds = rounds or (QUICK_ROUNDS if quick else FULL_ROUNDS)
    return measure(excerpts, together, quick=quick, out=out, rounds=rounds, model=model)


def measure(
    excerpts: tuple[Excerpt, ...],
    together: Excerpt,
    *,
    quick: bool,
    out: Path,
    rounds: int,
    model: str,
    cache: Path | None = None,
) -> dict[str, Any]:
    result = begin_result("scan", quick=quick, model=model)
    clips = {each.name: build_excerpt(each, cache) for each in excerpts}
    short = build_excerpt(together, cache)
    turns = take_turns(contenders(model), clips, rounds, say)
    for row in turns.rows.values():
        for each in row.values():
            each["times_faster"] = {
                peer: round(row[peer]["seconds"] / each["seconds"], 2) for peer in PREDICT if peer in row
            }
    say("start of the program")
    start = {
        "help": _summary(help_seconds(max(3, rounds))),
        "first_sample": _summary(first_sample_seconds(short, model, max(3, rounds))),
    }
    result |= {
        "frames": {each.name: each.frames for each in excerpts},
        "clips": turns.rows,
        "start_seconds": start,
        "together": _together(short, model, rounds),
        "not_measured": turns.not_measured,
    }
    result["goals"] = _goals(result, excerpts)
    write_result(
        "scan",
        result,
        table(result),
        out,
        lambda path: draw_bars(result["clips"], "seconds", "seconds for the clip", path),
    )
    return result


def table(result: dict[str, Any]) -> str:
    lines = head_lines(result)
    for clip, row in result["clips"].items():
        lines += [
            "",
            f"1080p at 25 frames a second, a tank in the last 5 % of it: {clip}, {result['frames'][clip]} frames",
        ]
        lines.append(
            f"  {'times faster than predict by:':<50}{'inferred':>9}{'seconds':>9}{'least-most':>16}{'CPU s':>8}"
            f"{'ONNX RT':>9}{'torch':>7}{'finds':>6}{'peak MB':>9}"
        )
        for name, each in row.items():
            spread = f"{each['least']:.2f}-{each['most']:.2f}"
            faster = [f"{each['times_faster'][peer]:.1f}" if peer in each["times_faster"] else "" for peer in PREDICT]
            lines.append(
                f"  {name:<50}{_whole(each, 'inferred'):>9}{each['seconds']:>9.2f}{spread:>16}"
                f"{each['cpu_seconds']:>8.2f}{faster[0]:>9}{faster[1]:>7}"
                f"{_whole(each, 'finds'):>6}{each['peak_mb'] or 0:>9.0f}"
            )
    start, together = result["start_seconds"], result["together"]
    lines += [
        "",
        f"ordnance --help: {start['help']['median']:.2f} s; first picture looked at: "
        f"{start['first_sample']['median']:.2f} s after the start",
        f"{together['clips']} clips of {together['frames']} frames at once, every frame: {together['seconds']:.2f} s; "
        f"the slower stage alone takes {together['limit_seconds']:.2f} s for them ({together['stage']}), both stages'",
        f"processor time on all cores {together['busy_seconds']:.2f} s",
    ]
    return "\n".join(lines + tail_lines(result))


def _together(clip: Path, model: str, rounds: int) -> dict[str, Any]:
    """Many clips in one batch, beside the slower of the two stages by itself on the same pictures."""
    stages = tuple(each for each in contenders(model) if each.name in (DECODING, INFERENCE))
    row = take_turns(stages, {"one": clip}, rounds, say).rows["one"]
    stage = max(row, key=lambda name: row[name]["seconds"])
    with tempfile.TemporaryDirectory(prefix="ordnance-together-") as temporary:
        clips = [Path(shutil.copy(clip, Path(temporary) / f"{number}.mp4")) for number in range(TOGETHER)]
        say(f"{TOGETHER} clips at once")
        seconds = statistics.median(batch_seconds(clips, model) for _ in range(rounds))
    return {
        "clips": TOGETHER,
        "frames": row[DECODING]["decoded"],
        "seconds": round(seconds, 3),
        "stage": stage,
        "limit_seconds": round(TOGETHER * row[stage]["seconds"], 3),
        "busy_seconds": round(TOGETHER * sum(each["cpu_seconds"] for each in row.values()) / available_threads(), 3),
    }


def _goals(result: Mapping[str, Any], excerpts: tuple[Excerpt, ...]) -> list[dict[str, Any]]:
    goals = []
    for excerpt in excerpts:
        row, clip = result["clips"][excerpt.name], excerpt.name
        for name, least in (
            (EVERY_FRAME, EVERY_FRAME_FASTER),
            (ADAPTIVE, ADAPTIVE_FASTER.get(excerpt.gop_seconds)),
            (KEYFRAMES, KEYFRAMES_FASTER),
        ):
            for peer in PREDICT if least is not None else ():
                faster = row[name]["times_faster"].get(peer) if name in row else None
                goals.append(at_least(f"{name}: {least:g} times faster than {peer} ({clip})", faster, least))
        alone = [row[name] for name in (DECODING, INFERENCE) if name in row]
        whole = row.get(EVERY_FRAME) if len(alone) == 2 else None
        slower = whole["seconds"] / max(each["seconds"] for each in alone) if whole else None
        goals.append(at_most(f"every frame: at most {PIPELINE} x its slower stage ({clip})", slower, PIPELINE, "x"))
        busy = whole["seconds"] / (sum(each["cpu_seconds"] for each in alone) / available_threads()) if whole else None
        goals.append(
            at_most(
                f"every frame: at most {PIPELINE} x both stages' processor time on all cores ({clip})",
                busy,
                PIPELINE,
                "x",
            )
        )
        peak = max(
            (row[name]["peak_mb"] or 0 for name in (EVERY_FRAME, ADAPTIVE, KEYFRAMES) if name in row), default=None
        )
        goals.append(at_most(f"peak memory of a scan at most {MOST_MB:g} MB ({clip})", peak, MOST_MB, "MB"))
    together, start = result["together"], result["start_seconds"]
    for limit, name in (("limit_seconds", "the slower stage's speed"), ("busy_seconds", "what the processors can do")):
        share = together[limit] / together["seconds"]
        goals.append(at_least(f"{TOGETHER} clips at once: {LIMIT_SHARE} of {name}", share, LIMIT_SHARE, "of it"))
    goals.append(at_most(f"ordnance --help within {HELP_SECONDS} s", start["help"]["median"], HELP_SECONDS, "s"))
    goals.append(
        at_most(
            f"first picture looked at within {FIRST_SECONDS:g} s", start["first_sample"]["median"], FIRST_SECONDS, "s"
        )
    )
    return goals


def _summary(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "median": round(statistics.median(ordered), 3),
        "least": round(ordered[0], 3),
        "most": round(ordered[-1], 3),
    }


def _whole(row: Mapping[str, Any], name: str) -> str:
    return f"{row[name]:.0f}" if name in row else ""
