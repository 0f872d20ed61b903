"""A real `ordnance serve` in a folder of its own, and what the operating system says about its processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

import httpx

from detector.errors import OrdnanceError

START_SECONDS = 180.0
LOOK_SECONDS = 0.5
KINDS = ("api", "workers", "decoders")


class BenchmarkFailed(OrdnanceError):
    """The run cannot give a result."""

    code = "benchmark_failed"


class Server:
    """The service with its workers on a free port of loopback; use it in a `with` statement.

    `settings` are ORDNANCE_ variables without their prefix; others of the environment do not reach it.
    """

    def __init__(self, folder: Path, **settings: object) -> None:
        self.log = folder / "service.log"
        self.url = ""
        env = {name: value for name, value in os.environ.items() if not name.startswith("ORDNANCE_")}
        env |= {f"ORDNANCE_{name}": str(value) for name, value in settings.items()}
        env |= {"ORDNANCE_STORE": str(folder / "store"), "ORDNANCE_PORT": "0"}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "service", "serve"], stderr=log, stdin=subprocess.DEVNULL, env=env
            )

    def __enter__(self) -> Server:
        """Wait until it can scan. Raises BenchmarkFailed."""
        deadline = time.monotonic() + START_SECONDS
        try:
            while time.monotonic() < deadline and self._process.poll() is None:
                found = re.search(r"serves (http://\S+)", self.log.read_text(errors="replace"))
                if found:
                    self.url = found[1]
                    if httpx.get(f"{self.url}/readyz", timeout=60).status_code == 200:
                        return self
                time.sleep(0.2)
        except BaseException:
            self._end()
            raise
        self._end()
        last = self.log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise BenchmarkFailed(f"The service does not start: {last[0]}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def processes(self) -> dict[str, list[int]]:
        """The ids of its processes by kind; empty where the system has no /proc."""
        found: dict[str, list[int]] = {kind: [] for kind in KINDS}
        parents = _parents()
        api = self._process.pid
        if not parents:
            return found
        found["api"] = [api]
        found["workers"] = [pid for pid, parent in parents.items() if parent == api]
        below = list(found["workers"])
        while below:
            below = [pid for pid, parent in parents.items() if parent in below]
            found["decoders"] += below
        return found

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time used so far, by kind; decoders that have ended are counted. Empty without /proc."""
        processes = self.processes()
        if not processes["api"]:
            return {}
        spent = {kind: sum(_cpu_seconds(pid)[0] for pid in pids) for kind, pids in processes.items()}
        # Decoders are waited for by the process that they are forked from, and that one by the worker.
        parents = (*processes["workers"], *processes["decoders"])
        spent["decoders"] += sum(_cpu_seconds(pid)[1] for pid in parents)
        return spent

    def faults(self) -> list[str]:
        """Lines of the log that tell of errors."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if " error " in line.lower() or line.startswith("Traceback")]

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class MemoryWatch:
    """Notes the resident memory of a server's processes, summed by kind, twice a second until it is stopped."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.samples: list[tuple[float, dict[str, float]]] = []
        """(time.monotonic(), 10**6 bytes by kind)"""

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            by_kind = {kind: sum(map(_resident_mb, pids)) for kind, pids in self._server.processes().items()}
            if by_kind["api"]:
                self.samples.append((time.monotonic(), by_kind))


def _parents() -> dict[int, int]:
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        fields = _stat(path)
        if fields:
            found[int(path.parent.name)] = int(fields[1])
    return found


def _cpu_seconds(pid: int) -> tuple[float, float]:
    """Of the process, and of its children that have ended and were waited for."""
    fields = _stat(Path(f"/proc/{pid}/stat"))
    if not fields:
        return 0.0, 0.0
    own, children = sum(map(int, fields[11:13])), sum(map(int, fields[13:15]))
    return own / os.sysconf("SC_CLK_TCK"), children / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> float:
    fields = _stat(Path(f"/proc/{pid}/stat"))
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6 if fields else 0.0


def _stat(path: Path) -> list[str]:
    """The fields after the command's name, which may hold anything: state first; empty where the process is gone."""
    try:
        return path.read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
