"""Stores what operators have stopped: pauses, and past periods in which something was paused or quarantined."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from peewee import SQL, Expression

from notifyflow.core.deadlines import Stop
from notifyflow.core.pauses import Pause, Scope
from notifyflow.storage.models import PauseRow, QuarantineRow, StopRow
from notifyflow.storage.statements import Places, Statement
from notifyflow.storage.unit import Unit

_QUARANTINED = "incident"
"""The scope of a stop by the quarantine of an incident."""
_KEPT_FOR = timedelta(days=30)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


_STOP = (StopRow.scope, StopRow.name, StopRow.began_at, StopRow.ended_at, StopRow.is_for_critical)


def _stops_of_everything(param: Places) -> Any:
    """Select the past stops of everything, and its pause."""
    over = StopRow.select(*_STOP).where(StopRow.scope == SQL("'all'"), StopRow.ended_at > param(StopRow.ended_at))
    pauses = PauseRow.select(PauseRow.scope, PauseRow.name, PauseRow.paused_at, PauseRow.ends_at, PauseRow.is_for_critical)
    return over.union_all(pauses.where(PauseRow.scope == SQL("'all'"), PauseRow.ends_at > param(PauseRow.ends_at)))


def _quarantines(param: Places) -> Any:
    """Select the past and the running quarantine of incidents."""
    is_kept = StopRow.ended_at > param(StopRow.ended_at)  # true of all; there is an index of this column only
    over = StopRow.select(*_STOP).where(is_kept, StopRow.scope == SQL("'incident'"), param.among(StopRow.name))
    running = QuarantineRow.select(
        SQL("'incident'"), QuarantineRow.incident_id, QuarantineRow.quarantined_at, SQL("NULL"), SQL("TRUE")
    )
    return over.union_all(running.where(param.among(QuarantineRow.incident_id)))


_STOPS_OF_EVERYTHING = Statement(_stops_of_everything, columns=_STOP)
_QUARANTINES = Statement(_quarantines, columns=_STOP)
_PAUSES = Statement(
    lambda param: PauseRow.select().where(PauseRow.ends_at > param(PauseRow.ends_at)).order_by(PauseRow.paused_at)
)
_IN_ORDER = Statement(
    lambda param: PauseRow.select().where(PauseRow.ends_at > param(PauseRow.ends_at)).order_by(PauseRow.scope, PauseRow.name)
)


class Stops(Unit):
    """Pauses and stops."""

    def stops(self, incident_id: str, *, since: datetime, now: datetime) -> tuple[Stop, ...]:
        """Read the stops of everything, or of an incident, that ended after an instant; not locked."""
        everything = self._read_since("stops", since, lambda early: self._rows(_STOPS_OF_EVERYTHING(early, early)))
        if ("stops", incident_id) not in self._unlocked:
            self.load_stops([incident_id])
        return tuple(
            Stop(
                began_at=row["began_at"],
                ended_at=row["ended_at"] or max(now, row["began_at"]),
                is_for_critical=row["is_for_critical"],
                is_quarantined=row["scope"] == _QUARANTINED,
            )
            for row in (*everything, *self._unlocked["stops", incident_id])
            if row["ended_at"] is None or row["ended_at"] > since
        )

    def load_stops(self, incident_ids: Collection[str]) -> None:
        """Read and keep the quarantines of incidents; not locked."""
        ids = sorted(incident_ids)
        found: dict[str, list[dict[str, Any]]] = {each: [] for each in ids}
        for row in self._rows(_QUARANTINES(_EARLIEST, ids, ids)) if ids else ():
            found[row["name"]].append(row)
        self._unlocked.update({("stops", each): rows for each, rows in found.items()})

    def pauses(self, *, now: datetime) -> tuple[Pause, ...]:
        """Read the pauses that are not over."""
        return tuple(Pause(**row) for row in self._rows(_PAUSES(now)))

    def lock_pauses(self, *, now: datetime) -> tuple[Pause, ...]:
        """Lock and read the pauses that are not over, so that none ends meanwhile; before all other locks."""
        return tuple(Pause(**row) for row in self._rows(self._locked(_IN_ORDER(now))))

    def put_pause(self, pause: Pause) -> bool:
        """Store a pause and end an earlier one of the same; return whether that one was not over."""
        is_same = (PauseRow.scope == pause.scope) & (PauseRow.name == pause.name)
        was_standing = self._end_pause(is_same, at=pause.paused_at)
        self._insert(PauseRow, [asdict(pause)])
        self._unlocked.clear()
        return was_standing

    def drop_pause(self, scope: Scope, name: str, *, at: datetime) -> bool:
        """End a pause; return whether there was one that was not over."""
        return self._end_pause((PauseRow.scope == scope) & (PauseRow.name == name), at=at)

    def keep_quarantined(self, incident_ids: Sequence[str], *, at: datetime) -> None:
        """Store the quarantine of incidents as stops, up to now."""
        quarantined = self._rows(QuarantineRow.select().where(QuarantineRow.incident_id.in_(incident_ids)))
        self._store(
            [
                {
                    "scope": _QUARANTINED,
                    "name": row["incident_id"],
                    "began_at": row["quarantined_at"],
                    "ended_at": at,
                    "is_for_critical": True,
                }
                for row in quarantined
            ],
            at=at,
        )

    def _end_pause(self, is_it: Expression, *, at: datetime) -> bool:
        """Delete a pause and store it as a stop, with its real end."""
        found = [Pause(**row) for row in self._rows(self._locked(PauseRow.select().where(is_it)))]
        self._execute(PauseRow.delete().where(is_it))
        self._unlocked.clear()
        self._store(
            [
                {
                    "scope": each.scope.value,
                    "name": each.name,
                    "began_at": each.paused_at,
                    "ended_at": max(each.paused_at, min(each.ends_at, at)),
                    "is_for_critical": each.is_for_critical,
                }
                for each in found
            ],
            at=at,
        )
        return any(each.ends_at > at for each in found)

    def _store(self, rows: Sequence[Mapping[str, Any]], *, at: datetime) -> None:
        """Store stops, for as long as any notification may wait."""
        self._execute(StopRow.delete().where(StopRow.ended_at < at - _KEPT_FOR))
        self._insert(StopRow, rows)
        self._unlocked.clear()
