"""Days and moments in a query: `2026-11-23`, or `2026-11-23T14:05:00Z`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import Query

from detector.errors import BadOption

_PATTERN = r"^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d))?$"
Since = Annotated[
    str | None,
    Query(pattern=_PATTERN, description="Scans made from this day (UTC) or moment on.", examples=["2026-11-23"]),
]
Until = Annotated[
    str | None, Query(pattern=_PATTERN, description="Scans made up to the end of this day (UTC), or this moment.")
]


def since_seconds(text: str | None) -> float | None:
    """Epoch seconds of the day's begin or the moment. Raises BadOption where the calendar has no such day or time."""
    return None if text is None else _moment(text).timestamp()


def until_seconds(text: str | None) -> float | None:
    """Epoch seconds of the day's end or the moment. Raises as since_seconds."""
    if text is None:
        return None
    return _moment(text).timestamp() + (timedelta(days=1).total_seconds() if "T" not in text else 0)


def _moment(text: str) -> datetime:
    try:
        if "T" in text:
            return datetime.fromisoformat(text)
        return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
    except ValueError as error:
        raise BadOption(f"'{text}' is no day or moment ({error}); give one like 2026-11-23.") from error
