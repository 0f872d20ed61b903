"""The processes in which the clips of a batch are scanned: one that ends by itself takes no other clip with it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import active_children, current_process, get_context, parent_process
from multiprocessing.context import BaseContext
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from detector.batch_clip import (
    BatchOptions,
    Done,
    Failure,
    OnProgress,
    Outcome,
    earlier_outcome,
    failure_of,
    scan_one,
    scanned_before,
    suit_memory,
)
from detector.errors import BadOption, ModelError
from detector.models import load_model
from detector.models.backend import available_threads
from detector.scanner import Progress, Scanner
from detector.signals import held_back

PROGRESS_EVERY_SECONDS = 0.1
"""How long news of a scan in another process may lie there."""


def process_context(options: BatchOptions) -> BaseContext | None:
    """How worker processes are started; None where none can be, and one clip after the other was asked for."""
    try:
        return _process_context()
    except OSError as error:
        if options.jobs == 1:
            return None
        raise BadOption(
            f"No process can be started for --jobs here ({error}); leave it out, or set TMPDIR to a folder with a "
            "short name that can be written to."
        ) from error


def _process_context() -> BaseContext:
    """How worker processes are started: on Linux from a process that imports what they need. Elsewhere libraries do not
    bear being forked. Raises OSError where the system, or Python in a daemonic process, lets none be started.
    """
    if current_process().daemon:
        raise OSError("this process is daemonic")
    if sys.platform != "linux":
        return get_context("spawn")
    from multiprocessing import forkserver, resource_tracker

    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    # Started by itself, for it ends with SIGINT no longer blocked (Python 3.11). It removes the locks that a killed
    # batch leaves, and would show the user a warning of Python's about them.
    sys.warnoptions.append(_NO_WORD_OF_LOCKS)
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.remove(_NO_WORD_OF_LOCKS)
    # A terminal's Ctrl-C goes to all processes. This one ends the others, which inherit that they do not hear it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    context.Lock()
    return context


_NO_WORD_OF_LOCKS = "ignore:resource_tracker:UserWarning"


@dataclass(frozen=True, slots=True)
class _Workers:
    """Processes that scan, `most` at the most, and what they tell meanwhile."""

    pool: ProcessPoolExecutor
    most: int
    news: SimpleQueue[tuple[Path, Progress]]


@contextmanager
def _workers(processes: BaseContext, options: BatchOptions, clips: int) -> Iterator[_Workers]:
    """Processes for so many clips; where the block ends by an exception, they end at once."""
    most = min(options.jobs, clips)
    news: SimpleQueue[tuple[Path, Progress]] = processes.SimpleQueue()
    arguments = options, max(1, available_threads() // options.jobs), processes.Lock(), news
    others = set(active_children())
    with ProcessPoolExecutor(most, processes, _begin_worker, arguments) as pool:
        try:
            yield _Workers(pool, most, news)
        except BaseException:
            # A worker would scan its clip to the end, and then one that it has at hand. It writes a report that it has
            # begun to write; otherwise it can be ended anywhere.
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(active_children()) - others:
                worker.terminate()
            raise


def scan_in_processes(
    processes: BaseContext,
    clips: Sequence[Path],
    missing: Sequence[Outcome],
    options: BatchOptions,
    total: int,
    on_progress: OnProgress | None,
) -> Iterator[Outcome]:
    """Scan the clips in `options.jobs` processes; one whose process ends by itself, or gets no model beside the others,
    is tried again, alone.
    """
    with _workers(processes, options, len(clips)) as workers:
        done = _done_before(workers)
        yield from missing
        waiting = []
        for path in clips:
            outcome = earlier_outcome(path, done, options, total)
            if outcome:
                yield outcome
            else:
                waiting.append(path)
        unfinished = yield from _scan_in(workers, waiting, total, on_progress)
    while unfinished:
        # A pool does not tell which clip ended it. They are begun in order, and one is handed out ahead.
        suspects, rest = list(unfinished)[: options.jobs + 1], list(unfinished)[options.jobs + 1 :]
        for path in suspects:
            with _workers(processes, options, 1) as workers:
                again = yield from _scan_in(workers, [path], total, on_progress)
            yield from (Outcome(path, total, failure=failure) for failure in again.values())
        unfinished = {}
        if rest:
            with _workers(processes, options, len(rest)) as workers:
                unfinished = yield from _scan_in(workers, rest, total, on_progress)


_WORKER_DIED = Failure(
    "worker_died",
    "The process that scanned this clip was ended from outside or crashed, and again when the clip was scanned alone; "
    "it may need more memory than there is.",
)


def _done_before(workers: _Workers) -> Done:
    """What `scanned_before` tells, asked of a process that has loaded the model, which is not loaded twice for it.

    Raises what kept it from loading the model.
    """
    # A worker that is only half begun would tell of it with a traceback.
    with held_back(signal.SIGINT):
        answer = workers.pool.submit(_scanned_before_in_worker)
    try:
        return answer.result()
    except BrokenProcessPool as error:
        raise ModelError(
            "The process that was loading the model was ended from outside or crashed; there may be too little memory."
        ) from error


def _scan_in(
    workers: _Workers, paths: Sequence[Path], total: int, on_progress: OnProgress | None
) -> Generator[Outcome, None, dict[Path, Failure]]:
    """Yields what becomes of the clips; returns, in order, those without an outcome for want of a process, and why."""
    unfinished = dict.fromkeys(paths, _WORKER_DIED)
    coming = iter(paths)
    running: dict[Future[Outcome], Path] = {}
    while True:
        with held_back(signal.SIGINT), suppress(BrokenProcessPool):
            for path in islice(coming, 2 * workers.most - len(running)):
                running[workers.pool.submit(scan_in_worker, path, total)] = path
        if not running:
            return unfinished
        over, _ = wait(running, PROGRESS_EVERY_SECONDS, FIRST_COMPLETED)
        while not workers.news.empty():
            news = workers.news.get()
            if on_progress:
                on_progress(*news)
        for future in [each for each in running if each in over]:
            path, error = running.pop(future), future.exception()
            if isinstance(error, _NotReady):
                unfinished[path] = Failure(*error.args)
            elif not isinstance(error, BrokenProcessPool):
                del unfinished[path]
                yield _outcome_of(future, path, total)


def _outcome_of(future: Future[Outcome], path: Path, total: int) -> Outcome:
    error = future.exception()
    if error is None or os.environ.get("ORDNANCE_DEBUG"):
        return future.result()
    return Outcome(path, total, failure=Failure("worker_died", f"The process that scanned this clip ended: {error}."))


_worker: tuple[Scanner, BatchOptions, AbstractContextManager[object] | None, OnProgress | None] | None = None


def start_worker(
    options: BatchOptions,
    threads: int,
    writing: AbstractContextManager[object] | None = None,
    on_progress: OnProgress | None = None,
) -> Scanner:
    """Make this process one that scans for a batch, by `scan_in_worker`; returns what it scans with.

    `writing` is a lock that all workers of the batch share: a report's folder is chosen and filled under it.
    """
    global _worker
    _end_with_parent()
    suit_memory(options)
    model = load_model(options.model, device=options.device, backend=options.backend, threads=threads)
    scanner = Scanner(model, options.scan, threads=threads)
    _worker = scanner, options, writing, on_progress
    return scanner


_not_ready: Exception | None = None


class _NotReady(Exception):
    """This process could not load the model; code and message of the failure."""


def _begin_worker(
    options: BatchOptions,
    threads: int,
    writing: AbstractContextManager[object],
    news: SimpleQueue[tuple[Path, Progress]],
) -> None:
    """`start_worker`; where that fails, whoever asks this process for something is told why."""
    global _not_ready
    try:
        start_worker(options, threads, writing, lambda path, progress: news.put((path, progress)))
    except Exception as error:
        _not_ready = error


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
    if _not_ready is not None:
        failure = failure_of(_not_ready)
        raise _NotReady(failure.code, failure.message)
    if _worker is None:
        raise RuntimeError("the worker has no model")
    scanner, options, writing, on_progress = _worker
    return scan_one(scanner, path, options, total, on_progress, writing=writing)


def _scanned_before_in_worker() -> Done:
    if _not_ready is not None:
        raise _not_ready
    if _worker is None:
        raise RuntimeError("the worker has no model")
    scanner, options, *_ = _worker
    return scanned_before(options, scanner)
