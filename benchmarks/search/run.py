"""The measuring: the archive grows from size to size, and at each all contenders answer all queries in turn."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import machine_facts
from benchmarks.search.archive import entries, save, template, write_report_file
from benchmarks.search.contenders import QUERIES, Contender, PlainSql, ReportFiles, Service
from benchmarks.service.server import BenchmarkFailed, Server
from service.settings import load_settings
from service.store.database import open_database

WARM_UP = 1
LIBRARY_NAME = "ordnance, GET /v1/scans"
LIBRARY = (("library", None), ("library of a class", "tank"))


@dataclass(frozen=True, slots=True)
class Settings:
    """`sizes` are numbers of scans, ascending; `rounds` how often each query is asked at each size."""

    sizes: Sequence[int]
    rounds: int
    seed: int
    model: str


def run_search_benchmark(settings: Settings, say: Callable[[str], None]) -> dict[str, Any]:
    """The result as it goes into search.json. Raises BenchmarkFailed where contenders do not find the same."""
    report = template(settings.model)
    machine = machine_facts()
    measured = []
    with tempfile.TemporaryDirectory(prefix="ordnance-search-") as temporary:
        folder = Path(temporary)
        files = ReportFiles(folder / "reports")
        table = PlainSql(folder / "flat.sqlite3")
        with Server(folder, THREADS=1, WORKERS=1, REQUESTS_PER_MINUTE=100_000) as server:
            service = Service(server.url)
            database = open_database(load_settings(store=folder / "store"), pool_size=1)
            try:
                there = appearances = 0
                for size in settings.sizes:
                    say(f"{size} scans")
                    added = list(entries(there, size - there, max(settings.sizes), settings.seed))
                    for entry in added:
                        save(database, report, entry)
                        write_report_file(folder / "reports", report, entry)
                        files.dates[entry.name] = entry.created_at
                    table.add(added)
                    there, appearances = size, appearances + sum(len(each.appearances) for each in added)
                    rows = _measure((service, files, table), settings.rounds)
                    rows += _measure_library(service, settings.rounds, size)
                    measured.append({"scans": size, "appearances": appearances, "queries": rows})
                if faults := server.faults():
                    raise BenchmarkFailed(f"The service noted an error: {faults[0]}")
            finally:
                database.close()
                service.close()
                table.close()
    return {
        "machine": machine,
        "rounds": settings.rounds,
        "seed": settings.seed,
        "database": "SQLite",
        "sizes": measured,
        "growth": growth(measured),
    }


def growth(measured: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """From the second largest archive to the largest: what reading all finds costs, and each of them.

    The time for a find must not grow with the archive.
    """
    if len(measured) < 2:
        return []
    rows = []
    before, after = measured[-2:]
    for early, late in zip(before["queries"], after["queries"], strict=True):
        if not 0 < early["found"] < late["found"]:
            continue
        name = next(name for name in late["all_pages_ms"] if name in (Service.name, LIBRARY_NAME))
        one, other = early["all_pages_ms"][name]["median"], late["all_pages_ms"][name]["median"]
        rows.append(
            {
                "kind": late["kind"],
                "found": [early["found"], late["found"]],
                "ms": [one, other],
                "us_a_find": [round(1000 * one / early["found"]), round(1000 * other / late["found"])],
            }
        )
    return rows


def _measure(contenders: Sequence[Contender], rounds: int) -> list[dict[str, Any]]:
    rows = []
    for query in QUERIES:
        first: dict[str, list[float]] = defaultdict(list)
        whole: dict[str, list[float]] = defaultdict(list)
        found: dict[str, int] = {}
        for turn in range(WARM_UP + rounds):
            for contender in contenders:
                begun = time.perf_counter()
                page = contender.first_page(query)
                between = time.perf_counter()
                count = contender.all_pages(query)
                ended = time.perf_counter()
                if count is None or page is None:
                    continue
                found[contender.name] = count
                if turn >= WARM_UP:
                    first[contender.name].append(between - begun)
                    whole[contender.name].append(ended - between)
        if len(set(found.values())) != 1:
            raise BenchmarkFailed(f"The contenders do not find the same for '{query.kind}': {found}.")
        rows.append(_row(query.kind, next(iter(found.values())), first, whole))
    return rows


def _measure_library(service: Service, rounds: int, size: int) -> list[dict[str, Any]]:
    rows = []
    for kind, class_name in LIBRARY:
        first, whole, found = [], [], 0
        for turn in range(WARM_UP + rounds):
            begun = time.perf_counter()
            service.library(class_name, whole=False)
            between = time.perf_counter()
            found = service.library(class_name, whole=True)
            ended = time.perf_counter()
            if turn >= WARM_UP:
                first.append(between - begun)
                whole.append(ended - between)
        if class_name is None and found != size:
            raise BenchmarkFailed(f"The library lists {found} scans of {size}.")
        rows.append(_row(kind, found, {LIBRARY_NAME: first}, {LIBRARY_NAME: whole}))
    return rows


def _row(kind: str, found: int, first: dict[str, list[float]], whole: dict[str, list[float]]) -> dict[str, Any]:
    return {
        "kind": kind,
        "found": found,
        "first_page_ms": {name: _summary(seconds) for name, seconds in first.items()},
        "all_pages_ms": {name: _summary(seconds) for name, seconds in whole.items()},
    }


def _summary(seconds: Sequence[float]) -> dict[str, float]:
    ms = sorted(1000 * each for each in seconds)
    return {"median": round(statistics.median(ms), 3), "least": round(ms[0], 3), "most": round(ms[-1], 3)}
