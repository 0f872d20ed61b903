from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.report import hms, short


@pytest.mark.parametrize(
    ("seconds", "long", "brief"),
    [
        (0, "00:00:00.000", "00:00.0"),
        (0.0004, "00:00:00.000", "00:00.0"),
        (0.0005, "00:00:00.001", "00:00.0"),
        (0.05, "00:00:00.050", "00:00.1"),
        (1.005, "00:00:01.005", "00:01.0"),
        (59.94, "00:00:59.940", "00:59.9"),
        (59.96, "00:00:59.960", "01:00.0"),
        (59.9996, "00:01:00.000", "01:00.0"),
        (148.1, "00:02:28.100", "02:28.1"),
        (3599.94, "00:59:59.940", "59:59.9"),
        (3599.96, "00:59:59.960", "1:00:00.0"),
        (3661.25, "01:01:01.250", "1:01:01.3"),
        (360_000, "100:00:00.000", "100:00:00.0"),
        (-0.0, "00:00:00.000", "00:00.0"),
        (-0.0001, "00:00:00.000", "00:00.0"),
        (-0.08, "-00:00:00.080", "-00:00.1"),
        (-61.5, "-00:01:01.500", "-01:01.5"),
    ],
)
def test_table(seconds: float, long: str, brief: str) -> None:
    assert (hms(seconds), short(seconds)) == (long, brief)


@pytest.mark.parametrize("write", [hms, short])
@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_time_is_refused(write, seconds: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        write(seconds)


def _read_back(text: str) -> Fraction:
    total = Fraction(0)
    for part in text.removeprefix("-").split(":"):
        total = total * 60 + Fraction(part)
    return -total if text.startswith("-") else total


@given(st.floats(-1e7, 1e7, allow_nan=False))
def test_the_text_is_the_nearest_one_and_never_a_negative_zero(seconds: float) -> None:
    for write, unit in ((hms, Fraction(1, 1000)), (short, Fraction(1, 10))):
        text = write(seconds)
        # Half a unit, and the difference between a float and the shortest decimal that names it.
        assert abs(_read_back(text) - Fraction(seconds)) <= unit / 2 + Fraction(1, 10**8)
        assert not (text.startswith("-") and _read_back(text) == 0)
        minutes_and_seconds = text.split(":")[-2:]
        assert all(Fraction(part.removeprefix("-")) < 60 for part in minutes_and_seconds)


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_later_time_never_reads_earlier(one: float, other: float) -> None:
    early, late = sorted((one, other))
    assert _read_back(hms(early)) <= _read_back(hms(late))
    assert _read_back(short(early)) <= _read_back(short(late))
