"""The database: opening it, migrating its tables, reading and writing.

SQLite runs with a write-ahead log and full synchronisation: what is committed survives a power cut. Writers begin with
``BEGIN IMMEDIATE``, so that two of them queue instead of failing half-way. Several servers can share one PostgreSQL.
Frequent changes are committed together (`Store.commit`), rare ones by themselves (`Store.write`).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine, event, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import MissingExtraError, RunError, UsageError
from pneumoscope.server.errors import UnavailableError
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.clock import SteadyClock
from pneumoscope.server.storage.crypto import Secret, load_or_create_secret, new_id
from pneumoscope.server.storage.failures import RETRY_AFTER, disk_is_full
from pneumoscope.server.storage.group_commit import GroupCommitter
from pneumoscope.server.storage.modes import keep_secret_private, make_private_database, make_private_folders
from pneumoscope.server.storage.reserve import Reserve
from pneumoscope.server.storage.tables import ExamIdentity, Identity, Image, Reference, StoreSetting
from pneumoscope.server.storage.transaction import Transaction

MIGRATIONS = Path(__file__).parent / "migrations"
T = TypeVar("T")
Listener = Callable[[frozenset[str]], object]
"""Called with the states of the events that were just committed, from any thread; it should only set a flag."""
_BUSY_MS = 30_000
"""Milliseconds that SQLite waits for a lock."""
_CHECKPOINT_MS, _CHECKPOINTS = 500, 6
"""Milliseconds that a checkpoint waits for readers, and how often it tries; writers go on in between."""
_LOCK = 7_041_113
"""PostgreSQL's advisory lock of exclusive transactions and migrations; an arbitrary number."""


class Store:
    """An open database with the secret that belongs to it."""

    def __init__(self, engine: Engine, secret: Secret, settings: Settings) -> None:
        self.engine = engine
        self._is_postgres = engine.dialect.name == "postgresql"
        self.secret = secret
        self.settings = settings
        # SQLite lets one writer in, and the others try again ever more rarely. A lock among threads is faster.
        self._write_lock = threading.Lock() if engine.dialect.name == "sqlite" else None
        self._committer = GroupCommitter(self.write, self.lock_exclusive)
        self._listeners: list[Listener] = []
        self.number = ""
        """The number of this store, which its folder of pixels bears too."""
        self.reserve = Reserve(settings.home)
        """Disk space for what goes on when the disk is full."""
        self.clock = SteadyClock()
        """The time by which sessions, tokens and locks end."""

    @property
    def is_postgres(self) -> bool:
        """Whether several servers may share the database."""
        return self._is_postgres

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Yield a session to read with."""
        with Transaction(self.engine) as session:
            if not self.is_postgres:
                session.connection().exec_driver_sql("BEGIN")  # the driver begins no transaction by itself
            yield session

    @contextmanager
    def write(self, durable: bool = True) -> Iterator[Transaction]:
        """Yield a session whose changes are committed when the block ends; none if it raises.

        Args:
            durable: The changes survive a power cut from then on; if not, they do from the next durable commit on.
        """
        if self._write_lock is None:
            yield from self._transaction(durable)
        else:
            with self._write_lock:
                yield from self._transaction(durable)

    def _transaction(self, durable: bool) -> Iterator[Transaction]:
        self.reserve.release_if_full()
        try:
            yield from self._begin(durable)
        except SQLAlchemyError as error:
            if disk_is_full(error):
                self.reserve.release()
            raise

    def _begin(self, durable: bool) -> Iterator[Transaction]:
        with Transaction(self.engine) as session, session.begin():
            if self.is_postgres and not durable:
                session.execute(text("SET LOCAL synchronous_commit = off"))
            elif not self.is_postgres:
                # FULL syncs the whole log at each commit (https://sqlite.org/wal.html).
                session.connection().exec_driver_sql(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            yield session
            session.write_appended()
        if session.event_states:
            for listener in tuple(self._listeners):
                listener(frozenset(session.event_states))

    def commit(self, change: Callable[[Transaction], T], *, exclusive: bool = False, durable: bool = True) -> T:
        """Make a change in a transaction that it may share with others; return its value when it is committed.

        Args:
            change: The change. It may be undone and made again, so it touches nothing but the transaction.
            exclusive: Whether to call `lock_exclusive` before.
            durable: As for `write`.
        """
        return self._committer.submit(change, exclusive=exclusive, durable=durable).result()

    async def commit_async(self, change: Callable[[Transaction], T], *, exclusive: bool = False) -> T:
        """Do what `commit` does without holding a thread; where the caller is cancelled, wait for the outcome first."""
        outcome = self._committer.submit(change, exclusive=exclusive)
        try:
            return await asyncio.shield(asyncio.wrap_future(outcome))
        except asyncio.CancelledError:
            if not outcome.cancel():
                wait([outcome])  # at most as long as a commit takes
            raise

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call a function after commits that added events; return a function that ends this."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def lock_exclusive(self, session: Transaction) -> None:
        """Let one transaction of all servers at a time go on from here, so that it can count before it adds.

        On SQLite every writing transaction is exclusive anyway.
        """
        if self.is_postgres:
            session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})

    def clear_erased(self) -> None:
        """Remove from the database's files what was deleted: what a write-ahead log still holds, or dead rows.

        SQLite overwrites deleted rows (`secure_delete`) when its log is written back, which happens now; the log is cut
        to nothing. PostgreSQL's dead rows are removed by VACUUM; its own write-ahead log keeps them until it is
        recycled (docs/operations/threats.md).
        """
        if self.is_postgres:
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM")
            return
        for _ in range(_CHECKPOINTS):
            with self._write_lock or nullcontext(), self.engine.connect() as connection:
                connection.exec_driver_sql(f"PRAGMA busy_timeout={_CHECKPOINT_MS}")
                try:
                    busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
                finally:
                    connection.exec_driver_sql(f"PRAGMA busy_timeout={_BUSY_MS}")
            if not busy:
                return
        logging.getLogger(__name__).warning("erased rows are still in the write-ahead log, which is being read")

    def check_files(self) -> None:
        """Refuse to go on where the folder of the pixels is away, such as a volume that is mounted no more.

        Raises:
            UnavailableError: It is away.
        """
        try:
            is_there = _marker_of(self.settings).read_text() == self.number
        except OSError:
            is_there = False
        if not is_there:
            raise UnavailableError(
                "the store",
                "has no folder for the pixels at present: nothing was accepted.",
                "Send it again when the volume is back.",
                code="store-away",
                retry_after=RETRY_AFTER,
            )

    def close(self) -> None:
        """Commit the changes that wait, and close all connections."""
        self._committer.close()
        self.engine.dispose()


def now() -> float:
    """Return the time, in seconds since 1970 (UTC)."""
    return time.time()


def open_store(settings: Settings) -> Store:
    """Open the database that the settings name, and migrate its tables.

    Raises:
        UsageError: The database's URL is wrong, the secret or the folder belongs to another database, the secret of
            sealed rows is missing, or others of this machine can read the data.
        MissingExtraError: The driver of PostgreSQL is not installed.
        RunError: The database can't be reached.
    """
    make_private_folders(settings)
    engine = _engine(settings)
    if (file := database_file(settings)) is not None:
        if not file.is_file():
            _check_no_pixels(settings)  # before an empty file is made, in whose place a backup is to come
        make_private_database(file)
    try:
        migrate(engine)
        create = not _has_sealed_rows(engine)
    except SQLAlchemyError as error:
        engine.dispose()
        address = engine.url.render_as_string(hide_password=True)
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        way_out = next((text for words, text in _WAYS_OUT.items() if words in reason), "Start it, or name another.")
        raise RunError(argument("database", address), f"can't be used: {reason}.", way_out) from error
    store = Store(engine, load_or_create_secret(settings.secret_file, create=create), settings)
    try:
        _check_same_store(store)
    except BaseException:
        store.close()
        raise
    keep_secret_private(settings.secret_file)
    return store


_WAYS_OUT = {
    "authentication failed": "Give the right name and password.",
    "too many clients": "Try again when others have left, or raise its max_connections.",
    "remaining connection slots": "Try again when others have left, or raise its max_connections.",
    "does not exist": "Create it (createdb), or name another.",
    "permission denied": "Give this user the rights of its owner.",
    "already exists": "It holds tables that this program did not make, or lost its version: name an empty one, or "
    "restore a backup.",
}
"""What a database says -> what to do."""


def database_file(settings: Settings) -> Path | None:
    """Return the file of a database in SQLite; None for another one, or an address that is none."""
    try:
        url = make_url(settings.database_url)
    except (SQLAlchemyError, ValueError):
        return None
    named = url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:"
    return Path(str(url.database)) if named else None


def migrate(engine: Engine) -> None:
    """Migrate the tables to the newest revision; servers that start together take turns."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _engine(settings: Settings) -> Engine:
    way_out = "Give postgresql://USER@HOST/NAME, or nothing."
    try:
        url = make_url(settings.database_url)
        kind = url.get_backend_name()
        if kind not in ("sqlite", "postgresql"):
            raise UsageError(argument("database", kind), "is neither SQLite nor PostgreSQL.", way_out)
        engine = create_engine(url, pool_size=20, max_overflow=20, pool_pre_ping=kind == "postgresql")
    except ImportError as error:
        raise MissingExtraError("`database` with PostgreSQL", "postgres") from error
    except (SQLAlchemyError, ValueError) as error:  # the latter: of a port that is no number
        raise UsageError("`database`", "is not an address.", way_out) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver begins no transaction by itself: `Store` does
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # with a write-ahead log NORMAL could lose the last commits in a power cut
        "foreign_keys=ON",
        f"busy_timeout={_BUSY_MS}",
        "secure_delete=ON",  # what is erased is overwritten
    ):
        connection.execute(f"PRAGMA {pragma}")


def _has_sealed_rows(engine: Engine) -> bool:
    """Return whether a database belongs to a secret: it says so, or has rows that only a secret opens."""
    with Session(engine) as session:
        if not engine.url.get_backend_name().startswith("postgresql"):
            session.connection().exec_driver_sql("BEGIN")
        if session.get(StoreSetting, "secret") is not None:
            return True
        columns = Identity.key, ExamIdentity.study, Reference.id
        return any(session.scalar(select(column).limit(1)) is not None for column in columns)


def _check_same_store(store: Store) -> None:
    """Refuse a secret or a folder that belongs to another database: names would not open, pixels would be missing."""
    marker = _marker_of(store.settings)
    with store.write() as session:
        store.lock_exclusive(session)
        fingerprint = session.get(StoreSetting, "secret")
        if fingerprint is None:
            # An empty database would take every file for a leftover of a crash, and the start would delete it.
            if session.scalar(select(Image.id).limit(1)) is None:
                _check_no_pixels(store.settings)
            session.add(StoreSetting(name="secret", value=store.secret.fingerprint))
            session.add(StoreSetting(name="store", value=marker.read_text() if marker.is_file() else new_id()))
        elif fingerprint.value != store.secret.fingerprint:
            raise UsageError(
                str(store.settings.secret_file),
                "is not the secret that this database was made with.",
                "Give the file that the first server uses (`secret`).",
            )
        session.flush()
        number = session.get_one(StoreSetting, "store").value
        if marker.is_file() and marker.read_text() != number:
            raise UsageError(
                str(store.settings.files), "belongs to another database.", "Servers of one database share one folder."
            )
        if not marker.is_file():
            # Two servers of one empty database would each go on with a folder of their own, and lack half of the files.
            is_another = store.is_postgres and fingerprint is not None
            if is_another or session.scalar(select(Image.id).limit(1)) is not None:
                raise UsageError(
                    str(store.settings.files),
                    "does not hold the pixels of this database.",
                    "Mount its volume, or restore the folder from a backup.",
                )
            marker.write_text(number)
        store.number = number


def _check_no_pixels(settings: Settings) -> None:
    """Refuse an empty database for a folder that holds pixels."""
    if blobs.holds_files(settings.files):
        raise UsageError(
            str(settings.files),
            "holds the pixels of another database; this one is empty.",
            "Name the database that the server used (`database`), restore it from a backup, or give a new server "
            "another `home`.",
        )


def _marker_of(settings: Settings) -> Path:
    """Return the file that says whose pixels a folder holds."""
    return settings.files / "store"
