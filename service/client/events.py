"""What happens to a scan, as the server's stream of events tells it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a scan: kind `state`, `progress` or `appearance`."""

    number: int
    kind: str
    data: dict[str, Any]


class EventReader:
    """Puts the lines of a stream together (HTML standard, server-sent events)."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def take(self, line: str) -> Event | None:
        if line.startswith(":"):
            return None
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        if "id" not in fields or "data" not in fields:
            return None
        return Event(int(fields["id"]), fields.get("event", "message"), json.loads(fields["data"]))


def headers_after(number: int) -> dict[str, str]:
    """Of a request for the events that come after this one."""
    return {"Last-Event-ID": str(number)} if number else {}
