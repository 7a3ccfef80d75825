"""The unit of work of one transaction: each row is read once, changed as a value, and written with the others.

It remembers each row of a state machine that was read or added, with the transaction's changes, and the next read returns it.
``flush`` writes the changes, with one statement for each table and kind of change. An update compares the row with the values
that were read: if another transaction has changed a row, nothing is written. Every version of a row has its line in the log.

Two kinds of writes bypass the loaded rows. ``mark_rung`` marks all rows at once, which are then read again. The repositories
write columns that are not facts themselves: how often an attempt was polled, and the mark of the quarantine.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar, cast

from peewee import Database, Query, Select

from notifyflow.core.copies import replace
from notifyflow.core.delivery.facts import (
    MACHINE_NAMES,
    AttemptFacts,
    EscalationFacts,
    IncidentFacts,
    NotificationFacts,
    StepFacts,
)
from notifyflow.core.delivery.policy import Policy
from notifyflow.errors import StaleRow, UnreadableRow
from notifyflow.storage.dialects import ServerTransaction, execute
from notifyflow.storage.session import sets
from notifyflow.storage.session.conditions import QUEUED
from notifyflow.storage.session.loaded_rows import Line, LoadedRow
from notifyflow.storage.session.rows import MODELS, STORE_POLICY, M, Rows, changes, row_of
from notifyflow.storage.session.statements import Run, Statement, inserting
from notifyflow.storage.tables import AttemptRow, ContactRow, IncidentRow, NotificationRow, TransitionRow
from notifyflow.storage.tables.policies import snapshot

Q = TypeVar("Q", Select, Run)

_OPEN = """
    SELECT pid FROM pg_catalog.pg_stat_get_activity(%s)
    WHERE state IS DISTINCT FROM 'idle' AND pid <> pg_catalog.pg_backend_pid() AND (xact_start IS NULL OR xact_start = %s)
"""
"""A server that hides its activity from us shows no start."""
_ROW_LOCK: Any = "FOR NO KEY UPDATE"
_NOTHING: Mapping[str, str] = MappingProxyType({})
_GUARDS = ("id", "state", "version")
_ATTEMPT_GUARDS = ("id", "state", "token", "result")


class UnitOfWork(Rows):
    """The state that all repositories of the ledger share: the loaded rows, and the pending writes.

    Attributes:
        is_shared: Whether others may write meanwhile. SQLite has one writer, so rows that were read cannot change.
        escalations_of: The current escalations by incident, if all of the incident's are locked and loaded.
        notifications_of: The notifications by escalation, if all of the escalation's are loaded.
        unlocked: Other values that were read without a lock.
        spared: The rows, by id, that are not written, since the database refuses them; the rest goes on as if they were.
    """

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self._last_line: Mapping[str, Any] | None = None
        self._loaded: dict[tuple[type, str], LoadedRow] = {}
        self._changed: dict[tuple[type, str], None] = {}
        self.escalations_of: dict[str, set[str]] = {}
        self.notifications_of: dict[str, set[str]] = {}
        self.new_content: dict[str, dict[str, Any]] = {}
        self.new_contacts: list[Mapping[str, Any]] = []
        self._lines: list[dict[str, Any]] = []
        self._stored_policies: set[str] = set()
        self.is_shared = bool(db.for_update)
        self.unlocked: dict[Any, Any] = {}
        self.spared: Collection[str] = ()

    def move(self, before: M, after: M, *, event: str, at: datetime, detail: Mapping[str, str] = _NOTHING) -> M:
        """Change a row, attempts included, and log the move.

        Args:
            before: The facts as they were read.
            after: The new facts; the state may be the same (a reflexive move).
            event: The machine's event.
            at: When.
            detail: Ids and codes for the log; nothing personal.

        Returns:
            ``after`` with its new version.

        Raises:
            StaleRow: When the row was moved since; another transaction's move may be noticed only at the flush.
        """
        moved = self._change(before, after)
        self.log([moved], event=event, at=at, detail=detail, source=before.state)
        return moved

    def save(self, before: M, after: M) -> M:
        """Change columns without a move (due_at, next_decision_at, deferred_since …), or attempts; log no line.

        A new ``due_at`` clears ``rung_at``, unless both are set. Attempts alone do not change the version of their notification.

        Raises:
            StaleRow: As ``move``.
        """
        is_own = not isinstance(before, NotificationFacts) or bool(changes(before, after))
        return self._change(before, after) if is_own else self._replace_loaded(before, after)

    @property
    def line(self) -> Line | None:
        """The last line that this transaction has written to the log, or None."""
        line = self._last_line
        return None if line is None else Line(**{name: line[name] for name in Line.__dataclass_fields__})

    @property
    def server_transaction(self) -> ServerTransaction | None:
        """The server's transaction; None where the database is no server."""
        return getattr(self.db, "server_transaction", None)

    def has_written(self, line: Line, writer: ServerTransaction | None) -> bool:
        """Return whether a line is in the log; a transaction of the server was writing it.

        Raises:
            StaleRow: When it is not, and that transaction may still be committing it.
        """
        is_over = writer is None or execute(self.db, _OPEN, *writer).fetchone() is None  # first: its effects are visible now
        is_it = [getattr(TransitionRow, name) == getattr(line, name) for name in Line.__dataclass_fields__]
        is_written = bool(self.rows(TransitionRow.select(TransitionRow.version).where(*is_it)))
        if not is_written and not is_over:
            raise StaleRow(line.machine, line.row_id)
        return is_written

    def flush(self) -> None:
        """Write everything that has changed since the last flush.

        Raises:
            StaleRow: When another transaction has changed a row since it was read.
        """
        changed = [self._loaded[key] for key in self._changed]
        self._changed = {}
        content, self.new_content = self.new_content, {}
        contacts, self.new_contacts = self.new_contacts, []
        lines, self._lines = self._lines, []
        added = [row.now for row in changed if row.stored is None]
        moved: list[tuple[Any, Any]] = [(row.stored, row.now) for row in changed if row.stored is not None]
        for facts in MACHINE_NAMES:  # before the inserts, which may need a key that it frees
            self._update_set(MODELS[facts], [(old, new) for old, new in moved if type(new) is facts and changes(old, new)])
        self.insert_set(IncidentRow, [row_of(each) | content.pop(each.id) for each in added if isinstance(each, IncidentFacts)])
        self._update_content(content)
        self.insert_set(ContactRow, contacts)
        for kind in (EscalationFacts, NotificationFacts, StepFacts):
            self.insert_set(MODELS[kind], [row_of(each) for each in added if isinstance(each, kind)])
        self._write_attempts([each for each in moved if isinstance(each[1], NotificationFacts)], added)
        self.insert_set(TransitionRow, lines)
        for row in changed:
            row.stored = row.now
            row.is_locked = True

    def _change(self, before: M, after: M) -> M:
        if isinstance(before, NotificationFacts) and isinstance(after, NotificationFacts):
            is_due_anew = after.due_at != before.due_at and after.rung_at == before.rung_at
            after = replace(after, rung_at=None) if is_due_anew else after
        return self._replace_loaded(before, replace(after, version=before.version + 1))

    def _replace_loaded(self, before: M, after: M) -> M:
        key = (type(before), before.id)
        if isinstance(before, NotificationFacts) and not before.is_readable:
            raise UnreadableRow(MACHINE_NAMES[NotificationFacts], before.id, "", "a part of it")
        row = self._loaded.get(key)
        if row is None:
            row = self._loaded[key] = LoadedRow(before, before, False)
        if (row.now.version, row.now.state) != (before.version, before.state):
            raise StaleRow(MACHINE_NAMES[type(before)], before.id)
        row.now = after
        if before.id not in self.spared:
            self._changed[key] = None
        return after

    def add(self, facts: Sequence[M]) -> None:
        """Add new rows of a machine."""
        for each in facts:
            key = (type(each), each.id)
            self._loaded[key] = LoadedRow(None, each, True)
            self._changed[key] = None

    def log(
        self,
        after: Sequence[M],
        *,
        event: str,
        at: datetime,
        detail: Mapping[str, str] = _NOTHING,
        source: str = "",
    ) -> None:
        """Write a log line for each of some rows."""
        lines: list[dict[str, Any]] = [
            {
                "incident_id": facts.id if isinstance(facts, IncidentFacts) else facts.incident_id,
                "machine": MACHINE_NAMES[type(facts)],
                "row_id": facts.id,
                "version": facts.version,
                "event": event,
                "source": source,
                "target": facts.state,
                "at": at,
                "detail": detail,
            }
            for facts in after
            if facts.id not in self.spared
        ]
        self._lines += lines
        self._last_line = lines[-1] if lines else self._last_line

    def remember(self, found: Iterable[M], *, is_locked: bool) -> list[M]:
        """Remember rows as they were read; a row that is locked already keeps the transaction's changes."""
        rows = []
        for each in found:
            key = (type(each), each.id)
            row = self._loaded.get(key)
            if row is None or not row.is_locked:
                row = self._loaded[key] = LoadedRow(each, each, is_locked)
            rows.append(row.now)
        return rows

    def unwritten(self) -> dict[str, str]:
        """Return the machines of the rows, by id, that have changed and are not written yet, without those that are new."""
        found = ((key, row) for key, row in self._loaded.items() if row.stored is not None and row.now is not row.stored)
        return {row_id: MACHINE_NAMES[facts] for (facts, row_id), _ in found}

    def known(self, facts: type[M], row_id: str, *, is_locked: bool) -> M | None:
        """Return a loaded row, with ``is_locked`` only a locked one; None if it must be read."""
        row = self._loaded.get((facts, row_id))
        return cast(M, row.now) if row is not None and (row.is_locked or not is_locked) else None

    def is_added(self, facts: type[M], row_id: str) -> bool:
        """Return whether a row was added and is not written yet."""
        row = self._loaded.get((facts, row_id))
        return row is not None and row.stored is None

    def loaded(self, facts: type[M], row_ids: Iterable[str]) -> tuple[M, ...]:
        """Return loaded rows, by id."""
        return tuple(self._loaded[facts, each].now for each in sorted(row_ids))

    def read(self, facts: type[M], query: Select | Run, *, locked: Collection[str] = ()) -> list[M]:
        """Read rows of a state machine and remember them; rows in ``locked`` count as locked."""
        is_locked = self._prepare_to_read(query)
        found = self.remember(super().read(facts, query), is_locked=is_locked)
        for each in found if locked else ():
            if each.id in locked:
                self._loaded[facts, each.id].is_locked = True
        return found

    def _prepare_to_read(self, query: Select | Run) -> bool:
        """Return whether a query takes locks; if so, forget rows read without a lock, which others may have changed."""
        if not self.is_shared:
            return True
        is_locking = self._is_locking(query)
        if is_locking:
            self._forget(lambda row: not row.is_locked)
            self.unlocked.clear()
        return is_locking

    def _is_locking(self, query: Select | Run) -> bool:
        return bool(query.locks if isinstance(query, Run) else query._for_update)  # type: ignore[attr-defined]

    def store_policy(self, policy: Policy, *, at: datetime) -> None:
        """Store a new row's policy, unless it is stored; each transaction runs one statement for it, which then locks nothing."""
        new = snapshot(policy)
        if new.digest not in self._stored_policies:
            STORE_POLICY(new.digest, new.document, at, new.digest, new.document).execute(self.db)
            self._stored_policies.add(new.digest)

    def locked(self, query: Q, *, skips_locked: bool = False) -> Q:
        """Lock a query's rows; on SQLite the transaction is the only writer already.

        ``FOR NO KEY UPDATE``, since the stronger lock would also block inserts of rows that refer to the locked one.
        """
        return query if not self.db.for_update else query.for_update(_ROW_LOCK, skip_locked=skips_locked)

    def _forget(self, is_old: Callable[[LoadedRow], bool]) -> None:
        """Write the changes, and forget some of the loaded rows."""
        gone = [key for key, row in self._loaded.items() if is_old(row)]
        if gone:
            self._catch_up()
            for key in gone:
                del self._loaded[key]
            self.escalations_of.clear()
            self.notifications_of.clear()

    def _catch_up(self, query: Query | Run | None = None) -> None:
        if (self._changed or self.new_contacts or self.new_content) and self._touches_changes(query):
            self.flush()

    def _touches_changes(self, query: Query | Run | None) -> bool:
        if not isinstance(query, Run):
            return True
        sql = query.sql(self.db)
        models: set[Any] = {TransitionRow, *(MODELS[facts] for facts, _ in self._changed)}
        models |= {AttemptRow} if NotificationRow in models else set()
        models |= {ContactRow} if self.new_contacts else set()
        models |= {IncidentRow} if self.new_content else set()
        return any(f'"{model._meta.table_name}"' in sql for model in models)

    def execute(self, query: Query | Run) -> int:
        """Run a write that bypasses the loaded rows, after all pending changes; return how many rows it wrote."""
        self._catch_up(query)
        return int(query.execute(self.db))

    def _update_content(self, content: Mapping[str, Mapping[str, Any]]) -> None:
        if content:
            columns = tuple(next(iter(content.values())))
            sets.update(self.db, IncidentRow, columns, ("id",), [(*each.values(), name) for name, each in content.items()])

    def _write_attempts(self, moved: Sequence[tuple[Any, Any]], added: Sequence[Any]) -> None:
        new: list[AttemptFacts] = [a for each in added if isinstance(each, NotificationFacts) for a in each.attempts]
        updated: list[tuple[AttemptFacts, AttemptFacts]] = []
        for before, after in moved:
            if before.attempts is not after.attempts:
                known = {attempt.id: attempt for attempt in before.attempts}
                new += [attempt for attempt in after.attempts if attempt.id not in known]
                updated += [(known[a.id], a) for a in after.attempts if a.id in known and a != known[a.id]]
        self._update_set(AttemptRow, updated, _ATTEMPT_GUARDS)
        self.insert_set(AttemptRow, [row_of(attempt) for attempt in new])

    def insert_set(self, model: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows at once; they refer to no row that this transaction has changed."""
        if rows:
            sets.insert(self.db, model, tuple(rows[0]), [tuple(row.values()) for row in rows])

    def _update_set(self, model: Any, moved: Sequence[tuple[Any, Any]], guards: tuple[str, ...] = _GUARDS) -> None:
        """Write all columns that changed in any of the rows, if no row has changed in the database since it was read."""
        if not moved:
            return
        different = dict.fromkeys(name for before, after in moved for name in changes(before, after))
        columns = tuple(different)
        rows = [
            (*(getattr(after, name) for name in columns), *(getattr(before, name) for name in guards)) for before, after in moved
        ]
        if sets.update(self.db, model, columns, guards, rows) != len(rows):
            raise StaleRow(_NAMES[model], ", ".join(before.id for before, _ in moved[:3]))

    def mark_rung(self, ids: Sequence[str], at: datetime | None) -> None:
        """Mark the queued ones of some notifications as rung for, or as not rung for if ``at`` is None; the version stays."""
        self._catch_up()
        self._forget(lambda row: type(row.now) is NotificationFacts)
        _MARK_RUNG(at, ids).execute(self.db)

    def insert(self, model: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows of a table without a state machine, at once."""
        self._catch_up()
        self.insert_set(model, rows)

    def insert_new(self, model: Any, rows: Sequence[Mapping[str, Any]], key: tuple[str, ...]) -> set[tuple[Any, ...]]:
        """Insert rows of a table without a state machine, at once, unless their keys exist; return the inserted keys."""
        self._catch_up()
        return sets.insert_new(self.db, model, tuple(rows[0]), key, [tuple(row.values()) for row in rows]) if rows else set()

    def count(
        self,
        model: Any,
        columns: tuple[str, ...],
        key: tuple[str, ...],
        counter: str,
        replaced: tuple[str, ...],
        rows: Sequence[sets.Row],
    ) -> None:
        """Insert rows at once, or add to existing ones; their table has no state machine and no references."""
        if rows:
            sets.count(self.db, model, columns, key, counter, replaced, rows)

    def update_those(
        self, model: Any, columns: tuple[str, ...], guards: tuple[str, ...], key: tuple[str, ...], rows: Sequence[sets.Row]
    ) -> set[tuple[Any, ...]]:
        """Update rows of a table without a state machine, at once, if the guards still hold; return the updated keys."""
        self._catch_up()
        return sets.update_those(self.db, model, columns, guards, key, rows)

    def insert_once(self, model: Any, row: Mapping[str, Any]) -> bool:
        """Insert a row unless one with its key exists; return whether it was inserted."""
        self._catch_up()
        return bool(inserting(model, tuple(row))(*row.values()).execute(self.db))


_NAMES: Mapping[Any, str] = {model: MACHINE_NAMES.get(facts, "attempt") for facts, model in MODELS.items()}


_MARK_RUNG = Statement(
    lambda param: NotificationRow.update(rung_at=param(NotificationRow.rung_at)).where(param.any_of(NotificationRow.id), QUEUED)
)
