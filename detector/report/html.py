"""The report as one HTML page that needs nothing but itself: no script, no other host, pictures inside."""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

from detector.report.review import ReviewInfo, VerdictInfo
from detector.report.schema import AppearanceInfo, Report
from detector.report.timecode import hms, short
from detector.taxonomy import TAXONOMY

if TYPE_CHECKING:
    from jinja2 import Template

EMBEDDED_BYTES = 48 * 1024 * 1024
"""So much of JPEG a page holds; pictures beyond it, those of the least sure appearances, are linked instead."""

ROWS_PER_CLASS = 4
"""Appearances of a class that overlap in time stand in so many rows; more share the last one."""

MOST_BARS_IN_TAB_ORDER = 60
"""With more bars than this the keyboard walks the cards alone, which hold the same."""

MOST_TICKS = 6

MOST_ROWS = 200
"""Rows of a table of stretches; the JSON has them all."""

CLOSE_LOOK = 0.5
"""Steps of at most this share of the plan's aim are drawn as a closer look."""

NARROWEST_BAR_PERCENT = 0.05
"""Browsers draw nothing of a bar without width, and an appearance may be a single picture."""

_TICK_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
_NAMES = {entry.id: entry.name for entry in TAXONOMY}
_COLOURS = {entry.id: entry.colour for entry in TAXONOMY}
_COLOUR_OF_OTHERS = "#9aa0a6"

_HEADING_PX, _ROW_PX, _BAR_PX = 20, 16, 11
_COVERAGE_PX, _AXIS_PX = 32, 24


def render_html(
    report: Report, thumbnails: Mapping[str, bytes], addresses: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The page. `thumbnails` holds JPEGs by the names of `thumbnail_name` and `crop_name`; any may be missing.
    `addresses` holds by the same names where those are that the page does not; by default beside it, by their paths.

    Whatever comes from the clip, such as its name, appears as text.
    """
    return _template().render(
        report=report,
        css=_resource("report.css"),
        summary=summary(report),
        timeline=_timeline(report),
        pictures=_pictures(report, thumbnails, addresses),
        reviews={each.appearance: each for each in report.review or ()},
        lost_s=sum(each.to_s - each.from_s for each in report.coverage.undecoded),
        most_rows=MOST_ROWS,
    )


def summary(report: Report) -> str:
    """What was found, in one line."""
    length = short(report.clip.drawn_s)
    if not report.shown:
        return f"No weapon was found in {length} of video."
    kinds = ", ".join(
        f"{class_label(name)} from {short(first)}" + (f" ({count} times)" if count > 1 else "")
        for name, count, first in _class_counts(report.shown)
    )
    found = len(report.shown)
    return f"{found} appearance{'s' if found > 1 else ''} in {length} of video: {kinds}."


def class_label(class_name: str) -> str:
    """The display name of a class; a model may know classes that the taxonomy does not."""
    return _NAMES.get(class_name, class_name)


def class_colour(class_name: str) -> str:
    """The colour that a class is drawn in, #rrggbb."""
    return _COLOURS.get(class_name, _COLOUR_OF_OTHERS)


@dataclass(frozen=True, slots=True)
class _Bar:
    """A stretch of the timeline: `left` and `width` in percent, `top` in pixels."""

    left: float
    width: float
    top: int
    label: str
    appearance: AppearanceInfo | None = None


@dataclass(frozen=True, slots=True)
class _Lane:
    """The rows of one class."""

    class_name: str
    count: int
    top: int
    bars: tuple[_Bar, ...]


@dataclass(frozen=True, slots=True)
class _Tick:
    left: float
    label: str
    anchor: str


@dataclass(frozen=True, slots=True)
class _Timeline:
    """Where everything on the strip stands; percent sideways, so that it fits any width, pixels downwards."""

    lanes: tuple[_Lane, ...]
    undecoded: tuple[_Bar, ...]
    unseen: tuple[_Bar, ...]
    closer: tuple[_Bar, ...]
    ticks: tuple[_Tick, ...]
    coverage_top: int
    height: int
    bar_height: int
    tabbable: bool


def _timeline(report: Report) -> _Timeline:
    coverage = report.coverage
    ends = [report.clip.duration_s, *(each.last_seen_s for each in report.appearances)]
    start, end = report.clip.drawn_from_s, max(ends + [each.to_s for each in (*coverage.undecoded, *coverage.unseen)])

    def span(from_s: float, to_s: float) -> tuple[float, float]:
        if end <= start:
            return 0.0, 100.0
        left, right = (min(max(100 * (each - start) / (end - start), 0.0), 100.0) for each in (from_s, to_s))
        return left, max(right - left, NARROWEST_BAR_PERCENT)

    lanes: list[_Lane] = []
    top = 0
    for name, count, _ in _class_counts(report.shown):
        same = [each for each in report.shown if each.class_name == name]
        rows = _rows(same)
        bars = tuple(
            _Bar(
                *span(each.first_seen_s, each.last_seen_s),
                top + _HEADING_PX + row * _ROW_PX,
                f"{class_label(name)}, {short(each.first_seen_s)} to {short(each.last_seen_s)}, "
                f"confidence {each.confidence:.2f}",
                each,
            )
            for each, row in zip(same, rows, strict=True)
        )
        lanes.append(_Lane(name, count, top, bars))
        top += _HEADING_PX + _ROW_PX * (1 + max(rows)) + 4
    undecoded = tuple(
        _Bar(
            *span(each.from_s, each.to_s), 0, f"Not decoded, {short(each.from_s)} to {short(each.to_s)}: {each.reason}"
        )
        for each in coverage.undecoded
    )
    narrowest = (end - start) * NARROWEST_BAR_PERCENT / 100
    unseen = (
        _Bar(*span(*each), 0, f"Not looked at, {short(each[0])} to {short(each[1])}")
        for each in _joined([(gap.from_s, gap.to_s) for gap in coverage.unseen], narrowest)
    )
    closest = CLOSE_LOOK * (coverage.promise_s or 0.0)
    close = [(each.from_s, each.to_s) for each in coverage.sampled if 0 < each.longest_step_s <= closest]
    closer = (
        _Bar(*span(*each), 0, f"Looked at more closely, {short(each[0])} to {short(each[1])}")
        for each in _joined(close, max(narrowest, closest))
    )
    return _Timeline(
        lanes=tuple(lanes),
        undecoded=undecoded,
        unseen=tuple(unseen),
        closer=tuple(closer),
        ticks=_ticks(start, end),
        coverage_top=top,
        height=top + _COVERAGE_PX + _AXIS_PX,
        bar_height=_BAR_PX,
        tabbable=len(report.shown) <= MOST_BARS_IN_TAB_ORDER,
    )


def _joined(stretches: Sequence[tuple[float, float]], nearest: float) -> list[tuple[float, float]]:
    """Ascending stretches, those no more than `nearest` seconds apart as one."""
    joined: list[tuple[float, float]] = []
    for from_s, to_s in stretches:
        if joined and from_s - joined[-1][1] <= nearest:
            joined[-1] = (joined[-1][0], max(joined[-1][1], to_s))
        else:
            joined.append((from_s, to_s))
    return joined


def _rows(appearances: Sequence[AppearanceInfo]) -> list[int]:
    """For each appearance the first row that is free when it starts, else the last row."""
    rows: dict[int, int] = {}
    busy_until: list[float] = []
    for index in sorted(range(len(appearances)), key=lambda each: appearances[each].first_seen_s):
        one = appearances[index]
        free = (row for row, until in enumerate(busy_until) if until < one.first_seen_s)
        row = next(free, min(len(busy_until), ROWS_PER_CLASS - 1))
        if row == len(busy_until):
            busy_until.append(one.last_seen_s)
        busy_until[row] = max(busy_until[row], one.last_seen_s)
        rows[index] = row
    return [rows[index] for index in range(len(appearances))]


def _ticks(start: float, end: float) -> tuple[_Tick, ...]:
    if end <= start:
        return (_Tick(0.0, "00:00", "start"),)
    enough = (end - start) / (MOST_TICKS - 1)
    step = next((each for each in _TICK_STEPS if each >= enough), math.ceil(enough / 86400) * 86400)
    ticks = []
    for number in range(math.ceil(start / step - 1e-9), math.floor(end / step + 1e-9) + 1):
        left = min(max(100 * (number * step - start) / (end - start), 0.0), 100.0)
        anchor = "start" if left < 4 else "end" if left > 94 else "middle"
        ticks.append(
            _Tick(left, short(number * step).removesuffix(".0") if step >= 1 else short(number * step), anchor)
        )
    return tuple(ticks)


def _class_counts(appearances: Sequence[AppearanceInfo]) -> list[tuple[str, int, float]]:
    """Class, how many appearances, when first seen; the class seen first comes first."""
    counts = Counter(each.class_name for each in appearances)
    first = {name: min(each.first_seen_s for each in appearances if each.class_name == name) for name in counts}
    return sorted(((name, counts[name], first[name]) for name in counts), key=lambda row: (row[2], row[0]))


def _pictures(report: Report, thumbnails: Mapping[str, bytes], addresses: Mapping[str, str]) -> dict[str, str]:
    """Where the page finds each picture that there is, by its path in the report.

    A `data:` URI for those of the surest appearances, as many as EMBEDDED_BYTES holds; the address for the others.
    Suspected overlays come last.
    """
    sources: dict[str, str] = {}
    left = EMBEDDED_BYTES
    surest_first = [*sorted(report.shown, key=_doubt), *sorted(report.overlays, key=_doubt)]
    for appearance in surest_first:
        for path in (appearance.best.thumbnail, appearance.best.crop):
            name = path.removeprefix("thumbnails/") if path else ""
            if path is None or name not in thumbnails:
                continue
            sources[path] = addresses.get(name, path)
            if left < 0:
                continue
            jpeg = thumbnails[name]
            left -= len(jpeg)
            if left >= 0:
                sources[path] = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
    return sources


def _doubt(appearance: AppearanceInfo) -> float:
    return -appearance.confidence


def _file_size(count: int) -> str:
    if count < 1000:
        return f"{count} byte{'' if count == 1 else 's'}"
    power = min(math.floor(math.log10(count)) // 3, 4)
    return f"{count / 1000**power:.1f} {('kB', 'MB', 'GB', 'TB')[power - 1]}"


def _verdict_text(said: ReviewInfo | VerdictInfo) -> str:
    """A verdict in words; for a review, what its reviewers say together."""
    if said.verdict is None:
        return "reviewers disagree"
    words = {"confirmed": "confirmed", "wrong": "no weapon", "unsure": "unsure"}
    return words.get(said.verdict) or f"another weapon: {class_label(said.class_name or '')}"


def _span_text(seconds: float) -> str:
    return short(seconds) if seconds >= 60 else f"{seconds:.1f} s"


def _resource(name: str) -> str:
    return files("detector.report").joinpath("templates", name).read_text("utf-8")


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        verdict=_verdict_text,
        hms=hms,
        short=short,
        span=_span_text,
        label=class_label,
        colour=class_colour,
        file_size=_file_size,
        percent=lambda x: f"{x:.3f}%",
    )
    return environment.from_string(_resource("report.html.j2"))
