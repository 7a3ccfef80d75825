"""The rounds of a policy's ``repeat``; pure."""

from datetime import datetime

from notifyflow.core.deadlines import moved
from notifyflow.core.facts import EscalationFacts
from notifyflow.core.tier_rules import DecisionContext


def due_at(context: DecisionContext) -> datetime | None:
    """Return when the next round, or the end after the last one, is due; None if the policy has one round only."""
    escalation = context.escalation
    repeat = escalation.policy.repeat
    if repeat is None or escalation.severity in repeat.never_for:
        return None
    return moved(escalation.started_at + repeat.every, context.breaks, since=escalation.started_at)


def is_last(escalation: EscalationFacts) -> bool:
    """Return whether this is the last round of the policy."""
    repeat = escalation.policy.repeat
    return repeat is None or escalation.repetition >= repeat.rounds
