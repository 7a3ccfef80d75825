"""Every write of a row that moves: compare-and-set, with its line in the transition log.

An update names the row's id, state and version as they were read. Where no row matches, somebody else was first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

from peewee import Select

from notifyflow.core.facts import AttemptFacts, EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.errors import StaleRow
from notifyflow.storage.models import AttemptRow, TransitionRow
from notifyflow.storage.rows import MACHINES, MODELS, Rows, batches, changes

M = TypeVar("M", IncidentFacts, EscalationFacts, NotificationFacts)

_ROW_LOCK: Any = "FOR NO KEY UPDATE"
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Moves(Rows):
    """The one door through which rows move."""

    def move(self, before: M, after: M, *, event: str, at: datetime, detail: Mapping[str, str] = _NOTHING) -> M:
        """Write what changed, and log the move; attempts are not looked at.

        Args:
            before: The facts as they were read.
            after: The facts as they shall be; the state may be the same (a reflexive move).
            event: The machine's event.
            at: When.
            detail: Ids and codes worth reading; nothing personal.

        Returns:
            ``after`` with the version it has now.

        Raises:
            StaleRow: When somebody else moved the row first.
        """
        stored = self.save(before, after)
        self._log([stored], event=event, at=at, detail=detail, source=before.state)
        return stored

    def save(self, before: M, after: M) -> M:
        """Write what changed without a line in the log: what is no move (due_at, look_at, held_since …).

        A new ``due_at`` clears ``rung_at``, unless that is set with it.

        Raises:
            StaleRow: When somebody else moved the row first.
        """
        model: Any = MODELS[type(before)]
        changed = changes(before, after)
        if "due_at" in changed and "rung_at" not in changed:
            changed["rung_at"] = None
        changed["version"] = before.version + 1
        query = model.update(changed).where(model.id == before.id, model.state == before.state, model.version == before.version)
        if query.execute(self._db) == 0:
            raise StaleRow(MACHINES[type(before)], before.id)
        return replace(after, **{name: changed[name] for name in ("version", "rung_at") if name in changed})

    def save_attempt(self, before: AttemptFacts, after: AttemptFacts) -> None:
        """Write what changed in an attempt, as long as its state, token and word are those that were read.

        Raises:
            StaleRow: When they are not.
        """
        guard = (
            AttemptRow.id == before.id,
            AttemptRow.state == before.state,
            AttemptRow.token == before.token,
            AttemptRow.word.is_null() if before.word is None else AttemptRow.word == before.word,
        )
        changed = changes(before, after)
        if changed and AttemptRow.update(changed).where(*guard).execute(self._db) == 0:
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
        lines = [
            {
                "incident_id": facts.id if isinstance(facts, IncidentFacts) else facts.incident_id,
                "machine": MACHINES[type(facts)],
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

    def _insert(self, model: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        for batch in batches(rows):
            model.insert_many(batch).execute(self._db)

    def _insert_once(self, model: Any, row: Mapping[str, Any]) -> bool:
        """Insert a row unless its like stands there; tell whether it was inserted."""
        return bool(model.insert(row).on_conflict_ignore().as_rowcount().execute(self._db))

    def _locked(self, query: Select, *, skips_locked: bool = False) -> Select:
        """Lock the rows that a query finds; on SQLite the transaction holds the only writer already.

        ``FOR NO KEY UPDATE``, since the stronger lock would also stop those who only insert a row that refers to the locked one.
        """
        return query if not self._db.for_update else query.for_update(_ROW_LOCK, skip_locked=skips_locked)
