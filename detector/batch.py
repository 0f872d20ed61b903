"""Many clips, one after the other or several at once: a bad clip ends itself, never the batch."""

from __future__ import annotations

import glob
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import chain, count
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.context import BaseContext
from pathlib import Path

from detector.errors import BadOption, ClipNotFound, ClipUnreadable, OrdnanceError
from detector.memory import keep_large_blocks_apart
from detector.models import load_model
from detector.models.backend import available_threads
from detector.report import (
    FORMATS,
    OWN_PREFIX,
    Report,
    add_formats,
    check_out,
    foreign_in,
    remove_unfinished,
    write_report,
)
from detector.scanner import Progress, Scanner, ScanOptions
from detector.signals import held_back
from detector.video import sha256_file

CLIP_SUFFIXES = frozenset(
    {
        *(".264", ".265", ".3g2", ".3gp", ".apng", ".asf", ".avi", ".dav", ".divx", ".dv", ".f4v", ".flv", ".gif"),
        *(".h264", ".h265", ".hevc", ".ivf", ".m1v", ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv"),
        *(".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".obu", ".ogm", ".ogv", ".rm", ".rmvb", ".ts"),
        *(".vob", ".webm", ".wmv", ".wtv", ".y4m"),
    }
)
"""Files taken from a folder; a clip named on the command line may have any suffix."""


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


def run_batch(
    patterns: Sequence[str], options: BatchOptions, on_progress: OnProgress | None = None
) -> Iterator[Outcome]:
    """Scan the clips that `patterns` name; yields each outcome as it is known.

    Options, output folder and model are checked before the first clip, and raise. A clip's own error becomes its
    outcome.
    """
    unknown = sorted(set(options.formats) - set(FORMATS))
    if unknown:
        raise BadOption(f"'{unknown[0]}' is not an output format; use: {', '.join(FORMATS)}.")
    if options.out:
        check_out(options.out)
        remove_unfinished(options.out)
    clips, missing = find_clips(patterns)
    total = len(clips) + len(missing)
    processes = _process_context() if options.jobs > 1 and len(clips) > 1 else None
    scanner = Scanner(load_model(options.model, device=options.device, backend=options.backend), options.scan)
    for path, failure in missing:
        yield Outcome(path, total, failure=failure)
    done = _scanned_before(options, scanner) if options.resume else {}
    waiting = []
    for path in clips:
        folder = done.get(_digest(path) or "") if done else None
        earlier = None if folder is None else _read_report(folder)
        if folder is not None and earlier is not None:
            yield _outcome_of_earlier(path, earlier, folder, options, total)
        else:
            waiting.append(path)
    if processes and len(waiting) > 1:
        outcomes = _in_processes(processes, waiting, options, total)
    else:
        outcomes = (_scan_one(scanner, path, options, total, on_progress) for path in waiting)
    yield from outcomes


def suit_memory(options: BatchOptions) -> None:
    """Set how this process, which is to scan clips and nothing else, keeps its memory."""
    if options.backend != "torch":
        keep_large_blocks_apart()


def find_clips(patterns: Sequence[str]) -> tuple[list[Path], list[tuple[Path, Failure]]]:
    """The clips that files, folders and glob patterns name, each once, and what names nothing."""
    clips: dict[Path, None] = {}
    missing = []
    for pattern in patterns:
        path = Path(pattern)
        if not pattern:
            words = "An empty name was given; name a clip, or the folder that is meant (. for this one)."
            missing.append((path, _failure(ClipNotFound(words))))
            continue
        if os.path.isdir(path):
            found, shut = _clips_in(path)
            missing += shut
            if not found and not shut:
                missing.append((path, _failure(ClipNotFound(f"The folder {path} holds no clip; give clips by name."))))
        elif os.path.lexists(path) or not glob.has_magic(pattern):
            found = [path]
        else:
            found = sorted(Path(name) for name in glob.glob(pattern, recursive=True) if not os.path.isdir(name))
            if not found:
                missing.append((path, _failure(ClipNotFound(f"No file matches the pattern {pattern}."))))
        clips.update(dict.fromkeys(found))
    return list(clips), missing


def _clips_in(folder: Path) -> tuple[list[Path], list[tuple[Path, Failure]]]:
    """The clips below `folder`, and the folders there that the operating system does not let be read."""
    shut: list[OSError] = []
    found = [
        Path(place, name)
        for place, names in _folders_below(folder, shut.append)
        for name in names
        if Path(name).suffix.lower() in CLIP_SUFFIXES and _may_be_clip(Path(place, name))
    ]
    words = "The folder {} cannot be read ({}), so its clips are not scanned; change its permissions or its owner."
    return sorted(found), [
        (Path(each.filename), _failure(ClipUnreadable(words.format(each.filename, each.strerror)))) for each in shut
    ]


def _folders_below(folder: Path, on_error: Callable[[OSError], None]) -> Iterator[tuple[str, list[str]]]:
    """`folder` and all below it with the names of what is no folder, each once, linked ones too."""
    known = set()
    for place, folders, names in os.walk(folder, onerror=on_error, followlinks=True):
        try:
            facts = os.stat(place)
        except OSError as error:
            on_error(error)
            folders.clear()
            continue
        if (facts.st_dev, facts.st_ino) in known:
            folders.clear()
            continue
        known.add((facts.st_dev, facts.st_ino))
        yield place, names


def _may_be_clip(path: Path) -> bool:
    """Whether it is a file, or cannot be told, as where a link leads nowhere: opening it says why."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True


def _folder_of(report: Report, out: Path) -> Path:
    """Where the clip's report goes: its stem, or stem and hash where another clip or somebody's files have that one.

    The answer holds until another report is written.
    """
    stem = Path(report.clip.name).stem
    if not stem.strip(".") or stem.startswith(OWN_PREFIX):
        stem = "clip"
    marked = f"{stem}-{report.clip.sha256[:12]}"
    names = chain((stem, marked), (f"{marked}-{number}" for number in count(2)))
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


def _scan_one(
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
        return Outcome(path, total, failure=_failure(error))


def _outcome_of_earlier(path: Path, report: Report, folder: Path, options: BatchOptions, total: int) -> Outcome:
    """The outcome of a clip whose report is there, once that has the formats asked for."""
    try:
        with _alone_in(folder.parent):
            add_formats(report, folder, options.formats)
        return Outcome(path, total, report, folder, skipped=True)
    except (OrdnanceError, OSError) as error:
        return Outcome(path, total, failure=_failure(error))


def _process_context() -> BaseContext:
    """How worker processes are started: on Linux from a process that imports what they need while this one checks the
    model. Elsewhere libraries do not bear being forked.
    """
    if sys.platform != "linux":
        return get_context("spawn")
    from multiprocessing import forkserver, resource_tracker

    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    # Started by itself, for it ends with SIGINT no longer blocked (Python 3.11).
    resource_tracker.ensure_running()
    # A terminal's Ctrl-C goes to all processes. This one ends the others, which inherit that they do not hear it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


def _in_processes(
    processes: BaseContext, paths: Sequence[Path], options: BatchOptions, total: int
) -> Iterator[Outcome]:
    """Scan the clips in `options.jobs` processes; one whose process ends by itself is tried again, alone."""
    unfinished = yield from _in_pool(processes, paths, options, total)
    while unfinished:
        # A pool does not tell which clip ended it. They are begun in order, and one is handed out ahead.
        suspects, rest = unfinished[: options.jobs + 1], unfinished[options.jobs + 1 :]
        for path in suspects:
            if (yield from _in_pool(processes, [path], options, total)):
                yield Outcome(path, total, failure=_WORKER_DIED)
        unfinished = (yield from _in_pool(processes, rest, options, total)) if rest else []


_WORKER_DIED = Failure(
    "worker_died",
    "The process that scanned this clip was ended from outside or crashed, and again when the clip was scanned alone; "
    "it may need more memory than there is.",
)


def _in_pool(
    processes: BaseContext, paths: Sequence[Path], options: BatchOptions, total: int
) -> Generator[Outcome, None, list[Path]]:
    """Yields what becomes of the clips; returns, in order, those without an outcome because a process ended."""
    threads = max(1, available_threads() // options.jobs)
    others = set(active_children())
    arguments = options, threads, processes.Lock()
    ended = set()
    with ProcessPoolExecutor(min(options.jobs, len(paths)), processes, _begin_worker, arguments) as pool:
        try:
            # A worker that is only half begun would tell of it with a traceback.
            with held_back(signal.SIGINT):
                running = {}
                with suppress(BrokenProcessPool):
                    for path in paths:
                        running[pool.submit(scan_in_worker, path, total)] = path
            for future in as_completed(running):
                path, error = running.pop(future), future.exception()
                if isinstance(error, BrokenProcessPool):
                    continue
                ended.add(path)
                if error is None:
                    yield future.result()
                else:
                    reason = Failure("worker_died", f"The process that scanned this clip ended: {error}.")
                    yield Outcome(path, total, failure=reason)
        except BaseException:
            # A worker would scan its clip to the end, and then one that it has at hand. It writes a report that it has
            # begun to write; otherwise it can be ended anywhere.
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(active_children()) - others:
                worker.terminate()
            raise
    return [path for path in paths if path not in ended]


_worker: tuple[Scanner, BatchOptions, AbstractContextManager[object] | None] | None = None


def start_worker(options: BatchOptions, threads: int, writing: AbstractContextManager[object] | None = None) -> Scanner:
    """Make this process one that scans for a batch, by `scan_in_worker`; returns what it scans with.

    `writing` is a lock that all workers of the batch share: a report's folder is chosen and filled under it.
    """
    global _worker
    _end_with_parent()
    suit_memory(options)
    model = load_model(options.model, device=options.device, backend=options.backend, threads=threads)
    scanner = Scanner(model, options.scan, threads=threads)
    _worker = scanner, options, writing
    return scanner


_not_begun: Failure | None = None


def _begin_worker(options: BatchOptions, threads: int, writing: AbstractContextManager[object]) -> None:
    """`start_worker`; where that fails, every clip given to this process fails for the same reason."""
    global _not_begun
    try:
        start_worker(options, threads, writing)
    except Exception as error:
        _not_begun = _failure(error)


def _end_with_parent() -> None:
    """End this process when the one that has begun it is gone; it would wait for clips for ever."""
    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def scan_in_worker(path: Path, total: int) -> Outcome:
    """Scan one of `total` clips in a process that `start_worker` has made ready, and write its report."""
    if _not_begun is not None:
        return Outcome(path, total, failure=_not_begun)
    if _worker is None:
        raise RuntimeError("the worker has no model")
    scanner, options, writing = _worker
    return _scan_one(scanner, path, options, total, writing=writing)


def _scanned_before(options: BatchOptions, scanner: Scanner) -> dict[str, Path]:
    """The folders below `out` of finished reports, by clip hash, that this very scan would make again."""
    found = {}
    if options.out and options.out.is_dir():
        for folder in sorted(options.out.iterdir()):
            report = None if folder.name.startswith(OWN_PREFIX) else _read_report(folder)
            if report and scanner.would_repeat(report.scan):
                found[report.clip.sha256] = folder
    return found


def _read_report(folder: Path) -> Report | None:
    try:
        return Report.from_json((folder / "report.json").read_bytes())
    except (OSError, OrdnanceError):
        return None


def _digest(path: Path) -> str | None:
    try:
        return sha256_file(path)
    except (OrdnanceError, OSError):
        return None


def _failure(error: Exception) -> Failure:
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
