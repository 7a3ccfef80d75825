"""Stores the last sweep, and the outages: periods without sweeps.

One row, the watch, is not over: it begins at the last noted sweep, and becomes an outage when it ends after a long time.
"""

from datetime import datetime, timedelta

from peewee import SQL

from notifyflow.core.deadlines import Outage, outage_since
from notifyflow.storage.models import EscalationRow, OutageRow
from notifyflow.storage.rows import first
from notifyflow.storage.statements import Statement
from notifyflow.storage.unit import Unit

_IS_WATCH = OutageRow.is_over == SQL("FALSE")
_OUTAGES = Statement(
    lambda param: OutageRow.select(OutageRow.began_at, OutageRow.ended_at).where(
        _IS_WATCH | (OutageRow.ended_at > param(OutageRow.ended_at))
    )
)
_SWEPT_AT = Statement(lambda param: OutageRow.select(OutageRow.began_at).where(_IS_WATCH).limit(1))
_NOTE_SWEEP = Statement(lambda param: OutageRow.update(began_at=param(OutageRow.began_at)).where(_IS_WATCH))
_KEPT_FOR = timedelta(days=30)


class Outages(Unit):
    """The watch and the outages."""

    def outages(self, *, since: datetime, now: datetime) -> tuple[Outage, ...]:
        """Read the outages that ended after an instant, and the current one, if any; not locked."""
        found = self._read_since("outages", since, lambda early: self._rows(_OUTAGES(early)))
        recent = [row for row in found if row["ended_at"] is None or row["ended_at"] > since]
        each = (Outage(**row) if row["ended_at"] else outage_since(row["began_at"], now) for row in recent)
        return tuple(outage for outage in each if outage is not None)

    def swept_at(self) -> datetime | None:
        """Return when the last noted sweep was, or None before the first; not locked."""
        swept_at: datetime | None = self._scalar(_SWEPT_AT())
        return swept_at

    def lock_watch(self) -> datetime | None:
        """Lock the watch and return when the last noted sweep was; None also if another process has just ended an outage."""
        found = first(self._rows(self._locked(_SWEPT_AT())))
        return None if found is None else found["began_at"]

    def begin_watch(self, *, at: datetime) -> None:
        """Note the first sweep, unless another process has."""
        self._insert_once(OutageRow, {"began_at": at, "ended_at": None, "is_over": False})

    def note_sweep(self, *, at: datetime) -> None:
        """Note a sweep; the watch is locked."""
        self._execute(_NOTE_SWEEP(at))

    def end_outage(self, outage: Outage) -> None:
        """Store an outage that is over, for as long as any notification may wait, and begin a new watch; the watch is locked."""
        self._unlocked.clear()
        self._execute(OutageRow.delete().where(OutageRow.ended_at < outage.ended_at - _KEPT_FOR))
        self._execute(OutageRow.update(ended_at=outage.ended_at, is_over=True).where(_IS_WATCH))
        self.begin_watch(at=outage.ended_at)

    def has_waited(self, *, since: datetime) -> bool:
        """Return whether an escalation that started before an instant has a running timer."""
        waiting = (
            EscalationRow.select(EscalationRow.id).where(
                EscalationRow.next_decision_at.is_null(is_null=False), EscalationRow.is_current, EscalationRow.started_at <= since
            ),
            EscalationRow.select(EscalationRow.id).where(
                EscalationRow.next_round_at.is_null(is_null=False), EscalationRow.is_current, EscalationRow.started_at <= since
            ),
        )
        return any(self._first(query) is not None for query in waiting)
