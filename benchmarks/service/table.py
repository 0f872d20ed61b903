"""A result as plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.machine import machine_lines
from benchmarks.time.table import grid

DASH = "-"


def result_table(result: Mapping[str, Any]) -> str:
    """All tables of a run, one below the other."""
    parts = (
        _heading(result),
        _uploads(result),
        _memory(result),
        _throughput(result),
        _overhead(result),
        _cancelling(result),
    )
    return "\n\n".join((*parts, _goals(result), *_troubles(result)))


def _heading(result: Mapping[str, Any]) -> str:
    machine, model, settings = result["machine"], result["model"], result["settings"]
    return "\n".join(
        (
            f"ordnance bench service, {'quick' if settings['quick'] else 'full'}, "
            f"commit {machine['commit'] or 'unknown'}",
            *machine_lines(machine),
            f"model {model['name']} {model['sha256'][:12]}; {settings['workers']} workers with "
            f"{settings['threads']} thread(s), {settings['scans_per_worker']} scans each",
        )
    )


def _uploads(result: Mapping[str, Any]) -> str:
    uploads, status = result["uploads"], result["status"]
    rows = [
        (name, str(row["count"]), str(row["taken"]), f"{row['p50_s']:.2f}", f"{row['slowest_s']:.2f}")
        for name, row in uploads["by_way"].items()
    ]
    read = (
        "no status was read"
        if status["p99_s"] is None
        else (
            f"{status['reads']} status reads while scanning: p50 {_ms(status['p50_s'])}, p99 {_ms(status['p99_s'])}, "
            f"slowest {_ms(status['slowest_s'])}; errors: {status['errors']}"
        )
    )
    return "\n".join(
        (
            f"{uploads['count']} uploads at once, {uploads['bytes'] / 1e6:.1f} MB, {uploads['video_seconds']:.0f} s of "
            f"video: all taken after {uploads['seconds']:.1f} s, all done after {uploads['done_after_s']:.1f} s",
            grid(("", "uploads", "taken", "p50 s", "slowest s"), rows),
            read,
        )
    )


def _memory(result: Mapping[str, Any]) -> str:
    rows = [
        (
            kind,
            *(f"{row[name]:.0f}" for name in ("idle_mb", "second_quarter_mb", "last_quarter_mb", "peak_mb")),
            DASH if row["growth"] is None else f"{row['growth']:+.1%}",
        )
        for kind, row in result["memory"].items()
    ]
    if not rows:
        return "Memory: not measured, this system has no /proc."
    title = "Resident memory in 10**6 bytes, all processes of a kind: medians, and the peak."
    return title + "\n" + grid(("", "idle", "2nd quarter", "last quarter", "peak", "growth"), rows)


def _throughput(result: Mapping[str, Any]) -> str:
    settings = result["settings"]
    rows = [
        (
            name,
            f"{row['mib_per_second']:.0f}",
            f"{row['of_copy']:.0%}",
            " ".join(f"{each:.2f}" for each in row["seconds"]),
        )
        for name, row in result["throughput"].items()
    ]
    title = f"One clip of {settings['large_mib']} MiB, nothing else going on, in turns: {settings['rounds']}, medians."
    return title + "\n" + grid(("", "MiB/s", "of copy", "s"), rows)


def _overhead(result: Mapping[str, Any]) -> str:
    workers, minutes = result["settings"]["workers"], result["overhead_of_minutes"]
    return "\n\n".join(
        (
            f"The same clips as `ordnance scan` does them in {workers} started processes, half of them before "
            "and half after the service's turn\n" + _overhead_of(result["overhead"]),
            f"{minutes['clips']} clips of a minute each, in the same two ways\n" + _overhead_of(minutes),
        )
    )


def _overhead_of(row: Mapping[str, Any]) -> str:
    head = ("", "s", "CPU s")
    rows = [
        ("ordnance scan", f"{row['local_s']:.1f}", f"{row['local_cpu_s']:.1f}"),
        ("service", f"{row['service_s']:.1f}", DASH if row["service_cpu_s"] is None else f"{row['service_cpu_s']:.1f}"),
        ("difference", f"{row['wall']:+.1%}", DASH if row["cpu"] is None else f"{row['cpu']:+.1%}"),
    ]
    parts = ", ".join(f"{kind} {seconds:.1f}" for kind, seconds in row["service_cpu_by_kind_s"].items())
    return "\n".join((grid(head, rows), *([f"CPU s of the service: {parts}"] if parts else [])))


def _cancelling(result: Mapping[str, Any]) -> str:
    row = result["cancelling"]
    stopped = ", ".join(f"{each:.2f}" for each in row["stopped_s"]) or "not measured"
    answered = ", ".join(f"{each:.2f}" for each in row["answered_s"])
    return f"Cancelled in the middle of a scan: answered after {answered} s, its decoder gone after {stopped} s"


def _goals(result: Mapping[str, Any]) -> str:
    words = {True: "reached", False: "NOT reached", None: "not measured"}
    lines = [
        f"  {words[each['reached']]:<13} {each['goal']}" + (f": {each['measured']}" if each["measured"] else "")
        for each in result["goals"]
    ]
    return "\n".join(["Goals", *lines])


def _troubles(result: Mapping[str, Any]) -> list[str]:
    return ["\n".join(["What went wrong", *(f"  {each}" for each in result["troubles"])])] if result["troubles"] else []


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
