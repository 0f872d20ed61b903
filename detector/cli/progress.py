"""Progress on stderr: a live bar on a terminal, a plain line now and then where it is piped."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from detector.batch_clip import Outcome
from detector.cli.printable import printable
from detector.report import short
from detector.scanner import Progress

if TYPE_CHECKING:
    from rich.progress import TaskID

PLAIN_LINE_EVERY_SECONDS = 5.0

NO_BARS = ("dumb", "unknown")
"""What TERM says of a terminal in which nothing that was written can be written over."""


class Quiet:
    """Says nothing but what has to be said."""

    def note(self, path: Path, progress: Progress) -> None:
        """Take the news of one clip."""

    def finished(self, outcome: Outcome) -> None:
        """Take the end of one clip."""

    def say(self, line: str) -> None:
        """Print a line that must not be missed; it may hold names as they are."""
        print(printable(line), file=sys.stderr, flush=True)

    def paused(self) -> AbstractContextManager[None]:
        """Keeps stderr still while results go to stdout."""
        return nullcontext()


class Plain(Quiet):
    """A line a clip, and one every few seconds in long ones."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def note(self, path: Path, progress: Progress) -> None:
        if time.monotonic() - self._last >= PLAIN_LINE_EVERY_SECONDS:
            self._last = time.monotonic()
            self.say(f"{path.name}: {_describe(progress)}")

    def finished(self, outcome: Outcome) -> None:
        if outcome.report and outcome.skipped:
            self.say(f"{outcome.path.name}: already scanned, skipped")
        elif outcome.report:
            info = outcome.report
            self.say(
                f"{outcome.path.name}: {info.coverage.samples} samples in {info.scan.elapsed_s:.1f} s, "
                f"{len(info.appearances)} found"
            )


class Live(Quiet):
    """A bar for each clip at work: video time done, samples per second, time to go and finds so far."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[facts]}", markup=False),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._bar.start()
        self._opening = self._bar.add_task("opening", total=None, facts="")
        self._at_work: dict[Path, TaskID] = {}

    def note(self, path: Path, progress: Progress) -> None:
        if path not in self._at_work:
            self._at_work[path] = self._bar.add_task(printable(path.name)[:40], facts="")
            self._bar.update(self._opening, visible=False)
        self._bar.update(
            self._at_work[path],
            total=1.0,
            completed=progress.share,
            facts=_describe(progress),
        )

    def finished(self, outcome: Outcome) -> None:
        if outcome.path in self._at_work:
            self._bar.remove_task(self._at_work.pop(outcome.path))
        self._bar.update(self._opening, visible=not self._at_work)

    def say(self, line: str) -> None:
        self._bar.console.print(printable(line), markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def paused(self) -> Iterator[None]:
        self._bar.stop()
        try:
            yield
        finally:
            self._bar.start()

    def close(self) -> None:
        self._bar.stop()


@contextmanager
def progress_display(*, quiet: bool) -> Iterator[Quiet]:
    """The display that suits where stderr goes."""
    if quiet:
        yield Quiet()
    elif sys.stderr.isatty() and os.environ.get("TERM") not in NO_BARS:
        live = Live()
        try:
            yield live
        finally:
            live.close()
    else:
        yield Plain()


def _describe(progress: Progress) -> str:
    rate = progress.samples / progress.elapsed_seconds if progress.elapsed_seconds > 0 else 0.0
    again = "looking again: " if progress.again else ""
    return (
        f"{again}{short(progress.pts_seconds)} of {short(progress.duration_seconds)}, "
        f"{rate:.1f} samples/s, {progress.finds} found"
    )
