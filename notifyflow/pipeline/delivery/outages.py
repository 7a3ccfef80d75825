"""Notes sweeps, and makes up for outages (periods without sweeps): deadlines that ran meanwhile move.

Pauses of sending begin and end here, too: the claim defers paused notifications, which are due at once when the pause ends.
"""

from datetime import datetime, timedelta

from notifyflow.core.copies import replace
from notifyflow.core.delivery import page_rules
from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.core.delivery.intervals import OUTAGE_AFTER, Interval, Outage, PausedInterval, outage_since
from notifyflow.core.delivery.model import Contact, DeferralReason, Severity
from notifyflow.core.delivery.page_rules import DecisionContext
from notifyflow.core.limits import quiet
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.pipeline.delivery import incident_events
from notifyflow.pipeline.transaction import sparing, use_case
from notifyflow.pipeline.transaction.ports import Dependencies
from notifyflow.pipeline.transaction.running import Transaction

_NOTE_EVERY = timedelta(seconds=5)
_NOTE_EACH_FOR = timedelta(seconds=10)


def note_sweep(tx: Transaction, swept_at: datetime | None, *, began_at: datetime | None = None) -> Outage | None:
    """Note a sweep, and end an outage, exactly once if several processes begin to sweep at the same time.

    A period in which no timer ran is no outage: a process that runs now and then has many of these. Deadlines are computed from
    the known outages when they seem to be due. A process notes each sweep of its first ten seconds, and later one every five
    seconds, so that a short-lived process leaves no outage while it lives.

    Args:
        tx: The transaction.
        swept_at: When the last noted sweep was, read without a lock.
        began_at: When the process began to sweep; None if that was long ago.

    Returns:
        The outage that this sweep ends; None if there was none, or another process has ended it.
    """
    is_new = began_at is not None and tx.now < began_at + _NOTE_EACH_FOR
    if swept_at is not None and tx.now < swept_at + _NOTE_EVERY and not is_new:
        return None
    swept_at = tx.ledger.intervals.lock_last_sweep()
    if swept_at is None:
        tx.ledger.intervals.note_first_sweep(at=tx.now)
        return None
    outage = outage_since(swept_at, tx.now)
    if outage is None or not tx.ledger.intervals.has_waited(since=tx.now - OUTAGE_AFTER):
        tx.ledger.intervals.note_sweep(at=max(tx.now, swept_at))
        return None
    tx.ledger.intervals.end_outage(outage)
    return outage


def inform(tx: Transaction, context: DecisionContext, contact: Contact) -> DecisionContext:
    """Return the context with the outages, pauses and quiet hours since its round started."""
    outages, paused_intervals = idle_times(tx, context.escalation, contact)
    return replace(context, outages=outages, paused_intervals=paused_intervals)


def idle_times(
    tx: Transaction, escalation: EscalationFacts, contact: Contact
) -> tuple[tuple[Interval, ...], tuple[PausedInterval, ...]]:
    """Return the outages, and the paused intervals, since the start of a recipient's escalation."""
    since = escalation.started_at
    covering = _covering(tx, escalation.incident_id, escalation.severity, since)
    idle = (*tx.ledger.intervals.outages(since=since, now=tx.now), *(each for each in covering if each.is_quarantined))
    return idle, (*covering, *quiet.escalation_intervals(contact, escalation, tx.now))


def intervals_of(tx: Transaction, incident: IncidentFacts, *, since: datetime) -> tuple[Interval, ...]:
    """Return the intervals since an instant that a step's time does not count: outages, and pauses that cover it."""
    return (*tx.ledger.intervals.outages(since=since, now=tx.now), *_covering(tx, incident.id, incident.severity, since))


def _covering(tx: Transaction, incident_id: str, severity: Severity, since: datetime) -> tuple[PausedInterval, ...]:
    paused_intervals = tx.ledger.intervals.of(incident_id, since=since, now=tx.now)
    return tuple(each for each in paused_intervals if each.is_for_critical or severity is not Severity.CRITICAL)


def intervals(tx: Transaction, row: NotificationFacts) -> tuple[Interval, ...]:
    """Return the intervals that a row's retry window does not count: outages, pauses of everything or of the row, quiet hours."""
    escalation = tx.ledger.escalations.get(row.escalation_id)
    idle, paused_intervals = idle_times(tx, escalation, incident_events.receiver(tx, row, escalation))
    return (*idle, *paused_intervals, *page_rules.paused(row))


def pause(deps: Dependencies, wanted: Pause) -> None:
    """Start a validated pause, which replaces an earlier one with the same scope and name."""

    def body(tx: Transaction) -> None:
        if tx.ledger.intervals.put_pause(wanted):
            _go_on(tx)

    sparing.run(deps, body)


def resume(deps: Dependencies, scope: PauseScope, name: str) -> bool:
    """End a pause, and return whether it existed; notifications that another pause covers are deferred again."""

    def body(tx: Transaction) -> bool:
        was_paused = tx.ledger.intervals.drop_pause(scope, name, at=tx.now)
        if was_paused:
            _go_on(tx)
        return was_paused

    return sparing.run(deps, body).value


def _go_on(tx: Transaction) -> None:
    """Make paused notifications due, and compute all deadlines again that used the pause's planned end."""
    tx.ledger.escalations.decide_again(now=tx.now)
    tx.ledger.steps.decide_again(now=tx.now)
    tx.ledger.notifications.bring_forward([DeferralReason.PAUSE], now=tx.now)


def pauses(deps: Dependencies) -> tuple[Pause, ...]:
    """Return the current pauses, the oldest first."""
    return use_case.run(deps, lambda tx: tx.ledger.intervals.pauses(now=tx.now))[0]
