"""SQLite: one file for one machine."""

import os
import sqlite3
import stat
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

import peewee

from notifyflow.errors import StorageUnavailable
from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.dialects.dialect import Dialect, TransactionMode, Trouble, cause_of, driver_of, execute
from notifyflow.storage.dialects.file_systems import volatile_type
from notifyflow.storage.tables.fields import read_instant

_MAKING = threading.Lock()


class Sqlite(Dialect):
    """A file in WAL mode, so that readers do not wait for the writer, and synced in full: a commit survives power loss."""

    is_embedded = True
    types: Mapping[str, str] = {
        "instant": "TEXT",
        "serial": "INTEGER",
        "transaction": "INTEGER",
        "transition_guard": """
            CREATE TRIGGER notifyflow_transition_guard BEFORE UPDATE ON notifyflow_transition
            BEGIN SELECT RAISE(ABORT, 'the transition log is append-only'); END
        """,
        "transition_keeper": """
            CREATE TRIGGER notifyflow_transition_keeper BEFORE DELETE ON notifyflow_transition
            WHEN EXISTS (SELECT 1 FROM notifyflow_incident WHERE id = OLD.incident_id AND state <> 'RESOLVED')
            BEGIN SELECT RAISE(ABORT, 'the transition log of an incident that is not resolved is kept'); END
        """,
        "transition_fold": "",  # it writes one transaction after the other, so lines are committed in the order of their ids
    }

    _OF_ROW = (sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CORRUPT)
    _REMEDIES: Mapping[int | None, str] = {
        sqlite3.SQLITE_CANTOPEN: "Its folder has to exist, and both have to be readable and writable for this process",
        sqlite3.SQLITE_FULL: "Its disk is full: make room there",
        sqlite3.SQLITE_IOERR: "Check its disk and the machine's log",
        sqlite3.SQLITE_PERM: "The file and its folder have to be writable for this process",
        sqlite3.SQLITE_READONLY: "The file, its folder and their file system have to be writable for this process",
    }

    def __init__(self, path: str) -> None:
        self._path = path

    def is_missing(self) -> bool:
        """Return whether the file does not exist and can be created; where it cannot, connecting fails."""
        return not os.path.exists(self._path) and os.access(os.path.dirname(self._path) or ".", os.W_OK)

    def exposed(self) -> tuple[str, int] | None:
        """Return the file and its mode; the files beside it have the same."""
        with suppress(OSError):
            mode = stat.S_IMODE(os.stat(self._path).st_mode)
            return (os.path.abspath(self._path), mode) if mode & (stat.S_IRWXG | stat.S_IRWXO) else None
        return None

    def volatile(self) -> tuple[str, str] | None:
        """Return the file and the type of its folder's file system."""
        file = os.path.abspath(self._path)
        kind = volatile_type(os.path.dirname(file))
        return (file, kind) if kind else None

    def connect(self, deadline: Deadline) -> peewee.Database:
        """Open the file; a new one is readable by its owner only, and so are the files beside it.

        Raises:
            StorageUnavailable: At once, when its folder does not exist.
        """
        folder = os.path.dirname(os.path.abspath(self._path))
        if not os.path.isdir(folder):
            remedy = "Create it, or set NOTIFYFLOW_DATABASE_URL to a file in another folder"
            raise StorageUnavailable(0.0, f"the folder {folder} does not exist", file=os.path.abspath(self._path), remedy=remedy)
        self._make()
        db = peewee.SqliteDatabase(
            self._path,
            thread_safe=False,
            autoconnect=False,
            timeout=deadline.left_s,
            check_same_thread=False,
            # recursive_triggers: a replaced row fires the triggers of deletion; secure_delete: deleted data is overwritten
            pragmas={"synchronous": "FULL", "foreign_keys": "ON", "recursive_triggers": "ON", "secure_delete": "ON"},
        )
        db.connect()
        return db

    def begin(self, db: peewee.Database, *, access: TransactionMode, deadline: Deadline) -> None:
        """Begin; a write transaction takes the only write lock now, since taking it later fails without waiting."""
        execute(db, f"PRAGMA busy_timeout = {max(1, int(deadline.left_s * 1000))}")
        if access is not TransactionMode.BARE:
            execute(db, "BEGIN IMMEDIATE" if access is TransactionMode.WRITE else "BEGIN")

    def is_idle(self, db: peewee.Database) -> bool:
        """Return whether no transaction is open."""
        return not db.is_closed() and not driver_of(db).in_transaction

    def classify(self, error: peewee.PeeweeException) -> Trouble:
        """Classify an error by SQLite's result code."""
        kind = _kind(error)
        if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return Trouble.COLLIDED
        # A connection opened while the file was read-only stays so. A broken constraint is no collision: there is one writer.
        return Trouble.GONE if kind in self._REMEDIES else Trouble.REFUSED

    def code_of(self, error: peewee.PeeweeException) -> str:
        """Return the name of SQLite's result code."""
        return getattr(cause_of(error), "sqlite_errorname", None) or ""

    def is_of_row(self, error: peewee.PeeweeException) -> bool:
        """Return whether a constraint, a trigger or a damaged page refused it."""
        return _kind(error) in self._OF_ROW

    def is_commit_unknown(self, error: peewee.PeeweeException) -> bool:
        """Return whether the disk failed; a full disk has refused the commit (SQLite: Atomic Commit In SQLite)."""
        return _kind(error) == sqlite3.SQLITE_IOERR

    def unavailable(self, waited_s: float, reason: str, error: peewee.PeeweeException | None = None) -> StorageUnavailable:
        """Return the error with the file and a remedy."""
        remedy = self._REMEDIES.get(_kind(error), "Check the other threads and processes that use it")
        return StorageUnavailable(waited_s, reason, file=os.path.abspath(self._path), remedy=remedy)

    def describe(self, error: peewee.PeeweeException) -> str:
        """Describe an error by SQLite's message, which names tables and columns and never values."""
        cause = cause_of(error)
        return f"{getattr(cause, 'sqlite_errorname', type(cause).__name__)}: {cause}"

    def now(self, db: peewee.Database) -> datetime:
        """Return the machine's time, as SQLite sees it."""
        return read_instant(execute(db, "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')").fetchone()[0] + "+00:00")

    def has_table(self, db: peewee.Database, name: str) -> bool:
        """Return whether the file has a table."""
        return execute(db, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", name).fetchone() is not None

    def lock_schema(self, db: peewee.Database) -> None:
        """Do nothing: there is only one writer."""

    def prepare(self, db: peewee.Database) -> None:
        """Turn WAL mode on; the file keeps it."""
        execute(db, "PRAGMA journal_mode = WAL")

    def clean(self, db: peewee.Database, deadline: Deadline) -> None:
        """Write the write-ahead log back into the file and truncate it: it holds old copies of overwritten pages.

        Raises:
            StorageUnavailable: When others use the file all the time, so that the log cannot be truncated.
        """
        execute(db, f"PRAGMA busy_timeout = {max(1, int(deadline.left_s * 1000))}")
        is_busy, _, _ = execute(db, "PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if is_busy:
            reason = "its write-ahead log still holds overwritten data, since others use it all the time"
            remedy = "Try again when the database is less busy"
            raise StorageUnavailable(deadline.waited_s, reason, file=os.path.abspath(self._path), remedy=remedy)

    def _make(self) -> None:
        """Create the file if it does not exist; if that fails, connecting raises.

        Closing a file drops all locks that this process has on it, so only a new file is opened here, by one thread at a time.
        """
        with _MAKING, suppress(OSError):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _kind(error: peewee.PeeweeException | None) -> int | None:
    """Return SQLite's primary result code, the low byte of the extended one (SQLite: Result and Error Codes)."""
    code = getattr(cause_of(error), "sqlite_errorcode", None) if error else None
    return None if code is None else code & 0xFF
