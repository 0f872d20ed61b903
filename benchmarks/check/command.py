"""What `ordnance bench --check` does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from benchmarks.check.measure import measure
from detector.errors import DataError

LIMITS = Path(__file__).with_name("limits.yaml")
MARGINS = {
    "every-frame: pictures decoded": 1.0,
    "keyframes-only: pictures decoded": 1.0,
    "decoded": 1.5,
    "bytes of": 1.1,
    "MiB": 1.25,
    "processor time": 1.6,
}
"""How far a figure may grow, by a word in its name. Others, which are plain counts, may not grow at all.

How many pictures those plans decode that may seek depends on what seeking costs on the machine.
"""
HEAD = """\
# What `ordnance bench --check` holds a run against; `--record` writes it anew.
# A limit is the measured figure with a margin.
"""


def bench_check(*, record: bool, limits: Path = LIMITS, cache: Path | None = None) -> bool:
    """Measure, print every figure with its limit; whether all keep to theirs. `record` writes new limits instead."""
    figures = measure(cache=cache)
    if record:
        written = {name: {"measured": value, "limit": _limit(name, value)} for name, value in figures.items()}
        limits.write_text(HEAD + yaml.safe_dump(written, sort_keys=False, width=120), encoding="utf-8")
        print(f"written: {limits} ({len(written)} limits)")
        return True
    kept = read_limits(limits)
    exceeded = 0
    for name, value in figures.items():
        limit = kept.get(name)
        if limit is None:
            print(f"no limit    {value:>12.3f}               {name}")
        else:
            exceeded += value > limit
            print(f"{'EXCEEDED' if value > limit else 'ok':<11} {value:>12.3f} of {limit:>11.3f} {name}")
    missing = sorted(set(kept) - set(figures))
    for name in missing:
        print(f"EXCEEDED    not measured any more: {name}")
    print(f"\n{exceeded + len(missing)} of {len(figures)} figures exceed their limit ({limits.name})")
    return not exceeded and not missing


def read_limits(path: Path) -> Mapping[str, float]:
    """The limits by name. Raises DataError for a file that is missing or none of ours."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return {str(name): float(each["limit"]) for name, each in content.items()}
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}; make it with ordnance bench --check --record."
        ) from error
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} holds no limits; make it anew with ordnance bench --check --record.") from error


def _limit(name: str, value: float) -> float:
    margin = next((margin for word, margin in MARGINS.items() if word in name), 1.0)
    return round(value * margin, 3)
