"""The process that decoder processes are forked from: `python -m detector.video.guard_template SOCKET_FD`.

It imports once what decoders need, has one thread and opens no clip; `guard_process` starts it, never a hand. Each byte
that comes over its socket brings two file descriptors: the decoder's connection and its lifeline. Over the lifeline go
the decoder's process id and, once it has ended, how; a byte from the other end, or the end of the lifeline, kills it.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import socket
import struct
import sys
from contextlib import suppress

import av.subtitles.stream  # noqa: F401 (decoders need these two, and would import them each for itself)

import detector.sampling.cuts  # noqa: F401
from detector.memory import keep_large_blocks_apart
from detector.video import guard_child
from detector.video.guard_kernel import die_with_parent

NUMBER = struct.Struct("<i")
"""What goes over a lifeline: a process id, later an exit code as subprocess gives it (negative for a signal)."""
EXIT_FAULT = 1


def main() -> None:
    keep_large_blocks_apart()
    control = socket.socket(fileno=int(sys.argv[1]))
    # Whoever ends a program by a signal to all its processes means its keeper, which ends decoders as it sees fit.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    gc.freeze()
    _Template(control).run()


class _Template:
    def __init__(self, control: socket.socket) -> None:
        self._control: socket.socket | None = control
        self._lifelines: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ, None)
        reading, writing = os.pipe()
        for end in (reading, writing):
            os.set_blocking(end, False)
        self._ended = reading
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self._selector.register(reading, selectors.EVENT_READ, 0)

    def run(self) -> None:
        """Fork until the keeper closes the socket, and stay until the last decoder has ended."""
        while self._control is not None or self._lifelines:
            for key, _ in self._selector.select():
                if key.data is None:
                    self._take_order()
                elif key.data == 0:
                    self._bury()
                else:
                    self._kill(key.data)

    def _take_order(self) -> None:
        assert self._control is not None
        try:
            message, handles, _, _ = socket.recv_fds(self._control, 1, 2)
        except ConnectionError:
            message, handles = b"", []
        if len(handles) == 2:
            self._fork(*handles)
        elif not message:
            self._selector.unregister(self._control)
            self._control.close()
            self._control = None

    def _fork(self, connection: int, lifeline: int) -> None:
        own_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            code = EXIT_FAULT
            try:
                _become_decoder(connection, own_pid)
                code = 0
            finally:
                os._exit(code)
        os.close(connection)
        line = self._lifelines[pid] = socket.socket(fileno=lifeline)
        self._selector.register(line, selectors.EVENT_READ, pid)
        _tell(line, pid)

    def _bury(self) -> None:
        with suppress(BlockingIOError):
            while os.read(self._ended, 4096):
                pass
        for pid in list(self._lifelines):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                line = self._lifelines.pop(pid)
                with suppress(KeyError):
                    self._selector.unregister(line)
                _tell(line, os.waitstatus_to_exitcode(status))
                line.close()

    def _kill(self, pid: int) -> None:
        line = self._lifelines.get(pid)
        if line is not None:
            self._selector.unregister(line)
            os.kill(pid, signal.SIGKILL)


def _become_decoder(connection: int, template: int) -> None:
    """From here on this is another process: nothing of the template's stays open in it."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.closerange(3, connection)
    os.closerange(connection + 1, os.sysconf("SC_OPEN_MAX"))
    is_bound = die_with_parent()
    if os.getppid() == template:
        guard_child.serve(socket.socket(fileno=connection), watch=None if is_bound else template)


def _tell(line: socket.socket, number: int) -> None:
    with suppress(OSError):
        line.send(NUMBER.pack(number))


if __name__ == "__main__":
    main()
