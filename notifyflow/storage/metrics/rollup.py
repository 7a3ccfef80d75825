"""Reads the lines of the log that are not counted yet, with the rows they belong to, and stores the metrics.

On PostgreSQL a line may be committed after a line with a higher number. Each carries the number of its transaction, and
only lines of transactions below ``pg_snapshot_xmin`` are read, which have all ended. SQLite has one writer: its line
numbers suffice.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from peewee import SQL, Case, Expression, IntegerField, Tuple, fn

from notifyflow.core import namespaces
from notifyflow.core.delivery.facts import Transition
from notifyflow.core.delivery.model import EscalationState, Severity
from notifyflow.core.metrics.charts import SPANS, beginning
from notifyflow.core.metrics.families import ATTEMPTS, Key, MetricValue, MetricValues, grown, names_of
from notifyflow.core.metrics.rollup import Call, LoggedLines, Rollup, Sent
from notifyflow.errors import UnreadableRow
from notifyflow.storage.delivery.bundles import count_carried
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import Reader, first
from notifyflow.storage.session.statements import Parameters, Statement
from notifyflow.storage.tables import (
    AttemptRow,
    CriticalRow,
    EscalationRow,
    IncidentRow,
    MetricPeriodRow,
    MetricTotalRow,
    NotificationRow,
    RollupRow,
    TransitionRow,
)

KEPT_FOR = timedelta(days=35)
"""How long the metrics of the charts are kept."""
_VALUE = ("count", "sum_s", "buckets")
_LINE = tuple(getattr(TransitionRow, name) for name in Transition.__dataclass_fields__)
_UNCOUNTED = ("claimed", "deferred", "noted", "postponed")
"""The events that no metric counts; most lines have one of them."""
_REACHED = ("SENT", "DELIVERED")


@dataclass(frozen=True, slots=True, kw_only=True)
class RollupPosition:
    """How far the log is counted.

    Attributes:
        xid: The transaction of the first uncounted line; 0 on SQLite.
        line_id: The number of that line.
        after_id: Lines up to this number are not counted, since another server wrote them.
        rolled_up_at: When the log was last counted to its end; None before the first time.
        until: The first transaction that may not have ended; on SQLite the number of the next line.
    """

    xid: int
    line_id: int
    after_id: int
    rolled_up_at: datetime | None
    until: int

    @property
    def is_elsewhere(self) -> bool:
        """Whether another server, with other transaction numbers, has counted the log."""
        return self.xid > self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class UncountedLines:
    """Some uncounted lines.

    Attributes:
        logged: The lines, with the rows they belong to.
        is_last: Whether there are no more.
        critical: The escalations of the critical failures among them.
        xid: The transaction of the next line.
        line_id: The number of the next line.
    """

    logged: LoggedLines
    is_last: bool
    critical: Sequence[str]
    xid: int
    line_id: int


_ROLLED_UP_AT = Statement(lambda param: RollupRow.select(RollupRow.rolled_up_at))
_UNTIL: Any = RollupRow.select(SQL("pg_snapshot_xmin(pg_current_snapshot())::text").alias("until"))
_NEXT = TransitionRow.select(fn.COALESCE(fn.MAX(TransitionRow.id), 0) + 1)
_IS_WANTED = TransitionRow.event.not_in(_UNCOUNTED) & (
    (TransitionRow.machine != "escalation")
    | ((TransitionRow.source != TransitionRow.target) & (TransitionRow.target != EscalationState.ACTIVE))
)
_LINES = TransitionRow.select(TransitionRow.id, TransitionRow.xid, *_LINE).where(_IS_WANTED)


def _lines_of_server(param: Parameters) -> Any:
    t = TransitionRow
    is_ahead = Tuple(t.xid, t.id) >= Tuple(param(t.xid), param(t.id))
    has_ended = t.xid.is_null(is_null=False) & (t.xid < param(t.xid)) & (t.id > param(t.id))
    return _LINES.where(is_ahead, has_ended).order_by(t.xid, t.id).limit(param(IntegerField()))


_LINES_OF_SERVER = Statement(_lines_of_server)
_LINES_OF_FILE = Statement(
    lambda param: (
        _LINES.where(TransitionRow.id >= param(TransitionRow.id), TransitionRow.id < param(TransitionRow.id))
        .order_by(TransitionRow.id)
        .limit(param(IntegerField()))
    )
)
_FIRST: Any = (TransitionRow.row_id, TransitionRow.version.alias("reached"), TransitionRow.version.alias("delivered"))
_FIRSTS = Statement(
    lambda param: (
        TransitionRow.select(
            TransitionRow.row_id,
            fn.MIN(TransitionRow.version).alias("reached"),
            fn.MIN(Case(None, [(TransitionRow.target == "DELIVERED", TransitionRow.version)])).alias("delivered"),
        )
        .where(param.any_of(TransitionRow.row_id), TransitionRow.target.in_(_REACHED))
        .group_by(TransitionRow.row_id)
    ),
    columns=_FIRST,
)
_CLAIMS = Statement(
    lambda param: TransitionRow.select(TransitionRow.detail).where(
        param.any_of(TransitionRow.row_id), TransitionRow.event == "claimed"
    )
)
_HISTORIES = Statement(
    lambda param: TransitionRow.select(*_LINE).where(param.any_of(TransitionRow.row_id)).order_by(TransitionRow.version)
)
_NOTIFICATIONS = Statement(
    lambda param: NotificationRow.select(
        NotificationRow.id, NotificationRow.channel, NotificationRow.kind, NotificationRow.severity, NotificationRow.created_at
    ).where(param.any_of(NotificationRow.id))
)
_CALLS = Statement(
    lambda param: AttemptRow.select(
        AttemptRow.id,
        AttemptRow.notification_id,
        AttemptRow.number,
        AttemptRow.provider,
        AttemptRow.took_s,
        AttemptRow.is_our_fault,
        AttemptRow.retry_after_s,
        AttemptRow.receipt_due_at,
        AttemptRow.sent_with,
    ).where(param.any_of(AttemptRow.id))
)
_ESCALATIONS = Statement(
    lambda param: EscalationRow.select(EscalationRow.id, EscalationRow.severity).where(
        param.any_of(EscalationRow.id), EscalationRow.round > 0
    )
)
_INCIDENTS = Statement(  # without the lines of hand-overs
    lambda param: IncidentRow.select(IncidentRow.id, IncidentRow.severity).where(
        param.any_of(IncidentRow.id), (IncidentRow.namespace != namespaces.OPERATIONS) | IncidentRow.is_operations
    )
)
_CRITICAL = Statement(
    lambda param: (
        CriticalRow.select(CriticalRow.escalation_id, CriticalRow.at, EscalationRow.severity)
        .join(EscalationRow, on=(EscalationRow.id == CriticalRow.escalation_id))
        .where(SQL("NOT is_rolled_up"))
        .limit(param(IntegerField()))
    )
)
_TOTALS = Statement(
    lambda param: MetricTotalRow.select(
        MetricTotalRow.name, MetricTotalRow.labels, *(getattr(MetricTotalRow, each) for each in _VALUE)
    )
)
_MINUTE = (MetricPeriodRow.at, MetricPeriodRow.name, MetricPeriodRow.labels, *(getattr(MetricPeriodRow, each) for each in _VALUE))
_OF_PERIOD = Statement(
    lambda param: MetricPeriodRow.select(*_MINUTE).where(
        MetricPeriodRow.minutes == param(MetricPeriodRow.minutes), MetricPeriodRow.at == param(MetricPeriodRow.at)
    )
)


def _since(param: Parameters) -> Expression:
    """Return the condition that a row's period, some minutes long, began at an instant or later."""
    return (MetricPeriodRow.minutes == param(MetricPeriodRow.minutes)) & (MetricPeriodRow.at >= param(MetricPeriodRow.at))


_DURATIONS = Statement(lambda param: MetricPeriodRow.select(*_MINUTE).where(_since(param), MetricPeriodRow.name != ATTEMPTS.name))
_OUTCOMES = Statement(
    lambda param: (
        MetricPeriodRow.select(MetricPeriodRow.labels, fn.SUM(MetricPeriodRow.count).cast("bigint"))
        .where(_since(param), MetricPeriodRow.name == ATTEMPTS.name)
        .group_by(MetricPeriodRow.labels)
    ),
    columns=(MetricPeriodRow.labels, MetricPeriodRow.count),
)


class Rollups(Repository):
    """The metrics, and how far the log is counted."""

    def lock(self) -> RollupPosition | None:
        """Lock and read how far the log is counted; None if another process holds the lock."""
        rows = self._locked()
        if not rows and self._unit.insert_once(RollupRow, {"one": 1, "xid": 0, "line_id": 0, "after_id": 0}):
            rows = self._locked()
        return RollupPosition(**rows[0], until=self._until()) if rows else None

    def begin_anew(self, place: RollupPosition) -> None:
        """Count only this server's lines from now on, in a log that another server began."""
        last_id = int(self._unit.scalar(TransitionRow.select(fn.MAX(TransitionRow.id))) or 0)
        self._note(xid=place.until, line_id=0, after_id=last_id, rolled_up_at=place.rolled_up_at)

    def read(self, place: RollupPosition, *, limit: int) -> UncountedLines:
        """Read the next uncounted lines with the rows they belong to; not locked."""
        if self._is_server:
            rows = self._unit.rows(_LINES_OF_SERVER(place.xid, place.line_id, place.until, place.after_id, limit))
        else:
            rows = self._unit.rows(_LINES_OF_FILE(place.line_id, place.until, limit))
        is_last = len(rows) < limit
        if is_last:
            xid, line_id = (place.until, 0) if self._is_server else (0, max(place.line_id, place.until))
        else:
            xid, line_id = rows[-1]["xid"] or 0, rows[-1]["id"] + 1
        lines = [Transition(**{name: row[name] for name in Transition.__dataclass_fields__}) for row in rows]
        critical = self._unit.rows(_CRITICAL(limit))
        logged = LoggedLines(
            lines=lines,
            notifications=self._notifications(lines),
            calls=self._calls(lines),
            escalations=self._severities(_ESCALATIONS, [each.row_id for each in lines if each.machine == "escalation"]),
            incidents=self._severities(_INCIDENTS, [each.row_id for each in lines if each.machine == "incident"]),
            histories=self._histories([each.row_id for each in lines if _is_acknowledgement(each)]),
            critical=[(row["severity"], row["at"]) for row in critical],
        )
        is_last = is_last and len(critical) < limit
        return UncountedLines(
            logged=logged, is_last=is_last, critical=[row["escalation_id"] for row in critical], xid=xid, line_id=line_id
        )

    def store(self, place: RollupPosition, read: UncountedLines, rollup: Rollup, *, now: datetime) -> None:
        """Add the counts of some lines to the metrics, and note that these lines are counted."""
        if len(rollup.total):
            self._add_to_totals(rollup.total)
            self._add_to_periods(rollup.minutes)
        if read.critical:
            self._unit.execute(CriticalRow.update(is_rolled_up=True).where(CriticalRow.escalation_id.in_(read.critical)))
        if read.is_last and (place.rolled_up_at is None or place.rolled_up_at.hour != now.hour):
            self._unit.execute(
                MetricPeriodRow.delete().where(MetricPeriodRow.minutes.in_(SPANS), MetricPeriodRow.at < now - KEPT_FOR)
            )
        rolled_up_at = now if read.is_last else place.rolled_up_at
        self._note(xid=read.xid, line_id=read.line_id, after_id=place.after_id, rolled_up_at=rolled_up_at)

    def follow_deletions(self) -> None:
        """Note the numbers that SQLite reuses after the last lines of the log were deleted; all of those were counted."""
        if not self._is_server:
            self._unit.execute(RollupRow.update(line_id=_NEXT).where(RollupRow.line_id > _NEXT))

    @property
    def _is_server(self) -> bool:
        return bool(self._unit.db.for_update)

    def _locked(self) -> list[dict[str, Any]]:
        """Lock and read the row; a damaged ``rolled_up_at``, which only sets the pace, counts as none, and is written anew."""
        place = (RollupRow.xid, RollupRow.line_id, RollupRow.after_id)
        try:
            return self._unit.rows(self._unit.locked(RollupRow.select(*place, RollupRow.rolled_up_at), skips_locked=True))
        except UnreadableRow:
            found = self._unit.rows(self._unit.locked(RollupRow.select(*place), skips_locked=True))
            return [row | {"rolled_up_at": None} for row in found]

    def _until(self) -> int:
        return int(self._unit.scalar(_UNTIL if self._is_server else _NEXT))

    def _note(self, **columns: Any) -> None:
        self._unit.execute(RollupRow.update(**columns))

    def _notifications(self, lines: Sequence[Transition]) -> Mapping[str, Sent]:
        ids = sorted({each.row_id for each in lines if each.machine == "notification"})
        arrived = sorted({each.row_id for each in lines if each.target in _REACHED})
        firsts = {row.pop("row_id"): row for row in self._unit.rows(_FIRSTS(arrived))} if arrived else {}
        found = self._unit.rows(_NOTIFICATIONS(ids)) if ids else ()
        return {row.pop("id"): Sent(**row, **firsts.get(row_id, {})) for row_id, row in [(row["id"], row) for row in found]}

    def _calls(self, lines: Sequence[Transition]) -> Mapping[str, Call]:
        ids = sorted({each.detail["attempt"] for each in lines if "attempt" in each.detail})
        found = {row.pop("id"): row for row in (self._unit.rows(_CALLS(ids)) if ids else ())}
        again = sorted({row["notification_id"] for row in found.values() if row["number"] > 1})
        claims = self._unit.rows(_CLAIMS(again)) if again else ()
        repeats = {row["detail"]["attempt"] for row in claims if "after_doubt" in row["detail"]}
        carried = count_carried(self._unit.rows, [each for each, row in found.items() if row["sent_with"] == each])
        return {each: _call(row, is_repeat=each in repeats, carried=carried.get(each, 0)) for each, row in found.items()}

    def _severities(self, statement: Statement, ids: Collection[str]) -> Mapping[str, Severity]:
        return {row["id"]: row["severity"] for row in self._unit.rows(statement(sorted(set(ids))))} if ids else {}

    def _histories(self, ids: Collection[str]) -> Mapping[str, Sequence[Transition]]:
        histories: dict[str, list[Transition]] = defaultdict(list)
        for row in self._unit.rows(_HISTORIES(sorted(set(ids)))) if ids else ():
            histories[row["row_id"]].append(Transition(**row))
        return histories

    def _add_to_totals(self, new: MetricValues) -> None:
        stored = MetricValues(_values(self._unit.rows(_TOTALS())))
        self._write(MetricTotalRow, {}, stored, grown(stored, new))

    def _add_to_periods(self, minutes: Mapping[datetime, MetricValues]) -> None:
        for span in SPANS:
            periods: dict[datetime, MetricValues] = defaultdict(MetricValues)
            for minute, values in minutes.items():
                periods[beginning(minute, span)].merge(values)
            for at, values in sorted(periods.items()):
                stored = MetricValues(_values(self._unit.rows(_OF_PERIOD(span, at))))
                self._write(MetricPeriodRow, {"minutes": span, "at": at}, stored, _sum(stored, values))

    def _write(self, model: Any, period: Mapping[str, Any], stored: MetricValues, changed: MetricValues) -> None:
        guards = (*period, "name", "labels")
        new, updated = [], []
        for key, value in changed.items():
            counts = (value.count, value.sum_s, value.buckets)
            labels = dict(zip(names_of(key[0], is_charted=bool(period)), key[1], strict=True))
            place = (*period.values(), key[0], labels)
            if stored.get(key) is None:
                new.append(dict(zip((*guards, *_VALUE), (*place, *counts), strict=True)))
            else:
                updated.append((*counts, *place))
        self._unit.insert(model, new)
        if updated:
            self._unit.update_those(model, _VALUE, guards, ("name",), updated)


class MetricsReader(Reader):
    """Reads the metrics."""

    def totals(self) -> MetricValues:
        """Read the cumulative metrics."""
        return MetricValues(_values(self._source.rows(_TOTALS())))

    def rolled_up_at(self) -> datetime | None:
        """Return when the log was last counted to its end; None before the first time, and if that is damaged."""
        row = first(self._source.rows(_ROLLED_UP_AT()))
        return None if row is None else row["rolled_up_at"]

    def durations(self, span: int, *, since: datetime) -> Mapping[datetime, MetricValues]:
        """Read the durations of all periods of ``span`` minutes that began at an instant or later."""
        periods: dict[datetime, list[Mapping[str, Any]]] = defaultdict(list)
        for row in self._source.rows(_DURATIONS(span, since)):
            periods[row["at"]].append(row)
        return {at: MetricValues(_values(rows)) for at, rows in periods.items()}

    def calls(self, span: int, *, since: datetime) -> Mapping[tuple[str, ...], int]:
        """Count the calls to providers in these periods, by channel, provider and outcome."""
        return {tuple(row["labels"].values()): row["count"] for row in self._source.rows(_OUTCOMES(span, since))}


def _values(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Key, MetricValue]]:
    for row in rows:
        key = (row["name"], tuple(row["labels"].values()))
        yield key, MetricValue(count=row["count"], sum_s=row["sum_s"], buckets=list(row["buckets"]))


def _sum(stored: MetricValues, new: MetricValues) -> MetricValues:
    """Return the changed rows, with the new counts added."""
    changed = MetricValues()
    for key, value in new.items():
        changed.add(key, stored.get(key) or MetricValue())
        changed.add(key, value)
    return changed


def _call(row: Mapping[str, Any], *, is_repeat: bool, carried: int) -> Call:
    names = ("provider", "took_s", "is_our_fault", "retry_after_s", "receipt_due_at")
    return Call(**{name: row[name] for name in names}, is_repeat=is_repeat, carried=carried if row["sent_with"] else 1)


def _is_acknowledgement(line: Transition) -> bool:
    return line.machine == "incident" and line.event == "acknowledged"


def is_counted(incident_id: Any, *, is_server: bool) -> Expression:
    """Return the condition that every line of an incident is counted, and every critical failure."""
    only = RollupRow.one == SQL("1")
    if is_server:
        place = RollupRow.select(RollupRow.xid.cast("text").cast("xid8"), RollupRow.line_id).where(only)
        is_ahead = TransitionRow.xid.is_null(is_null=False) & (Tuple(TransitionRow.xid, TransitionRow.id) >= place)
        is_ahead &= TransitionRow.id > RollupRow.select(RollupRow.after_id).where(only)
    else:
        is_ahead = TransitionRow.id >= RollupRow.select(RollupRow.line_id).where(only)
    line = TransitionRow.select(SQL("1")).where(TransitionRow.incident_id == incident_id, is_ahead)
    critical = (
        EscalationRow.select(SQL("1"))
        .join(CriticalRow, on=(CriticalRow.escalation_id == EscalationRow.id))
        .where(EscalationRow.incident_id == incident_id, SQL("NOT is_rolled_up"))
    )
    both: Expression = ~fn.EXISTS(line) & ~fn.EXISTS(critical)
    return both
