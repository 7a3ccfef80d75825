"""Writes the rows of the state machines: compare-and-set, with a line in the transition log.

An update names the row's id, state and version as they were read. If no row matches, another transaction was first.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TypeVar

from peewee import SQL, Select, fn

from notifyflow.core.facts import MACHINE_NAMES, AttemptFacts, EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.core.policy import Policy
from notifyflow.errors import StaleRow
from notifyflow.storage.models import (
    AttemptRow,
    ContactRow,
    EscalationRow,
    IncidentRow,
    NotificationRow,
    PolicyRow,
    TransitionRow,
)
from notifyflow.storage.policies import snapshot
from notifyflow.storage.rows import MODELS, Rows, batches, changes
from notifyflow.storage.statements import Places, Run, Statement

M = TypeVar("M", IncidentFacts, EscalationFacts, NotificationFacts)
Q = TypeVar("Q", Select, Run)

_ROW_LOCK: Any = "FOR NO KEY UPDATE"
_NOTHING: Mapping[str, str] = MappingProxyType({})
_IN_ORDER = (IncidentRow, ContactRow, EscalationRow, NotificationRow, TransitionRow)  # as they refer to each other
_LOGGED: Mapping[str, Any] = {name: MODELS[facts] for facts, name in MACHINE_NAMES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the transition log, as a transaction wrote it: no other can write the same."""

    incident_id: str
    machine: str
    row_id: str
    version: int
    event: str
    at: datetime


class Moves(Rows):
    """The writes that every writing class shares.

    Attributes:
        line: The last line that this transaction has written to the log, or None.
    """

    line: Line | None = None
    _gathered: dict[Any, list[Mapping[str, Any]]] | None = None
    _kept_policies: frozenset[str] = frozenset()

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Gather new rows and write them with one statement for each table: at the end, and before any read or update."""
        self._gathered = {}
        try:
            yield
            self._catch_up()
        finally:
            self._gathered = None

    @property
    def is_gathering(self) -> bool:
        """Whether new rows are written later."""
        return self._gathered is not None

    def has_written(self, line: Line) -> bool:
        """Return whether a line is in the log; wait for a transaction that may still be committing it."""
        model = _LOGGED[line.machine]
        self._rows(self._locked(model.select(model.id).where(model.id == line.row_id)))
        is_it = [getattr(TransitionRow, field.name) == getattr(line, field.name) for field in fields(line)]
        return bool(self._rows(TransitionRow.select(TransitionRow.version).where(*is_it)))

    def _catch_up(self) -> None:
        if self._gathered:
            gathered, self._gathered = self._gathered, None
            for model in _IN_ORDER:
                self._insert(model, gathered.get(model, ()))
            self._gathered = {}

    def move(self, before: M, after: M, *, event: str, at: datetime, detail: Mapping[str, str] = _NOTHING) -> M:
        """Write the changed columns and log the move; attempts are ignored.

        Args:
            before: The facts as they were read.
            after: The new facts; the state may be the same (a reflexive move).
            event: The machine's event.
            at: When.
            detail: Ids and codes for the log; nothing personal.

        Returns:
            ``after`` with its new version.

        Raises:
            StaleRow: When another transaction moved the row first.
        """
        stored = self.save(before, after)
        self._log([stored], event=event, at=at, detail=detail, source=before.state)
        return stored

    def save(self, before: M, after: M) -> M:
        """Write changed columns that are no move (due_at, next_decision_at, deferred_since …), without a line in the log.

        A new ``due_at`` clears ``rung_at``, unless both are set.

        Raises:
            StaleRow: When another transaction moved the row first.
        """
        changed = changes(before, after)
        if "due_at" in changed and "rung_at" not in changed:
            changed["rung_at"] = None
        changed["version"] = before.version + 1
        as_read = {"id": before.id, "state": before.state, "version": before.version}
        if not self._update(MODELS[type(before)], changed, as_read):
            raise StaleRow(MACHINE_NAMES[type(before)], before.id)
        return replace(after, **{name: changed[name] for name in ("version", "rung_at") if name in changed})

    def save_attempt(self, before: AttemptFacts, after: AttemptFacts) -> None:
        """Write the changed columns of an attempt, if its state, token and result are still those that were read.

        Raises:
            StaleRow: When another transaction changed it first.
        """
        changed = changes(before, after)
        as_read = {name: getattr(before, name) for name in ("id", "state", "token", "result")}
        if changed and not self._update(AttemptRow, changed, as_read):
            raise StaleRow("attempt", before.id)

    def _log(
        self,
        after: Sequence[IncidentFacts | EscalationFacts | NotificationFacts],
        *,
        event: str,
        at: datetime,
        detail: Mapping[str, str] = _NOTHING,
        source: str = "",
    ) -> None:
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
        ]
        self._insert(TransitionRow, lines)
        if lines:
            self.line = Line(**{field.name: lines[-1][field.name] for field in fields(Line)})

    def _update(self, model: Any, changed: Mapping[str, Any], as_read: Mapping[str, Any]) -> bool:
        """Update the row that still has the values that were read; return whether it was found."""
        self._catch_up()
        known = {name: value for name, value in as_read.items() if value is not None}
        statement = _updating(model, tuple(changed), tuple(known), tuple(name for name in as_read if name not in known))
        return statement(*changed.values(), *known.values()).execute(self._db) > 0

    def _insert(self, model: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        if self._gathered is not None and model in _IN_ORDER:
            self._gathered.setdefault(model, []).extend(rows)
            return
        if len(rows) == 1:
            _inserting(model, tuple(rows[0]))(*rows[0].values()).execute(self._db)
            return
        for batch in batches(rows):
            model.insert_many(batch).execute(self._db)

    def _insert_once(self, model: Any, row: Mapping[str, Any]) -> bool:
        """Insert a row unless one with its key exists; return whether it was inserted."""
        self._catch_up()
        return bool(_inserting(model, tuple(row), ignores=True)(*row.values()).execute(self._db))

    def _keep_policy(self, policy: Policy, *, at: datetime) -> None:
        """Store a policy that a new row refers to, unless it is stored; one statement a transaction, which locks nothing then."""
        new = snapshot(policy)
        if new.digest not in self._kept_policies:
            _KEEP_POLICY(new.digest, new.document, at, new.digest).execute(self._db)
            self._kept_policies |= {new.digest}

    def _locked(self, query: Q, *, skips_locked: bool = False) -> Q:
        """Lock the rows that a query finds; on SQLite the transaction is the only writer already.

        ``FOR NO KEY UPDATE``, since the stronger lock would also block inserts of rows that refer to the locked one.
        """
        return query if not self._db.for_update else query.for_update(_ROW_LOCK, skip_locked=skips_locked)


def _keep_policy(param: Places) -> Any:
    columns = (PolicyRow.digest, PolicyRow.document, PolicyRow.created_at)
    new = Select(columns=[*map(param, columns)])
    is_used = (PolicyRow.digest == param(PolicyRow.digest)) & PolicyRow.unused_since.is_null()
    return PolicyRow.insert_from(new.where(~fn.EXISTS(PolicyRow.select(SQL("1")).where(is_used))), columns).on_conflict(
        conflict_target=[PolicyRow.digest], update={PolicyRow.unused_since: None}
    )


_KEEP_POLICY = Statement(_keep_policy)


@lru_cache(maxsize=256)
def _updating(model: Any, changed: tuple[str, ...], known: tuple[str, ...], missing: tuple[str, ...]) -> Statement:
    def build(param: Places) -> Any:
        values = {name: param(getattr(model, name)) for name in changed}
        is_as_read = [getattr(model, name) == param(getattr(model, name)) for name in known]
        return model.update(values).where(*is_as_read, *(getattr(model, name).is_null() for name in missing))

    return Statement(build)


@lru_cache(maxsize=256)
def _inserting(model: Any, names: tuple[str, ...], *, ignores: bool = False) -> Statement:
    def build(param: Places) -> Any:
        query = model.insert({name: param(getattr(model, name)) for name in names})
        return query.on_conflict_ignore() if ignores else query

    return Statement(build)
