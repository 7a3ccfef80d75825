"""The database: real Peewee and our schema on SQLite in memory, seen by each transaction as PostgreSQL would show it.

A *server* lets transactions interleave between any two statements (READ COMMITTED). There is one connection: a transaction that
needs it rolls back the writes of the one before, which repeats them when its turn comes. Locks are kept here: ``locked`` takes
them, ``SKIP LOCKED`` passes over them, a cycle of waits is a deadlock. An *embedded* database is plain SQLite: one writer at a
time. Either can be unavailable, break during a commit, and end a transaction that stalled for too long.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from inspect import Parameter, signature
from types import FunctionType
from typing import Any, NoReturn, TypeVar

import peewee
from peewee import Database, Query, Select

from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.retry import pause_s
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.errors import CommitUnknown, Contended, Refused, StaleRow, StorageUnavailable
from notifyflow.storage import migrations
from notifyflow.storage.dialects import Sqlite
from notifyflow.storage.dialects.deadline import FIRST_PAUSE_S, LONGEST_PAUSE_S
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.reads import Reads
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.statements import Run
from notifyflow.storage.session.unit_of_work import UnitOfWork
from notifyflow.storage.tables import AttemptRow, TransitionRow
from tests.simulation.world import Task, World, require

T = TypeVar("T")

Weakening = tuple[tuple[str, str], ...]
"""Replacements in the schema's statements, as (old, new); each old text occurs once."""

IDLE_LIMIT_S = 60.0  # longer than storage.dialects sets it: a server that is slow to end a transaction
_STATEMENT_LIMIT_S = 5.0


class Collided(Exception):
    """Raised when another transaction is in the way: a deadlock or a unique value."""


class Gone(Exception):
    """Raised when the server has ended the transaction."""


class Session:
    """One transaction: its writes, its row locks, and the changes to check after its commit."""

    def __init__(self, database: "SimulatedDatabase", task: Task) -> None:
        self.database = database
        self.task = task
        self.epoch = database.epoch
        self.writes: list[tuple[str, Any]] = []
        self.before = 0  # SQLite's count of changes when the writes began
        self.changed = 0  # what the writes changed, by that count
        self.waits_for: Session | None = None
        self.waiting: list[Session] = []
        self.began_s = self.touched_s = database.world.now_s
        self.is_unsure = False  # whether the caller does not learn how the commit ended
        self.lines: list[dict[str, Any]] = []
        self.attempts: dict[str, bool] = {}  # id → whether it is new
        self.pages: list[Any] = []
        self.operations_id: str | None = None  # the operations incident, once it is locked

    def lock(self, row_ids: Sequence[str]) -> None:
        """Lock rows, waiting for their holders."""
        holders = self.database.locks
        for row_id in row_ids:
            while (holder := holders.get(row_id, self)) is not self:
                self._wait(holder)
            holders[row_id] = self

    def lock_free(self, rows: Sequence[dict[str, Any]], limit: int | None) -> list[dict[str, Any]]:
        """Lock the rows nobody else has locked: PostgreSQL passes over the others before it counts up to the limit."""
        free = [row for row in rows if self.is_free([_key(row)])][:limit]
        self.lock([_key(row) for row in free])
        return free

    def note_locked(self, rows: Sequence[dict[str, Any]]) -> None:
        """Require that the operations incident is locked last: what is locked after it belongs to it."""
        self.database.world.observed(self._check_order)(rows)

    def _check_order(self, rows: Sequence[dict[str, Any]]) -> None:
        for row in rows:
            own = row.get("incident_id", row.get("id"))
            require(self.operations_id in (None, own), f"15: {_key(row)[-4:]} is locked after the operations incident")
            if row.get("is_operations") and "incident_id" not in row:
                self.operations_id = own

    def is_free(self, row_ids: Sequence[str]) -> bool:
        return all(self.database.locks.get(row_id, self) is self for row_id in row_ids)

    def _wait(self, holder: "Session") -> None:
        world = self.database.world
        if world.now_s - holder.touched_s > IDLE_LIMIT_S:
            holder.end()
            return
        other: Session | None = holder
        while other is not None:
            if other is self:
                raise Collided("deadlock")
            other = other.waits_for
        since_s = world.now_s
        self.waits_for = holder
        holder.waiting.append(self)
        self.task.wake_after(_STATEMENT_LIMIT_S)
        world.block()
        self.waits_for = None
        self.check_alive()
        if world.now_s - since_s >= _STATEMENT_LIMIT_S:
            raise Gone

    def check_alive(self) -> None:
        if self.epoch != self.database.epoch or self.database.world.now_s - self.touched_s > IDLE_LIMIT_S:
            raise Gone
        self.touched_s = self.database.world.now_s

    def end(self) -> None:
        """Release all locks and roll back."""
        self.epoch = -1
        self.database.leave(self)
        for row_id in [row_id for row_id, holder in self.database.locks.items() if holder is self]:
            del self.database.locks[row_id]
            self.database.unlocked[row_id] = self, self.database.world.now_s
        for waiter in self.waiting:
            if waiter.waits_for is self:
                waiter.task.wake_after(0)
        self.waiting = []


class Overriding:
    """A class whose subclasses may only override.

    A method that no base class has would have no effect, and one that takes other arguments would crash: both are refused.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = [name for name, each in vars(cls).items() if isinstance(each, FunctionType)]
        assert own, f"{cls.__name__} overrides nothing"
        unknown = [name for name in own if not any(name in vars(base) for base in cls.__mro__[1:])]
        assert not unknown, f"{cls.__name__} overrides methods that do not exist: {', '.join(unknown)}"
        for name in own:
            base = next(vars(each)[name] for each in cls.__mro__[1:] if name in vars(each))
            assert _takes_as_much(vars(cls)[name], base), f"{cls.__name__}.{name} takes other arguments than what it overrides"


def _takes_as_much(function: Any, overridden: Any) -> bool:
    """Return whether a method can be called with all arguments of the one that it overrides."""
    wanted = signature(overridden).parameters.values()
    named = {each.name: None for each in wanted if each.kind is Parameter.KEYWORD_ONLY}
    places = [None for each in wanted if each.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)]
    try:
        signature(function).bind(*places, **named)
    except TypeError:
        return False
    return True


class SimulatedUnitOfWork(Overriding, UnitOfWork):
    """The real unit of work; lets others run between its statements, locks rows, and notes what is written."""

    def __init__(self, session: Session) -> None:
        super().__init__(session.database.connection)
        self.session = session
        self.is_shared = session.database.is_server

    def locked(self, query: Select, *, skips_locked: bool = False) -> Select:
        query.lock_ = skips_locked
        return query

    def rows(self, query: Query) -> list[dict[str, Any]]:
        session = self.session
        if not session.database.is_server:
            return super().rows(query)
        session.database.world.sleep(session.database.world.random.expovariate(2000))
        session.check_alive()
        while True:
            if (skips := getattr(query, "lock_", None)) is None:
                return super().rows(query)
            if skips:
                wider, limit = _widened(query, len(session.database.locks))
                free = session.lock_free(super().rows(wider), limit)
                session.note_locked(free)
                return free
            rows = super().rows(query)
            ids = [_key(row) for row in rows]
            if session.is_free(ids):
                session.lock(ids)
                session.note_locked(rows)
                return rows
            session.lock(ids)  # and read again, since their holders may have changed them

    def _is_locking(self, query: Any) -> bool:
        return getattr(query, "lock_", None) is not None

    def add(self, facts: Any) -> None:
        super().add(facts)
        self.session.pages += [each for each in facts if isinstance(each, NotificationFacts)]

    def _update_set(self, model: Any, moved: Any, *guards: Any) -> None:
        self.session.database.on_write(len(moved))
        ids = [before.id for before, _ in moved]
        if model is AttemptRow:
            for each in ids:
                self.session.attempts.setdefault(each, False)
        elif self.session.database.is_server:
            self.session.lock(ids)
        super()._update_set(model, moved, *guards)

    def mark_rung(self, ids: Sequence[str], at: Any) -> None:
        self.session.database.on_write(len(ids))
        if self.session.database.is_server:
            self.session.lock(ids)
        super().mark_rung(ids, at)

    def insert_set(self, model: Any, rows: Any) -> None:
        self.session.database.on_write(len(rows))
        super().insert_set(model, rows)
        if model is TransitionRow:
            self.session.lines += rows
        elif model is AttemptRow:
            self.session.attempts.update({row["id"]: True for row in rows})


class _Unread(tuple[Any, ...]):
    """What was not read: it cannot be looked through, as if it were empty."""

    __slots__ = ()

    def __iter__(self) -> NoReturn:
        raise AssertionError("only status_with_log reads this")

    def __len__(self) -> NoReturn:
        raise AssertionError("only status_with_log reads this")


_UNREAD = _Unread()


class _ReadsWithoutLog(Reads):
    """Reads no line of a log, which grows with each commit, and is looked at when all has settled."""

    def _transitions(self, incident_id: str) -> tuple[Any, ...]:
        return ()

    def _notes(self, attempt_ids: Sequence[str]) -> tuple[Any, ...]:
        return ()


def with_repositories(ledger: Ledger, parts: Iterable[type[Repository]]) -> Ledger:
    """Put other parts in the place of those that they are derived from."""
    for other in parts:
        (name,) = (name for name, part in vars(ledger).items() if isinstance(part, Repository) and issubclass(other, type(part)))
        setattr(ledger, name, other(ledger._unit))
    return ledger


class _Connection(peewee.SqliteDatabase):
    """Passes every statement to the simulated database before it runs."""

    simulated: "SimulatedDatabase"

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        self.simulated.enter(sql, params)
        return super().execute_sql(sql, params)


class SimulatedDatabase:
    """The port ``Transactions``."""

    def __init__(
        self,
        world: World,
        *,
        is_server: bool,
        unit: type[SimulatedUnitOfWork] = SimulatedUnitOfWork,
        parts: Sequence[type[Repository]] = (),
        without: Weakening = (),
    ) -> None:
        self.world = world
        self.is_server = is_server
        self.epoch = 0
        self.up_at_s = 0.0
        self.locks: dict[str, Session] = {}
        self.unlocked: dict[str, tuple[Session, float]] = {}
        self._limits: dict[Task, float] = {}
        self.has_damage = False  # whether constraints refuse rows that were damaged on purpose
        self.put_off: dict[str, Any] = {}  # what a mutant stores later
        self.on_write: Callable[[int], None] = lambda rows: None
        self.before_commit: Callable[[Session], None] = lambda session: None
        self.after_commit: Callable[[Session], None] = lambda session: None
        self._unit, self._parts = unit, parts
        self._active: Session | None = None
        self._is_looking = False
        self._looked: dict[str, dict[tuple[Any, ...], list[Any]]] = {}  # what was read since a commit changed a table of it
        self._statuses: dict[str, IncidentStatus] = {}  # since a commit changed any row
        self.connection = _Connection(":memory:", thread_safe=False, autoconnect=False, check_same_thread=False)
        self.connection.simulated = self
        self.connection.connect()
        self._raw: sqlite3.Connection = self.connection.connection()
        _empty(without).backup(self._raw)
        self._raw.execute("PRAGMA foreign_keys = ON")

    def close(self) -> None:
        self.connection.close()

    def fail_for(self, span_s: float) -> None:
        """Become unavailable for a while; every open transaction is lost."""
        self.epoch += 1
        self.up_at_s = self.world.now_s + span_s

    def was_locked(self, row_id: str, session: Session) -> bool:
        """Return whether another transaction was the last to lock a row, and held it while a transaction ran."""
        holder, until_s = self.unlocked.get(row_id, (session, 0.0))
        return holder is not session and until_s >= session.began_s

    def look(self, sql: str, *values: Any) -> list[Any]:
        """Run SQL against the committed rows, outside any transaction, once between two commits that change a table of it."""
        known = self._looked.setdefault(sql, {})
        if values not in known:
            self.leave()
            known[values] = self._raw.execute(sql, values).fetchall()
        return known[values]

    def read(self, query: Callable[[Database], T]) -> T:
        """Run a Peewee query against the committed rows, outside any transaction."""
        self.leave()
        self._is_looking = True
        try:
            return query(self.connection)
        finally:
            self._is_looking = False

    def forget(self, writes: Iterable[str]) -> None:
        """Read anew what statements may have changed; what follows from a deletion may be in any table."""
        is_deleted = any(sql.startswith("DELETE") for sql in writes)
        written = frozenset().union(*map(_tables, writes))
        for sql in [sql for sql in self._looked if is_deleted or not written.isdisjoint(_tables(sql))]:
            del self._looked[sql]
        self._statuses.clear()

    def status(self, incident_id: str) -> IncidentStatus:
        """Return an incident without its log as it is committed, read once between two commits that change any row."""
        if incident_id not in self._statuses:
            status = self.read(lambda db: _ReadsWithoutLog(db).status_by_id(incident_id))
            assert status is not None
            self._statuses[incident_id] = replace(status, transitions=_UNREAD, notes=_UNREAD)
        return self._statuses[incident_id]

    def status_with_log(self, incident_id: str) -> IncidentStatus:
        """Return an incident with its log as it is committed."""
        status = self.read(lambda db: Reads(db).status_by_id(incident_id))
        assert status is not None
        return status

    @contextmanager
    def within(self, timeout_s: float) -> Iterator[None]:
        """Set one time limit for all calls of this greenlet in the block."""
        task = self.world.task
        self._limits[task] = self.world.now_s + timeout_s
        try:
            yield
        finally:
            del self._limits[task]

    def run(self, use_case: Callable[[Ledger], T], *, timeout_s: float = 5.0, tries: int | None = None) -> T:
        """Run a use case as ``Store.run`` does: until it commits, the time is over, or it met the same trouble too often."""
        world, task = self.world, self.world.task
        world.point("before a transaction")
        ends_s = min(world.now_s + timeout_s, self._limits.get(task, float("inf")))
        met: list[str] = []
        often = 0
        while True:
            session = Session(self, task)
            often += 1
            try:
                if world.now_s >= self.up_at_s:
                    task.session = session
                    return self._commit(session, with_repositories(Ledger(self._unit(session)), self._parts).run(use_case))
            except (StaleRow, Collided, Gone, peewee.IntegrityError) as error:
                self._stop_at_refusal(error)
                world.note(f"repeats: {error or type(error).__name__}")
                met.append(_kind(error))
            finally:
                session.end()
                task.session = None
            if met and met.count(met[-1]) == tries and met[-1] != "Gone":
                raise Contended(0, met[-1], code=met[-1], is_of_row=met[-1] != "deadlock")
            if world.now_s >= ends_s:
                raise StorageUnavailable(timeout_s, "simulated")
            longest_s = min(LONGEST_PAUSE_S, max(0.0, ends_s - world.now_s))
            world.sleep(pause_s(often, world.random.random(), first_s=FIRST_PAUSE_S, longest_s=longest_s))

    def _stop_at_refusal(self, error: Exception) -> None:
        """Raise what repeating does not help: a broken constraint, unless another transaction has just stored the same key."""
        if isinstance(error, peewee.IntegrityError) and not (self.is_server and "UNIQUE" in str(error)):
            if not self.has_damage:
                raise error
            raise Refused(str(error), code="SQLITE_CONSTRAINT", is_of_row=True) from None

    def join(self, open_for_s: object, use_case: Callable[[Ledger], T]) -> T:
        """Run a use case in a transaction of the application, which stays open for some seconds and repeats nothing."""
        assert isinstance(open_for_s, float)
        session = Session(self, self.world.task)
        try:
            if self.world.now_s < self.up_at_s:
                raise Gone
            self.world.task.session = session
            result = with_repositories(Ledger(self._unit(session)), self._parts).run(use_case)
            self.world.sleep(open_for_s)
            return self._commit(session, result)
        except (StaleRow, Collided, Gone, peewee.IntegrityError) as error:
            raise StorageUnavailable(0, f"simulated: {error or type(error).__name__}") from None
        finally:
            session.end()
            session.task.session = None

    def _commit(self, session: Session, result: T) -> T:
        world = self.world
        if self.is_server:
            world.point("before a commit")
            session.check_alive()
        session.is_unsure = world.strikes("commit_unknown", "the connection breaks during a commit")
        if session.is_unsure and world.random.random() < 0.5:
            raise CommitUnknown(0, result)
        self.before_commit(session)
        if session.writes:
            self.enter("COMMIT", None)
            self._raw.execute("COMMIT")
            if self._raw.total_changes != session.before:
                self.forget([sql for sql, _ in session.writes])
            self._active = None
        session.end()
        self.after_commit(session)
        world.point("after a commit")
        if session.is_unsure:
            raise CommitUnknown(0, result)
        return result

    def enter(self, sql: str, params: Any) -> None:
        """Prepare the connection for a statement: it shows the committed rows and the running transaction's own writes."""
        if self._is_looking:
            return
        session = self.world.task.session
        is_write = sql.startswith(("INSERT", "UPDATE", "DELETE"))
        assert isinstance(session, Session), "a statement outside a transaction"
        if self._active is not session:
            self.leave()
            if session.writes or is_write:
                self._raw.execute("BEGIN IMMEDIATE")
                self._active = session
                self._write_anew(session)
        if is_write:
            session.writes.append((sql, params))

    def leave(self, only: Session | None = None) -> None:
        """Roll back the active transaction's writes; they are repeated when it continues."""
        active = self._active
        if active is None or (only is not None and active is not only):
            return
        active.changed = self._raw.total_changes - active.before
        self._raw.execute("ROLLBACK")
        self._active = None

    def _write_anew(self, session: Session) -> None:
        session.before = self._raw.total_changes
        try:
            for sql, params in session.writes:
                self._raw.execute(sql, params or ()).fetchall()
        except sqlite3.IntegrityError as error:
            raise Collided(str(error)) from None
        if self._raw.total_changes - session.before != session.changed:
            raise Collided("a row that it wrote has become another one")


def _kind(error: Exception) -> str:
    """Return what kind of trouble an error is: a deadlock, a stale row, or a server that is gone."""
    if isinstance(error, peewee.IntegrityError) or "UNIQUE" in str(error):
        return "UNIQUE"
    return "deadlock" if isinstance(error, Collided) else type(error).__name__


def _key(row: dict[str, Any]) -> str:
    """Return the lock key of a row: its id, or channel and provider for a provider's health."""
    return str(row.get("id") or row.get("notification_id") or tuple(row.values())[:2])


def _widened(query: Any, more: int) -> tuple[Any, int | None]:
    """Return a query that finds so many more rows, and the limit it had; a statement's limit is its last value."""
    if isinstance(query, Run):
        *values, last = query._values or [None]
        return (query._statement(*values, last + more), last) if isinstance(last, int) else (query, None)
    return (query, None) if query._limit is None else (query.limit(query._limit + more), query._limit)


@cache
def _tables(sql: str) -> frozenset[str]:
    """Return the names of our tables, and of whatever else of ours, in a statement."""
    return frozenset(re.findall(r"\bnotifyflow_\w+", sql))


@cache
def _empty(without: Weakening) -> sqlite3.Connection:
    """Return a database with all tables, to copy; a mutant leaves out some constraints."""
    statements = [each.format(**Sqlite.types) for migration in migrations.MIGRATIONS for each in migration.STATEMENTS]
    for old, new in without:
        found = sum(each.count(old) for each in statements)
        assert found == 1, f"the schema says {found} times what a mutant leaves out: {old!r}"
        statements = [each.replace(old, new) for each in statements]
    db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    for each in statements:
        db.execute(each)
    return db
