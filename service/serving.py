"""What `ordnance serve` runs: the API in this process, the workers in others, which are started again when they end."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

from detector.errors import BadOption
from service.access.keys import list_keys
from service.logs import set_up_logs
from service.settings import Settings
from service.store.database import migrate, open_database
from service.tracing import send_rest, set_up_tracing

log = logging.getLogger("ordnance.serve")

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
HEALTHY_SECONDS = 10.0
"""A worker that has lived this long had loaded its model: it is started again after the first pause when it ends."""
STOP_SECONDS = 5.0


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises BadOption where the settings cannot be used."""
    import uvicorn

    from service.api.app import create_app
    from service.api.connections import protocol_with
    from service.api.receiving import end_uploads

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            end_uploads()
            await super().shutdown(sockets)

    set_up_logs(settings.log_format, settings.log_level)
    set_up_tracing(settings, "api")
    migrate(settings)
    _warn_of_no_key(settings)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        http=protocol_with(settings.upload_stall_seconds),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=int(STOP_SECONDS),
    )
    listening = _bound_socket(settings)
    # asyncio does this for sockets of its own; without it the body of a small answer waits 40 ms for an ACK.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Before it is said: a connection made from then on waits for the API instead of being refused.
    listening.listen(config.backlog)
    host, port = listening.getsockname()[:2]
    crew = Crew(settings)
    # uvicorn raises the signal that it has ended for once more, which by default ends the process before its workers.
    signal.signal(signal.SIGTERM, _end)
    shown = f"[{host}]" if ":" in host else host
    try:
        crew.start()
        print(f"Ordnance serves http://{shown}:{port}", file=sys.stderr, flush=True)
        Server(config).run(sockets=[listening])
    finally:
        crew.stop()
        send_rest()


def _end(*_: Any) -> None:
    sys.exit(0)


def _bound_socket(settings: Settings) -> socket.socket:
    """As uvicorn's own. Raises BadOption where the address cannot be had."""
    bound = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((settings.host, settings.port))
    except (OSError, UnicodeError) as error:
        bound.close()
        reason = getattr(error, "strerror", None) or error
        raise BadOption(
            f"Port {settings.port} of {settings.host} cannot be listened on ({reason}); end what listens "
            "there, or give another address by --port and --host (ORDNANCE_PORT, ORDNANCE_HOST)."
        ) from error
    bound.set_inheritable(True)
    return bound


class Crew:
    """The worker processes of this server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._threads = [
            threading.Thread(target=self._keep, args=(place,), name=f"worker-{place}", daemon=True)
            for place in range(settings.workers)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End all workers; their scans go on where they are when the service starts again."""
        self._stopping.set()
        with self._lock:
            running = list(self._processes.values())
        for process in running:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()

    def _keep(self, place: int) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                with self._lock:
                    if self._stopping.is_set():
                        return
                    process = self._processes[place] = self._spawn()
                code = process.wait()
                if self._stopping.is_set():
                    return
                log.warning("worker ended with %s and is started again", code, extra={"pid": process.pid})
            except OSError as error:
                log.error("a worker cannot be started (%s); it is tried again", error)
            if time.monotonic() - started > HEALTHY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            self._stopping.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _spawn(self) -> subprocess.Popen[bytes]:
        settings = self._settings
        # -P: a folder named "service" where the server was started is not ours.
        command = [sys.executable, "-P", "-m", "service", "worker", "--store", str(settings.store)]
        return subprocess.Popen([*command, "--parent", str(os.getpid())], stdin=subprocess.DEVNULL)


def _warn_of_no_key(settings: Settings) -> None:
    if settings.is_loopback and settings.allow_anonymous:
        return
    database = open_database(settings, pool_size=1)
    try:
        if not list_keys(database):
            log.warning(
                "there is no key yet, and every request needs one: make it with `ordnance keys create OWNER` and this "
                "service's settings (its keys are in %s)",
                database.shown,
            )
    finally:
        database.close()
