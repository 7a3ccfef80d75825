"""The interface to a kind of database, and the code that the kinds share.

Nothing here knows a table.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

import peewee

from notifyflow.errors import StorageUnavailable
from notifyflow.storage.dialects.deadline import Deadline


class Trouble(Enum):
    """What a database error means for the transaction."""

    COLLIDED = "it collided with another transaction; nothing was stored, repeat it"
    GONE = "the database does not answer; connect again"
    REFUSED = "the statement is wrong; repeating does not help"


class TransactionMode(Enum):
    """The kind of a transaction."""

    READ = "sees one consistent state over all its queries"
    WRITE = "is serialised by locks"
    BARE = "no transaction: for single statements, and those that databases only allow outside one"


class ServerTransaction(NamedTuple):
    """A transaction that a process of the server runs; behind a pooler, the process changes from one to the next."""

    pid: int
    started_at: datetime


class Dialect(ABC):
    """One database of one kind.

    Attributes:
        is_embedded: Whether the database is a file of this machine.
        types: The types and triggers of the migrations, in the database's own SQL.
    """

    is_embedded: bool
    types: Mapping[str, str]

    def is_missing(self) -> bool:
        """Return whether the database does not exist yet, and connecting would create it."""
        return False

    def exposed(self) -> tuple[str, int] | None:
        """Return the database file and its mode if users other than its owner may read or write it; else None."""
        return None

    def volatile(self) -> tuple[str, str] | None:
        """Return the database file and the type of its file system if that is lost with its machine or container; else None."""
        return None

    @abstractmethod
    def connect(self, deadline: Deadline) -> peewee.Database:
        """Open a connection, to be used by one thread at a time."""

    def still_opening(self, deadline: Deadline | None) -> peewee.PeeweeException:
        """Return the error for a connection that does not open in time; None if none was begun."""
        del deadline
        return peewee.OperationalError("timeout expired")

    @abstractmethod
    def begin(self, db: peewee.Database, *, access: TransactionMode, deadline: Deadline) -> None:
        """Begin a transaction, unless the access is bare; no statement waits beyond the deadline from now on."""

    @abstractmethod
    def is_idle(self, db: peewee.Database) -> bool:
        """Return whether the connection is open and in no transaction."""

    @abstractmethod
    def classify(self, error: peewee.PeeweeException) -> Trouble:
        """Classify an error by its meaning for the transaction."""

    @abstractmethod
    def is_commit_unknown(self, error: peewee.PeeweeException) -> bool:
        """Return whether a commit that failed with this error may have happened all the same."""

    @abstractmethod
    def describe(self, error: peewee.PeeweeException) -> str:
        """Describe an error by its code and constraint; the database's message may hold personal data."""

    @abstractmethod
    def code_of(self, error: peewee.PeeweeException) -> str:
        """Return the SQLSTATE, or the name of SQLite's result code; empty if the error has none."""

    def table_of(self, error: peewee.PeeweeException) -> str:
        """Return the table that the error names; empty if it names none."""
        del error
        return ""

    @abstractmethod
    def is_of_row(self, error: peewee.PeeweeException) -> bool:
        """Return whether a row's stored or new values caused the error, and not the statement, a lock or the server."""

    def unavailable(self, waited_s: float, reason: str, error: peewee.PeeweeException | None = None) -> StorageUnavailable:
        """Return the error for a database that was not available in time, with a remedy."""
        del error
        return StorageUnavailable(waited_s, reason)

    def is_refusal(self, error: peewee.PeeweeException) -> bool:
        """Return whether the server responds, and lets nobody in with these settings."""
        del error
        return False

    def is_away(self, error: peewee.PeeweeException) -> bool:
        """Return whether connecting failed since nobody answered, and not since the server lets nobody else in."""
        del error
        return False

    @abstractmethod
    def now(self, db: peewee.Database) -> datetime:
        """Return the database's time."""

    @abstractmethod
    def has_table(self, db: peewee.Database, name: str) -> bool:
        """Return whether a table exists."""

    @abstractmethod
    def lock_schema(self, db: peewee.Database) -> None:
        """Lock the schema against other migrations until the transaction ends, however long the wait."""

    def prepare(self, db: peewee.Database) -> None:  # noqa: B027 (most have nothing to prepare)
        """Prepare a new database for its first use, outside any transaction."""

    def clean(self, db: peewee.Database, deadline: Deadline) -> None:  # noqa: B027 (a server does so by itself)
        """Remove copies of overwritten data from the database's files, outside any transaction."""


def execute(db: peewee.Database, statement: str, *values: Any) -> Any:
    """Run a statement in the database's own SQL."""
    return db.execute_sql(statement, values)  # type: ignore[no-untyped-call]


def driver_of(db: peewee.Database) -> Any:
    """Return the driver's connection.

    Raises:
        InterfaceError: When it is closed.
    """
    if db.is_closed():  # Peewee would open it again
        raise peewee.InterfaceError("the connection is closed")
    return db.connection()  # type: ignore[no-untyped-call]


def cause_of(error: peewee.PeeweeException) -> Any:
    """Return the driver's error below Peewee's."""
    return getattr(error, "orig", None) or error
