"""Tells the others what became of an incident: one attempt each, over chat and mail that was used already, never escalating."""

from collections.abc import Iterable
from itertools import chain

from notifyflow.core.escalation import Case
from notifyflow.core.facts import IncidentFacts, NotificationFacts
from notifyflow.core.model import AttemptState, Contact, IncidentState, Kind, Severity, Word
from notifyflow.pipeline.transaction import Transaction

CHANNELS = frozenset({"email", "slack", "teams"})
"""Chat and mail: nobody is rung up or texted to hear that there is nothing to do."""

_MAY_HAVE_ARRIVED = frozenset({Word.IN_DOUBT, Word.ACCEPTED, Word.DELIVERED})


def tell(tx: Transaction, cases: Iterable[Case]) -> None:
    """Queue news for recipients whom a page has reached, or may have."""
    tx.queue(list(chain.from_iterable(_rows(tx, case) for case in cases)), event="queued")


def wording(incident: IncidentFacts, taker: Contact | None) -> str:
    """Say what became of an incident.

    Args:
        incident: As it is now.
        taker: Who took it, where that is one of its recipients.
    """
    if incident.state is IncidentState.RESOLVED:
        return "resolved"
    return f"{taker.name if taker else incident.acknowledged_by} took it"


def _rows(tx: Transaction, case: Case) -> list[NotificationFacts]:
    used = {row.channel for row in case.notifications if row.kind is Kind.PAGE and _was_used(row)}
    return [
        NotificationFacts(
            id=tx.tools.ids.new(),
            incident_id=case.incident.id,
            escalation_id=case.escalation.id,
            channel=channel,
            kind=Kind.NEWS,
            tier=None,
            severity=Severity.INFO,
            max_attempts=1,
            created_at=tx.now,
        )
        for channel in sorted(used & CHANNELS)
    ]


def _was_used(row: NotificationFacts) -> bool:
    return any(attempt.state is AttemptState.RUNNING or attempt.word in _MAY_HAVE_ARRIVED for attempt in row.attempts)
