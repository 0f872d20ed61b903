"""How long a scan may take."""

from __future__ import annotations

import re
from dataclasses import dataclass

from detector.errors import BadOption

COARSE_SHARE = 0.8
"""Of the budget: what the coarse pass leaves of it at least goes to a closer look at what it found."""
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*(x|s)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Budget:
    """`amount` seconds of wall clock or, `per_second`, so many for each second that the clip lasts."""

    amount: float
    per_second: bool

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read `2x` (twice as long as the clip lasts) or `30s`."""
        match = _FORM.fullmatch(text.strip())
        if not match or not 0 < float(match[1]) < float("inf"):
            raise BadOption(
                f"'{text}' is not a budget; give seconds such as 30s, or a share of the clip's length such as 0.5x."
            )
        return cls(float(match[1]), match[2].lower() == "x")

    def seconds(self, duration_seconds: float) -> float:
        """For a clip of that length. One of unknown length, 0, gets as many seconds as one of a second."""
        return self.amount * (duration_seconds or 1.0) if self.per_second else self.amount

    def __str__(self) -> str:
        return f"{self.amount:g}{'x' if self.per_second else 's'}"
