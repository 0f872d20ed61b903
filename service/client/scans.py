"""What there is to ask about scans: one or all of them, what was found, the report; and to have one end or go."""

from __future__ import annotations

from typing import Any, TypeVar

from detector.report import Report
from service.api.shapes import AppearanceOut, AppearancePage, ScanOut, ScanPage
from service.client.asking import Call, Steps, ask, error_of, read

P = TypeVar("P", ScanPage, AppearancePage)


def scan(scan_id: str) -> Steps[ScanOut]:
    return read(ScanOut, (yield from ask(Call("GET", f"/v1/scans/{scan_id}"))))


def scans(filters: dict[str, Any]) -> Steps[list[ScanOut]]:
    pages = yield from _pages(ScanPage, "/v1/scans", {**filters, "limit": 200})
    return [item for page in pages for item in page.items]


def appearances(scan_id: str, min_confidence: float) -> Steps[list[AppearanceOut]]:
    params = {"min_confidence": min_confidence, "limit": 500}
    pages = yield from _pages(AppearancePage, f"/v1/scans/{scan_id}/appearances", params)
    return [item for page in pages for item in page.items]


def _pages(kind: type[P], path: str, params: dict[str, Any]) -> Steps[list[P]]:
    pages: list[P] = []
    while not pages or pages[-1].next is not None:
        after = {"cursor": pages[-1].next} if pages else {}
        pages.append(read(kind, (yield from ask(Call("GET", path, params={**params, **after})))))
    return pages


def report(scan_id: str) -> Steps[Report]:
    return Report.from_json((yield from fetch(f"/v1/scans/{scan_id}/report.json")))


def fetch(path: str) -> Steps[bytes]:
    answer = yield from ask(Call("GET", path))
    return answer.content


def cancel(scan_id: str) -> Steps[ScanOut]:
    answer = yield from ask(Call("POST", f"/v1/scans/{scan_id}/cancel"), done_before=409)
    if answer.is_success:
        return read(ScanOut, answer)
    found = yield from scan(scan_id)
    if found.state != "cancelled":
        raise error_of(answer)
    return found


def delete(scan_id: str) -> Steps[None]:
    yield from ask(Call("DELETE", f"/v1/scans/{scan_id}"), done_before=404)
