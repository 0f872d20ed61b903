"""`ordnance bench search` with a handful of scans: all contenders find the same, and the result says where."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.search.contenders import QUERIES
from benchmarks.search.run import LIBRARY, Settings, run_search_benchmark
from benchmarks.search.table import result_table


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    return run_search_benchmark(Settings(sizes=(2, 8), rounds=1, seed=1, model="default"), lambda line: None)


def test_every_query_is_answered_at_every_size(result: dict[str, Any]) -> None:
    assert [size["scans"] for size in result["sizes"]] == [2, 8]
    for size in result["sizes"]:
        assert len(size["queries"]) == len(QUERIES) + len(LIBRARY)
        assert {row["kind"]: row["found"] for row in size["queries"]}["everything"] == size["appearances"] > 0
        assert {row["kind"]: row["found"] for row in size["queries"]}["library"] == size["scans"]


def test_who_cannot_answer_is_not_listed(result: dict[str, Any]) -> None:
    for row in result["sizes"][-1]["queries"]:
        peers = set(row["first_page_ms"])
        if row["kind"] == "note text":
            assert "loop over report.json files" not in peers and len(peers) == 2
        elif not row["kind"].startswith("library"):
            assert len(peers) == 3


def test_result_is_json_and_its_table_names_every_query(result: dict[str, Any]) -> None:
    again = json.loads(json.dumps(result))
    table = result_table(again)
    assert again["machine"]["cores"] >= 1
    assert all(query.kind in table for query in QUERIES)
    assert "us a find" in table
