"""Runs each use case in one transaction, and repeats it until it is committed or the time is up.

Nothing here knows a table. A provider must never be called from inside a use case, since a use case may run more than once.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from peewee import Database, PeeweeException

from notifyflow.errors import CommitUnknown, Contended, Refused, StaleRow, StorageError, StorageUnavailable, UnsuitableConnection
from notifyflow.storage import migrations
from notifyflow.storage.dialects import TransactionMode, Trouble, dialect_for
from notifyflow.storage.dialects.deadline import Deadline, RetryWaits
from notifyflow.storage.insight import left_out
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.reads import Reads
from notifyflow.storage.session.pool import ForkedInside, Pool, ServerOutage
from notifyflow.storage.session.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from notifyflow.storage.session.joined import DatabaseIdentity

T = TypeVar("T")

_TIMEOUT_S = 5.0
_UPGRADE_TIMEOUT_S = 600.0
_HASTY_TRIES = 2
_WHOLE: ContextVar[Deadline | None] = ContextVar("notifyflow_deadline_of_the_whole_call", default=None)


class Store:
    """One database. Threads may share a store; a forked child uses it with its own connections.

    A fork waits for the transactions of other threads. The forking thread's own transaction is rolled back: the parent runs it
    again, the child gets a ``StorageError``.
    """

    def __init__(self, database_url: str, *, pool_size: int = 10, prepares: bool = True, is_patient: bool = True) -> None:
        """Check the URL; open nothing yet.

        Args:
            database_url: ``sqlite:///path`` or ``postgresql://…``.
            pool_size: How many connections a process opens at most.
            prepares: Whether a server is asked to prepare frequent statements, which some poolers do not allow.
            is_patient: Whether a transaction is repeated until its time is up, and not only once after the same trouble.

        Raises:
            InvalidSettings: When the URL names no database notifyflow knows.
        """
        self._dialect = dialect_for(database_url, prepares=prepares)
        self._pool = Pool(self._dialect, pool_size)
        self._is_patient = is_patient
        self._identity: DatabaseIdentity | None = None
        self._outage: ServerOutage | None = None

    @property
    def is_embedded(self) -> bool:
        """Whether the database is a file of this machine (SQLite)."""
        return self._dialect.is_embedded

    @property
    def exposed(self) -> tuple[str, int] | None:
        """The database file and its mode if users other than its owner may read or write it; else None."""
        return self._dialect.exposed()

    @property
    def volatile(self) -> tuple[str, str] | None:
        """The database file and the type of its file system if that is lost with its machine or container; else None."""
        return self._dialect.volatile()

    def fail_fast(self) -> None:
        """From now on, let no call wait for a server that is known to be away."""
        self._outage = None if self.is_embedded else ServerOutage(self._dialect)

    def run(self, use_case: Callable[[Ledger], T], *, timeout_s: float = _TIMEOUT_S, tries: int | None = None) -> T:
        """Run a use case in one transaction; run it again from its start if it collided with another.

        Args:
            use_case: Takes the transaction's ledger; an exception rolls back. It may run more than once.
            timeout_s: How long to try, in seconds.
            tries: How often it may meet the same trouble; None means until the time is up.

        Returns:
            The use case's result, after its commit.

        Raises:
            StorageUnavailable: When the time is up, or the server lets nobody in with these settings.
            Contended: When it collided with another transaction, or found a row changed, ``tries`` times in a row.
            CommitUnknown: When the connection broke during the commit, which may have been done; it is not repeated.
            Refused: When the database refuses a statement: a bug, or tables that are not ours.
        """
        return self._repeat(
            lambda db: Ledger(UnitOfWork(db)).run(use_case), self._deadline(timeout_s), TransactionMode.WRITE, tries
        )

    def join(self, connection: object, use_case: Callable[[Ledger], T]) -> T:
        """Run a use case in the open transaction of the application's connection; the application commits it or rolls it back.

        Args:
            connection: A synchronous connection of psycopg 3 to this database, in a transaction at READ COMMITTED.
            use_case: Takes the transaction's ledger; an exception rolls back what it wrote, and nothing else.

        Raises:
            UnsuitableConnection: When the connection is not such a one.
            StorageUnavailable: When the database does not answer within 5 s on a connection of ours.
            psycopg.Error: When the database refuses a statement, or the connection is lost.
        """
        if self.is_embedded:
            remedy = "Use PostgreSQL for both, or call notify() without a connection after your commit"
            raise UnsuitableConnection("the database of notifyflow is an SQLite file", remedy)
        from notifyflow.storage.session.joined import Joined, identity_of

        joined = Joined(connection)
        identity = self._identity
        if identity is None or not joined.is_at(identity):  # the server may have been started again
            identity = self._identity = self._repeat(identity_of, self._deadline(_TIMEOUT_S), TransactionMode.READ)
            if not joined.is_at(identity):
                remedy = "Connect to the server and database that NOTIFYFLOW_DATABASE_URL names"
                raise UnsuitableConnection("it is one to another database than that of notifyflow", remedy)
        return joined.run(lambda db: Ledger(UnitOfWork(db)).run(use_case), identity.schema)

    def read(self, query: Callable[[Reads], T]) -> T:
        """Read one consistent state; the query may run more than once.

        Raises:
            StorageUnavailable: When the database does not answer within 5 s.
            StorageError: When the database refuses a statement.
        """
        return self._read(query, TransactionMode.READ)

    def read_one(self, query: Callable[[Reads], T]) -> T:
        """Read with one statement, as ``read``, but without a transaction: one round trip instead of three."""
        return self._read(query, TransactionMode.BARE)

    def now(self) -> datetime:
        """Return the database's time.

        Raises:
            StorageUnavailable: When the database does not answer within 5 s.
        """
        return self._repeat(self._dialect.now, self._deadline(_TIMEOUT_S), TransactionMode.BARE)

    def check_schema(self) -> None:
        """Refuse a database that this code may not use; change nothing.

        Raises:
            SchemaMismatch: When the database needs an upgrade first, or this code is too old for it.
            UnreleasedSchema: When an unreleased version made the database.
            StorageUnavailable: When the database does not answer within 5 s.
        """
        if self._dialect.is_missing():
            migrations.insist(0)
        self._repeat(lambda db: migrations.check(db, self._dialect), self._deadline(_TIMEOUT_S), TransactionMode.BARE)

    def upgrade(self) -> int:
        """Bring the tables to this code's schema, in one transaction and under a lock; safe to call from many at once.

        Returns:
            How many versions were applied; 0 if none was missing.

        Raises:
            SchemaMismatch: When this code is too old for the database; it was not touched.
            UnreleasedSchema: When an unreleased version made the database; it was not touched.
            StorageUnavailable: When the database does not answer.
        """
        found = self._repeat(
            lambda db: migrations.read_version(db, self._dialect), self._deadline(_TIMEOUT_S), TransactionMode.READ
        )
        if found >= migrations.WANTED:
            return 0
        deadline = self._deadline(_UPGRADE_TIMEOUT_S)
        self._repeat(self._dialect.prepare, deadline, TransactionMode.BARE)
        return self._repeat(lambda db: migrations.upgrade(db, self._dialect), deadline, TransactionMode.WRITE)

    def clean(self) -> None:
        """Remove copies of overwritten data from an embedded database's files.

        Raises:
            StorageUnavailable: When others use an embedded file all the time, so that its write-ahead log cannot be truncated.
        """
        deadline = self._deadline(_TIMEOUT_S)
        self._repeat(lambda db: self._dialect.clean(db, deadline), deadline, TransactionMode.BARE)

    @contextmanager
    def within(self, timeout_s: float) -> Iterator[Deadline]:
        """Limit all of this thread's database calls in the block to one total time: connecting, statements, repetitions."""
        before = _WHOLE.get()
        deadline = Deadline(timeout_s, within=before)
        try:
            _WHOLE.set(deadline)
            yield deadline
        finally:
            _WHOLE.set(before)

    @property
    def left_s(self) -> float:
        """How long this thread may wait for the database now, in seconds."""
        return self._deadline(_TIMEOUT_S).left_s

    def close(self) -> None:
        """Close the connections; the store must not be used afterwards."""
        if self._outage is not None:
            self._outage.close()
        self._pool.close()

    def _read(self, query: Callable[[Reads], T], access: TransactionMode) -> T:
        def work(db: Database) -> tuple[T, Reads]:
            reads = Reads(db)
            return query(reads), reads

        found, reads = self._repeat(work, self._deadline(_TIMEOUT_S), access)
        left_out.note(reads.left_out)
        return found

    def _deadline(self, timeout_s: float) -> Deadline:
        return Deadline(timeout_s, within=_WHOLE.get())

    def _repeat(self, work: Callable[[Database], T], deadline: Deadline, access: TransactionMode, tries: int | None = None) -> T:
        pauses = RetryWaits()
        met: list[str] = []
        trouble: StaleRow | PeeweeException | ForkedInside | None = None
        while True:
            try:
                return self._transact(work, deadline, access)
            except ForkedInside as error:
                if error.is_child or isinstance(trouble, ForkedInside):
                    raise StorageError(str(error)) from None
                trouble = error
            except (StaleRow, PeeweeException) as error:
                self._stop_at_refusal(error, deadline)
                met = [*(each for each in met if each == self._code_of(error)), self._code_of(error)]
                if len(met) == tries and deadline.left_s and not self._is_gone(error):
                    raise self._contended(deadline, error) from None
                if len(met) == _HASTY_TRIES and not self._is_patient:
                    raise self._unavailable(deadline, error) from None
                trouble = error if deadline.left_s else trouble or error  # an earlier error says more than a time-out
            pause_s = pauses.draw_s()
            if deadline.left_s <= pause_s:
                raise self._unavailable(deadline, trouble)
            time.sleep(pause_s)

    def _stop_at_refusal(self, error: StaleRow | PeeweeException, deadline: Deadline) -> None:
        """Raise an error that a repetition cannot mend now; if the connection is gone, let the next try open a new one."""
        if isinstance(error, StaleRow):
            return
        trouble = self._dialect.classify(error)
        if trouble is Trouble.REFUSED:
            code, table = self._dialect.code_of(error), self._dialect.table_of(error)
            is_of_row = self._dialect.is_of_row(error)
            raise Refused(self._dialect.describe(error), code=code, table=table, is_of_row=is_of_row) from None
        if self._dialect.is_refusal(error):
            raise self._unavailable(deadline, error) from None
        if trouble is Trouble.GONE:
            self._pool.drop_idle()

    def _is_gone(self, error: StaleRow | PeeweeException) -> bool:
        return not isinstance(error, StaleRow) and self._dialect.classify(error) is Trouble.GONE

    def _code_of(self, error: StaleRow | PeeweeException) -> str:
        return "" if isinstance(error, StaleRow) else self._dialect.code_of(error)

    def _contended(self, deadline: Deadline, error: StaleRow | PeeweeException) -> Contended:
        if isinstance(error, StaleRow):
            return Contended(deadline.waited_s, str(error), table=error.table, row_id=error.row_id, is_of_row=True)
        dialect = self._dialect
        code, table, is_of_row = dialect.code_of(error), dialect.table_of(error), dialect.is_of_row(error)
        return Contended(deadline.waited_s, dialect.describe(error), code=code, table=table, is_of_row=is_of_row)

    def _unavailable(self, deadline: Deadline, trouble: StaleRow | PeeweeException | ForkedInside) -> StorageUnavailable:
        if self._outage is not None and deadline.waited_s > _TIMEOUT_S / 2:  # who had little time knows little
            self._outage.suspect()
        if isinstance(trouble, PeeweeException):
            return self._dialect.unavailable(deadline.waited_s, self._dialect.describe(trouble), trouble)
        return self._dialect.unavailable(deadline.waited_s, str(trouble))

    def _transact(self, work: Callable[[Database], T], deadline: Deadline, access: TransactionMode) -> T:
        if self._outage is not None and (away := self._outage.error) is not None:
            known = self._unavailable(deadline, away)
            known.is_known = True
            raise known
        write_lock = (
            self._pool.write_lock.acquired(deadline) if self.is_embedded and access is TransactionMode.WRITE else nullcontext()
        )
        with write_lock, self._pool.connection(deadline) as db:
            self._dialect.begin(db, access=access, deadline=deadline)
            if access is TransactionMode.BARE:
                return work(db)
            try:
                result = work(db)
            except BaseException:
                _roll_back(db)
                raise
            if access is TransactionMode.WRITE:
                self._commit(db, deadline, result)
            else:
                db.commit()
            return result

    def _commit(self, db: Database, deadline: Deadline, result: object) -> None:
        if not self.is_embedded and not deadline.left_s:  # no time left to wait for the commit
            _roll_back(db)
            raise self._dialect.unavailable(deadline.waited_s, "the statements took all the time")
        try:
            db.commit()
        except PeeweeException as error:
            _roll_back(db)
            if self._dialect.is_commit_unknown(error):
                raise CommitUnknown(deadline.waited_s, result) from None
            raise


def _roll_back(db: Database) -> None:
    with suppress(PeeweeException):  # the connection is dead: the pool drops it, and the server rolls back
        db.rollback()
