"""Logs on stderr, as lines of text or of JSON. What a record is about travels in `extra`; secrets never do."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

FIELDS = (
    *("scan", "clip_sha256", "worker", "pid", "model", "code", "key", "owner", "method", "path", "status", "seconds"),
    *("upload", "scans", "uploads", "blobs", "host", "port", "isolation"),
)
ASKED_FOR = (
    *("DBOSAwaitedWorkflowCancelledError", "DBOSWorkflowCancelledError", "DBOSNonExistentWorkflowError"),
    "CancelledError",
)
"""Errors of a workflow that was cancelled, or removed before its worker had stopped, and of a request that a stopping
server gave up."""
PARKED = "Waiting for the recorded outcome"
"""How the engine's warning ends of a workflow that was cancelled while it ran."""


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        extra = " ".join(f"{name}={getattr(record, name)}" for name in FIELDS if hasattr(record, name))
        line = f"{_time(record)} {record.levelname.lower():<7} {record.getMessage()}{' ' if extra else ''}{extra}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {"time": _time(record), "level": record.levelname.lower(), "logger": record.name}
        entry["message"] = record.getMessage()
        entry |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def set_up_logs(form: str, level: str) -> None:
    """Send all logs of this process to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("ordnance").setLevel(level.upper())
    server = logging.getLogger("uvicorn.error")
    server.setLevel(logging.WARNING)
    server.addFilter(_is_trouble)
    dbos = logging.getLogger("dbos")
    dbos.handlers[:] = [handler]
    dbos.propagate = False
    dbos.setLevel(logging.WARNING)
    dbos.addFilter(_is_trouble)


def _is_trouble(record: logging.LogRecord) -> bool:
    """The job engine and the server report as trouble, the errors with a traceback, what was asked for."""
    error = record.exc_info[1] if record.exc_info else None
    return type(error).__name__ not in ASKED_FOR and not record.getMessage().endswith(PARKED)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
