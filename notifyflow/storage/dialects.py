"""What differs between SQLite and PostgreSQL: connecting, beginning, telling the time, and what an error means.

Nothing here knows a table.
"""

import os
import sqlite3
import stat
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from enum import Enum
from math import ceil
from typing import Any
from urllib.parse import unquote

import peewee
import psycopg
from psycopg.pq import TransactionStatus

from notifyflow.errors import Fault, InvalidSettings, StorageUnavailable
from notifyflow.storage import postgres_url
from notifyflow.storage.deadline import Deadline
from notifyflow.storage.fields import read_instant

_MAKING = threading.Lock()


class Trouble(Enum):
    """What a database error means for the one who asked."""

    COLLIDED = "another transaction was in the way; nothing was stored, repeat"
    GONE = "the database does not answer; connect anew"
    REFUSED = "the statement is wrong; repeating does not help"


class Access(Enum):
    """What a transaction is for."""

    READ = "sees one consistent state over all its queries"
    WRITE = "is serialised by locks"
    BARE = "is none: statements that databases allow outside a transaction only"


class Dialect(ABC):
    """One kind of database, at one place."""

    is_embedded: bool
    types: Mapping[str, str]

    def is_missing(self) -> bool:
        """Tell whether there is nothing yet that could be looked at, and connecting would make it."""
        return False

    def exposed(self) -> tuple[str, int] | None:
        """Return the file that others than its owner may read or write, and its mode; None where there is none."""
        return None

    @abstractmethod
    def connect(self, deadline: Deadline) -> peewee.Database:
        """Open one connection; it belongs to whoever asked, one thread at a time."""

    @abstractmethod
    def begin(self, db: peewee.Database, *, access: Access, deadline: Deadline) -> None:
        """Begin a transaction, to read or to write, none of whose statements waits beyond the deadline."""

    @abstractmethod
    def is_idle(self, db: peewee.Database) -> bool:
        """Tell whether the connection lives and holds no transaction."""

    @abstractmethod
    def classify(self, error: peewee.PeeweeException) -> Trouble:
        """Classify an error: what it means for the transaction."""

    @abstractmethod
    def is_commit_unknown(self, error: peewee.PeeweeException) -> bool:
        """Tell whether a commit that failed so may have been done all the same."""

    @abstractmethod
    def describe(self, error: peewee.PeeweeException) -> str:
        """Name an error by its code and the constraint it ran into; the message itself may hold what is personal."""

    def unavailable(self, waited_s: float, reason: str, error: peewee.PeeweeException | None = None) -> StorageUnavailable:
        """Say that the database could not be used in time, and what to do about it."""
        del error
        return StorageUnavailable(waited_s, reason)

    @abstractmethod
    def now(self, db: peewee.Database) -> datetime:
        """Tell the database's time."""

    @abstractmethod
    def has_table(self, db: peewee.Database, name: str) -> bool:
        """Tell whether there is such a table."""

    @abstractmethod
    def lock_schema(self, db: peewee.Database) -> None:
        """Keep all others from migrating until the transaction ends, however long that takes."""

    def prepare(self, db: peewee.Database) -> None:  # noqa: B027 (most have nothing to prepare)
        """Do to a database, outside any transaction, what must be done once before it is first used."""

    def clean(self, db: peewee.Database, deadline: Deadline) -> None:  # noqa: B027 (a server does so by itself)
        """Let no copy remain, outside any transaction, of what was overwritten."""


class Sqlite(Dialect):
    """A file. WAL, so that readers and the one writer do not wait for each other; FULL, so that a commit survives power loss."""

    is_embedded = True
    types: Mapping[str, str] = {
        "instant": "TEXT",
        "serial": "INTEGER",
        "transition_guard": """
            CREATE TRIGGER notifyflow_transition_guard BEFORE UPDATE ON notifyflow_transition
            BEGIN SELECT RAISE(ABORT, 'the transition log is append-only'); END
        """,
        "transition_keeper": """
            CREATE TRIGGER notifyflow_transition_keeper BEFORE DELETE ON notifyflow_transition
            WHEN EXISTS (SELECT 1 FROM notifyflow_incident WHERE id = OLD.incident_id AND state <> 'RESOLVED')
            BEGIN SELECT RAISE(ABORT, 'the transition log of an incident that is not resolved is kept'); END
        """,
    }

    _REMEDIES: Mapping[int | None, str] = {
        sqlite3.SQLITE_CANTOPEN: "Its folder has to exist, and both have to be readable and writable for this process",
        sqlite3.SQLITE_FULL: "Its disk is full: make room there",
        sqlite3.SQLITE_IOERR: "Look at its disk, and at the machine's log",
        sqlite3.SQLITE_PERM: "The file and its folder have to be writable for this process",
        sqlite3.SQLITE_READONLY: "The file, its folder and their file system have to be writable for this process",
    }

    def __init__(self, path: str) -> None:
        self._path = path

    def is_missing(self) -> bool:
        """Tell whether the file is still to be made; where its folder does not allow that, connecting fails and makes nothing."""
        return not os.path.exists(self._path) and os.access(os.path.dirname(self._path) or ".", os.W_OK)

    def exposed(self) -> tuple[str, int] | None:
        """Look at the file's mode; those of the files beside it take after it."""
        with suppress(OSError):
            mode = stat.S_IMODE(os.stat(self._path).st_mode)
            return (os.path.abspath(self._path), mode) if mode & (stat.S_IRWXG | stat.S_IRWXO) else None
        return None

    def connect(self, deadline: Deadline) -> peewee.Database:
        """Open the file; it is made where it does not exist, for its owner only, and the files beside it take after it."""
        self._make()
        db = peewee.SqliteDatabase(
            self._path,
            thread_safe=False,
            autoconnect=False,
            timeout=deadline.left_s,
            check_same_thread=False,
            # recursive_triggers: what is replaced is deleted for the triggers, too; secure_delete: what is deleted is overwritten
            pragmas={"synchronous": "FULL", "foreign_keys": "ON", "recursive_triggers": "ON", "secure_delete": "ON"},
        )
        db.connect()
        return db

    def begin(self, db: peewee.Database, *, access: Access, deadline: Deadline) -> None:
        """Begin; a write acquires the only write lock now, since later that fails at once if another transaction has it."""
        execute(db, f"PRAGMA busy_timeout = {max(1, int(deadline.left_s * 1000))}")
        execute(db, "BEGIN IMMEDIATE" if access is Access.WRITE else "BEGIN")

    def is_idle(self, db: peewee.Database) -> bool:
        """Tell whether no transaction is open; a file does not go away."""
        return not db.is_closed() and not _driver(db).in_transaction

    def classify(self, error: peewee.PeeweeException) -> Trouble:
        """Classify an error by SQLite's result code."""
        kind = _kind(error)
        if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return Trouble.COLLIDED
        # A connection that was opened while the file was read-only stays so. A broken constraint is refused: who writes is alone.
        return Trouble.GONE if kind in self._REMEDIES else Trouble.REFUSED

    def is_commit_unknown(self, error: peewee.PeeweeException) -> bool:
        """Only a disk that fails leaves it open; a full one has said no (SQLite: Atomic Commit In SQLite)."""
        return _kind(error) == sqlite3.SQLITE_IOERR

    def unavailable(self, waited_s: float, reason: str, error: peewee.PeeweeException | None = None) -> StorageUnavailable:
        """Name the file and what is wrong with it."""
        remedy = self._REMEDIES.get(_kind(error), "Look at the other threads and processes that use it")
        return StorageUnavailable(waited_s, reason, file=os.path.abspath(self._path), remedy=remedy)

    def describe(self, error: peewee.PeeweeException) -> str:
        """Name an error; SQLite's messages hold names of tables and columns, never values."""
        cause = _cause(error)
        return f"{getattr(cause, 'sqlite_errorname', type(cause).__name__)}: {cause}"

    def now(self, db: peewee.Database) -> datetime:
        """Tell the machine's time, as SQLite sees it."""
        return read_instant(execute(db, "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')").fetchone()[0] + "+00:00")

    def has_table(self, db: peewee.Database, name: str) -> bool:
        """Look into the file's own list of tables."""
        return execute(db, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", name).fetchone() is not None

    def lock_schema(self, db: peewee.Database) -> None:
        """Nothing to do: whoever writes is alone."""

    def prepare(self, db: peewee.Database) -> None:
        """Turn WAL on; it stays on with the file."""
        execute(db, "PRAGMA journal_mode = WAL")

    def clean(self, db: peewee.Database, deadline: Deadline) -> None:
        """Move all of the write-ahead log into the file, and empty it: it holds what pages were before they were overwritten.

        Raises:
            StorageUnavailable: When somebody else reads or writes all the time, so that the log cannot be emptied.
        """
        execute(db, f"PRAGMA busy_timeout = {max(1, int(deadline.left_s * 1000))}")
        is_busy, _, _ = execute(db, "PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if is_busy:
            reason = "what was overwritten is still in its write-ahead log, which others use all the time"
            remedy = "Do it again when less is going on"
            raise StorageUnavailable(deadline.waited_s, reason, file=os.path.abspath(self._path), remedy=remedy)

    def _make(self) -> None:
        """Make the file where it does not exist; where that fails, connecting says why.

        Closing a file drops all locks that this process has on it. So it is done alone, and only with a file that is new.
        """
        with _MAKING, suppress(OSError):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


class _Patient(psycopg.Connection[tuple[Any, ...]]):
    """A connection that waits until its deadline and no longer: a server that hangs keeps its connections open and says nothing.

    Attributes:
        deadline: Of the connecting first, then of the transaction that it is in.
    """

    deadline: Deadline

    @classmethod
    def _connect_gen(cls, *arguments: Any, **named: Any) -> Any:
        """Connect as psycopg does, whose own limit counts whole seconds, two at least, for each of a host's addresses."""
        steps = super()._connect_gen(*arguments, **named)
        answer: Any = None
        try:
            while True:
                awaited = steps.send(answer)
                if not cls.deadline.left_s:
                    raise psycopg.errors.ConnectionTimeout("connection timeout expired")
                answer = yield awaited
        except StopIteration as done:
            return done.value

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer; raises an ``OperationalError`` without a SQLSTATE when the time is over."""
        return super().wait(gen, interval, max(self.deadline.left_s, 0.001) if timeout is None else timeout)


class _PostgresDatabase(peewee.PostgresqlDatabase):
    deadline: Deadline

    def _connect(self) -> _Patient:
        patient: Any = type("_Patient", (_Patient,), {"deadline": self.deadline})
        connection: _Patient = patient.connect(self.database, autocommit=True, **self.connect_params)
        return connection


class Postgres(Dialect):
    """A PostgreSQL server."""

    is_embedded = False
    types: Mapping[str, str] = {
        "instant": "TIMESTAMPTZ",
        "serial": "BIGINT GENERATED ALWAYS AS IDENTITY",
        "transition_guard": """
            CREATE FUNCTION notifyflow_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'the transition log is append-only'; END $$;
            CREATE TRIGGER notifyflow_transition_guard BEFORE UPDATE ON notifyflow_transition
            FOR EACH ROW EXECUTE FUNCTION notifyflow_refuse_change()
        """,
        "transition_keeper": """
            CREATE FUNCTION notifyflow_refuse_loss() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF EXISTS (SELECT 1 FROM notifyflow_incident WHERE id = OLD.incident_id AND state <> 'RESOLVED') THEN
                    RAISE EXCEPTION 'the transition log of an incident that is not resolved is kept';
                END IF;
                RETURN OLD;
            END $$;
            CREATE TRIGGER notifyflow_transition_keeper BEFORE DELETE ON notifyflow_transition
            FOR EACH ROW EXECUTE FUNCTION notifyflow_refuse_loss();
            CREATE TRIGGER notifyflow_transition_whole BEFORE TRUNCATE ON notifyflow_transition
            FOR EACH STATEMENT EXECUTE FUNCTION notifyflow_refuse_change()
        """,
    }

    _COLLISIONS = frozenset({"40001", "40P01", "55P03", "23505"})  # serialization, deadlock, lock timeout, unique
    # connection, read-only, idle too long, resources, shutdown or time-out, system
    _AWAY = ("08", "25006", "25P03", "53", "57", "58")
    _SCHEMA_LOCK = 0x6E6F7469  # "noti"

    _LEFT_TO_TELL = 0.9
    """The part of its time after which the server ends a statement, so that it can still say what took so long."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._place = postgres_url.check(url)

    def connect(self, deadline: Deadline) -> peewee.Database:
        """Connect; a server that stops answering is noticed by unacknowledged packets (libpq: tcp_user_timeout)."""
        db = _PostgresDatabase(
            self._url,
            thread_safe=False,
            autoconnect=False,
            prefer_psycopg3=True,
            connect_timeout=max(2, ceil(deadline.left_s)),  # libpq takes no less than 2; the deadline itself may be sooner
            tcp_user_timeout=5000,
            keepalives_idle=30,
            keepalives_interval=5,
            keepalives_count=3,
            application_name="notifyflow",
        )
        db.deadline = deadline
        db.connect()
        try:
            execute(db, "SET statement_timeout = '5s'; SET idle_in_transaction_session_timeout = '60s'; SET timezone = 'UTC'")
        except BaseException:
            db.close()
            raise
        return db

    def begin(self, db: peewee.Database, *, access: Access, deadline: Deadline) -> None:
        """Begin; from now on no answer is waited for beyond the deadline."""
        _driver(db).deadline = deadline
        limit_ms = max(1, int(deadline.left_s * 1000 * self._LEFT_TO_TELL))
        how = "BEGIN" if access is Access.WRITE else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        execute(db, f"{how}; SET LOCAL statement_timeout = {limit_ms}")

    def is_idle(self, db: peewee.Database) -> bool:
        """Ask the driver; no round trip."""
        return not db.is_closed() and bool(_driver(db).info.transaction_status == TransactionStatus.IDLE)

    def classify(self, error: peewee.PeeweeException) -> Trouble:
        """Classify an error by its SQLSTATE (PostgreSQL: Appendix A, Error Codes); a lost connection has none."""
        cause = _cause(error)
        state = getattr(cause, "sqlstate", None)
        if state in self._COLLISIONS:
            return Trouble.COLLIDED
        is_lost = state is None and isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
        if is_lost or (state or "").startswith(self._AWAY):
            return Trouble.GONE
        return Trouble.REFUSED

    def is_commit_unknown(self, error: peewee.PeeweeException) -> bool:
        """Return whether the connection broke, which leaves the commit in doubt."""
        return self.classify(error) is Trouble.GONE

    def describe(self, error: peewee.PeeweeException) -> str:
        """Name an error; the server's details hold whole rows, and the client's own words parts of the URL: both are left out."""
        cause = _cause(error)
        if not isinstance(cause, psycopg.Error) or cause.sqlstate is None:
            return f"{self._place}: {postgres_url.words_for(str(cause))}"
        parts = (type(cause).__name__, cause.sqlstate, cause.diag.table_name, cause.diag.column_name, cause.diag.constraint_name)
        return " ".join(part for part in parts if part)

    def now(self, db: peewee.Database) -> datetime:
        """Tell the server's time."""
        return read_instant(execute(db, "SELECT clock_timestamp()").fetchone()[0])

    def has_table(self, db: peewee.Database, name: str) -> bool:
        """Look along the search path; not by ``to_regclass``, which remembers a "no" while it waits for the schema's lock."""
        query = "SELECT 1 FROM pg_catalog.pg_tables WHERE tablename = %s AND schemaname = ANY (current_schemas(false))"
        return execute(db, query, name).fetchone() is not None

    def lock_schema(self, db: peewee.Database) -> None:
        """Take an advisory lock that ends with the transaction."""
        execute(db, "SET LOCAL statement_timeout = 0")
        execute(db, "SELECT pg_advisory_xact_lock(%s)", self._SCHEMA_LOCK)


def dialect_for(url: str) -> Dialect:
    """Find the dialect of a database URL.

    Raises:
        InvalidSettings: When it is neither ``sqlite:///path`` nor ``postgresql://…``; the URL itself is not repeated.
    """
    scheme, _, rest = url.partition("://")
    match scheme:
        case "sqlite" if rest.startswith("/") and rest[1:] not in ("", ":memory:"):
            return Sqlite(unquote(rest[1:]))
        case "postgresql" | "postgres":
            return Postgres("postgresql://" + rest)
        case _:
            what = "is not a database notifyflow knows" if rest else "is not a URL"
            remedy = "Give sqlite:///path/to/file (three slashes and a relative path, or four) or postgresql://user@host/database"
            raise InvalidSettings((Fault("NOTIFYFLOW_DATABASE_URL", what, remedy),))


def execute(db: peewee.Database, statement: str, *values: Any) -> Any:
    """Run one statement in the database's own SQL."""
    return db.execute_sql(statement, values)  # type: ignore[no-untyped-call]


def _driver(db: peewee.Database) -> Any:
    if db.is_closed():  # Peewee would open it again
        raise peewee.InterfaceError("the connection is closed")
    return db.connection()  # type: ignore[no-untyped-call]


def _kind(error: peewee.PeeweeException | None) -> int | None:
    """Read SQLite's primary result code, the low byte of what it says (SQLite: Result and Error Codes)."""
    code = getattr(_cause(error), "sqlite_errorcode", None) if error else None
    return None if code is None else code & 0xFF


def _cause(error: peewee.PeeweeException) -> Any:
    return getattr(error, "orig", None) or error
