"""A clip of a batch: scanned and its report written, or known from an earlier scan; whatever goes wrong is its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from detector.errors import OrdnanceError
from detector.memory import keep_large_blocks_apart
from detector.report import FORMATS, OWN_PREFIX, Report, add_formats, folder_name, foreign_in, write_report
from detector.scanner import Progress, Scanner, ScanOptions
from detector.video import sha256_file


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How a batch is scanned and where its reports go; `out` None writes none."""

    scan: ScanOptions
    model: str
    device: str
    out: Path | None
    formats: tuple[str, ...] = FORMATS
    jobs: int = 1
    backend: str = "auto"
    resume: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a clip was not scanned; `code` is the error's stable word."""

    code: str
    message: str

    def reason_for(self, path: Path) -> str:
        """The message without the clip's name before it, for a line that names the clip itself."""
        return self.message.removeprefix(f"{path}: ").removeprefix(f"{path.name}: ")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one clip: a report (with its folder, if written), or a failure.

    `skipped` tells that the report is an earlier one. `total` is the number of clips in the batch.
    """

    path: Path
    total: int
    report: Report | None = None
    folder: Path | None = None
    failure: Failure | None = None
    skipped: bool = False

    @property
    def alone(self) -> bool:
        return self.total == 1


OnProgress = Callable[[Path, Progress], None]

Done = dict[int, dict[str, Path]]
"""The folders of reports by the size in bytes and the hash of their clips."""


def suit_memory(options: BatchOptions) -> None:
    """Set how this process, which is to scan clips and nothing else, keeps its memory."""
    if options.backend != "torch":
        keep_large_blocks_apart()


def _folder_of(report: Report, out: Path) -> Path:
    """Where the clip's report goes: its name, or name and hash where another clip or somebody's files have that one.

    The answer holds until another report is written.
    """
    plain = folder_name(report.clip.name)
    marked = f"{plain}-{report.clip.sha256[:12]}"
    names = chain((plain, marked), (f"{marked}-{number}" for number in count(2)))
    return next(out / name for name in names if _has_room(out / name, report))


def _has_room(folder: Path, report: Report) -> bool:
    """Whether nothing is there, or nothing but an earlier report of the same clip."""
    if not os.path.lexists(folder):
        return True
    earlier = _read_report(folder)
    return earlier is not None and earlier.clip.sha256 == report.clip.sha256 and foreign_in(folder) is None


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """While no other process of Ordnance chooses or fills a folder below `out`, where the file system can say so."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    held = None
    with suppress(OSError):
        out.mkdir(parents=True, exist_ok=True)
        held = os.open(out, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if held is not None:
            with suppress(OSError):
                fcntl.flock(held, fcntl.LOCK_UN)
            os.close(held)


def scan_one(
    scanner: Scanner,
    path: Path,
    options: BatchOptions,
    total: int,
    on_progress: OnProgress | None = None,
    *,
    writing: AbstractContextManager[object] | None = None,
) -> Outcome:
    """Scan a clip and write its report; `writing` is held meanwhile, where others write below the same folder."""
    try:
        result = scanner.scan(path, (lambda progress: on_progress(path, progress)) if on_progress else None)
        folder = None
        if options.out:
            with writing or nullcontext(), _alone_in(options.out):
                folder = _folder_of(result.report, options.out)
                write_report(result.report, result.pictures, folder, ("json", *options.formats))
        return Outcome(path, total, result.report, folder)
    except Exception as error:
        if os.environ.get("ORDNANCE_DEBUG") and not isinstance(error, OrdnanceError | OSError | MemoryError):
            raise
        return Outcome(path, total, failure=failure_of(error))


def earlier_outcome(path: Path, done: Done, options: BatchOptions, total: int) -> Outcome | None:
    """The outcome of a clip whose report is in one of the folders `done`, once that has the formats asked for."""
    same_size = done.get(_size(path))
    folder = same_size.get(_digest(path) or "") if same_size else None
    report = None if folder is None else _read_report(folder)
    if folder is None or report is None:
        return None
    try:
        with _alone_in(folder.parent):
            add_formats(report, folder, options.formats)
        return Outcome(path, total, report, folder, skipped=True)
    except (OrdnanceError, OSError) as error:
        return Outcome(path, total, failure=failure_of(error))


def scanned_before(options: BatchOptions, scanner: Scanner) -> Done:
    """With `resume`, what there are finished reports of below `out` that this very scan would make again."""
    found: Done = {}
    if options.resume and options.out and options.out.is_dir():
        for folder in sorted(options.out.iterdir()):
            report = None if folder.name.startswith(OWN_PREFIX) else _read_report(folder)
            if report and scanner.would_repeat(report.scan):
                found.setdefault(report.clip.bytes, {})[report.clip.sha256] = folder
    return found


def _read_report(folder: Path) -> Report | None:
    try:
        return Report.from_json((folder / "report.json").read_bytes())
    except (OSError, OrdnanceError):
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _digest(path: Path) -> str | None:
    try:
        return sha256_file(path)
    except (OrdnanceError, OSError):
        return None


def failure_of(error: Exception) -> Failure:
    if isinstance(error, OrdnanceError):
        return Failure(error.code, str(error))
    if isinstance(error, MemoryError):
        return Failure("out_of_memory", "There is not enough memory for this clip's pictures.")
    if isinstance(error, OSError):
        return Failure("io_error", f"{error}.")
    reason = (
        f"unexpected {type(error).__name__}: {error}. This is a fault of ours; set ORDNANCE_DEBUG=1 for the details"
    )
    return Failure("internal_error", f"{reason} and report it.")
