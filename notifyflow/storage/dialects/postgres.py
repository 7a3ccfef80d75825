"""PostgreSQL: a server for many machines."""

from collections.abc import Mapping
from datetime import datetime
from math import ceil
from typing import Any, Self, cast

import peewee
import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Transformer
from psycopg.pq import TransactionStatus
from psycopg.types.datetime import TimestamptzLoader

from notifyflow.errors import StorageUnavailable
from notifyflow.log import get_logger
from notifyflow.storage.dialects import postgres_url
from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.dialects.dialect import (
    Dialect,
    ServerTransaction,
    TransactionMode,
    Trouble,
    cause_of,
    driver_of,
    execute,
)
from notifyflow.storage.tables.fields import read_instant

_log = get_logger("notifyflow.storage")

_SET_UP = "SELECT pg_catalog.set_config('timezone', 'UTC', false)"
"""The session's only setting: a pooler may run each transaction in another session, and restores only the time zone there."""
_TIMELINE = """
    CASE WHEN pg_catalog.pg_is_in_recovery() THEN ''
    ELSE pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8) END
"""
"""The first part of a WAL file's name, which changes when a standby is promoted."""

# A process frozen in a transaction keeps its locks for 10 s; after that, none of our calls has time left to commit.
_LIMITS = "SET LOCAL statement_timeout = {}; SET LOCAL idle_in_transaction_session_timeout = '10s'"
_BEGINNINGS = {
    TransactionMode.READ: f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_LIMITS}",
    TransactionMode.WRITE: f"BEGIN; {_LIMITS}; SELECT pg_catalog.pg_backend_pid(), pg_catalog.now()",
}
_SERVER_SHARE = 0.9
"""The share of a transaction's time after which the server cancels a statement."""
_PREPARE_AFTER = 5
"""After how many runs the driver prepares a statement; so many plans are made before one is kept."""
_NOT_KEPT = "a pooler does not keep prepared statements. Set its max_prepared_statements, or NOTIFYFLOW_PREPARED_STATEMENTS=off"


class _Patient(psycopg.Connection[tuple[Any, ...]]):
    """A connection that waits for responses until its deadline: a hanging server keeps connections open without a response.

    Attributes:
        deadline: The deadline of connecting, then of the current transaction.
    """

    deadline: Deadline

    @classmethod
    def _connect_gen(cls, *arguments: Any, **named: Any) -> Any:
        """Connect until the deadline; psycopg's own limit is at least two whole seconds for each of a host's addresses."""
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
        """Wait for a response; raise an ``OperationalError`` without a SQLSTATE at the deadline."""
        return super().wait(gen, interval, max(self.deadline.left_s, 0.001) if timeout is None else timeout)


class _Tolerant(TimestamptzLoader):
    """Reads instants; one that Python cannot represent, such as ``-infinity``, stays the server's text."""

    def load(self, data: Buffer) -> Any:
        """Return the instant, or its text."""
        try:
            return super().load(data)
        except psycopg.DataError:
            return bytes(data).decode()


class _Cursor(psycopg.Cursor[tuple[Any, ...]]):
    """Reads rows with psycopg's compiled loaders; rows that they cannot read, with our slower ones."""

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row, or None."""
        try:
            return super().fetchone()
        except psycopg.DataError:
            self._tolerate()
            return super().fetchone()

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows that are left."""
        try:
            return super().fetchall()
        except psycopg.DataError:
            self._tolerate()
            return super().fetchall()

    def _tolerate(self) -> None:
        self.adapters.register_loader("timestamptz", _Tolerant)
        self._tx = Transformer(self)
        self._tx.set_pgresult(self.pgresult)


class _LimitedCursor(_Cursor):
    """Runs each statement in a transaction of its own, with its limit, in one round trip."""

    def execute(self, query: Any, params: Any = None, **named: Any) -> Self:
        """Send the limit and the statement together, which the server allows for statements without parameters only."""
        connection = cast(_Patient, self.connection)
        statement = psycopg.ClientCursor(connection).mogrify(query, params)
        super().execute(f"SET LOCAL statement_timeout = {_limit_ms(connection.deadline)}; {statement}", **named)
        self.nextset()
        return self


def _limit_ms(deadline: Deadline) -> int:
    """Return after how long the server cancels a statement, so that its error still arrives in time."""
    return max(1, int(deadline.left_s * 1000 * _SERVER_SHARE))


class _PostgresDatabase(peewee.PostgresqlDatabase):
    """A connection.

    Attributes:
        deadline: The deadline of connecting.
        server_transaction: The latest transaction that may write.
    """

    deadline: Deadline
    server_transaction: ServerTransaction | None = None

    def _connect(self) -> _Patient:
        patient: Any = type("_Patient", (_Patient,), {"deadline": self.deadline})
        connection: _Patient = patient.connect(self.database, autocommit=True, **self.connect_params)
        connection.cursor_factory = _Cursor
        return connection


class Postgres(Dialect):
    """A PostgreSQL server."""

    is_embedded = False
    types: Mapping[str, str] = {
        "instant": "TIMESTAMPTZ",
        "serial": "BIGINT GENERATED ALWAYS AS IDENTITY",
        "transaction": "XID8 DEFAULT pg_current_xact_id()",
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
        "transition_fold": "CREATE INDEX notifyflow_transition_fold ON notifyflow_transition (xid, id) WHERE xid IS NOT NULL",
    }

    # serialization, deadlock, lock timeout, statement timeout, unique
    _COLLISIONS = frozenset({"40001", "40P01", "55P03", "57014", "23505"})
    # data exception, constraint, check option, raised by a trigger, a damaged page or index
    _OF_ROW = ("22", "23", "44", "P0", "XX001", "XX002")
    # connection, read-only, idle too long, resources, shutdown or time-out, system
    _AWAY = ("08", "25006", "25P03", "53", "57", "58")
    _FROM_POOLER = "08P01"
    # a prepared statement that another client of a pooler has made, or had made, in the session
    _UNPREPARED = frozenset({"26000", "42P05"})
    _cursor: type[psycopg.Cursor[tuple[Any, ...]]] = _Cursor
    _SCHEMA_LOCK = 0x6E6F7469  # "noti"

    def __init__(self, url: str, *, prepares: bool) -> None:
        self._url = url
        self._place = postgres_url.check(url)
        self._prepare_after = _PREPARE_AFTER if prepares else None
        self._set_up = f"{_SET_UP}, {_TIMELINE}"
        self._timeline = ""

    def connect(self, deadline: Deadline) -> peewee.Database:
        """Connect; a dead server is noticed by unacknowledged packets (libpq: tcp_user_timeout)."""
        db = _PostgresDatabase(
            self._url,
            thread_safe=False,
            autoconnect=False,
            prefer_psycopg3=True,
            connect_timeout=self._place.connect_timeout_s or max(2, ceil(deadline.left_s)),  # the deadline may be sooner
            tcp_user_timeout=5000,
            keepalives_idle=30,
            keepalives_interval=5,
            keepalives_count=3,
            application_name="notifyflow",
            prepare_threshold=self._prepare_after,
        )
        db.deadline = deadline
        db.connect()
        try:
            deadline.is_let_in = True
            self._begin_session(db)
        except BaseException as error:
            db.close()
            if isinstance(error, peewee.PeeweeException) and not deadline.left_s:
                raise self.still_opening(deadline) from None
            raise
        return db

    def _begin_session(self, db: peewee.Database) -> None:
        """Set the session up, and log it if the server was promoted since the last connection."""
        try:
            _, *timeline = execute(db, self._set_up).fetchone()
        except peewee.PeeweeException as error:
            if self.classify(error) is Trouble.GONE:
                raise
            self._set_up = _SET_UP  # what only speaks like PostgreSQL may have no such functions
            execute(db, _SET_UP)
            timeline = []
        before, self._timeline = self._timeline, "".join(timeline) or self._timeline
        if before not in ("", self._timeline):
            _log.error("storage.server_promoted", timeline=self._timeline, before=before, see="notifyflow check --log")

    def still_opening(self, deadline: Deadline | None) -> peewee.PeeweeException:
        """Return the error that connecting would raise."""
        error: Any = peewee.OperationalError()
        is_let_in = deadline is not None and deadline.is_let_in
        error.orig = psycopg.errors.ConnectionTimeout(postgres_url.LET_IN_ALONE if is_let_in else "connection timeout expired")
        return cast(peewee.PeeweeException, error)

    def begin(self, db: peewee.Database, *, access: TransactionMode, deadline: Deadline) -> None:
        """Begin; the server cancels a statement a little before the deadline."""
        connection = driver_of(db)
        connection.deadline = deadline
        if access is TransactionMode.BARE:
            connection.cursor_factory = _LimitedCursor
            return
        connection.cursor_factory = self._cursor
        begun = execute(db, _BEGINNINGS[access].format(_limit_ms(deadline)))
        if access is TransactionMode.WRITE:
            while begun.nextset():
                pass
            cast(_PostgresDatabase, db).server_transaction = ServerTransaction(*begun.fetchone())

    def is_idle(self, db: peewee.Database) -> bool:
        """Return the driver's state, without a round trip."""
        return not db.is_closed() and bool(driver_of(db).info.transaction_status == TransactionStatus.IDLE)

    def classify(self, error: peewee.PeeweeException) -> Trouble:
        """Classify an error by its SQLSTATE (PostgreSQL: Appendix A, Error Codes); a lost connection has none."""
        cause = cause_of(error)
        state = getattr(cause, "sqlstate", None)
        if state in self._COLLISIONS:
            return Trouble.COLLIDED
        is_lost = state is None and isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
        if is_lost or (state or "").startswith(self._AWAY):
            return Trouble.GONE
        return Trouble.REFUSED

    def code_of(self, error: peewee.PeeweeException) -> str:
        """Return the SQLSTATE."""
        return getattr(cause_of(error), "sqlstate", None) or ""

    def table_of(self, error: peewee.PeeweeException) -> str:
        """Return the table, which the server names with a broken constraint."""
        cause = cause_of(error)
        return (cause.diag.table_name or "") if isinstance(cause, psycopg.Error) else ""

    def is_of_row(self, error: peewee.PeeweeException) -> bool:
        """Return it by the class of the SQLSTATE."""
        return self.code_of(error).startswith(self._OF_ROW)

    def is_commit_unknown(self, error: peewee.PeeweeException) -> bool:
        """Return whether the connection broke."""
        return self.classify(error) is Trouble.GONE

    def describe(self, error: peewee.PeeweeException) -> str:
        """Describe an error without the server's details, which hold whole rows, and without parts of the URL."""
        cause = cause_of(error)
        if not isinstance(cause, psycopg.Error) or cause.sqlstate in (None, self._FROM_POOLER):
            return f"{self._place.name}: {postgres_url.words_for(str(cause))}"
        parts = (type(cause).__name__, cause.sqlstate, cause.diag.table_name, cause.diag.column_name, cause.diag.constraint_name)
        words = " ".join(part for part in parts if part)
        return f"{words}: {_NOT_KEPT}" if cause.sqlstate in self._UNPREPARED else words

    def unavailable(self, waited_s: float, reason: str, error: peewee.PeeweeException | None = None) -> StorageUnavailable:
        """Return the error, which says whether the server refused the connection."""
        return StorageUnavailable(waited_s, reason, is_refused=error is not None and self.is_refusal(error))

    def is_refusal(self, error: peewee.PeeweeException) -> bool:
        """Return whether the server, or each of several, lets nobody in with this URL."""
        return self.code_of(error) in ("", self._FROM_POOLER) and postgres_url.is_refusal(str(cause_of(error)))

    def is_away(self, error: peewee.PeeweeException) -> bool:
        """Return whether no server said more than that it starts up or shuts down."""
        return self.classify(error) is Trouble.GONE and not postgres_url.is_answer(str(cause_of(error)))

    def now(self, db: peewee.Database) -> datetime:
        """Return the server's time."""
        return read_instant(execute(db, "SELECT clock_timestamp()").fetchone()[0])

    def has_table(self, db: peewee.Database, name: str) -> bool:
        """Search the schemas on the search path; ``to_regclass`` would cache a "no" while it waits for the schema's lock."""
        query = "SELECT 1 FROM pg_catalog.pg_tables WHERE tablename = %s AND schemaname = ANY (current_schemas(false))"
        return execute(db, query, name).fetchone() is not None

    def lock_schema(self, db: peewee.Database) -> None:
        """Take an advisory lock that ends with the transaction."""
        execute(db, "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
        execute(db, "SELECT pg_advisory_xact_lock(%s)", self._SCHEMA_LOCK)
