"""Reads and writes watched jobs, and the times in which no ping could be committed."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from peewee import SQL, IntegerField, Select, fn

from notifyflow.core.copies import made_of
from notifyflow.core.delivery.intervals import Interval
from notifyflow.core.oncall.watched_jobs import ABSENT_AFTER, JobState, Listening, Miss, WatchedJob, state_of
from notifyflow.errors import StaleRow
from notifyflow.storage.session.conditions import is_aside
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import Reader, first
from notifyflow.storage.session.statements import Statement, Unread
from notifyflow.storage.tables import AbsenceRow, WatchedJobRow

_NAMES = tuple(WatchedJob.__dataclass_fields__)
_COLUMNS = tuple(getattr(WatchedJobRow, name) for name in _NAMES)
_BRIEF = tuple(column for column in _COLUMNS if column.name not in ("pings", "output"))
_KEPT_FOR = timedelta(days=400)
"""How long an absence may matter: as long as the longest timetable."""
_GUARDS = ("name", "version")
_BY_NAME = Statement(
    lambda param: WatchedJobRow.select(*_COLUMNS).where(param.any_of(WatchedJobRow.name)).order_by(WatchedJobRow.name)
)
_OF_INCIDENTS = Statement(
    lambda param: (
        WatchedJobRow.select(*_COLUMNS)
        .where(param.any_of(WatchedJobRow.incident_id), WatchedJobRow.incident_id.is_null(is_null=False))
        .order_by(WatchedJobRow.name)
    )
)
_ALL = Statement(lambda param: WatchedJobRow.select(*_COLUMNS).order_by(WatchedJobRow.name))
_AWAKE = Statement(
    lambda param: (
        WatchedJobRow.select(WatchedJobRow.name)
        .where(WatchedJobRow.wake_at <= param(WatchedJobRow.wake_at), ~is_aside(WatchedJobRow.name))
        .order_by(WatchedJobRow.wake_at)
        .limit(param(IntegerField()))
    )
)
_NEXT = Statement(lambda _: WatchedJobRow.select(fn.MIN(WatchedJobRow.wake_at)).where(~is_aside(WatchedJobRow.name)))()
_STATES = Statement(
    lambda param: (
        WatchedJobRow.select(
            fn.COALESCE(WatchedJobRow.miss, "").alias("miss"),
            fn.COALESCE(WatchedJobRow.back_at.is_null(is_null=False), False).alias("is_back"),
            fn.COALESCE(WatchedJobRow.expected_at <= param(WatchedJobRow.expected_at), False).alias("is_awaited"),
            fn.COALESCE(WatchedJobRow.passed != SQL("'[]'"), False).alias("has_passed"),
            fn.COALESCE(WatchedJobRow.runs != SQL("'{}'"), False).alias("is_running"),
            fn.COALESCE(WatchedJobRow.succeeded_at.is_null(is_null=False), False).alias("has_succeeded"),
            fn.COUNT(1).alias("count"),
        )
        .where(WatchedJobRow.removed_at.is_null(), ~is_aside(WatchedJobRow.name))
        .group_by(*(SQL(str(number)) for number in range(1, 7)))
    )
)
_ABSENCES = Statement(
    lambda param: AbsenceRow.select(AbsenceRow.began_at, AbsenceRow.ended_at).where(
        AbsenceRow.ended_at >= param(AbsenceRow.ended_at)
    )
)
_IS_LASTING = AbsenceRow.is_over == SQL("FALSE")
_NOTED_AT = Statement(lambda param: AbsenceRow.select(AbsenceRow.began_at).where(_IS_LASTING).limit(1))
_NOTE = Statement(
    lambda param: AbsenceRow.update(began_at=param(AbsenceRow.began_at)).where(
        _IS_LASTING, AbsenceRow.began_at == param(AbsenceRow.began_at)
    )
)


def _declared(namespaces: frozenset[str] | None) -> Select:
    """Return the query for the declared jobs of some namespaces; None for all."""
    query = WatchedJobRow.select(*_COLUMNS).where(WatchedJobRow.removed_at.is_null())
    return query if namespaces is None else query.where(WatchedJobRow.namespace.in_(sorted(namespaces)))


class WatchedJobReads(Reader):
    """Reads watched jobs."""

    def all(self) -> Sequence[WatchedJob]:
        """Return all watched jobs, by name, for display."""
        return self._shown(_declared(None).order_by(WatchedJobRow.name))

    def page(self, namespaces: frozenset[str] | None, *, after: str, limit: int) -> Sequence[WatchedJob]:
        """Return the watched jobs of some namespaces whose names come after one, by name, for display."""
        query = _declared(namespaces).where(WatchedJobRow.name > after)
        return self._shown(query.order_by(WatchedJobRow.name).limit(limit))

    def unwell(self, namespaces: frozenset[str] | None, *, limit: int) -> Sequence[WatchedJob]:
        """Return the watched jobs of some namespaces that were missed, failed or are unknown, the newest first, for display."""
        query = _declared(namespaces).where(WatchedJobRow.miss.is_null(is_null=False), WatchedJobRow.back_at.is_null())
        return self._shown(query.order_by(WatchedJobRow.missed_at.desc(), WatchedJobRow.name).limit(limit))

    def states(self, now: datetime) -> Mapping[JobState, int]:
        """Count the watched jobs in each state; rows that are set aside are left out."""
        found = Counter[JobState]()
        for row in self._source.rows(_STATES(now)):
            miss, count = row.pop("miss"), row.pop("count")
            with suppress(ValueError):  # a damaged word
                found[state_of(miss=Miss(miss) if miss else None, **{name: bool(each) for name, each in row.items()})] += count
        return found

    def brief(self, *, limit: int) -> Sequence[WatchedJob]:
        """Return the first watched jobs by name, without their pings and outputs, for display."""
        query = _declared(None).order_by(WatchedJobRow.name).limit(limit)
        rows = self._source.readable(query.select(*_BRIEF), WatchedJobRow.name)
        return [made_of(WatchedJob, {"pings": (), "output": "", **row}) for row in rows]

    def find(self, name: str) -> WatchedJob | None:
        """Return a watched job, for display."""
        found = self._shown(_declared(None).where(WatchedJobRow.name == name))
        return found[0] if found else None

    def _shown(self, query: Select) -> Sequence[WatchedJob]:
        return [made_of(WatchedJob, row) for row in self._source.readable(query, WatchedJobRow.name)]

    def awake(self, *, now: datetime, limit: int) -> Sequence[str]:
        """Return the names of the watched jobs that the sweep has to look at; rows that are set aside are left out."""
        return [row["name"] for row in self._source.rows(_AWAKE(now, limit))]

    def next_wake_at(self) -> datetime | None:
        """Return when the sweep has to look at a watched job next; None if no job waits for anything."""
        wake_at: datetime | None = self._source.scalar(_NEXT)
        return wake_at

    def listening(self, *, since: datetime) -> Listening:
        """Return when pings could be committed; past absences that ended after an instant."""
        return Listening(noted_at=self.noted_at(), absences=[Interval(**row) for row in self._source.rows(_ABSENCES(since))])

    def noted_at(self) -> datetime | None:
        """Return when the web service last noted that it listens; None if no job is declared, or it never has."""
        noted_at: datetime | None = self._source.scalar(_NOTED_AT())
        return noted_at


class WatchedJobs(WatchedJobReads, Repository):
    """Watched jobs; a transaction that changes them locks them by name, before incidents."""

    def lock(self, names: Collection[str]) -> Mapping[str, WatchedJob]:
        """Lock and read watched jobs, by name."""
        rows = self._unit.rows(self._unit.locked(_BY_NAME(sorted(names)))) if names else []
        return {row["name"]: made_of(WatchedJob, row) for row in rows}

    def lock_all(self) -> Mapping[str, WatchedJob]:
        """Lock and read all watched jobs, by name."""
        return {row["name"]: made_of(WatchedJob, row) for row in self._unit.rows(self._unit.locked(_ALL()))}

    def unreadable(self) -> Mapping[str, Unread]:
        """Return the damaged rows that this transaction could not read, by name."""
        return {each.row_id: each for each in self._unit.unread_in("watched_job")}

    def of_incidents(self, incident_ids: Collection[str]) -> Sequence[WatchedJob]:
        """Return the watched jobs for which some incidents were opened."""
        rows = self._unit.rows(_OF_INCIDENTS(sorted(incident_ids))) if incident_ids else []
        return [made_of(WatchedJob, row) for row in rows]

    def add(self, jobs: Sequence[WatchedJob]) -> None:
        """Store new watched jobs, and from the first one on whether anybody listens."""
        self._unit.insert(WatchedJobRow, [{name: getattr(job, name) for name in _NAMES} for job in jobs])
        if jobs and self.noted_at() is None:
            self._unit.insert_once(AbsenceRow, {"began_at": jobs[0].declared_at, "ended_at": None, "is_over": False})

    def put(self, changed: Sequence[tuple[WatchedJob, WatchedJob]]) -> None:
        """Write watched jobs that have not changed since they were read: (before, after).

        Raises:
            StaleRow: When one has.
        """
        columns = [name for name in _NAMES if any(getattr(a, name) != getattr(b, name) for a, b in changed)]
        if not columns:
            return
        columns = [*columns, "version"] if "version" not in columns else columns
        rows = [
            (*(after.version + 1 if name == "version" else getattr(after, name) for name in columns), before.name, before.version)
            for before, after in changed
        ]
        written = self._unit.update_those(WatchedJobRow, tuple(columns), _GUARDS, ("name",), rows)
        if len(written) != len(rows):
            raise StaleRow("watched_job", ", ".join(before.name for before, _ in changed[:3]))

    def delete(self, names: Collection[str]) -> None:
        """Delete watched jobs."""
        if names:
            self._unit.execute(WatchedJobRow.delete().where(WatchedJobRow.name.in_(sorted(names))))

    def note_listening(self, *, at: datetime) -> None:
        """Note that pings can be committed; after a longer time without a note, store it as an absence.

        A damaged note is written anew.
        """
        if (noted_at := self.noted_at()) is None:
            if self._to_write_anew("absence"):
                self._unit.execute(AbsenceRow.update(began_at=at).where(_IS_LASTING))
            return
        if at - noted_at <= ABSENT_AFTER:
            self._unit.execute(_NOTE(max(at, noted_at), noted_at))  # unless another process was faster
            return
        found: dict[str, Any] | None = first(self._unit.rows(self._unit.locked(_NOTED_AT())))
        if found is None or at - found["began_at"] <= ABSENT_AFTER:  # another process was faster
            return
        self._unit.execute(AbsenceRow.delete().where(AbsenceRow.ended_at < at - _KEPT_FOR))
        self._unit.execute(AbsenceRow.update(ended_at=at, is_over=True).where(_IS_LASTING))
        self._unit.insert_once(AbsenceRow, {"began_at": at, "ended_at": None, "is_over": False})
