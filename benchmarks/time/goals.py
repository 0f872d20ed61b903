"""What the project set itself to reach, held against a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DEFAULT_PLAN, KEYFRAMES_ONLY = "adaptive", "keyframes-only"
MOST_ERROR_FRAMES, MOST_P95_SECONDS = 1.0, 0.25
MOST_INFERENCES = 0.10
FASTER = {(DEFAULT_PLAN, "1080p-gop2"): 12.0, (DEFAULT_PLAN, "1080p-gop10"): 5.0}
KEYFRAMES_ONLY_FASTER = 40.0
MOST_GROWTH_MB = 1.0
"""A minute of clip, of peak memory: what allocators and the report's own rows make of a scan that keeps no pictures."""


def goals(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each goal with what was measured; `reached` is None where it was not."""
    found = [_sampled(result, name) for name in result["sampling"]]
    found += _exactness(result)
    found += _as_many_finds(result)
    for clip, rows in result["speed"].items():
        found.append(_inferences(clip, rows))
        for plan, least in ((DEFAULT_PLAN, FASTER.get((DEFAULT_PLAN, clip))), (KEYFRAMES_ONLY, KEYFRAMES_ONLY_FASTER)):
            if least is not None:
                found.append(_faster(clip, rows, plan, least))
    found += _memory(result.get("memory") or {})
    return found


def peers_measured(rows: Mapping[str, Any]) -> list[str]:
    """The names of the every-frame `predict` runs in a table."""
    return [name for name in rows if "predict" in name]


def _sampled(result: Mapping[str, Any], name: str) -> dict[str, Any]:
    sampled, expected = result["sampling"][name]["sampled_of_promised"]
    return _goal(
        f"{name}: everything in view for the promised time is sampled", f"{sampled} of {expected}", sampled == expected
    )


def _exactness(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    aim = f"{DEFAULT_PLAN}: first seen within {MOST_ERROR_FRAMES:g} frame (median) and {MOST_P95_SECONDS} s (p95)"
    tables = (("accuracy", "where the model fires"), ("sampling", "perfect detector"))
    found = []
    for table, how in tables:
        row = result[table].get(DEFAULT_PLAN)
        if row is None or row["first_seen"]["median_frames"] is None:
            found.append(_goal(f"{aim}, {how}", None, None))
            continue
        errors = row["first_seen"]
        reached = errors["median_frames"] <= MOST_ERROR_FRAMES and errors["p95_seconds"] <= MOST_P95_SECONDS
        measured = f"{errors['median_frames']:g} frames, {errors['p95_seconds']:.3f} s"
        found.append(_goal(f"{aim}, {how}", measured, reached))
    return found


def _as_many_finds(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Against predict as it comes, and against predict at thresholds at which it makes up no more than we do."""
    aim = f"{DEFAULT_PLAN}: at least as many true appearances found as by every-frame predict"
    fair_aim = f"{aim} that makes up no more"
    rows = result["accuracy"]
    peers = peers_measured(rows)
    if DEFAULT_PLAN not in rows or not peers:
        return [_goal(aim, None, None), _goal(fair_aim, None, None)]
    ours = rows[DEFAULT_PLAN]
    fair = [each for each in peers if rows[each]["made_up_per_hour"] <= ours["made_up_per_hour"]]
    return [_at_least_as_many(aim, ours, rows, peers), _at_least_as_many(fair_aim, ours, rows, fair)]


def _at_least_as_many(
    aim: str, ours: Mapping[str, Any], rows: Mapping[str, Any], peers: Sequence[str]
) -> dict[str, Any]:
    if not peers:
        return _goal(aim, None, None)
    count = ours["true_appearances_found"]
    most = max(rows[name]["true_appearances_found"] for name in peers)
    return _goal(aim, f"{count} against {most}", count >= most)


def _inferences(clip: str, rows: Mapping[str, Any]) -> dict[str, Any]:
    aim = f"{DEFAULT_PLAN}: at most {MOST_INFERENCES:.0%} of every-frame predict's inferences ({clip})"
    peers = peers_measured(rows)
    if DEFAULT_PLAN not in rows or not peers:
        return _goal(aim, None, None)
    share = rows[DEFAULT_PLAN]["inferred"] / max(rows[name]["inferred"] for name in peers)
    return _goal(aim, f"{share:.1%}", share <= MOST_INFERENCES)


def _faster(clip: str, rows: Mapping[str, Any], plan: str, least: float) -> dict[str, Any]:
    aim = f"{plan}: at least {least:g} times faster than every-frame predict ({clip})"
    if plan not in rows or not rows[plan]["times_faster_than"]:
        return _goal(aim, None, None)
    slowest = min(rows[plan]["times_faster_than"].values())
    return _goal(aim, f"{slowest:g} times, against the faster predict", slowest >= least)


def _memory(memory: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for plan, peaks in memory.get("peak_mb", {}).items():
        aim = f"{plan}: peak memory grows by at most {MOST_GROWTH_MB:g} MB a minute of clip"
        if None in peaks:
            found.append(_goal(aim, None, None))
            continue
        minutes = memory["minutes"]
        growth = (peaks[-1] - peaks[0]) / (minutes[-1] - minutes[0])
        measured = (
            f"{growth:.2f} MB ({peaks[0]:.0f} MB at {minutes[0]:g} min, {peaks[-1]:.0f} MB at {minutes[-1]:g} min)"
        )
        found.append(_goal(aim, measured, growth <= MOST_GROWTH_MB))
    return found


def _goal(aim: str, measured: str | None, reached: bool | None) -> dict[str, Any]:
    return {"goal": aim, "measured": measured, "reached": reached}
