"""Who looks through the archive: the service's API, a loop over report files, and SQL by hand without an index."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import httpx

from benchmarks.search.archive import FIRST_DAY, Entry

PAGE = 50
"""Finds on a page, as the search page asks for."""
LARGEST_PAGE = 200


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for; None leaves nothing out. `since` and `until` are epoch seconds."""

    kind: str
    class_name: str | None = None
    min_confidence: float | None = None
    name: str | None = None
    note: str | None = None
    since: float | None = None
    until: float | None = None


_MONTH = 30 * 86_400.0
QUERIES = (
    Query("everything"),
    Query("class", class_name="tank"),
    Query("min confidence", min_confidence=0.95),
    Query("date", since=FIRST_DAY + 6 * _MONTH, until=FIRST_DAY + 7 * _MONTH),
    Query("name", name="bridge"),
    Query("note text", note="turret"),
    Query("class, confidence, date", class_name="tank", min_confidence=0.8, since=FIRST_DAY + 6 * _MONTH),
    Query("nothing found", name="no clip is called so"),
)


class Contender(Protocol):
    @property
    def name(self) -> str: ...

    def first_page(self, query: Query) -> int | None:
        """How many finds the first page holds, newest scan first; None where it cannot answer such a query."""
        ...

    def all_pages(self, query: Query) -> int | None:
        """How many finds there are, every one of them read."""
        ...


class Service:
    """`GET /v1/search` of a running service over loopback, the connection kept."""

    name = "ordnance, GET /v1/search"

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=120)

    def close(self) -> None:
        self._client.close()

    def first_page(self, query: Query) -> int:
        return len(self._ask("/v1/search", {**_parameters(query), "limit": PAGE})["items"])

    def all_pages(self, query: Query) -> int:
        return sum(len(page["items"]) for page in self._pages("/v1/search", _parameters(query)))

    def library(self, class_name: str | None, whole: bool) -> int:
        """Scans on the first page of the library, or on all of them."""
        parameters: dict[str, Any] = {} if class_name is None else {"class": class_name}
        if whole:
            return sum(len(page["items"]) for page in self._pages("/v1/scans", parameters))
        return len(self._ask("/v1/scans", {**parameters, "limit": PAGE})["items"])

    def _pages(self, path: str, parameters: dict[str, Any]) -> Any:
        cursor: dict[str, Any] = {}
        while True:
            page = self._ask(path, {**parameters, **cursor, "limit": LARGEST_PAGE})
            yield page
            if page["next"] is None:
                return
            cursor = {"cursor": page["next"]}

    def _ask(self, path: str, parameters: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.get(path, params=parameters).raise_for_status().json()
        return answer


class ReportFiles:
    """Reads every report.json below a folder for every query; the scan's date is that of `dates`, by clip name."""

    name = "loop over report.json files"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.dates: dict[str, float] = {}

    def first_page(self, query: Query) -> int | None:
        found = self.all_pages(query)
        return None if found is None else min(PAGE, found)

    def all_pages(self, query: Query) -> int | None:
        if query.note is not None:
            return None
        found = []
        for path in self._folder.rglob("report.json"):
            report = json.loads(path.read_bytes())
            name = report["clip"]["name"]
            if _fits_scan(query, name, self.dates[name]):
                found += [(self.dates[name], name, each) for each in report["appearances"] if _fits(query, each)]
        found.sort(key=lambda each: each[0], reverse=True)
        return len(found)


class PlainSql:
    """One flat SQLite table without an index beside the rows' own order, read by a SELECT written by hand."""

    name = "sqlite3 SELECT by hand, no index"

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path)
        self._connection.execute(
            "CREATE TABLE found (scan TEXT, name TEXT, created_at REAL, number INTEGER, class TEXT,"
            " confidence REAL, first_seen REAL, last_seen REAL, note TEXT)"
        )

    def close(self) -> None:
        self._connection.close()

    def add(self, entries: Sequence[Entry]) -> None:
        with self._connection:
            for entry in entries:
                self._connection.executemany(
                    "INSERT INTO found VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [
                        (
                            entry.scan_id,
                            entry.name,
                            entry.created_at,
                            number,
                            each.class_name,
                            each.confidence,
                            each.first_seen_s,
                            each.last_seen_s,
                            entry.notes.get(number),
                        )
                        for number, each in enumerate(entry.appearances, start=1)
                    ],
                )

    def first_page(self, query: Query) -> int:
        return self._count(query, f"LIMIT {PAGE}")

    def all_pages(self, query: Query) -> int:
        return self._count(query, "")

    def _count(self, query: Query, limit: str) -> int:
        conditions = {
            "class = ?": query.class_name,
            "confidence >= ?": query.min_confidence,
            "instr(lower(name), ?)": query.name,
            "instr(lower(note), ?)": query.note,
            "created_at >= ?": query.since,
            "created_at < ?": query.until,
        }
        given = {text: value for text, value in conditions.items() if value is not None}
        where = f"WHERE {' AND '.join(given)}" if given else ""
        statement = f"SELECT * FROM found {where} ORDER BY created_at DESC, scan DESC, number {limit}"
        return len(self._connection.execute(statement, list(given.values())).fetchall())


def _parameters(query: Query) -> dict[str, Any]:
    every = {
        "class": query.class_name,
        "min_confidence": query.min_confidence,
        "name": query.name,
        "note": query.note,
        "since": _moment(query.since),
        "until": _moment(query.until),
    }
    return {name: value for name, value in every.items() if value is not None}


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


def _fits_scan(query: Query, name: str, created_at: float) -> bool:
    return (
        (query.name is None or query.name in name.lower())
        and (query.since is None or created_at >= query.since)
        and (query.until is None or created_at < query.until)
    )


def _fits(query: Query, appearance: dict[str, Any]) -> bool:
    return (query.class_name is None or appearance["class"] == query.class_name) and (
        query.min_confidence is None or appearance["confidence"] >= query.min_confidence
    )
