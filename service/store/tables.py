"""The tables. Times of the day are UTC as epoch seconds (float); times of a clip are seconds on its timeline."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, ForeignKeyConstraint, Index, LargeBinary, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """All tables carry the prefix `ord_`: the job engine's own lie in the same database."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {float: Float(53), dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012


class ScanState(StrEnum):
    """Where a scan is. The last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_STATES = (ScanState.QUEUED, ScanState.RUNNING)


class KeyRow(Base):
    """An API key. The secret is not here, only its SHA-256; it has 256 random bits, so no slow hash is needed."""

    __tablename__ = "ord_keys"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    secret_sha256: Mapped[str] = mapped_column(String(64))
    owner: Mapped[str] = mapped_column(String(64), index=True)
    note: Mapped[str] = mapped_column(String(200), default="")
    scopes: Mapped[list[Any]]
    priority: Mapped[int] = mapped_column(default=5)
    bytes_per_day: Mapped[int | None] = mapped_column(BigInteger)
    concurrent_scans: Mapped[int | None]
    requests_per_minute: Mapped[int | None]
    created_at: Mapped[float]
    expires_at: Mapped[float | None]
    revoked_at: Mapped[float | None]
    reviewer_id: Mapped[str | None] = mapped_column(String(16))
    """Who gives verdicts with it: the first key of those that it was rotated from; its own id where null."""


class SessionRow(Base):
    """A browser that is signed in. The cookie is not here, only its SHA-256; it has 256 random bits."""

    __tablename__ = "ord_sessions"

    cookie_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("ord_keys.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[float]
    expires_at: Mapped[float] = mapped_column(index=True)


class PreferenceRow(Base):
    """How a reviewer wants the page to be; what the document lacks is as by default."""

    __tablename__ = "ord_preferences"

    reviewer_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    document: Mapped[dict[str, Any]]
    changed_at: Mapped[float]


class BlobRow(Base):
    """Bytes in the blob store. `deleting` is set before the bytes go, so that a crash in between is noticed."""

    __tablename__ = "ord_blobs"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    touched_at: Mapped[float]
    deleting: Mapped[bool] = mapped_column(default=False)


class ClipRow(Base):
    """That an owner has a clip; owners never learn of each other's rows."""

    __tablename__ = "ord_clips"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("ord_blobs.sha256"), primary_key=True, index=True)
    created_at: Mapped[float]


class ScanRow(Base):
    """One run of one model with one plan over one clip."""

    __tablename__ = "ord_scans"
    __table_args__ = (
        ForeignKeyConstraint(["owner", "clip_sha256"], ["ord_clips.owner", "ord_clips.sha256"]),
        Index("ix_ord_scans_owner_created", "owner", "created_at", "id"),
        Index("ix_ord_scans_owner_clip", "owner", "clip_sha256", "fingerprint"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64))
    key_id: Mapped[str] = mapped_column(String(16))
    clip_sha256: Mapped[str] = mapped_column(String(64))
    name: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(12), index=True)
    options: Mapped[dict[str, Any]]
    fingerprint: Mapped[str] = mapped_column(String(64))
    webhook: Mapped[str | None]
    created_at: Mapped[float]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]
    duration_s: Mapped[float | None]
    position_s: Mapped[float] = mapped_column(default=0.0)
    samples: Mapped[int] = mapped_column(default=0)
    finds: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    event_seq: Mapped[int] = mapped_column(default=0)
    clip: Mapped[dict[str, Any] | None]
    coverage: Mapped[dict[str, Any] | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]


class SegmentRow(Base):
    """What one segment brought, in full: from these rows a scan goes on after a crash."""

    __tablename__ = "ord_segments"

    scan_id: Mapped[str] = mapped_column(ForeignKey("ord_scans.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class CarryRow(Base):
    """What the scan had gathered over all its segments up to `number`, for the next one to go on from."""

    __tablename__ = "ord_carries"

    scan_id: Mapped[str] = mapped_column(ForeignKey("ord_scans.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int]
    content: Mapped[bytes] = mapped_column(LargeBinary)


class DetectionRow(Base):
    """One box of one sample, down to the model's floor, whether or not an appearance was made of it."""

    __tablename__ = "ord_detections"
    __table_args__ = (Index("ix_ord_detections_time", "scan_id", "pts_s", "segment", "position"),)

    scan_id: Mapped[str] = mapped_column(ForeignKey("ord_scans.id", ondelete="CASCADE"), primary_key=True)
    segment: Mapped[int] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    pts_s: Mapped[float]
    class_name: Mapped[str] = mapped_column(String(64))
    score: Mapped[float]
    confidence: Mapped[float]
    x1: Mapped[float]
    y1: Mapped[float]
    x2: Mapped[float]
    y2: Mapped[float]


class AppearanceRow(Base):
    """One appearance; provisional while the scan runs, the report's when it is done."""

    __tablename__ = "ord_appearances"
    __table_args__ = (Index("ix_ord_appearances_class", "scan_id", "class_name", "confidence"),)

    scan_id: Mapped[str] = mapped_column(ForeignKey("ord_scans.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    class_name: Mapped[str] = mapped_column(String(64))
    confidence: Mapped[float]
    first_seen_s: Mapped[float]
    last_seen_s: Mapped[float]
    document: Mapped[dict[str, Any]]


class VerdictRow(Base):
    """What a reviewer said about an appearance, or took back. Rows are added, never changed.

    `undoes` is the row that this one takes back; the other columns of the verdict are empty then.
    """

    __tablename__ = "ord_verdicts"
    __table_args__ = (Index("ix_ord_verdicts_appearance", "scan_id", "number", "reviewer_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    scan_id: Mapped[str] = mapped_column(ForeignKey("ord_scans.id", ondelete="CASCADE"))
    number: Mapped[int]
    reviewer_id: Mapped[str] = mapped_column(String(16))
    reviewer: Mapped[str] = mapped_column(String(200))
    key_id: Mapped[str] = mapped_column(String(16))
    verdict: Mapped[str | None] = mapped_column(String(16))
    class_name: Mapped[str | None] = mapped_column(String(64))
    note: Mapped[str]
    at: Mapped[float]
    undoes: Mapped[int | None]


class JudgementRow(Base):
    """The verdict of each reviewer that is in force: what the history in VerdictRow amounts to."""

    __tablename__ = "ord_judgements"
    __table_args__ = (Index("ix_ord_judgements_verdict", "scan_id", "verdict"),)

    scan_id: Mapped[str] = mapped_column(ForeignKey("ord_scans.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    reviewer_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    reviewer: Mapped[str] = mapped_column(String(200))
    verdict_id: Mapped[int]
    verdict: Mapped[str] = mapped_column(String(16))
    class_name: Mapped[str | None] = mapped_column(String(64))
    note: Mapped[str]
    at: Mapped[float]


class PictureRow(Base):
    """A picture that a report cites: kind `thumbnail` or `crop` of appearance `number`."""

    __tablename__ = "ord_pictures"

    scan_id: Mapped[str] = mapped_column(ForeignKey("ord_scans.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(12), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("ord_blobs.sha256"), index=True)


class ReportRow(Base):
    """The report's JSON, compressed by zlib."""

    __tablename__ = "ord_reports"

    scan_id: Mapped[str] = mapped_column(ForeignKey("ord_scans.id", ondelete="CASCADE"), primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class EventRow(Base):
    """What happened to a scan, numbered without gaps in the order in which it was committed."""

    __tablename__ = "ord_events"

    scan_id: Mapped[str] = mapped_column(ForeignKey("ord_scans.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    at: Mapped[float]
    data: Mapped[dict[str, Any]]


class IdempotencyRow(Base):
    """Which scan an Idempotency-Key made, and of what request."""

    __tablename__ = "ord_idempotency"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_sha256: Mapped[str] = mapped_column(String(64))
    scan_id: Mapped[str] = mapped_column(ForeignKey("ord_scans.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[float]


class UploadRow(Base):
    """A resumable upload; how much of it is here is the size of its file."""

    __tablename__ = "ord_uploads"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64))
    key_id: Mapped[str] = mapped_column(String(16))
    length: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str]
    metadata_header: Mapped[str]
    options: Mapped[dict[str, Any]]
    created_at: Mapped[float]
    expires_at: Mapped[float] = mapped_column(index=True)
    scan_id: Mapped[str | None] = mapped_column(String(32))


class UsageRow(Base):
    """Bytes that an owner uploaded on one UTC day (YYYY-MM-DD)."""

    __tablename__ = "ord_usage"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)


class AuditRow(Base):
    """Who looked at, made or removed what, and when. Never deleted with the scan it tells of."""

    __tablename__ = "ord_audit"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[float] = mapped_column(index=True)
    owner: Mapped[str] = mapped_column(String(64))
    key_id: Mapped[str] = mapped_column(String(16))
    action: Mapped[str] = mapped_column(String(24))
    scan_id: Mapped[str | None] = mapped_column(String(32), index=True)
    clip_sha256: Mapped[str | None] = mapped_column(String(64))
    remote: Mapped[str] = mapped_column(String(64))


class WorkerRow(Base):
    """A worker process that is alive as long as `seen_at` moves."""

    __tablename__ = "ord_workers"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    started_at: Mapped[float]
    seen_at: Mapped[float]
    ready: Mapped[bool] = mapped_column(default=False)
    model: Mapped[str | None]
    counters: Mapped[dict[str, Any]]


class CounterRow(Base):
    """What workers that are gone had counted, by the counter's name."""

    __tablename__ = "ord_counters"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[float]
