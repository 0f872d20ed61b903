"""A real server process on loopback, and what tests ask of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from made_clips import DEMO

START_SECONDS = 120
SCAN_SECONDS = 240
ENDED = ("done", "failed", "cancelled")
CACHE = tempfile.TemporaryDirectory(prefix="ordnance-cache-")
"""The choice of a backend is made once for all servers of a run."""


class Server:
    """`ordnance serve` in a folder of its own. `settings` are ORDNANCE_ variables without their prefix."""

    def __init__(self, store: Path, **settings: object) -> None:
        self.store = store
        self.settings = {"THREADS": 1, "PORT": 0, **settings}
        self.log = store.parent / f"{store.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def start(self) -> Server:
        env = {name: value for name, value in os.environ.items() if not name.startswith("ORDNANCE_")}
        env |= {f"ORDNANCE_{name}": str(value) for name, value in self.settings.items()}
        env |= {"ORDNANCE_STORE": str(self.store), "XDG_CACHE_HOME": CACHE.name}
        with self.log.open("ab") as log:
            begin = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "service", "serve"],
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=env,
                # Whoever runs the tests in the background may have made their processes deaf to it.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            found = re.search(rb"serves http://[^\n]*:(\d+)\n", self.log.read_bytes()[begin:])
            if found:
                self.port = int(found[1])
                self.settings["PORT"] = self.port
                return self
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, key: str | None = None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, transport=httpx.HTTPTransport(retries=5))

    def key(self, owner: str, *options: str) -> str:
        """A fresh key, made by the command that an operator uses."""
        return self.command("keys", "create", owner, *options).stdout.strip()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "ORDNANCE_STORE": str(self.store)}
        env |= {f"ORDNANCE_{name}": str(value) for name, value in self.settings.items()}
        done = subprocess.run(
            [sys.executable, "-m", "service", *arguments], capture_output=True, text=True, env=env, check=False
        )
        assert done.returncode == 0, done.stderr
        return done

    def worker_pids(self) -> list[int]:
        """Worker processes of this server, as the operating system knows them."""
        assert self.process is not None
        return [pid for pid, parent, words in processes() if parent == self.process.pid and " worker " in words]

    def kill(self) -> None:
        """kill -9 of the API; its workers see that it is gone and end."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        with self.client() as client:
            while client.get("/readyz").status_code != 200:
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.2)


def processes() -> list[tuple[int, int, str]]:
    """Pid, parent's pid and command line of all that runs."""
    # Whole lines (-ww), also where COLUMNS is set.
    shown = subprocess.run(["ps", "-ww", "-o", "pid=,ppid=,args=", "-A"], capture_output=True, text=True, check=True)
    rows = (line.split(None, 2) for line in shown.stdout.splitlines())
    return [(int(pid), int(parent), words) for pid, parent, words in rows]


def wait_for(client: httpx.Client, scan_id: str, *states: str) -> dict:
    """The scan once it is in one of `states`; any end by default."""
    deadline = time.monotonic() + SCAN_SECONDS
    while True:
        scan = client.get(f"/v1/scans/{scan_id}").raise_for_status().json()
        if scan["state"] in (states or ENDED):
            return scan
        assert scan["state"] not in ENDED, scan
        assert time.monotonic() < deadline, scan
        time.sleep(0.2)


def upload(client: httpx.Client, clip: Path, **options: object) -> dict:
    with clip.open("rb") as file:
        answer = client.post("/v1/scans", files={"file": (clip.name, file)}, data=options)
    assert answer.status_code in (200, 202), answer.text
    return answer.json()


def comparable(report: dict) -> dict:
    """A report without what may differ between two scans of the same clip: clocks, and how much was decoded."""
    report = json.loads(json.dumps(report))
    for name in ("started_at", "elapsed_s"):
        report["scan"].pop(name)
    report["coverage"].pop("frames_decoded")
    return report


def cut_demo(path: Path, start: float, end: float, *, begins: float = 0.0) -> Path:
    """A part of the demo clip, its packets copied, from the keyframe before `start`; its times begin at `begins`."""
    import av

    with av.open(str(DEMO)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        source.seek(int(start / stream.time_base), stream=stream)
        first = None
        for packet in source.demux(stream):
            if packet.dts is None or packet.pts * stream.time_base > end:
                continue
            first = packet.dts - round(begins / stream.time_base) if first is None else first
            packet.dts, packet.pts = packet.dts - first, packet.pts - first
            packet.stream = copy
            target.mux(packet)
    return path
