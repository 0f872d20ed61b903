"""The database: one engine, transactions, migrations."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError, TimeoutError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

from detector.errors import BadOption
from service.settings import Settings

if TYPE_CHECKING:
    from alembic.config import Config

OUTAGES = (OperationalError, InterfaceError, TimeoutError)
"""Errors of a database that cannot be reached, restarts, or is too busy: the same again may well succeed."""
BUSY_SECONDS = 30
"""How long a writer waits for another one in SQLite."""
MIGRATION_LOCK = 0x4F52444E
"""Key of the advisory lock under which PostgreSQL is migrated: API and workers may start at the same time."""
TURN_SECONDS = 0.2
PORTION = 1000
VERSION_TABLE = "ord_alembic_version"
IN_MEMORY = ":memory:"
_OTHER_VERSION = "The database is of another version of Ordnance ({}); update the program."

T = TypeVar("T")


class Database:
    """Access to the tables. Safe for threads; not across a fork."""

    def __init__(self, url: str, *, pool_size: int = 20) -> None:
        self.url = url
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        if self.is_sqlite:
            file = make_url(url).database
            if not file or file == IN_MEMORY:
                raise ValueError("the workers, processes of their own, cannot share a database in memory")
            folder = Path(file).parent
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise BadOption(
                    f"The folder {folder} cannot be made ({error.strerror}); set ORDNANCE_STORE."
                ) from error
            self.engine = create_engine(url, pool_size=pool_size, max_overflow=20)
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_immediately)
            self._reading = create_engine(url, pool_size=pool_size, max_overflow=20)
            event.listen(self._reading, "connect", _prepare_sqlite)
            event.listen(self._reading, "begin", _begin_reading)
        else:
            self.engine = create_engine(url, pool_size=pool_size, max_overflow=20, pool_pre_ping=True)
            self._reading = self.engine
        self._write = sessionmaker(self.engine, expire_on_commit=False)
        self._read = sessionmaker(self._reading, expire_on_commit=False)

    @property
    def shown(self) -> str:
        """Where the tables are, without a password."""
        url = make_url(self.url)
        return str(Path(url.database or "").absolute()) if self.is_sqlite else url.render_as_string()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that is committed at the end; in SQLite it holds the write lock from the beginning."""
        with self._write.begin() as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent view; nothing written in it is kept."""
        with self._read() as session:
            yield session

    @contextmanager
    def turn(self, seconds: float) -> Iterator[bool]:
        """In SQLite, wait for the turn to do what takes long and what one process at a time may do, without holding up
        those that write meanwhile; false where it has not come after `seconds`. Ends with the process that has it."""
        handle = os.open(f"{make_url(self.url).database}-turn", os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + seconds
        try:
            while not (has_it := _locked(handle)) and time.monotonic() < deadline:
                time.sleep(TURN_SECONDS / 10)
            yield has_it
        finally:
            os.close(handle)

    def check(self) -> None:
        """Raises SQLAlchemyError where the database does not answer."""
        with self.read() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        self.engine.dispose()
        self._reading.dispose()


def _locked(handle: int) -> bool:
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def add_missing(session: Session, table: type[DeclarativeBase], *rows: dict[str, Any]) -> None:
    """Add those rows whose key no other has, be it one of a transaction that ends just now."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    session.execute(insert(table).on_conflict_do_nothing(), list(rows))


def file_to_be_made(settings: Settings) -> Path | None:
    """The file of a SQLite database that is not there yet; None for any other."""
    url = make_url(settings.sqlalchemy_url)
    if url.get_backend_name() != "sqlite" or url.database in (None, "", IN_MEMORY) or os.path.exists(url.database):
        return None
    return Path(url.database)


def in_portions(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """All values, no more at a time than a statement may hold in any database."""
    for start in range(0, len(values), PORTION):
        yield values[start : start + PORTION]


def open_database(settings: Settings, *, pool_size: int = 20) -> Database:
    """The database of the settings. Raises BadOption where the URL is none."""
    try:
        return Database(settings.sqlalchemy_url, pool_size=pool_size)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        raise BadOption(
            f"ORDNANCE_DATABASE_URL cannot be used ({error}); give sqlite:///path or postgresql://user@host/name, "
            "the latter with: pip install 'ordnance[postgres]'."
        ) from error


def migrate(settings: Settings) -> None:
    """Bring the tables of the service and of the job engine up to date. Safe to run from several processes at once.

    Raises BadOption where the database cannot be reached or is newer than this program.
    """
    from alembic import command
    from alembic.util import CommandError

    database, config = open_database(settings, pool_size=1), _migrations()
    try:
        with database.engine.connect() as connection:
            if not database.is_sqlite:
                _take_turn(connection)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
            _migrate_jobs(settings)
            if not database.is_sqlite:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
                connection.commit()
    except CommandError as error:
        raise BadOption(_OTHER_VERSION.format(error)) from error
    except SQLAlchemyError as error:
        raise no_answer(error) from error
    finally:
        database.close()


def check_usable(database: Database) -> None:
    """Try the database without changing it. Raises BadOption where it is newer than this program or can only be read,
    SQLAlchemyError where it does not answer."""
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with database.engine.connect() as connection:
        if _is_read_only(database, connection):
            raise BadOption(
                f"The database can only be read; see to the rights in {database.shown}, or give ORDNANCE_DATABASE_URL "
                "one that can be written to."
            )
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        revision = context.get_current_revision()
    known = {each.revision for each in ScriptDirectory.from_config(_migrations()).walk_revisions()}
    if revision is not None and revision not in known:
        raise BadOption(_OTHER_VERSION.format(f"its revision is '{revision}'"))


def _is_read_only(database: Database, connection: Connection) -> bool:
    if not database.is_sqlite:
        return bool(connection.execute(text("SHOW transaction_read_only")).scalar_one() == "on")
    # Even BEGIN IMMEDIATE is allowed there, so something is written, and taken back.
    try:
        connection.execute(text("CREATE TABLE ord_written (at INTEGER)"))
        connection.rollback()
    except OperationalError as error:
        if isinstance(error.orig, sqlite3.Error) and error.orig.sqlite_errorname.startswith("SQLITE_READONLY"):
            return True
        raise
    return False


def _migrations() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def no_answer(error: SQLAlchemyError) -> BadOption:
    """The same as one sentence for whoever runs the service."""
    reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return BadOption(f"The database does not answer ({reason}); check ORDNANCE_DATABASE_URL.")


def _take_turn(connection: Connection) -> None:
    """Take the lock once no other process has it. Not by pg_advisory_lock: the engine makes an index CONCURRENTLY,
    which waits for every transaction that is open, and so for those that wait for the lock."""
    while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": MIGRATION_LOCK}).scalar_one():
        connection.commit()
        time.sleep(TURN_SECONDS)
    connection.commit()


def _migrate_jobs(settings: Settings) -> None:
    from service.jobs.engine import migrate_engine

    migrate_engine(settings)


def now() -> float:
    """UTC as epoch seconds."""
    return time.time()


def clock(session: Session) -> float:
    """The same by the database's own clock, which goes the same for all machines that share it."""
    if session.get_bind().dialect.name == "sqlite":
        return now()
    return float(session.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    # SQLAlchemy begins transactions below; the driver's own way begins none before a SELECT.
    connection.isolation_level = None
    # SQLite's own knows the letters A to Z alone.
    connection.create_function("lower", 1, _lower, deterministic=True)
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode=WAL")
    # An upload that was answered is there after a power cut: its bytes are synced, then its row, then comes the answer.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _lower(text: Any) -> Any:
    return text.lower() if isinstance(text, str) else text


def _begin_immediately(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_reading(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN")
