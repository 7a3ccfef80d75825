"""Arrivals: a CRITICAL page that nobody got is told to operations, by the records of the providers and not by ours."""

from notifyflow.core.delivery.model import EscalationState, IncidentState, Kind, Result, Severity
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus
from tests.simulation.database import SimulatedDatabase
from tests.simulation.outside import Outside, Send
from tests.simulation.world import World, require

_READ_AT_WORK = {"email", "slack", "teams", "sms"}
_ON_THEIR_OWN = (EscalationState.REACHED, EscalationState.EXHAUSTED)
_CALLS = """
    SELECT COALESCE(a.sent_with, a.id), n.channel FROM notifyflow_attempt a
    JOIN notifyflow_notification n ON n.id = a.notification_id WHERE n.id = ?
"""
_LINK = "SELECT operations_incident_id, at FROM notifyflow_critical WHERE escalation_id = ?"
_TOLD = """
    SELECT a.id FROM notifyflow_attempt a JOIN notifyflow_notification n ON n.id = a.notification_id
    WHERE n.incident_id = ? AND n.kind = 'page' AND a.started_at >= ?
"""
_SEEN = "SELECT 1 FROM notifyflow_incident WHERE id = ? AND acknowledged_at >= ?"
"""Whether somebody acknowledged the operations incident since, as on the dashboard, before its page could leave."""


class Arrivals:
    """Compares the calls that providers saw with the alerts to operations."""

    def __init__(self, world: World, database: SimulatedDatabase, outside: Outside) -> None:
        self._world = world
        self._database = database
        self._outside = outside

    def at_end(self, status: IncidentStatus, *, is_operated: bool) -> None:
        """Require, in the settled world, that operations was told of each CRITICAL round of an open incident that nobody got.

        Args:
            status: The incident.
            is_operated: Whether anybody is in operations.
        """
        if status.facts.is_operations or status.is_quarantined or status.facts.state is not IncidentState.OPEN:
            return
        for each in status.escalations:
            is_over = each.facts.is_current and each.facts.state in _ON_THEIR_OWN
            if is_over and each.facts.severity is Severity.CRITICAL and not self._has_arrived(each):
                self._require_told(each, is_operated=is_operated and not status.facts.run_number)

    def _has_arrived(self, escalation: EscalationStatus) -> bool:
        """Return whether anybody got a page, or may have: one that was taken where people read, or was reported as delivered."""
        return any(
            self._got(self._outside.sends.get(call), channel)
            for row in escalation.notifications
            if row.kind is Kind.PAGE
            for call, channel in self._database.look(_CALLS, row.id)
        )

    def _got(self, send: Send | None, channel: str) -> bool:
        if send is None:
            return False
        is_reported = channel in self._outside.reporting
        return Result.DELIVERED in send.results if is_reported else send.is_accepted and channel in _READ_AT_WORK

    def _require_told(self, escalation: EscalationStatus, *, is_operated: bool) -> None:
        what = f"arrivals: nobody got a page of {escalation.facts.id[-4:]} ({escalation.facts.state}), and operations"
        found = self._database.look(_LINK, escalation.facts.id)
        require(found, f"{what} has no link to it")
        if is_operated:
            operations_id, at = found[0]
            calls = self._database.look(_TOLD, operations_id, at)
            sends = [send for (call,) in calls if (send := self._outside.sends.get(call))]
            is_told = any(each.is_accepted or Result.DELIVERED in each.results for each in sends)
            is_told |= bool(self._database.look(_SEEN, operations_id, at))
            has_skew = self._world.widest_skew_s > 0
            require(is_told or has_skew, f"{what} was told nothing since {at}")
