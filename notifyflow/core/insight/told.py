"""Words for whether operations was told of critical failures: only if a provider accepted a page about them."""

from collections.abc import Callable
from datetime import datetime

from notifyflow.core.delivery.facts import EscalationFacts
from notifyflow.core.insight.views import IncidentStatus

NO_RECIPIENTS = "operations has no recipients (NOTIFYFLOW_OPS_RECIPIENTS)"
NOT_YET = "no page to operations was accepted so far"


def of_one(status: IncidentStatus, facts: EscalationFacts, *, brief: Callable[[datetime], str]) -> str:
    """Return whether operations was told about one recipient; empty if it was not to be paged for it."""
    if status.alerted_at(facts) is None:
        return ""
    told_at = status.told_at(facts)
    if told_at is not None:
        return f"operations was told at {brief(told_at)}"
    return NOT_YET if status.has_operations_recipients else NO_RECIPIENTS


def of_incident(status: IncidentStatus) -> str:
    """Return whether operations was told about any recipient of an incident that is linked to an operations incident."""
    alerted = [each.facts for each in status.escalations if status.alerted_at(each.facts) is not None]
    if not alerted:
        return "operations was not paged for it, only linked"
    if any(status.told_at(facts) is not None for facts in alerted):
        return "operations was told"
    return NOT_YET if status.has_operations_recipients else NO_RECIPIENTS
