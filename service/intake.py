"""From uploaded bytes and options to a scan in the queue; the same for every way of uploading."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from detector import __version__
from detector.errors import BadOption, UnknownClass, WeightsNotFound
from detector.models import WEIGHTS_FOLDER, Manifest, ManifestEntry, read_manifest
from detector.sampling.budget import Budget
from detector.sampling.plans import ModelFacts, PlanChoice, make_plan
from detector.scanner import ScanOptions
from detector.taxonomy import weapon_class
from service.access import audit
from service.access.keys import Principal
from service.access.limits import check_bytes, check_waiting, today
from service.jobs.engine import Jobs
from service.jobs.webhooks import check_target
from service.problems import Conflict
from service.settings import Settings
from service.store.blobs import BlobStore
from service.store.clips import hold_clip, keep_clip
from service.store.database import Database, now
from service.store.scans import add_event, earlier_scan, find_scan, fingerprint, hold_usage, new_id
from service.store.tables import OPEN_STATES, IdempotencyRow, ScanRow, ScanState, UploadRow

MAX_NAME_CHARACTERS = 255
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a scan, as it was asked; None takes the default."""

    model: str | None = None
    plan: str | None = None
    every_s: float | None = None
    shortest_shot_s: float | None = None
    budget: str | None = None
    classes: tuple[str, ...] | None = None
    threshold: float | None = None
    webhook: str | None = None
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A wish that can be carried out."""

    options: dict[str, Any]
    fingerprint: str
    webhook: str | None
    priority: int | None


@dataclass(frozen=True, slots=True)
class Office:
    """What intake works with."""

    settings: Settings
    database: Database
    blobs: BlobStore
    jobs: Jobs


def check_wish(settings: Settings, wish: Wish) -> Order:
    """Raises UnknownPlan, UnknownClass, WeightsNotFound or BadOption, each naming what can be had."""
    manifest = read_manifest(WEIGHTS_FOLDER / "manifest.json")
    entry = listed_model(manifest, wish.model or settings.model)
    plan = wish.plan or ScanOptions().plan
    budget = None if wish.budget is None else Budget.parse(wish.budget)
    made = make_plan(
        PlanChoice(plan, wish.every_s, wish.shortest_shot_s),
        ModelFacts(entry.thresholds, entry.input_size),
        time_left=None if budget is None else lambda: math.inf,
    )
    if wish.threshold is not None and not 0 <= wish.threshold <= 1:
        raise BadOption(f"A threshold of {wish.threshold} cannot be used; give a number from 0 to 1.")
    classes = None if wish.classes is None else tuple(sorted({weapon_class(word).id for word in wish.classes}))
    if classes is not None:
        unknown = sorted(set(classes) - set(entry.classes))
        if unknown:
            raise UnknownClass(
                f"The model {entry.name} does not know {', '.join(unknown)}; it knows: {', '.join(entry.classes)}."
            )
        if not classes:
            raise BadOption("No class was given; name at least one, or leave the option out to look for all.")
    if wish.priority is not None and not 1 <= wish.priority <= 9:
        raise BadOption(f"A priority of {wish.priority} cannot be used; give 1 (first) to 9 (last).")
    if wish.webhook is not None:
        check_target(wish.webhook, settings)
    options = {
        "model": entry.name,
        "plan": plan,
        "every_s": made.cadence_seconds,
        "shortest_shot_s": made.options.get("shortest_shot_s"),
        "budget": None if budget is None else str(budget),
        "classes": None if classes is None else list(classes),
        "threshold": wish.threshold,
    }
    judged = entry.model_dump(mode="json", include={"sha256", "thresholds", "calibration", "second_view"})
    if entry.second_view is not None and entry.second_view.model is not None:
        second = manifest.entry(entry.second_view.model)
        judged["second_sha256"] = None if second is None else second.sha256
    facts = {**options, "plan_options": dict(made.options), "weights": judged, "tool": __version__}
    return Order(options, fingerprint(facts), wish.webhook, wish.priority)


def listed_model(manifest: Manifest, asked: str) -> ManifestEntry:
    """The model called `asked`. Raises WeightsNotFound, also for a path, which says nothing on another machine."""
    entry = manifest.entry(asked)
    if entry is None:
        known = ", ".join(each.name for each in manifest.models)
        raise WeightsNotFound(f"There is no model '{asked[:64]}'; use one of: {known}.")
    return entry


def clean_name(name: str | None) -> str:
    """A file name fit to be shown: no folder, no control character, not too long."""
    last = _CONTROL.sub("", (name or "").replace("\\", "/")).rsplit("/", 1)[-1].strip()
    return last[-MAX_NAME_CHARACTERS:] or "clip"


@dataclass(frozen=True, slots=True)
class Upload:
    """A whole clip in a file, which stays."""

    path: Path
    sha256: str
    bytes: int
    name: str
    resumable_id: str | None = None
    """Its id under /v1/uploads, if it came that way."""


def accept(
    office: Office,
    principal: Principal,
    upload: Upload,
    order: Order,
    *,
    remote: str,
    idempotency_key: str | None = None,
    scan_id: str | None = None,
) -> tuple[ScanRow, bool]:
    """Keep the clip and have it scanned; returns the scan, and whether it is a new one.

    A scan that would only repeat an earlier one is that one. Raises QuotaExceeded, or Conflict where `idempotency_key`
    was used for something else, or where that earlier scan has another webhook. `scan_id` is the id that a new scan
    gets.
    """
    asked = {"clip": upload.sha256, "name": upload.name, "of": order.fingerprint, "webhook": order.webhook}
    request_sha256 = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    while True:
        keep_clip(office.database, office.blobs, principal.owner, upload.sha256, upload.bytes, upload.path)
        with office.database.write() as session:
            usage = hold_usage(session, principal.owner, today())
            if idempotency_key is not None:
                known = session.get(IdempotencyRow, (principal.owner, idempotency_key))
                if known is not None:
                    if known.request_sha256 != request_sha256:
                        raise Conflict(
                            "This Idempotency-Key was used for another clip or other options; use a fresh one."
                        )
                    scan = session.get(ScanRow, known.scan_id, with_for_update=True)
                    if scan is None:
                        # Removed since the key was looked up, and the key with it.
                        continue
                    usage.bytes += upload.bytes
                    return scan, False
            # Scan before clip, as where a scan is removed.
            earlier = earlier_scan(session, principal.owner, upload.sha256, order.fingerprint)
            if earlier is None and not hold_clip(session, principal.owner, upload.sha256):
                # The last scan that needed it was removed since it was kept.
                continue
            check_bytes(office.settings, session, principal, upload.bytes, upload.resumable_id)
            usage.bytes += upload.bytes
            scan, is_new = _make(session, office, principal, upload, order, earlier, scan_id)
            if upload.resumable_id is not None:
                session.execute(update(UploadRow).where(UploadRow.id == upload.resumable_id).values(scan_id=scan.id))
            if idempotency_key is not None:
                session.add(
                    IdempotencyRow(
                        owner=principal.owner,
                        key=idempotency_key,
                        request_sha256=request_sha256,
                        scan_id=scan.id,
                        created_at=now(),
                    )
                )
            audit.note(session, principal, "upload", remote=remote, scan_id=scan.id, clip_sha256=upload.sha256)
            return scan, is_new


def accept_again(
    office: Office, principal: Principal, scan_id: str, order: Order, *, remote: str
) -> tuple[ScanRow, bool]:
    """Scan the clip of an earlier scan once more, without a new upload. Raises NotFound, QuotaExceeded or Conflict."""
    with office.database.write() as session:
        hold_usage(session, principal.owner, today())
        first = find_scan(session, principal.owner, scan_id, hold=True)
        upload = Upload(Path(), first.clip_sha256, first.bytes, first.name)
        earlier = earlier_scan(session, principal.owner, upload.sha256, order.fingerprint)
        scan, is_new = _make(session, office, principal, upload, order, earlier)
        audit.note(session, principal, "rescan", remote=remote, scan_id=scan.id, clip_sha256=upload.sha256)
        return scan, is_new


def _make(
    session: Session,
    office: Office,
    principal: Principal,
    upload: Upload,
    order: Order,
    earlier: ScanRow | None,
    scan_id: str | None = None,
) -> tuple[ScanRow, bool]:
    if earlier is not None:
        if order.webhook is not None:
            _tell(session, office, earlier, order.webhook)
        return earlier, False
    check_waiting(office.settings, session, principal)
    scan = ScanRow(
        id=scan_id or new_id(),
        owner=principal.owner,
        key_id=principal.key_id,
        clip_sha256=upload.sha256,
        name=upload.name,
        bytes=upload.bytes,
        state=ScanState.QUEUED,
        options=order.options,
        fingerprint=order.fingerprint,
        webhook=order.webhook,
        created_at=now(),
    )
    session.add(scan)
    session.flush()
    add_event(session, scan.id, "state", {"state": str(ScanState.QUEUED)})
    office.jobs.enqueue_scan(session, scan.id, principal.owner, max(order.priority or 0, principal.priority))
    session.refresh(scan)
    return scan, True


def _tell(session: Session, office: Office, scan: ScanRow, webhook: str) -> None:
    """Have a scan that was there before tell `webhook`, at once where it has ended. Raises Conflict."""
    if scan.webhook is None:
        scan.webhook = webhook
        if scan.state not in OPEN_STATES:
            office.jobs.enqueue_webhook(session, scan)
    elif scan.webhook != webhook:
        raise Conflict(
            f"Scan {scan.id} does the same already and has another webhook; leave the webhook out and follow "
            f"/v1/scans/{scan.id}/events, or remove that scan first."
        )
