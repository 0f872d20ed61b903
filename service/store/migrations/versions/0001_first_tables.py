"""First tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "ord_audit",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("action", sa.String(length=24), nullable=False),
        sa.Column("scan_id", sa.String(length=32), nullable=True),
        sa.Column("clip_sha256", sa.String(length=64), nullable=True),
        sa.Column("remote", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ord_audit")),
    )
    with op.batch_alter_table("ord_audit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ord_audit_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_ord_audit_scan_id"), ["scan_id"], unique=False)

    op.create_table(
        "ord_blobs",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("touched_at", sa.Float(precision=53), nullable=False),
        sa.Column("deleting", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_ord_blobs")),
    )
    op.create_table(
        "ord_keys",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("bytes_per_day", sa.BigInteger(), nullable=True),
        sa.Column("concurrent_scans", sa.Integer(), nullable=True),
        sa.Column("requests_per_minute", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("expires_at", sa.Float(precision=53), nullable=True),
        sa.Column("revoked_at", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ord_keys")),
    )
    with op.batch_alter_table("ord_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ord_keys_owner"), ["owner"], unique=False)

    op.create_table(
        "ord_uploads",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("metadata_header", sa.String(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("expires_at", sa.Float(precision=53), nullable=False),
        sa.Column("scan_id", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ord_uploads")),
    )
    with op.batch_alter_table("ord_uploads", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ord_uploads_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "ord_usage",
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "day", name=op.f("pk_ord_usage")),
    )
    op.create_table(
        "ord_workers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.Float(precision=53), nullable=False),
        sa.Column("seen_at", sa.Float(precision=53), nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("counters", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ord_workers")),
    )
    op.create_table(
        "ord_clips",
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["sha256"], ["ord_blobs.sha256"], name=op.f("fk_ord_clips_sha256")),
        sa.PrimaryKeyConstraint("owner", "sha256", name=op.f("pk_ord_clips")),
    )
    with op.batch_alter_table("ord_clips", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ord_clips_sha256"), ["sha256"], unique=False)

    op.create_table(
        "ord_scans",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("clip_sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("webhook", sa.String(), nullable=True),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("started_at", sa.Float(precision=53), nullable=True),
        sa.Column("finished_at", sa.Float(precision=53), nullable=True),
        sa.Column("duration_s", sa.Float(precision=53), nullable=True),
        sa.Column("position_s", sa.Float(precision=53), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("finds", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("clip", sa.JSON(), nullable=True),
        sa.Column("coverage", sa.JSON(), nullable=True),
        sa.Column("error_code", sa.String(), nullable=True),
        sa.Column("error_message", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["owner", "clip_sha256"],
            ["ord_clips.owner", "ord_clips.sha256"],
            name=op.f("fk_ord_scans_owner_clip_sha256"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ord_scans")),
    )
    with op.batch_alter_table("ord_scans", schema=None) as batch_op:
        batch_op.create_index("ix_ord_scans_owner_clip", ["owner", "clip_sha256", "fingerprint"], unique=False)
        batch_op.create_index("ix_ord_scans_owner_created", ["owner", "created_at", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_ord_scans_state"), ["state"], unique=False)

    op.create_table(
        "ord_appearances",
        sa.Column("scan_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("class_name", sa.String(length=64), nullable=False),
        sa.Column("confidence", sa.Float(precision=53), nullable=False),
        sa.Column("first_seen_s", sa.Float(precision=53), nullable=False),
        sa.Column("last_seen_s", sa.Float(precision=53), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["scan_id"], ["ord_scans.id"], name=op.f("fk_ord_appearances_scan_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("scan_id", "number", name=op.f("pk_ord_appearances")),
    )
    op.create_table(
        "ord_carries",
        sa.Column("scan_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["scan_id"], ["ord_scans.id"], name=op.f("fk_ord_carries_scan_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("scan_id", name=op.f("pk_ord_carries")),
    )
    op.create_table(
        "ord_detections",
        sa.Column("scan_id", sa.String(length=32), nullable=False),
        sa.Column("segment", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("pts_s", sa.Float(precision=53), nullable=False),
        sa.Column("class_name", sa.String(length=64), nullable=False),
        sa.Column("score", sa.Float(precision=53), nullable=False),
        sa.Column("confidence", sa.Float(precision=53), nullable=False),
        sa.Column("x1", sa.Float(precision=53), nullable=False),
        sa.Column("y1", sa.Float(precision=53), nullable=False),
        sa.Column("x2", sa.Float(precision=53), nullable=False),
        sa.Column("y2", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(
            ["scan_id"], ["ord_scans.id"], name=op.f("fk_ord_detections_scan_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("scan_id", "segment", "position", name=op.f("pk_ord_detections")),
    )
    with op.batch_alter_table("ord_detections", schema=None) as batch_op:
        batch_op.create_index("ix_ord_detections_time", ["scan_id", "pts_s", "segment", "position"], unique=False)

    op.create_table(
        "ord_events",
        sa.Column("scan_id", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["scan_id"], ["ord_scans.id"], name=op.f("fk_ord_events_scan_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("scan_id", "seq", name=op.f("pk_ord_events")),
    )
    op.create_table(
        "ord_idempotency",
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_sha256", sa.String(length=64), nullable=False),
        sa.Column("scan_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(
            ["scan_id"], ["ord_scans.id"], name=op.f("fk_ord_idempotency_scan_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("owner", "key", name=op.f("pk_ord_idempotency")),
    )
    with op.batch_alter_table("ord_idempotency", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ord_idempotency_scan_id"), ["scan_id"], unique=False)

    op.create_table(
        "ord_pictures",
        sa.Column("scan_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["scan_id"], ["ord_scans.id"], name=op.f("fk_ord_pictures_scan_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["sha256"], ["ord_blobs.sha256"], name=op.f("fk_ord_pictures_sha256")),
        sa.PrimaryKeyConstraint("scan_id", "number", "kind", name=op.f("pk_ord_pictures")),
    )
    with op.batch_alter_table("ord_pictures", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ord_pictures_sha256"), ["sha256"], unique=False)

    op.create_table(
        "ord_reports",
        sa.Column("scan_id", sa.String(length=32), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["scan_id"], ["ord_scans.id"], name=op.f("fk_ord_reports_scan_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("scan_id", name=op.f("pk_ord_reports")),
    )
    op.create_table(
        "ord_segments",
        sa.Column("scan_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["scan_id"], ["ord_scans.id"], name=op.f("fk_ord_segments_scan_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("scan_id", "number", name=op.f("pk_ord_segments")),
    )


def downgrade() -> None:
    op.drop_table("ord_segments")
    op.drop_table("ord_reports")
    with op.batch_alter_table("ord_pictures", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_ord_pictures_sha256"))

    op.drop_table("ord_pictures")
    with op.batch_alter_table("ord_idempotency", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_ord_idempotency_scan_id"))

    op.drop_table("ord_idempotency")
    op.drop_table("ord_events")
    with op.batch_alter_table("ord_detections", schema=None) as batch_op:
        batch_op.drop_index("ix_ord_detections_time")

    op.drop_table("ord_detections")
    op.drop_table("ord_carries")
    op.drop_table("ord_appearances")
    with op.batch_alter_table("ord_scans", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_ord_scans_state"))
        batch_op.drop_index("ix_ord_scans_owner_created")
        batch_op.drop_index("ix_ord_scans_owner_clip")

    op.drop_table("ord_scans")
    with op.batch_alter_table("ord_clips", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_ord_clips_sha256"))

    op.drop_table("ord_clips")
    op.drop_table("ord_workers")
    op.drop_table("ord_usage")
    with op.batch_alter_table("ord_uploads", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_ord_uploads_expires_at"))

    op.drop_table("ord_uploads")
    with op.batch_alter_table("ord_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_ord_keys_owner"))

    op.drop_table("ord_keys")
    op.drop_table("ord_blobs")
    with op.batch_alter_table("ord_audit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_ord_audit_scan_id"))
        batch_op.drop_index(batch_op.f("ix_ord_audit_at"))

    op.drop_table("ord_audit")
