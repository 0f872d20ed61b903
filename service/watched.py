"""A command in a process of its own, so that one that crashes, or is killed for want of memory, ends in a sentence.

The process that watches has imported next to nothing when the other is forked from it, and so costs next to nothing:
4.5 MB, and less time than can be measured.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CLIPS_FAILED = 3
_SHOW_CURSOR = "\x1b[?25h\n"
"""The bar of a scan hides it, and stops somewhere in its line."""
_PR_SET_PDEATHSIG = 1


def go_on_watched() -> None:
    """Go on in a process of its own; this one ends as that does, with a sentence where it crashed or was killed.

    It gets the signals that come to this one, and ends with this one. Does nothing where the system is not Linux, or
    lets no process start.
    """
    if sys.platform != "linux":
        return
    # Whoever began this process may have it ignored; then nobody would learn how the other one ended.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD, signal.SIGTSTP, *_PASSED_ON))
    watcher, watched = os.getpid(), -1
    with suppress(OSError):
        watched = os.fork()
    if watched > 0:
        _end_as(_exit_code(watched))
    if watched == 0:
        _be_watched(watcher)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _exit_code(watched: int) -> int:
    """How the process ended, negative for a signal."""
    _lead_a_group(watched)
    while True:
        came = signal.sigwait((signal.SIGCHLD, signal.SIGTSTP, *_PASSED_ON))
        if came == signal.SIGCHLD:
            pid, status = os.waitpid(watched, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        elif came == signal.SIGTSTP:
            os.killpg(watched, signal.SIGSTOP)
            os.kill(os.getpid(), signal.SIGSTOP)
            os.killpg(watched, signal.SIGCONT)
        else:
            os.kill(watched, came)


def _end_as(code: int) -> None:
    if code >= 0:
        os._exit(code)
    number = signal.Signals(-code)
    if number in _CRASHES:
        words = "crashed ({}): a clip may be damaged or made to harm; export it again from the original"
    elif number == signal.SIGKILL:
        words = "was ended from outside ({}), as a system does that runs out of memory; end other programs"
    else:
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        signal.raise_signal(number)
    if sys.stderr:
        start = _SHOW_CURSOR if sys.stderr.isatty() else ""
        print(f"{start}ordnance: the process that scanned {words.format(number.name)}.", file=sys.stderr, flush=True)
    os._exit(_CLIPS_FAILED)


def _be_watched(watcher: int) -> None:
    """Have SIGTERM come when the watcher is gone, and no signal twice: a terminal sends to all of a group."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != watcher:
        os.kill(os.getpid(), signal.SIGTERM)
    _lead_a_group(os.getpid())
    # Sent for writing on a terminal of which another group has the use, where that is set so (stty tostop).
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)


def _lead_a_group(process: int) -> None:
    """Both processes see to it, for the one is as soon as the other."""
    with suppress(OSError):
        os.setpgid(process, process)
