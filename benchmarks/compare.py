"""`ordnance bench compare`: what changed between two results of one suite."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.errors import DataError

PLAIN_CHANGE = 0.10
"""A figure without a spread of its own has changed if it differs by more than this share."""
CIRCUMSTANCES = ("machine", "model", "settings", "suite", "quick", "seed", "rounds")
NO_FIGURES = frozenset({*CIRCUMSTANCES, "goals", "not_measured", "failed", "took"})
CHANGES_ALWAYS = "load_average_at_start"
NAMES = ("name", "contender", "clip", "plan", "kind", "label", "scans", "x")
MIDDLES = {
    "median": ("least", "most"),
    "seconds": ("least", "most"),
    "cpu_seconds": "cpu_spread",
    "median_s": "seconds",
}
"""A figure, and beside it the names of the least and the most of its rounds, or of the list of them."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of a result, and the least and the most of its `rounds` where they are told."""

    value: float
    rounds: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One figure in both results; `ratio` is the second by the first, None where the first is nought."""

    name: str
    before: Figure
    after: Figure

    @property
    def ratio(self) -> float | None:
        return self.after.value / self.before.value if self.before.value else None

    @property
    def is_beyond_spread(self) -> bool:
        """Whether the rounds of both do not overlap; where one of them has a single round or tells none, whether it
        differs by more than PLAIN_CHANGE."""
        one, other = self.before, self.after
        if one.rounds and other.rounds and one.rounds[0] < one.rounds[1] and other.rounds[0] < other.rounds[1]:
            return one.rounds[1] < other.rounds[0] or other.rounds[1] < one.rounds[0]
        return abs(other.value - one.value) > PLAIN_CHANGE * max(abs(one.value), abs(other.value))


def compare_files(first: Path, second: Path, *, everything: bool = False) -> str:
    """The comparison as text. Raises DataError for a file that is no result, or for results of different suites."""
    before, after = _read(first), _read(second)
    one, other = _suite(before), _suite(after)
    if one != other:
        raise DataError(
            f"{first.name} is a result of '{one}' and {second.name} of '{other}'; compare two of one suite."
        )
    figures = dict(_figures(before, ())), dict(_figures(after, ()))
    both = [Change(name, figures[0][name], figures[1][name]) for name in figures[0] if name in figures[1]]
    if not both:
        raise DataError(f"{first.name} and {second.name} have no figure in common; are they results of ordnance bench?")
    beyond = [change for change in both if change.is_beyond_spread]
    lines = [f"bench {one}: {first.name} and {second.name}", *_differences(before, after), ""]
    shown = both if everything else beyond
    if shown:
        width = max(len(change.name) for change in shown)
        lines.append(f"{'':<{width}}{'before':>14}{'after':>14}{'ratio':>9}")
        lines += [_line(change, width) for change in shown]
        lines.append("")
    lines.append(
        f"{len(both)} figures in both, {len(beyond)} of them changed (*): their rounds do not overlap, or, where there "
        f"are not several of both, they differ by more than {PLAIN_CHANGE:.0%}."
    )
    for path, mine, theirs in ((first, *figures), (second, figures[1], figures[0])):
        if alone := sum(name not in theirs for name in mine):
            lines.append(f"{alone} figures are in {path.name} alone.")
    return "\n".join(lines)


def _line(change: Change, width: int) -> str:
    ratio = "" if change.ratio is None else f"{change.ratio:.2f}"
    mark = " *" if change.is_beyond_spread else ""
    return f"{change.name:<{width}}{change.before.value:>14.4g}{change.after.value:>14.4g}{ratio:>9}{mark}"


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise DataError(f"{path} is not JSON; give the .json file that an ordnance bench wrote.") from error
    if not isinstance(content, dict) or not isinstance(content.get("machine"), dict):
        raise DataError(f"{path} is no result of ordnance bench: it has no 'machine'.")
    if content.get("measured") is False:
        raise DataError(f"{path}: there is nothing to compare, as nothing was measured in that run.")
    return content


def _suite(result: Mapping[str, Any]) -> str:
    """Its name, or for results that do not tell it, the tables that they have."""
    return str(result.get("suite") or "+".join(sorted(set(result) - NO_FIGURES)))


def _figures(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Figure]]:
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, (int, float)):
        yield " / ".join(path), Figure(float(value))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _figures(each, (*path, _name_of(each, number)))
    elif isinstance(value, dict):
        told = set()
        for middle, names in MIDDLES.items():
            rounds = _rounds(value, names)
            if rounds and isinstance(value.get(middle), (int, float)):
                yield " / ".join((*path, middle)), Figure(float(value[middle]), (min(rounds), max(rounds)))
                told |= {middle, *([names] if isinstance(names, str) else names)}
        for name, each in value.items():
            if name not in told and not (name in NO_FIGURES and not isinstance(each, list)):
                yield from _figures(each, (*path, name))


def _rounds(row: Mapping[str, Any], names: str | tuple[str, ...]) -> list[float]:
    found = row.get(names) if isinstance(names, str) else [row.get(name) for name in names]
    return found if isinstance(found, list) and all(isinstance(each, (int, float)) for each in found) else []


def _name_of(item: Any, number: int) -> str:
    if isinstance(item, dict):
        told = [f"{name} {item[name]}" if name in ("scans", "x") else str(item[name]) for name in NAMES if name in item]
        if told:
            return ", ".join(told)
    return str(number)


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """In what the two runs themselves differ, and so whether their figures may be put side by side."""
    one, other = dict(_circumstances(before, ())), dict(_circumstances(after, ()))
    lines = [
        f"  {name}: {_short(one.get(name))} -> {_short(other.get(name))}"
        for name in sorted(set(one) | set(other))
        if one.get(name) != other.get(name)
    ]
    hardware = {"processor", "cores", "memory_gib"}
    if any(before["machine"].get(name) != after["machine"].get(name) for name in hardware):
        lines.append("  The machines differ: times and memory of the two are not to be put side by side.")
    if any(name.endswith("sha256") for name in one):
        return ["They differ in:", *lines] if lines else ["Same machine, software, weights and settings."]
    unknown = "These results do not tell which weights they were measured with."
    return ["They differ in:", *lines, unknown] if lines else ["Same machine, software and settings.", unknown]


def _circumstances(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """What is not measured but measured under, at any depth."""
    if not isinstance(value, dict):
        return
    for name, each in value.items():
        here = (*path, name)
        if name == CHANGES_ALWAYS or isinstance(each, list):
            continue
        if isinstance(each, dict):
            yield from _circumstances(each, here)
        elif any(part in CIRCUMSTANCES for part in here):
            yield ", ".join(here), each


def _short(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, (dict, list)) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
