"""Webhooks: a signed note of how a scan ended, to hosts that the operator has allowed."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import ssl
import time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from detector.errors import BadOption
from service.settings import Settings
from service.store.tables import ScanRow

if TYPE_CHECKING:
    from service.jobs.desk import Desk

log = logging.getLogger("ordnance.webhook")

ATTEMPTS = 8
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 3600.0
TIMEOUT_SECONDS = 10.0
SIGNATURE_HEADER = "Ordnance-Signature"
_UNSENDABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_AS_THEY_ARE = "%/?:@!$&'()*+,;=[]~"


def check_target(url: str, settings: Settings) -> None:
    """Raises BadOption where a webhook may not be sent to `url`."""
    shown = _UNSENDABLE.sub("\N{REPLACEMENT CHARACTER}", url[:200])
    refused = BadOption(f"'{shown}' is not a webhook address; give http(s)://host/path without a user name.")
    try:
        parts = urlsplit(url)
        given_port = parts.port
    except ValueError:
        raise refused from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise refused
    if given_port == 0 or _UNSENDABLE.search(url):
        raise refused
    allowed = {host.lower() for host in settings.webhook_hosts}
    host = parts.hostname.lower()
    port = given_port or (443 if parts.scheme == "https" else 80)
    if host not in allowed and f"{host}:{port}" not in allowed:
        where = parts.netloc
        raise BadOption(f"Webhooks to '{where}' are not allowed; the operator names hosts in ORDNANCE_WEBHOOK_HOSTS.")
    if settings.webhook_secret is None:
        raise BadOption("Webhooks are not set up: the operator sets ORDNANCE_WEBHOOK_SECRET, which signs them.")


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """The header's value: `t=<epoch seconds>,v1=<hex HMAC SHA-256 of "<t>.<body>">`."""
    mac = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={mac}"


def pause_seconds(attempt: int) -> float:
    """How long to wait before an attempt; the first one is number 0."""
    return 0.0 if attempt == 0 else float(min(FIRST_PAUSE_SECONDS * 4.0 ** (attempt - 1), LONGEST_PAUSE_SECONDS))


def workflow_id(scan_id: str, attempt: int = 0) -> str:
    return f"webhook-{scan_id}-{attempt}" if attempt else f"webhook-{scan_id}"


def priority(attempt: int) -> int:
    """First attempts go before those that may well fail again."""
    return attempt + 1


def enqueue_again(scan_id: str, attempt: int) -> None:
    """Have a further attempt made, after a pause; asked twice, it is made once."""
    from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

    from service.jobs.engine import WEBHOOKS
    from service.jobs.workflow import deliver as workflow

    options = SetEnqueueOptions(priority=priority(attempt), delay_seconds=pause_seconds(attempt) or None)
    with SetWorkflowID(workflow_id(scan_id, attempt)), options:
        DBOS.enqueue_workflow(WEBHOOKS, workflow, scan_id, attempt)


def deliver(desk: Desk, scan_id: str) -> bool:
    """Send it once; true where it was taken, or where there is nobody left to tell."""
    with desk.database.read() as session:
        scan = session.get(ScanRow, scan_id)
        if scan is None or scan.webhook is None:
            return True
        url, body = scan.webhook, json.dumps(_note(scan)).encode()
    try:
        check_target(url, desk.settings)
    except BadOption as error:
        log.warning("webhook is not sent: %s", error, extra={"scan": scan_id})
        return True
    secret = desk.settings.webhook_secret
    assert secret is not None
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "ordnance",
        SIGNATURE_HEADER: sign(secret.get_secret_value(), int(time.time()), body),
    }
    try:
        status = _post(url, body, headers)
    except (OSError, HTTPException, ValueError) as error:
        log.info("webhook failed: %s", error, extra={"scan": scan_id})
        return False
    return 200 <= status < 300


def _note(scan: ScanRow) -> dict[str, Any]:
    error = None if scan.error_code is None else {"code": scan.error_code, "message": scan.error_message}
    return {
        "event": "scan.ended",
        "scan": scan.id,
        "state": scan.state,
        "name": scan.name,
        "clip_sha256": scan.clip_sha256,
        "appearances": scan.finds,
        "error": error,
    }


def _post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """The answer's status; redirects are not followed: they would lead past the list of hosts. What an address may hold
    only percent-encoded, such as a space or ö, is encoded."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection: HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = HTTPSConnection(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS, context=context)
    else:
        connection = HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", quote(target, safe=_AS_THEY_ARE), body, headers)
        answer = connection.getresponse()
        answer.read(1024)
        return answer.status
    finally:
        connection.close()
