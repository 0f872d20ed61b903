"""A result as plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.machine import machine_lines
from benchmarks.time.scoring import BUCKETS

DASH = "-"


def result_table(result: Mapping[str, Any]) -> str:
    """All tables of a run, one below the other."""
    parts = [_heading(result), _accuracy(result), _sampling(result)]
    parts += [_speed(name, rows, result) for name, rows in result["speed"].items()]
    parts.append(_goals(result))
    if result["not_measured"]:
        lines = [f"  {each['name']}: {each['reason']}" for each in result["not_measured"]]
        parts.append("\n".join(["Not measured, or only in part", *lines]))
    return "\n\n".join(part for part in parts if part)


def _heading(result: Mapping[str, Any]) -> str:
    machine, model, settings = result["machine"], result["model"], result["settings"]
    return "\n".join(
        (
            f"ordnance bench time, {'quick' if settings['quick'] else 'full'}, seed {settings['seed']}, "
            f"commit {machine['commit'] or 'unknown'}",
            *machine_lines(machine),
            f"model {model['name']} {model['sha256'][:12]} at {model['input_size']} px",
        )
    )


def _accuracy(result: Mapping[str, Any]) -> str:
    rows = result["accuracy"]
    if not rows:
        return ""
    reference = next(iter(rows.values()))
    title = (
        f"What is found: {reference['video_seconds'] / 60:.1f} min of video, {reference['true_appearances']} true "
        f"appearances, of which the model on every frame sees {reference['expected']}: those are expected here.\n"
        "Errors of first and last seen against every frame: median frames / median s / p95 s."
    )
    head = ("", "found", *BUCKETS, "first seen", "last seen", "made up/h", "misnamed/h", "inferred", "s/min")
    body = [
        (
            name,
            f"{row['found']}/{row['expected']}",
            *_buckets(row),
            _errors(row["first_seen"]),
            _errors(row["last_seen"]),
            f"{row['made_up_per_hour']:.0f}",
            f"{row['wrongly_named_per_hour']:.0f}",
            f"{row['inferred']}",
            f"{row['seconds'] / row['video_seconds'] * 60:.1f}",
        )
        for name, row in rows.items()
    ]
    return title + "\n" + grid(head, body)


def _sampling(result: Mapping[str, Any]) -> str:
    rows = result["sampling"]
    if not rows:
        return ""
    title = (
        "Sampling by itself: the same clips, with a detector that always sees what is in view; errors against the "
        "truth.\n'sampled': appearances as long as the plan promises (or, where it promises nothing, as its report "
        "states) that the model was shown."
    )
    head = ("", "found", *BUCKETS, "first seen", "last seen", "sampled", "inferred", "decoded")
    body = [
        (
            name,
            f"{row['found']}/{row['expected']}",
            *_buckets(row),
            _errors(row["first_seen"]),
            _errors(row["last_seen"]),
            "/".join(map(str, row["sampled_of_promised"])),
            f"{row['inferred']}",
            f"{row['frames_decoded']}",
        )
        for name, row in rows.items()
    ]
    return title + "\n" + grid(head, body)


def _speed(name: str, rows: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    clip = next(each for each in result["clips"] if each["name"] == name)
    peers = sorted({peer for row in rows.values() for peer in row["times_faster_than"]})
    rounds = result["settings"]["repetitions"]
    title = (
        f"Speed: {name}, {clip['width']}x{clip['height']}, {clip['frames']} frames, {clip['seconds']:.0f} s, weapons "
        f"in view {clip['weapon_share']:.1%} of the time; rounds in turn: {rounds}, medians."
    )
    head = ("", "s", "spread s", "inference s", "rest s", "inferred", "decoded", "found", *(f"x {p}" for p in peers))
    body = [
        (
            each,
            f"{row['median_s']:.2f}",
            f"{max(row['seconds']) - min(row['seconds']):.2f}",
            _number(row["inference_s"]),
            _number(row["without_inference_s"]),
            f"{row['inferred']}",
            DASH if row["frames_decoded"] is None else f"{row['frames_decoded']}",
            DASH if row["found_of_reference"] is None else f"{row['found_of_reference']}/{row['reference_found']}",
            *(f"{row['times_faster_than'].get(peer, float('nan')):.2f}" for peer in peers),
        )
        for each, row in rows.items()
    ]
    note = "'rest s': the whole scan with the model's answers from memory. 'x': times faster than."
    return "\n".join((title, grid(head, body), note))


def _goals(result: Mapping[str, Any]) -> str:
    words = {True: "reached", False: "NOT reached", None: "not measured"}
    lines = [
        f"  {words[each['reached']]:<13} {each['goal']}" + (f": {each['measured']}" if each["measured"] else "")
        for each in result["goals"]
    ]
    return "\n".join(["Goals", *lines])


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be; the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    )


def _buckets(row: Mapping[str, Any]) -> list[str]:
    return [f"{found}/{expected}" if expected else DASH for found, expected in row["by_duration"].values()]


def _errors(errors: Mapping[str, Any]) -> str:
    if not errors["count"]:
        return DASH
    return f"{errors['median_frames']:g} / {errors['median_seconds']:.3f} / {errors['p95_seconds']:.3f}"


def _number(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}"
