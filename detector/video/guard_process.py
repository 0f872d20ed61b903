"""Starting and ending decoder processes: forked from a template that has imported what they need."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from detector.errors import OrdnanceError
from detector.video.guard_template import NUMBER

START_SECONDS = 60.0
"""In this time a decoder process must have started: half a second where nothing else runs."""
END_SECONDS = 5.0
"""In this time a process that was killed is gone."""
FORKS_OF_A_TEMPLATE = 256
"""Forked processes have the memory layout of their template. After this many a new one takes over, so that what a
hostile clip finds out about the layout is soon of no use."""
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "SYSTEMROOT", "VIRTUAL_ENV")


class DecoderProcess:
    """A process that was told nothing yet; `connection` leads to it."""

    def __init__(self, connection: socket.socket, lifeline: socket.socket, pid: int) -> None:
        self.connection = connection
        self.pid = pid
        self._lifeline = lifeline
        self._code: int | None = None

    def exit_code(self) -> int | None:
        """How it ended, negative for a signal, once it has; None where nobody knows: its template was killed."""
        if self._code is None:
            with suppress(OSError):
                self._code = _receive(self._lifeline, END_SECONDS)
        return self._code

    def end(self) -> None:
        """Kill it, and wait until it is gone."""
        self.connection.close()
        if self._code is None:
            with suppress(OSError):
                self._lifeline.send(b"k")
                _receive(self._lifeline, END_SECONDS)
        self._lifeline.close()


class Decoders:
    """Where decoder processes come from; close it, or use it in a `with` statement. Threads may share it.

    The template is started at once, and again where it was killed; it ends with this process, however that ends.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._template: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._forks = 0
        self._retired: list[subprocess.Popen[bytes]] = []
        self._start_template()

    def __enter__(self) -> Decoders:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def template_pid(self) -> int | None:
        """The process that decoders are forked from, None after `close`."""
        return self._template.pid if self._template else None

    def start(self) -> DecoderProcess:
        """A fresh decoder process. Raises OrdnanceError where the system does not let one start."""
        with self._lock:
            if self._forks >= FORKS_OF_A_TEMPLATE:
                self._retire()
            try:
                return self._fork()
            except OSError:
                self._retire(kill=True)
            try:
                return self._fork()
            except OSError as error:
                self._retire(kill=True)
                raise OrdnanceError(
                    f"No decoder process could be started ({error}); check the limits on memory and processes."
                ) from error

    def close(self) -> None:
        """End the template; it is gone when its last decoder is."""
        with self._lock:
            self._retire()
            for each in self._retired:
                with suppress(subprocess.TimeoutExpired):
                    each.wait(END_SECONDS)

    def _fork(self) -> DecoderProcess:
        if self._control is None:
            self._start_template()
        assert self._control is not None
        connection, theirs = socket.socketpair()
        lifeline, their_end = socket.socketpair()
        try:
            with theirs, their_end:
                socket.send_fds(self._control, [b"f"], [theirs.fileno(), their_end.fileno()])
            pid = _receive(lifeline, START_SECONDS)
        except OSError:
            connection.close()
            lifeline.close()
            raise
        self._forks += 1
        return DecoderProcess(connection, lifeline, pid)

    def _start_template(self) -> None:
        ours, theirs = socket.socketpair()
        root = str(Path(__file__).parents[2])
        variables = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        variables["PYTHONPATH"] = os.pathsep.join((root, *filter(None, (os.environ.get("PYTHONPATH"),))))
        variables |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        with theirs:
            self._template = subprocess.Popen(
                [sys.executable, "-P", "-m", "detector.video.guard_template", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=variables,
            )
        self._control = ours
        self._forks = 0

    def _retire(self, *, kill: bool = False) -> None:
        """Let the template go, with its last decoder or at once."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._template is not None:
            if kill:
                self._template.kill()
                self._template.wait()
            else:
                self._retired.append(self._template)
            self._template = None
        self._retired = [each for each in self._retired if each.poll() is None]


def _receive(lifeline: socket.socket, seconds: float) -> int:
    """Raises OSError where nothing comes."""
    lifeline.settimeout(seconds)
    content = lifeline.recv(NUMBER.size)
    if len(content) < NUMBER.size:
        raise ConnectionError("the process that decoders are forked from has ended")
    return int(NUMBER.unpack(content)[0])
