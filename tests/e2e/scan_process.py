"""`ordnance scan` and other programs, begun and not waited for, and the report that one leaves."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

TRACEBACK = "Traceback"


def report_of(folder):
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def children_of(process):
    """The ids of the processes that the process has begun, as Linux tells."""
    return (Path("/proc") / str(process) / "task" / str(process) / "children").read_text().split()


def begun(program, folder):
    """A Python program in `folder`, begun and not waited for; it is talked to by lines."""
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def scanning(folder, *arguments):
    """`ordnance scan` in `folder`, begun and not waited for."""
    return subprocess.Popen(
        [sys.executable, "-m", "service", "scan", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background may have made their processes deaf to it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        start_new_session=True,
    )
