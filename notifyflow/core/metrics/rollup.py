"""Counts metrics from lines of the transition log and from the rows they belong to; pure.

A line is counted once, whatever has changed its rows since. So only values that never change are read from them, or the traces of
a call.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from notifyflow.core.delivery.facts import Transition
from notifyflow.core.delivery.model import AT_REST, Ended, Kind, Result, Severity
from notifyflow.core.metrics import families
from notifyflow.core.metrics.families import CallOutcome, FailureReason, Family, IncidentChange, MetricValues

ENDED_CALLS: Mapping[str, CallOutcome] = {
    "accepted": CallOutcome.ACCEPTED,
    "refused": CallOutcome.TEMPORARY_FAILURE,
    "refused_for_good": CallOutcome.PERMANENT_FAILURE,
    "doubted": CallOutcome.IN_DOUBT,
    "lease_expired": CallOutcome.IN_DOUBT,
    "released": CallOutcome.NOT_SENT,
}
"""The event of the log line at the end of each call."""
REPORTS: Mapping[str, Result] = {
    "acceptance_reported": Result.ACCEPTED,
    "temporary_failure_reported": Result.TEMPORARY_FAILURE,
    "delivery_reported": Result.DELIVERED,
    "permanent_failure_reported": Result.PERMANENT_FAILURE,
}
"""The events of receipts that change a notification."""
_ENDED = frozenset(str(each) for each in Ended)
_CHARTED = {
    name: tuple(families.FAMILIES[name].labels.index(label) for label in labels) for name, labels in families.CHARTED.items()
}
"""The places of the charts' labels among the labels of a family."""
_STARTS = (IncidentChange.OPENED, IncidentChange.SEVERITY_RAISED, IncidentChange.PAGED_AGAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The counted values of a notification.

    Attributes:
        reached: The version at which it was first SENT or DELIVERED; None if it never was.
        delivered: The version at which it was first DELIVERED; None if it never was.
    """

    channel: str
    kind: Kind
    severity: Severity
    created_at: datetime
    reached: int | None = None
    delivered: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The counted values of an attempt.

    Attributes:
        took_s: How long the call took; None if it did not end.
        is_our_fault: Whether the provider refused us.
        retry_after_s: How long the provider asked us to wait.
        receipt_due_at: When a receipt is overdue; None if none is awaited.
        is_repeat: Whether it repeated an attempt in doubt.
        carried: How many notifications it carried; 0 if the call of another attempt carried this one.
    """

    provider: str
    took_s: float | None
    is_our_fault: bool
    retry_after_s: float | None
    receipt_due_at: datetime | None
    is_repeat: bool = False
    carried: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedLines:
    """Some lines of the transition log, with the rows they belong to; a missing row was deleted.

    Attributes:
        notifications: Their notifications, by id.
        calls: The attempts that they name, by id.
        escalations: The severity of their escalations, by id.
        incidents: The severity of their incidents, by id.
        histories: Each acknowledged incident's own lines, by id, the oldest first.
        critical: The severity and time of the critical failures linked since the last lines.
    """

    lines: Sequence[Transition]
    notifications: Mapping[str, Sent]
    calls: Mapping[str, Call]
    escalations: Mapping[str, Severity]
    incidents: Mapping[str, Severity]
    histories: Mapping[str, Sequence[Transition]]
    critical: Sequence[tuple[Severity, datetime]] = ()


@dataclass(slots=True)
class Rollup:
    """The counts of lines of the log.

    Attributes:
        total: All counts.
        minutes: The counts for the charts, by the minute of the event.
    """

    total: MetricValues = field(default_factory=MetricValues)
    minutes: Mapping[datetime, MetricValues] = field(default_factory=lambda: defaultdict(MetricValues))

    def count(self, family: Family, at: datetime, *labels: str, is_charted: bool = True) -> None:
        """Count an event; also for the charts, if they show its family."""
        self.total.count(family, *labels)
        if is_charted and family.name in _CHARTED:
            self._minute(at).count(family, *_charted(family, labels))

    def observe(self, family: Family, at: datetime, seconds: float, *labels: str) -> None:
        """Count a duration that ended then."""
        self.total.observe(family, seconds, *labels)
        self._minute(at).observe(family, seconds, *_charted(family, labels))

    def _minute(self, at: datetime) -> MetricValues:
        return self.minutes[at.replace(second=0, microsecond=0)]


def roll_up(logged: LoggedLines) -> Rollup:
    """Count lines of the log."""
    rollup = Rollup()
    for line in logged.lines:
        if line.machine == "notification":
            _count_notification(rollup, logged, line)
        elif line.machine == "escalation":
            _count_escalation(rollup, logged, line)
        elif line.machine == "incident":
            _count_incident(rollup, logged, line)
    for severity, at in logged.critical:
        rollup.count(families.CRITICAL, at, severity)
    return rollup


def _count_notification(rollup: Rollup, logged: LoggedLines, line: Transition) -> None:
    row = logged.notifications.get(line.row_id)
    if row is None:
        return
    if not line.source or (line.source != line.target and line.target in AT_REST):
        rollup.count(families.NOTIFICATIONS, line.at, row.channel, row.kind, row.severity, line.target)
    if line.event in _ENDED:
        rollup.count(families.FAILURES, line.at, row.channel, families.NO_PROVIDER, line.event)
    call = logged.calls.get(line.detail.get("attempt", ""))
    if call is not None and line.event in ENDED_CALLS:
        _count_call(rollup, row, call, line)
    if call is not None and line.event in REPORTS:
        _count_report(rollup, row, call, line)
    if row.kind is Kind.PAGE:
        _count_arrival(rollup, row, line)


def _count_arrival(rollup: Rollup, row: Sent, line: Transition) -> None:
    waited_s = (line.at - row.created_at).total_seconds()
    if line.version == row.reached:
        rollup.observe(families.ACCEPTED_S, line.at, waited_s, row.channel, row.severity)
    if line.version == row.delivered:
        rollup.observe(families.DELIVERED_S, line.at, waited_s, row.channel, row.severity)


def _count_call(rollup: Rollup, row: Sent, call: Call, line: Transition) -> None:
    outcome = ENDED_CALLS[line.event]
    provider = (row.channel, call.provider)
    rollup.count(families.ATTEMPTS, line.at, *provider, row.severity, outcome, is_charted=call.carried > 0)
    if outcome is CallOutcome.NOT_SENT:
        return
    if call.took_s is not None:
        rollup.observe(families.REQUEST_S, line.at, call.took_s, *provider)
    if outcome is not CallOutcome.ACCEPTED:
        rollup.count(families.FAILURES, line.at, *provider, _reason(outcome, call))
        if outcome is CallOutcome.IN_DOUBT:
            rollup.count(families.DOUBTS, line.at, *provider)
        return
    if call.carried:
        rollup.count(families.MESSAGES, line.at, *provider, families.message_size(call.carried))
    if call.is_repeat:
        rollup.count(families.DUPLICATES, line.at, *provider)
    if call.receipt_due_at is not None:
        rollup.count(families.AWAITED, line.at, *provider)


def _reason(outcome: CallOutcome, call: Call) -> FailureReason:
    if outcome is CallOutcome.IN_DOUBT:
        return FailureReason.NO_ANSWER
    if call.is_our_fault:
        return FailureReason.REFUSED_US
    if outcome is CallOutcome.PERMANENT_FAILURE:
        return FailureReason.PERMANENT
    return FailureReason.TEMPORARY if call.retry_after_s is None else FailureReason.THROTTLED


def _count_report(rollup: Rollup, row: Sent, call: Call, line: Transition) -> None:
    result = REPORTS[line.event]
    rollup.count(families.RECEIPTS, line.at, row.channel, call.provider, result)
    failures = {Result.TEMPORARY_FAILURE: FailureReason.TEMPORARY, Result.PERMANENT_FAILURE: FailureReason.PERMANENT}
    if result in failures:
        reason = FailureReason.REFUSED_US if call.is_our_fault else failures[result]
        rollup.count(families.FAILURES, line.at, row.channel, call.provider, reason)


def _count_escalation(rollup: Rollup, logged: LoggedLines, line: Transition) -> None:
    severity = logged.escalations.get(line.row_id)
    if severity is not None and line.source != line.target and line.target in families.SETTLED:
        rollup.count(families.ESCALATIONS, line.at, severity, line.target)


def _count_incident(rollup: Rollup, logged: LoggedLines, line: Transition) -> None:
    severity = logged.incidents.get(line.row_id)
    if severity is None:
        return
    rollup.count(families.INCIDENTS, line.at, line.event, severity)
    if line.event == IncidentChange.ACKNOWLEDGED:
        since = _paged_at(logged.histories.get(line.row_id, ()), line.version)
        if since is not None:
            rollup.observe(families.HUMAN_S, line.at, (line.at - since).total_seconds(), severity)


def _paged_at(history: Sequence[Transition], version: int) -> datetime | None:
    """Return when an incident began to wait for its acknowledgement; None if it was already acknowledged for somebody else."""
    for line in reversed(history):
        if line.version < version and line.event in (*_STARTS, IncidentChange.ACKNOWLEDGED):
            return line.at if line.event in _STARTS else None
    return None


def _charted(family: Family, labels: Sequence[str]) -> tuple[str, ...]:
    return tuple(labels[place] for place in _CHARTED[family.name])
