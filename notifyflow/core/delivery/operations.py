"""How pages of operations are grouped: failures and notices join one open incident, which pages at intervals; pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts
from notifyflow.core.delivery.model import EscalationState, IncidentState, Severity

INTERVAL = timedelta(minutes=15)
"""The shortest time between two rounds of an operations incident."""

PATH_INTERVAL = timedelta(hours=4)
"""The time between two rounds that only failures over a seemingly broken callback path need."""


def next_round_at(
    current: Sequence[EscalationFacts], *, is_failure: bool, now: datetime, planned_at: datetime | None = None
) -> datetime:
    """Return when the next round may start: now, or when the last one is 15 minutes old.

    The round of a critical failure waits only for rounds of failures. An incident without a round of its own may have a planned
    one, for failures and notices left by the resolved incident before it.
    """
    counting = [escalation for escalation in current if escalation.severity is Severity.CRITICAL or not is_failure]
    return max((escalation.started_at + INTERVAL for escalation in counting), default=planned_at or now)


def severity_of_round(incident: IncidentFacts, current: Sequence[EscalationFacts], *, has_new_failures: bool) -> Severity:
    """Return a round's severity: WARNING for notices alone, unless it would replace a running round of failures."""
    is_replacing = incident.state is IncidentState.OPEN and any(map(_insists, current))
    return Severity.CRITICAL if has_new_failures or is_replacing else Severity.WARNING


def _insists(escalation: EscalationFacts) -> bool:
    is_running = escalation.state is EscalationState.ACTIVE or escalation.next_round_at is not None
    return escalation.severity is Severity.CRITICAL and is_running
