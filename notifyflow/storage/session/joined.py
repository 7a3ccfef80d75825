"""Runs a use case in a transaction that the application has begun on its own connection.

The application's session settings have no effect here, and are restored after the use case. The transaction is neither committed
nor repeated, and errors are the driver's.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import peewee
import psycopg
from psycopg import Connection as Connection
from psycopg.adapt import AdaptersMap
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from notifyflow.errors import UnsuitableConnection
from notifyflow.storage.dialects import execute

T = TypeVar("T")

_BEGIN = "Call notify() in `with connection.transaction():`"
_DATABASE = "extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text, pg_catalog.current_database()"
_IDENTITY = f"""
    SELECT {_DATABASE}, n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = 'notifyflow_incident'::regclass
"""  # noqa: S608 - ours alone
_STATE = f"""
    SELECT {_DATABASE}, pg_catalog.current_setting('transaction_isolation'), pg_catalog.current_setting('transaction_read_only'),
        pg_catalog.current_setting('client_encoding'), pg_catalog.current_setting('search_path'),
        pg_catalog.current_setting('DateStyle')
"""
_SET = "SELECT pg_catalog.set_config('search_path', %s, true), pg_catalog.set_config('DateStyle', %s, true)"


class DatabaseIdentity(NamedTuple):
    """A running database, and the schema of our tables in it.

    Attributes:
        started_at: When its server was started, to the microsecond: it differs between servers.
    """

    started_at: str
    database: str
    schema: str


def identity_of(db: peewee.Database) -> DatabaseIdentity:
    """Return where a connection of ours finds our tables."""
    return DatabaseIdentity(*execute(db, _IDENTITY).fetchone())


class Joined(peewee.PostgresqlDatabase):
    """The application's connection while its transaction is joined.

    Raises:
        UnsuitableConnection: When it is not a synchronous psycopg connection in an open transaction at READ COMMITTED.
    """

    def __init__(self, connection: object) -> None:
        super().__init__(None, thread_safe=False, autoconnect=False)
        self._own = _checked(connection)
        started_at, database, isolation, is_read_only, encoding, *self._settings = execute(self, _STATE).fetchone()
        if isolation != "read committed":
            raise UnsuitableConnection(
                f"its transaction is at {isolation.upper()}",
                "Begin it at READ COMMITTED: at other levels it does not see what was committed since it began",
            )
        if is_read_only == "on":
            raise UnsuitableConnection("its transaction is read-only", "Begin one that may write")
        if encoding != "UTF8":
            raise UnsuitableConnection(f"its client_encoding is {encoding}", "Set it to UTF8")
        self._database_of_it = started_at, database

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """Run a statement on a cursor of ours, and leave no prepared statement behind."""
        return _DefaultCursor(self._own).execute(sql, params, prepare=False)

    def is_at(self, identity: DatabaseIdentity) -> bool:
        """Return whether the connection is to a given place."""
        return self._database_of_it == (identity.started_at, identity.database)

    def run(self, use_case: Callable[[peewee.Database], T], schema: str) -> T:
        """Run a use case in a savepoint, and again if another transaction has just committed its incident's key."""
        try:
            return self._run(use_case, schema)
        except psycopg.errors.UniqueViolation:
            return self._run(use_case, schema)

    def _run(self, use_case: Callable[[peewee.Database], T], schema: str) -> T:
        with self._own.transaction():
            execute(self, _SET, psycopg.sql.Identifier(schema).as_string(self._own), "ISO")
            result = use_case(self)
            execute(self, _SET, *self._settings)
            return result


class _DefaultCursor(psycopg.Cursor[tuple[Any, ...]]):
    """A cursor that reads values as psycopg does by default, however the connection is set."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        super().__init__(connection, row_factory=tuple_row)
        self._adapters = AdaptersMap(psycopg.adapters)


def _checked(connection: object) -> psycopg.Connection[Any]:
    if isinstance(connection, psycopg.AsyncConnection):
        raise UnsuitableConnection("it is asynchronous", "Give a synchronous one of psycopg 3")
    if not isinstance(connection, psycopg.Connection):
        kind = f"{type(connection).__module__}.{type(connection).__qualname__}"
        remedy = "Give the psycopg connection below it: connection.connection in Django, "
        raise UnsuitableConnection(
            f"it is of the type {kind}", remedy + "session.connection().connection.driver_connection in SQLAlchemy"
        )
    match connection.info.transaction_status:
        case TransactionStatus.INTRANS:
            return connection
        case TransactionStatus.IDLE if not connection.autocommit:  # the next statement begins one
            return connection
        case TransactionStatus.IDLE:
            raise UnsuitableConnection("it is in autocommit mode, and in no transaction", _BEGIN)
        case TransactionStatus.INERROR:
            raise UnsuitableConnection("its transaction has failed", "Roll it back, and begin anew")
        case TransactionStatus.ACTIVE:
            raise UnsuitableConnection("a statement is running on it", "Read its result first")
        case _:
            raise UnsuitableConnection("it is closed", "Connect again")
