"""Stores pauses, outages and paused intervals, which are past periods of a pause or a quarantine.

An outage is a period without sweeps. The one row that has not ended begins at the last noted sweep. It becomes an outage if it
ends much later.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from peewee import SQL, Expression

from notifyflow.core.delivery.intervals import Outage, PausedInterval, outage_since
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import first
from notifyflow.storage.session.statements import Parameters, Statement
from notifyflow.storage.tables import (
    EscalationRow,
    OutageRow,
    PausedIntervalRow,
    PauseRow,
    QuarantineRow,
    SilencedIncidentRow,
    SilenceRow,
    StepRow,
)

_QUARANTINED = "incident"
"""The scope of an incident's quarantine."""
_SILENCED = "silence"
"""The scope of a silence that holds an incident."""
_OUTAGE = "outage"
_KEPT_FOR = timedelta(days=30)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=3)
"""How much earlier than asked for is read at once: most rounds have started since then."""
_KNOWN = "intervals"


_COLUMNS = (
    PausedIntervalRow.scope,
    PausedIntervalRow.name,
    PausedIntervalRow.began_at,
    PausedIntervalRow.ended_at,
    PausedIntervalRow.is_for_critical,
)


def _intervals(param: Parameters) -> Any:
    """Select the quarantines and silences of incidents, the pauses of everything, and the outages: past and running ones."""
    ended = PausedIntervalRow.select(*_COLUMNS)
    paused = PauseRow.select(PauseRow.scope, PauseRow.name, PauseRow.paused_at, PauseRow.ends_at, PauseRow.is_for_critical)
    is_kept = PausedIntervalRow.ended_at > param(PausedIntervalRow.ended_at)  # always true; there is an index of this column only
    released = ended.where(is_kept, PausedIntervalRow.scope == SQL("'incident'"), param.any_of(PausedIntervalRow.name))
    quarantined = QuarantineRow.select(
        SQL("'incident'"), QuarantineRow.incident_id, QuarantineRow.quarantined_at, SQL("NULL"), SQL("TRUE")
    )
    silenced = SilencedIncidentRow.select(
        SQL(f"'{_SILENCED}'"),
        SilencedIncidentRow.incident_id,
        SilencedIncidentRow.began_at,
        SilencedIncidentRow.ended_at,
        SQL("TRUE"),
    )
    outages = OutageRow.select(SQL(f"'{_OUTAGE}'"), SQL("''"), OutageRow.began_at, OutageRow.ended_at, SQL("TRUE"))
    parts = (
        quarantined.where(param.any_of(QuarantineRow.incident_id)),
        silenced.where(param.any_of(SilencedIncidentRow.incident_id)),
        ended.where(PausedIntervalRow.scope == SQL("'all'"), PausedIntervalRow.ended_at > param(PausedIntervalRow.ended_at)),
        paused.where(PauseRow.scope == SQL("'all'"), PauseRow.ends_at > param(PauseRow.ends_at)),
        outages.where(OutageRow.ended_at > param(OutageRow.ended_at)),
        outages.where(_IS_CURRENT),
    )
    found: Any = released
    for each in parts:
        found = found.union_all(each)
    return found


_IS_CURRENT = OutageRow.is_over == SQL("FALSE")
_INTERVALS = Statement(_intervals, columns=_COLUMNS)
_PAUSE = (PauseRow.scope, PauseRow.name, PauseRow.ends_at, PauseRow.paused_at, PauseRow.paused_by, PauseRow.is_for_critical)


def _holds(param: Parameters) -> Any:
    """Select the pauses that are not over, and a row for each silence that has begun and whose end was not carried out."""
    paused: Any = PauseRow.select(*_PAUSE, SQL("FALSE")).where(PauseRow.ends_at > param(PauseRow.ends_at))
    silence = (SQL("'all'"), SilenceRow.id, SilenceRow.ends_at, SilenceRow.begins_at, SilenceRow.author, SQL("TRUE"), SQL("TRUE"))
    begun = SilenceRow.due_at.is_null(is_null=False) & (SilenceRow.begins_at <= param(SilenceRow.begins_at))
    return paused.union_all(SilenceRow.select(*silence).where(begun))


_HOLDS = Statement(_holds, columns=(*_PAUSE, PauseRow.is_for_critical.alias("is_silence")))
_IN_ORDER = Statement(
    lambda param: PauseRow.select().where(PauseRow.ends_at > param(PauseRow.ends_at)).order_by(PauseRow.scope, PauseRow.name)
)

SWEPT_AT = Statement(lambda param: OutageRow.select(OutageRow.began_at).where(_IS_CURRENT).limit(1))
_NOTE_SWEEP = Statement(lambda param: OutageRow.update(began_at=param(OutageRow.began_at)).where(_IS_CURRENT))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The intervals that a transaction has read: of some incidents all, and of everything those that ended after an instant."""

    incident_ids: frozenset[str]
    since: datetime
    rows: Sequence[dict[str, Any]]


class Intervals(Repository):
    """Pauses, paused intervals and outages."""

    def of(self, incident_id: str, *, since: datetime, now: datetime) -> tuple[PausedInterval, ...]:
        """Read the paused intervals of an incident, including those of everything, that ended after an instant; not locked."""
        return tuple(
            PausedInterval(
                began_at=row["began_at"],
                ended_at=row["ended_at"] or max(now, row["began_at"]),
                is_for_critical=row["is_for_critical"],
                is_quarantined=row["scope"] == _QUARANTINED,
            )
            for row in self._read(frozenset([incident_id]), since)
            if (row["scope"] == "all" or row["name"] == incident_id) and (row["ended_at"] is None or row["ended_at"] > since)
        )

    def load(self, incident_ids: Collection[str], *, now: datetime) -> None:
        """Load the intervals of incidents, with those of everything in the last days, at once; not locked."""
        if incident_ids:
            self._read(frozenset(incident_ids), now)

    def quarantined_among(self, incident_ids: Collection[str], *, now: datetime) -> frozenset[str]:
        """Return the incidents that are quarantined; not locked."""
        rows = self._read(frozenset(incident_ids), now)
        return frozenset(row["name"] for row in rows if row["scope"] == _QUARANTINED and row["ended_at"] is None) & {
            *incident_ids
        }

    def _read(self, incident_ids: frozenset[str], since: datetime) -> Sequence[dict[str, Any]]:
        """Return the intervals of incidents, and those of everything since an instant; what a transaction has read stays."""
        known: _Known | None = self._unit.unlocked.get(_KNOWN)
        if known is None or known.since > since or not incident_ids <= known.incident_ids:
            early = since - _AHEAD
            if known is not None:
                incident_ids, early = incident_ids | known.incident_ids, min(early, known.since)
            ids = sorted(incident_ids)
            rows = self._unit.rows(_INTERVALS(_EARLIEST, ids, ids, ids, early, early, early))
            known = self._unit.unlocked[_KNOWN] = _Known(incident_ids=incident_ids, since=early, rows=rows)
        return known.rows

    def silenced(self, incident_id: str, *, since: datetime) -> tuple[PausedInterval, ...]:
        """Read the times in which silences held an incident, or hold it, since an instant, as ``of`` reads them; not locked."""
        return tuple(
            PausedInterval(began_at=row["began_at"], ended_at=row["ended_at"])
            for row in self._read(frozenset([incident_id]), since)
            if row["scope"] == _SILENCED and row["name"] == incident_id
        )

    def pauses(self, *, now: datetime) -> tuple[Pause, ...]:
        """Read the pauses that are not over, the oldest first."""
        return self.holds(now=now)[0]

    def holds(self, *, now: datetime) -> tuple[tuple[Pause, ...], bool]:
        """Read the pauses that are not over, the oldest first, and whether there may be a silence; one statement, not locked."""
        rows = self._unit.rows(_HOLDS(now, now))
        pauses = [Pause(**row) for row in rows if not row.pop("is_silence")]
        return tuple(sorted(pauses, key=lambda each: each.paused_at)), len(pauses) < len(rows)

    def lock_pauses(self, *, now: datetime) -> tuple[Pause, ...]:
        """Lock and read the pauses that are not over, before all other locks, so that none ends meanwhile."""
        return tuple(Pause(**row) for row in self._unit.rows(self._unit.locked(_IN_ORDER(now))))

    def put_pause(self, pause: Pause) -> bool:
        """Store a pause and end an earlier one with the same scope and name; return whether that one was not over."""
        is_same = (PauseRow.scope == pause.scope) & (PauseRow.name == pause.name)
        was_standing = self._end_pause(is_same, at=pause.paused_at)
        self._unit.insert(PauseRow, [asdict(pause)])
        self._unit.unlocked.clear()
        return was_standing

    def drop_pause(self, scope: PauseScope, name: str, *, at: datetime) -> bool:
        """End a pause; return whether there was one that was not over."""
        return self._end_pause((PauseRow.scope == scope) & (PauseRow.name == name), at=at)

    def keep_quarantined(self, incident_ids: Sequence[str], *, at: datetime) -> None:
        """Store the quarantine of incidents as paused intervals, up to now."""
        quarantined = self._unit.rows(QuarantineRow.select().where(QuarantineRow.incident_id.in_(incident_ids)))
        self._store([(_QUARANTINED, row["incident_id"], row["quarantined_at"], at, True) for row in quarantined], at=at)

    def outages(self, *, since: datetime, now: datetime) -> tuple[Outage, ...]:
        """Read the outages that ended after an instant, and the current one, if any; not locked."""
        each = (
            Outage(began_at=row["began_at"], ended_at=row["ended_at"]) if row["ended_at"] else outage_since(row["began_at"], now)
            for row in self._read(frozenset(), since)
            if row["scope"] == _OUTAGE and (row["ended_at"] is None or row["ended_at"] > since)
        )
        return tuple(outage for outage in each if outage is not None)

    def swept_at(self) -> datetime | None:
        """Return when the last noted sweep was, or None before the first; not locked."""
        swept_at: datetime | None = self._unit.scalar(SWEPT_AT())
        return swept_at

    def lock_last_sweep(self) -> datetime | None:
        """Lock and return when the last sweep was noted; None also if another process has just ended an outage."""
        found = first(self._unit.rows(self._unit.locked(SWEPT_AT())))
        return None if found is None else found["began_at"]

    def note_first_sweep(self, *, at: datetime) -> None:
        """Note the first sweep, unless another process has; a damaged note is written anew."""
        if self._to_write_anew("outage"):
            self.note_sweep(at=at)
            return
        self._unit.insert_once(OutageRow, {"began_at": at, "ended_at": None, "is_over": False})

    def note_sweep(self, *, at: datetime) -> None:
        """Note a sweep; the last one is locked."""
        self._unit.execute(_NOTE_SWEEP(at))

    def end_outage(self, outage: Outage) -> None:
        """Store an outage that is over, for as long as any notification may wait. The last sweep is locked."""
        self._unit.unlocked.clear()
        self._unit.execute(OutageRow.delete().where(OutageRow.ended_at < outage.ended_at - _KEPT_FOR))
        self._unit.execute(OutageRow.update(ended_at=outage.ended_at, is_over=True).where(_IS_CURRENT))
        self.note_first_sweep(at=outage.ended_at)

    def has_waited(self, *, since: datetime) -> bool:
        """Return whether an escalation that started before an instant has a running timer, or a chain has waited since."""
        waiting = (
            EscalationRow.select(EscalationRow.id).where(
                EscalationRow.next_decision_at.is_null(is_null=False), EscalationRow.is_current, EscalationRow.started_at <= since
            ),
            EscalationRow.select(EscalationRow.id).where(
                EscalationRow.next_round_at.is_null(is_null=False), EscalationRow.is_current, EscalationRow.started_at <= since
            ),
            StepRow.select(StepRow.id).where(StepRow.due_at.is_null(is_null=False), StepRow.waits_since <= since),
        )
        return any(self._unit.first(query) is not None for query in waiting)

    def _end_pause(self, is_it: Expression, *, at: datetime) -> bool:
        """Delete a pause and store it as a paused interval, with its real end."""
        found = [Pause(**row) for row in self._unit.rows(self._unit.locked(PauseRow.select().where(is_it)))]
        self._unit.execute(PauseRow.delete().where(is_it))
        self._unit.unlocked.clear()
        ends = [max(each.paused_at, min(each.ends_at, at)) for each in found]
        ended = zip(found, ends, strict=True)
        self._store([(each.scope.value, each.name, each.paused_at, end, each.is_for_critical) for each, end in ended], at=at)
        return any(each.ends_at > at for each in found)

    def _store(self, paused_intervals: Sequence[tuple[Any, ...]], *, at: datetime) -> None:
        """Store paused intervals, for as long as any notification may wait."""
        rows = [dict(zip((field.name for field in _COLUMNS), each, strict=True)) for each in paused_intervals]
        self._unit.execute(PausedIntervalRow.delete().where(PausedIntervalRow.ended_at < at - _KEPT_FOR))
        self._unit.insert(PausedIntervalRow, rows)
        self._unit.unlocked.clear()
