"""What `ordnance bench decode` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.decode.readers import DECODE_ONLY, PROBE, contenders
from benchmarks.excerpt import Excerpt, build_excerpt
from benchmarks.outcome import at_least, begin_result, draw_bars, head_lines, say, tail_lines, write_result
from benchmarks.turns import take_turns
from detector.models.manifest import find_weights

QUICK_FRAMES, FULL_FRAMES = 250, 1500
QUICK_ROUNDS, FULL_ROUNDS = 1, 5
PROBE_FASTER = 50.0


def run(*, quick: bool, out: Path, rounds: int | None = None, model: str = "default") -> dict[str, Any]:
    """Run the suite; write decode.json, .txt and .png into `out`, and the table to stdout."""
    frames = QUICK_FRAMES if quick else FULL_FRAMES
    excerpts = (Excerpt(1920, 1080, 2, frames), Excerpt(1920, 1080, 10, frames), Excerpt(640, 360, 2, frames))
    return measure(
        excerpts, quick=quick, out=out, rounds=rounds or (QUICK_ROUNDS if quick else FULL_ROUNDS), model=model
    )


def measure(
    excerpts: tuple[Excerpt, ...], *, quick: bool, out: Path, rounds: int, model: str, cache: Path | None = None
) -> dict[str, Any]:
    result = begin_result("decode", quick=quick, model=model)
    clips = {each.name: build_excerpt(each, cache) for each in excerpts}
    entry, _ = find_weights(model)
    turns = take_turns(contenders(entry.input_size), clips, rounds, say)
    for row in turns.rows.values():
        for each in row.values():
            each["ms_a_picture"] = round(1000 * each["seconds"] / max(each["pictures"], 1), 4)
    result |= {
        "frames": {each.name: each.frames for each in excerpts},
        "clips": turns.rows,
        "goals": [
            at_least(
                f"probe at least {PROBE_FASTER:g} times faster than decoding ({clip})",
                row[DECODE_ONLY]["seconds"] / row[PROBE]["seconds"] if {PROBE, DECODE_ONLY} <= set(row) else None,
                PROBE_FASTER,
            )
            for clip, row in turns.rows.items()
        ],
        "not_measured": turns.not_measured,
    }
    write_result(
        "decode",
        result,
        table(result),
        out,
        lambda path: draw_bars(result["clips"], "seconds", "seconds for the clip", path),
    )
    return result


def table(result: dict[str, Any]) -> str:
    lines = head_lines(result)
    for clip, row in result["clips"].items():
        lines += ["", f"{clip}, {result['frames'][clip]} frames"]
        lines.append(f"  {'':<44}{'pictures':>9}{'seconds':>10}{'least-most':>16}{'ms/picture':>12}{'peak MB':>9}")
        for name, each in row.items():
            spread = f"{each['least']:.2f}-{each['most']:.2f}"
            lines.append(
                f"  {name:<44}{each['pictures']:>9.0f}{each['seconds']:>10.3f}{spread:>16}{each['ms_a_picture']:>12.3f}"
                f"{each['peak_mb'] or 0:>9.0f}"
            )
    return "\n".join(lines + tail_lines(result))
