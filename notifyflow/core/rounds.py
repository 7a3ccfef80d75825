"""When a recipient's next round is due by the policy's ``repeat``, and whether there is one; pure."""

from datetime import datetime

from notifyflow.core.facts import EscalationFacts
from notifyflow.core.outage import moved
from notifyflow.core.rules import DecisionContext


def due_at(context: DecisionContext) -> datetime | None:
    """Find when the next round, or the end after the last one, is due; None where the policy has one round only."""
    escalation = context.escalation
    repeat = escalation.policy.repeat
    if repeat is None or escalation.severity in repeat.never_for:
        return None
    return moved(escalation.started_at + repeat.every, context.breaks, since=escalation.started_at)


def is_last(escalation: EscalationFacts) -> bool:
    """Tell whether the policy has no further round for the recipient."""
    repeat = escalation.policy.repeat
    return repeat is None or escalation.repetition >= repeat.rounds
