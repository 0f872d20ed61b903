"""What `ordnance bench infer` does."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.excerpt import DEMO
from benchmarks.infer.agreement import shared
from benchmarks.infer.models import BATCHES, REFERENCE, contenders
from benchmarks.outcome import begin_result, draw_bars, head_lines, say, tail_lines, write_result
from benchmarks.turns import take_turns
from detector.models.manifest import find_weights
from detector.video import open_video

QUICK_PICTURES, FULL_PICTURES = 48, 192
QUICK_ROUNDS, FULL_ROUNDS = 2, 7
SIZES = ((1920, 1080), (640, 360))


def run(*, quick: bool, out: Path, rounds: int | None = None, model: str = "default") -> dict[str, Any]:
    """Run the suite; write infer.json, .txt and .png into `out`, and the table to stdout."""
    return measure(
        SIZES[:1] if quick else SIZES,
        QUICK_PICTURES if quick else FULL_PICTURES,
        BATCHES,
        quick=quick,
        out=out,
        rounds=rounds or (QUICK_ROUNDS if quick else FULL_ROUNDS),
        model=model,
    )


def measure(
    sizes: Sequence[tuple[int, int]],
    pictures: int,
    batches: Sequence[int],
    *,
    quick: bool,
    out: Path,
    rounds: int,
    model: str,
) -> dict[str, Any]:
    result = begin_result("infer", quick=quick, model=model)
    entry, _ = find_weights(model)
    thresholds = {number: entry.thresholds[name] for number, name in enumerate(entry.classes)}
    with tempfile.TemporaryDirectory(prefix="ordnance-infer-") as temporary:
        jobs = {
            f"{height}p": _pictures(Path(temporary) / f"{height}p", width, height, pictures) for width, height in sizes
        }
        turns = take_turns(contenders(model, batches), jobs, rounds, say)
    for job, row in turns.rows.items():
        answers = turns.answers[job]
        for name, each in row.items():
            each["ms_a_picture"] = round(1000 * each["seconds"] / max(each["pictures"], 1), 3)
            if REFERENCE in answers:
                each["same_boxes"] = list(shared(answers[name], answers[REFERENCE], thresholds))
    result |= {"pictures": turns.rows, "goals": [], "not_measured": turns.not_measured}
    write_result(
        "infer",
        result,
        table(result),
        out,
        lambda path: draw_bars(result["pictures"], "ms_a_picture", "ms a picture", path),
    )
    return result


def table(result: dict[str, Any]) -> str:
    lines = head_lines(result)
    lines += [
        "",
        "From the decoded picture to its boxes. 'same boxes': of those that the first line is certain of, how many",
    ]
    lines.append("the others have too (same class, IoU at least 0.9).")
    for job, row in result["pictures"].items():
        lines += ["", job]
        lines.append(f"  {'':<40}{'ms/picture':>11}{'least-most s':>16}{'same boxes':>12}{'peak MB':>9}")
        for name, each in row.items():
            spread = f"{each['least']:.2f}-{each['most']:.2f}"
            same = "/".join(map(str, each.get("same_boxes", ())))
            lines.append(f"  {name:<40}{each['ms_a_picture']:>11.2f}{spread:>16}{same:>12}{each['peak_mb'] or 0:>9.0f}")
    return "\n".join(lines + tail_lines(result))


def _pictures(folder: Path, width: int, height: int, count: int) -> Path:
    """`count` frames of the demo clip, spread over it, as PNG files of the size asked for."""
    import cv2

    folder.mkdir()
    with open_video(DEMO) as video:
        step = video.probe.duration_seconds / count
        for number, (_, frame) in enumerate(video.frames_at([(n + 0.5) * step for n in range(count)])):
            image = cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / f"{number:04d}.png"), image[:, :, ::-1])
    return folder
