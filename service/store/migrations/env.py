"""Run by Alembic; the connection comes from `service.store.database.migrate`."""

from __future__ import annotations

from alembic import context

from service.store.database import VERSION_TABLE
from service.store.tables import Base


def _ours(_: object, name: str | None, kind: str, *rest: object) -> bool:
    return kind != "table" or (name or "").startswith("ord_")


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    include_object=_ours,
    transactional_ddl=True,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
