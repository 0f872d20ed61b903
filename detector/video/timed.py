"""Reading that ends by the clock."""

from __future__ import annotations

import time

from detector.video.decode import Watch
from detector.video.reader import Picture


class OutOfTime(Exception):
    """The time for a request ran out on the way to a picture."""


class TimedWatch:
    """A watch (see `Video.frames_at`) that ends the reading at a deadline, on the clock of time.monotonic; else it does
    what `watch` does."""

    def __init__(self, deadline: float, watch: Watch | None) -> None:
        self.watch = watch
        self._deadline = deadline

    def __call__(self, picture: Picture, is_sample: bool) -> Picture | None:
        self.check()
        return self.watch(picture, is_sample) if self.watch else None

    def check(self) -> None:
        """Raises OutOfTime."""
        if time.monotonic() >= self._deadline:
            raise OutOfTime
