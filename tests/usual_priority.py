"""Clips whose making must not change how the test process is scheduled."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def usual_priority() -> Iterator[None]:
    """Give the priority back that libsvtav1 takes where root encodes with it.

    It makes the thread that opens it real-time (SCHED_FIFO, 99), and so all that this one starts from then on: servers
    and browsers of later tests, which wait for others by spinning, held both processors for an hour.
    """
    try:
        yield
    finally:
        if hasattr(os, "sched_setscheduler"):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
