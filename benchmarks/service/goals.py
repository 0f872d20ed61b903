"""What the project set itself to reach, held against a result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST_STATUS_SECONDS = 0.3
LEAST_OF_COPY = 0.6
MOST_OVERHEAD = 0.10
MOST_GROWTH = 0.10
MOST_CANCEL_SECONDS = 2.0


def goals(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each goal with what was measured; `reached` is None where it was not."""
    uploads, status = result["uploads"], result["status"]
    count = uploads["count"]
    found = [
        _share(f"{count} uploads at once: each is taken without an error", uploads["taken"], count),
        _share("none is lost: each scan is done", uploads["done"], count),
        _share("each scan has the appearances of `ordnance scan`", uploads["same_appearances"], count),
    ]
    for kind in ("api", "workers"):
        growth = result["memory"].get(kind, {}).get("growth")
        aim = f"memory of the {kind} is flat: at most {MOST_GROWTH:.0%} more at the end than in the second quarter"
        if growth is None:
            found.append(_goal(aim, None, None))
        else:
            found.append(_goal(aim, f"{growth:+.1%}", growth <= MOST_GROWTH))
    p99 = status["p99_s"]
    aim = f"p99 of status reads while scanning below {MOST_STATUS_SECONDS * 1000:.0f} ms, none with an error"
    if p99 is None:
        found.append(_goal(aim, None, None))
    else:
        reached = p99 < MOST_STATUS_SECONDS and not status["errors"]
        found.append(_goal(aim, f"{p99 * 1000:.0f} ms, {status['errors']} errors", reached))
    for name in ("raw POST", "tus"):
        share = result["throughput"][name]["of_copy"]
        aim = f"{name}: at least {LEAST_OF_COPY:.0%} of the speed of a plain copy with hashing"
        found.append(_goal(aim, f"{share:.0%}", share >= LEAST_OF_COPY))
    for row, clips in (("overhead", ""), ("overhead_of_minutes", "clips of a minute: ")):
        wall, spent = result[row]["wall"], result[row]["cpu"]
        aim = f"{clips}the service takes at most {MOST_OVERHEAD:.0%} longer than `ordnance scan` in as many processes"
        found.append(_goal(aim, f"{wall:+.1%}", wall <= MOST_OVERHEAD))
        aim = f"{clips}at most {MOST_OVERHEAD:.0%} more processor time"
        found.append(_goal(aim, *((None, None) if spent is None else (f"{spent:+.1%}", spent <= MOST_OVERHEAD))))
    stopped = result["cancelling"]["stopped_s"]
    aim = f"a cancelled scan stops within {MOST_CANCEL_SECONDS:.0f} s"
    slowest = max(stopped, default=None)
    found.append(
        _goal(aim, *((None, None) if slowest is None else (f"{slowest:.2f} s", slowest <= MOST_CANCEL_SECONDS)))
    )
    return found


def _share(aim: str, reached: int, of: int) -> dict[str, Any]:
    return _goal(aim, f"{reached} of {of}", reached == of)


def _goal(aim: str, measured: str | None, reached: bool | None) -> dict[str, Any]:
    return {"goal": aim, "measured": measured, "reached": reached}
