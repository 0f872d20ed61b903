"""Signals that wait for the end of what must not be broken off."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_back(number: signal.Signals) -> Iterator[None]:
    """Has a signal wait until the block has ended. Only the main thread can; elsewhere nothing is held back.

    Imports and the start of processes need it for Ctrl-C: one that comes while a C extension begins may reach Python as
    an ImportError, the traceback printed already (numpy's import_array does that), so that nobody can tell it from a
    library that is not there; and a process that is half begun tells of it with a traceback.
    """
    before = signal.getsignal(number)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield
        return
    came = threading.Event()
    signal.signal(number, lambda *_: came.set())
    try:
        yield
    finally:
        signal.signal(number, before)
        if came.is_set():
            signal.raise_signal(number)
