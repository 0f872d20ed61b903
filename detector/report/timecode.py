"""Seconds as text. Halves are rounded up on the decimal number as written, so 59.96 s is `01:00.0`."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal


def hms(seconds: float) -> str:
    """`HH:MM:SS.mmm`, the form in the report; hours take more digits from 100 on.

    Raises ValueError for a number that is not finite.
    """
    sign, milliseconds = _units(seconds, 1000)
    whole, fraction = divmod(milliseconds, 1000)
    minutes, second = divmod(whole, 60)
    hour, minute = divmod(minutes, 60)
    return f"{sign}{hour:02d}:{minute:02d}:{second:02d}.{fraction:03d}"


def short(seconds: float) -> str:
    """`MM:SS.d`, from an hour on `H:MM:SS.d`: the form for people. Raises as `hms` does."""
    sign, tenths = _units(seconds, 10)
    whole, fraction = divmod(tenths, 10)
    minutes, second = divmod(whole, 60)
    hour, minute = divmod(minutes, 60)
    if hour:
        return f"{sign}{hour}:{minute:02d}:{second:02d}.{fraction}"
    return f"{sign}{minute:02d}:{second:02d}.{fraction}"


def _units(seconds: float, per_second: int) -> tuple[str, int]:
    """The sign ("" or "-", never that of a zero) and the nearest whole number of units."""
    if not math.isfinite(seconds):
        raise ValueError(f"a time must be finite, not {seconds}")
    count = int((Decimal(str(seconds)) * per_second).to_integral_value(ROUND_HALF_UP))
    return ("-" if count < 0 else ""), abs(count)
