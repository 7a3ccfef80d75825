"""Notes that somebody sweeps, and makes up for the times in which nobody did: what waited for others then waits on."""

from dataclasses import replace
from datetime import datetime, timedelta

from notifyflow.core import rules
from notifyflow.core.facts import EscalationFacts, NotificationFacts
from notifyflow.core.model import Severity
from notifyflow.core.outage import STANDSTILL, Interval, Outage, Stop, outage_since
from notifyflow.core.rules import DecisionContext
from notifyflow.pipeline.transaction import Transaction

_NOTE_EVERY = timedelta(seconds=5)


def keep(tx: Transaction, swept_at: datetime | None) -> Outage | None:
    """Note a sweep; where sweeping has stood still, end the outage, exactly once however many begin to sweep at the same time.

    A time in which nothing waited is no outage: a process that is used now and then has many of these.
    Deadlines are reckoned from the outages that are known, when their time seems to have come.

    Args:
        tx: The transaction.
        swept_at: When the last sweep was that was noted, not locked; None before the first.

    Returns:
        The outage that is over by this; None where there was none, or somebody else has ended it.
    """
    if swept_at is not None and tx.now < swept_at + _NOTE_EVERY:
        return None
    swept_at = tx.ledger.lock_watch()
    if swept_at is None:
        tx.ledger.begin_watch(at=tx.now)
        return None
    outage = outage_since(swept_at, tx.now)
    if outage is None or not tx.ledger.has_waited(since=tx.now - STANDSTILL):
        tx.ledger.note_sweep(at=max(tx.now, swept_at))
        return None
    tx.ledger.end_outage(outage)
    return outage


def inform(tx: Transaction, context: DecisionContext) -> DecisionContext:
    """Return the context with the outages and pauses since its round started."""
    outages, stops = idle_times(tx, context.escalation)
    return replace(context, outages=outages, stops=stops)


def idle_times(tx: Transaction, escalation: EscalationFacts) -> tuple[tuple[Interval, ...], tuple[Stop, ...]]:
    """Read when, since an escalation started, nobody swept for it, and when an operator had stopped its clocks."""
    since, is_urgent = escalation.started_at, escalation.severity is Severity.CRITICAL
    stops = tx.ledger.stops(escalation.incident_id, since=since, now=tx.now)
    covering = tuple(each for each in stops if each.is_for_critical or not is_urgent)
    return (*tx.ledger.outages(since=since, now=tx.now), *(each for each in covering if each.is_quarantined)), covering


def breaks(tx: Transaction, row: NotificationFacts) -> tuple[Interval, ...]:
    """Read which times do not count for a row's retry window: outages, pauses of everything, and those that kept it waiting."""
    idle, stops = idle_times(tx, tx.ledger.escalation(row.escalation_id))
    return (*idle, *stops, *rules.paused(row))
