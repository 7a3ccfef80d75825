"""Makes figures from lines of the transition log and from the rows they belong to; pure.

A line is folded once, whatever has changed its rows since. So only values that never change are read from them, or the traces of
a call.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from notifyflow.core.delivery.facts import Transition
from notifyflow.core.delivery.model import AT_REST, Ended, Kind, Result, Severity
from notifyflow.core.metrics import figures
from notifyflow.core.metrics.figures import Failure, Family, IncidentChange, Outcome, Tallies

ENDED_CALLS: Mapping[str, Outcome] = {
    "accepted": Outcome.ACCEPTED,
    "refused": Outcome.TEMPORARY_FAILURE,
    "refused_for_good": Outcome.PERMANENT_FAILURE,
    "doubted": Outcome.IN_DOUBT,
    "lease_expired": Outcome.IN_DOUBT,
    "released": Outcome.NOT_SENT,
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
    name: tuple(figures.FAMILIES[name].labels.index(label) for label in labels) for name, labels in figures.CHARTED.items()
}
"""The places of the charts' labels among the labels of a family."""
_STARTS = (IncidentChange.OPENED, IncidentChange.SEVERITY_RAISED, IncidentChange.PAGED_AGAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The counted values of a notification.

    Attributes:
        created_at: When it was queued.
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
    """

    provider: str
    took_s: float | None
    is_our_fault: bool
    retry_after_s: float | None
    receipt_due_at: datetime | None
    is_repeat: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some lines of the transition log, with the rows they belong to; a missing row was deleted.

    Attributes:
        notifications: Their notifications, by id.
        calls: The attempts that they name, by id.
        escalations: The severity of their escalations, by id.
        incidents: The severity of their incidents, by id.
        histories: Each acknowledged incident's own lines, by id, the oldest first.
        critical: The severity and time of the critical failures linked since the last batch.
    """

    lines: Sequence[Transition]
    notifications: Mapping[str, Sent]
    calls: Mapping[str, Call]
    escalations: Mapping[str, Severity]
    incidents: Mapping[str, Severity]
    histories: Mapping[str, Sequence[Transition]]
    critical: Sequence[tuple[Severity, datetime]] = ()


@dataclass(slots=True)
class Folded:
    """The counts of a batch.

    Attributes:
        total: All counts.
        minutes: The counts for the charts, by the minute of the event.
    """

    total: Tallies = field(default_factory=Tallies)
    minutes: Mapping[datetime, Tallies] = field(default_factory=lambda: defaultdict(Tallies))

    def count(self, family: Family, at: datetime, *labels: str) -> None:
        """Count an event."""
        self.total.count(family, *labels)
        if family.name in _CHARTED:
            self._minute(at).count(family, *_charted(family, labels))

    def observe(self, family: Family, at: datetime, seconds: float, *labels: str) -> None:
        """Count a duration that ended then."""
        self.total.observe(family, seconds, *labels)
        self._minute(at).observe(family, seconds, *_charted(family, labels))

    def _minute(self, at: datetime) -> Tallies:
        return self.minutes[at.replace(second=0, microsecond=0)]


def fold(batch: Batch) -> Folded:
    """Count the lines of a batch."""
    folded = Folded()
    for line in batch.lines:
        if line.machine == "notification":
            _fold_notification(folded, batch, line)
        elif line.machine == "escalation":
            _fold_escalation(folded, batch, line)
        elif line.machine == "incident":
            _fold_incident(folded, batch, line)
    for severity, at in batch.critical:
        folded.count(figures.CRITICAL, at, severity)
    return folded


def _fold_notification(folded: Folded, batch: Batch, line: Transition) -> None:
    row = batch.notifications.get(line.row_id)
    if row is None:
        return
    if not line.source or (line.source != line.target and line.target in AT_REST):
        folded.count(figures.NOTIFICATIONS, line.at, row.channel, row.kind, row.severity, line.target)
    if line.event in _ENDED:
        folded.count(figures.FAILURES, line.at, row.channel, figures.NO_PROVIDER, line.event)
    call = batch.calls.get(line.detail.get("attempt", ""))
    if call is not None and line.event in ENDED_CALLS:
        _fold_call(folded, row, call, line)
    if call is not None and line.event in REPORTS:
        _fold_report(folded, row, call, line)
    if row.kind is Kind.PAGE:
        _fold_arrival(folded, row, line)


def _fold_arrival(folded: Folded, row: Sent, line: Transition) -> None:
    waited_s = (line.at - row.created_at).total_seconds()
    if line.version == row.reached:
        folded.observe(figures.ACCEPTED_S, line.at, waited_s, row.channel, row.severity)
    if line.version == row.delivered:
        folded.observe(figures.DELIVERED_S, line.at, waited_s, row.channel, row.severity)


def _fold_call(folded: Folded, row: Sent, call: Call, line: Transition) -> None:
    outcome = ENDED_CALLS[line.event]
    carrier = (row.channel, call.provider)
    folded.count(figures.ATTEMPTS, line.at, *carrier, row.severity, outcome)
    if outcome is Outcome.NOT_SENT:
        return
    if call.took_s is not None:
        folded.observe(figures.REQUEST_S, line.at, call.took_s, *carrier)
    if outcome is not Outcome.ACCEPTED:
        folded.count(figures.FAILURES, line.at, *carrier, _reason(outcome, call))
        if outcome is Outcome.IN_DOUBT:
            folded.count(figures.DOUBTS, line.at, *carrier)
        return
    if call.is_repeat:
        folded.count(figures.DUPLICATES, line.at, *carrier)
    if call.receipt_due_at is not None:
        folded.count(figures.AWAITED, line.at, *carrier)


def _reason(outcome: Outcome, call: Call) -> Failure:
    if outcome is Outcome.IN_DOUBT:
        return Failure.NO_ANSWER
    if call.is_our_fault:
        return Failure.REFUSED_US
    if outcome is Outcome.PERMANENT_FAILURE:
        return Failure.PERMANENT
    return Failure.TEMPORARY if call.retry_after_s is None else Failure.THROTTLED


def _fold_report(folded: Folded, row: Sent, call: Call, line: Transition) -> None:
    result = REPORTS[line.event]
    folded.count(figures.RECEIPTS, line.at, row.channel, call.provider, result)
    failures = {Result.TEMPORARY_FAILURE: Failure.TEMPORARY, Result.PERMANENT_FAILURE: Failure.PERMANENT}
    if result in failures:
        reason = Failure.REFUSED_US if call.is_our_fault else failures[result]
        folded.count(figures.FAILURES, line.at, row.channel, call.provider, reason)


def _fold_escalation(folded: Folded, batch: Batch, line: Transition) -> None:
    severity = batch.escalations.get(line.row_id)
    if severity is not None and line.source != line.target and line.target in figures.SETTLED:
        folded.count(figures.ESCALATIONS, line.at, severity, line.target)


def _fold_incident(folded: Folded, batch: Batch, line: Transition) -> None:
    severity = batch.incidents.get(line.row_id)
    if severity is None:
        return
    folded.count(figures.INCIDENTS, line.at, line.event, severity)
    if line.event == IncidentChange.ACKNOWLEDGED:
        since = _paged_at(batch.histories.get(line.row_id, ()), line.version)
        if since is not None:
            folded.observe(figures.HUMAN_S, line.at, (line.at - since).total_seconds(), severity)


def _paged_at(history: Sequence[Transition], version: int) -> datetime | None:
    """Return when an incident began to wait for its acknowledgement; None if it was already acknowledged for somebody else."""
    for line in reversed(history):
        if line.version < version and line.event in (*_STARTS, IncidentChange.ACKNOWLEDGED):
            return line.at if line.event in _STARTS else None
    return None


def _charted(family: Family, labels: Sequence[str]) -> tuple[str, ...]:
    return tuple(labels[place] for place in _CHARTED[family.name])
