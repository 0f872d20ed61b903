"""Time by the clock and by the processors."""

from __future__ import annotations

import time


class Stopwatch:
    """Adds up seconds of the clock, and processor seconds of all threads of this process, while it is entered."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0

    def __enter__(self) -> Stopwatch:
        self._begun = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._begun[0]
        self.cpu_seconds += time.process_time() - self._begun[1]
