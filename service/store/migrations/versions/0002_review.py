"""Sessions, preferences and verdicts of reviewers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("ord_keys", schema=None) as batch_op:
        batch_op.add_column(sa.Column("reviewer_id", sa.String(length=16), nullable=True))
    op.create_table(
        "ord_sessions",
        sa.Column("cookie_sha256", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("expires_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["ord_keys.id"], name=op.f("fk_ord_sessions_key_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("cookie_sha256", name=op.f("pk_ord_sessions")),
    )
    op.create_index(op.f("ix_ord_sessions_key_id"), "ord_sessions", ["key_id"], unique=False)
    op.create_index(op.f("ix_ord_sessions_expires_at"), "ord_sessions", ["expires_at"], unique=False)
    op.create_table(
        "ord_preferences",
        sa.Column("reviewer_id", sa.String(length=16), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("changed_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("reviewer_id", name=op.f("pk_ord_preferences")),
    )
    op.create_table(
        "ord_verdicts",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("scan_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("reviewer_id", sa.String(length=16), nullable=False),
        sa.Column("reviewer", sa.String(length=200), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.Column("class_name", sa.String(length=64), nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("undoes", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["scan_id"], ["ord_scans.id"], name=op.f("fk_ord_verdicts_scan_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ord_verdicts")),
    )
    columns = ["scan_id", "number", "reviewer_id", "id"]
    op.create_index("ix_ord_verdicts_appearance", "ord_verdicts", columns, unique=False)
    op.create_table(
        "ord_judgements",
        sa.Column("scan_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("reviewer_id", sa.String(length=16), nullable=False),
        sa.Column("reviewer", sa.String(length=200), nullable=False),
        sa.Column("verdict_id", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("class_name", sa.String(length=64), nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(
            ["scan_id"], ["ord_scans.id"], name=op.f("fk_ord_judgements_scan_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("scan_id", "number", "reviewer_id", name=op.f("pk_ord_judgements")),
    )
    op.create_index("ix_ord_judgements_verdict", "ord_judgements", ["scan_id", "verdict"], unique=False)
    columns = ["scan_id", "class_name", "confidence"]
    op.create_index("ix_ord_appearances_class", "ord_appearances", columns, unique=False)


def downgrade() -> None:
    op.drop_index("ix_ord_appearances_class", table_name="ord_appearances")
    for table in ("ord_judgements", "ord_verdicts", "ord_preferences", "ord_sessions"):
        op.drop_table(table)
    with op.batch_alter_table("ord_keys", schema=None) as batch_op:
        batch_op.drop_column("reviewer_id")
