"""The rounds that start by time: those of a policy's ``repeat``, and one after a changed address; pure."""

from datetime import datetime, timedelta

from notifyflow.core.delivery.facts import EscalationFacts
from notifyflow.core.delivery.intervals import paged_at
from notifyflow.core.delivery.page_rules import DecisionContext
from notifyflow.core.delivery.tier_rules import carried_clock, has_passed_rounds

READDRESS_EVERY = timedelta(minutes=15)
"""The shortest time between two rounds that changed addresses of a recipient start."""


def due_at(context: DecisionContext) -> datetime | None:
    """Return when the next round, or the end after the last one, is due; None if the policy has one round only."""
    escalation = context.escalation
    repeat = escalation.policy.repeat
    if repeat is None or escalation.severity in repeat.never_for or has_passed_rounds(escalation):
        return None
    since, left = escalation.started_at, max(repeat.every - carried_clock(escalation), timedelta())
    return paged_at(since + left, context.intervals, since=since, severity=escalation.severity)


def readdress_at(context: DecisionContext) -> datetime | None:
    """Return until when a changed address starts no round, since the last such round is too recent; None if there was none."""
    last = context.escalation.readdressed_at
    return last and paged_at(last + READDRESS_EVERY, context.intervals, since=last, severity=context.escalation.severity)


def next_at(context: DecisionContext, now: datetime, *, has_passed: bool) -> datetime | None:
    """Return when time starts the next round: the policy's, unless it has passed or is over, or a changed address's."""
    escalation, policy_at = context.escalation, due_at(context)
    stored, waiting = escalation.next_round_at, escalation.readdress_at
    is_running = stored is not None and policy_at is not None and (waiting is None or policy_at > now or stored <= now)
    timers = (policy_at if is_running and not has_passed else None, waiting and readdress_at(context))
    return min((at for at in timers if at is not None), default=None)


def is_last(escalation: EscalationFacts) -> bool:
    """Return whether this is the last round of the policy."""
    repeat = escalation.policy.repeat
    return repeat is None or escalation.repetition >= repeat.rounds
