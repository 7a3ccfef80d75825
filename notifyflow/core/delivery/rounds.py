"""The rounds that start by time: a policy's, one after a changed address, and those that tell operations; pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts
from notifyflow.core.delivery.intervals import paged_at
from notifyflow.core.delivery.model import EscalationState, IncidentState, Severity
from notifyflow.core.delivery.page_rules import DecisionContext
from notifyflow.core.delivery.tier_rules import carried_clock, has_passed_rounds

OPERATIONS_EVERY = timedelta(minutes=15)
"""The shortest time between two rounds of an operations incident."""

OPERATIONS_PATH_EVERY = timedelta(hours=4)
"""The time between two rounds that only failures over a seemingly broken callback path need."""

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


def next_of_operations_at(
    current: Sequence[EscalationFacts], *, is_failure: bool, now: datetime, planned_at: datetime | None = None
) -> datetime:
    """Return when the next round may start: now, or when the last one is 15 minutes old.

    The round of a critical failure waits only for rounds of failures. An incident without a round of its own may have a planned
    one, for failures and notices left by the resolved incident before it.
    """
    counting = [escalation for escalation in current if escalation.severity is Severity.CRITICAL or not is_failure]
    return max((escalation.started_at + OPERATIONS_EVERY for escalation in counting), default=planned_at or now)


def severity_for_operations(incident: IncidentFacts, current: Sequence[EscalationFacts], *, has_new_failures: bool) -> Severity:
    """Return a round's severity: WARNING for notices alone, unless it would replace a running round of failures."""
    is_replacing = incident.state is IncidentState.OPEN and any(map(_insists, current))
    return Severity.CRITICAL if has_new_failures or is_replacing else Severity.WARNING


def _insists(escalation: EscalationFacts) -> bool:
    is_running = escalation.state is EscalationState.ACTIVE or escalation.next_round_at is not None
    return escalation.severity is Severity.CRITICAL and is_running
