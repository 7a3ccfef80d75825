"""Quiet hours of some people: nothing but CRITICAL leaves in them, CRITICAL does not wait, and no clock runs."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from notifyflow.core.delivery.attempts import counted as made
from notifyflow.core.delivery.facts import EscalationFacts
from notifyflow.core.delivery.intervals import PausedInterval, counted
from notifyflow.core.delivery.model import DeferralReason, Kind, NotificationState, Recipient, Severity
from notifyflow.core.delivery.policy import Unacknowledged
from notifyflow.core.insight.views import EscalationStatus
from tests.simulation.database import Session, SimulatedDatabase
from tests.simulation.world import START, World, require

_QUIET = 0.3
_SLEEPING = 0.7
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_DAYS = 4
_SENT_TO = """
    SELECT e.incident_id, e.recipient_id, e.severity, a.started_at, n.kind FROM notifyflow_attempt a
    JOIN notifyflow_notification n ON n.id = a.notification_id JOIN notifyflow_escalation e ON e.id = n.escalation_id
    WHERE a.id = ?
"""
_LEFT = """
    SELECT other.id FROM notifyflow_attempt a JOIN notifyflow_notification n ON n.id = a.notification_id
    JOIN notifyflow_escalation e ON e.id = n.escalation_id
    JOIN notifyflow_contact c ON c.incident_id = e.incident_id AND c.recipient_id = e.recipient_id
    JOIN notifyflow_escalation f ON f.recipient_id = e.recipient_id
    JOIN notifyflow_notification other ON other.escalation_id = f.id
    JOIN notifyflow_contact d ON d.incident_id = f.incident_id AND d.recipient_id = f.recipient_id
    WHERE a.id = ? AND n.kind = 'page' AND n.channel <> 'voice'
    AND other.state = 'QUEUED' AND other.kind = 'page' AND other.deferred_by = 'quiet'
    AND other.due_at <= a.started_at AND other.channel = n.channel AND other.namespace = n.namespace AND NOT other.is_quarantined
    AND json_extract(d.addresses, '$.' || n.channel) = json_extract(c.addresses, '$.' || n.channel)
    AND 'quiet' = (
        SELECT detail ->> 'why' FROM notifyflow_transition
        WHERE row_id = n.id AND event <> 'claimed' ORDER BY version DESC LIMIT 1
    )
"""
_IS_KNOWN = "SELECT quiet FROM notifyflow_contact WHERE incident_id = ? AND recipient_id = ? AND quiet IS NOT NULL"

Night = tuple[timedelta, timedelta]
"""When quiet hours begin, from the start of the world, and how long they last."""


_ASIDE = "SELECT 1 FROM notifyflow_set_aside WHERE incident_id = ?"


class QuietHours:
    """Draws who is quiet when, in some worlds, and checks every commit against that, by a clock that knows UTC only.

    Attributes:
        is_on: Whether people are quiet in this world.
    """

    def __init__(self, world: World, database: SimulatedDatabase) -> None:
        self._world = world
        self._database = database
        self.is_on = world.apart("quiet").random() < _QUIET
        self._nights: dict[str, Night | None] = {}

    def given(self, recipient: Recipient) -> Recipient:
        """Return a recipient with their quiet hours, which are the same each time."""
        night = self._night(recipient.id)
        if night is None:
            return recipient
        begins_at = START + night[0]
        return replace(recipient, quiet=f"{begins_at:%H:%M}-{begins_at + night[1]:%H:%M}")

    def paused_intervals(self, facts: EscalationFacts) -> tuple[PausedInterval, ...]:
        """Return the quiet times of an escalation's recipient; none if it is CRITICAL."""
        night = self._night_of(facts.incident_id, facts.recipient_id)
        if night is None or facts.severity is Severity.CRITICAL:
            return ()
        begins = (START + night[0] + day * _DAY for day in range(-1, _DAYS))
        return tuple(PausedInterval(began_at=each, ended_at=each + night[1], is_for_critical=False) for each in begins)

    def shared_s(self, incident_id: str, recipient_ids: Sequence[str], severity: Severity) -> list[tuple[float, float]]:
        """Return the times in which all of some recipients are quiet, in seconds since the start; none for CRITICAL."""
        nights = [self._night_of(incident_id, each) for each in recipient_ids]
        if severity is Severity.CRITICAL or not nights or None in nights:
            return []
        begin = max(begins for begins, _ in filter(None, nights))  # all nights begin within 22 minutes of each other, once a day
        end = min(begins + lasts for begins, lasts in filter(None, nights))
        days = (day * _DAY for day in range(-1, _DAYS))
        return [((begin + day).total_seconds(), (end + day).total_seconds()) for day in days if begin < end]

    def check_claim(self, attempt_id: str, session: Session) -> None:
        """Require that nobody is sent anything in their quiet hours, by the clock of the worker that claims it.

        What waited in them leaves in one message, except for rows that another transaction has locked, and for calls.
        """
        if not self.is_on:
            return
        ((incident_id, recipient_id, severity, started_at, kind),) = self._database.look(_SENT_TO, attempt_id)
        if kind != Kind.INCIDENT_EVENT and severity != Severity.CRITICAL:
            is_quiet = self._lasting(incident_id, recipient_id, datetime.fromisoformat(started_at)) is not None
            require(not is_quiet, f"11: {attempt_id[-4:]} is claimed in the quiet hours of {recipient_id}")
        left = [row_id for (row_id,) in self._database.look(_LEFT, attempt_id)]
        is_free = all(self._database.locks.get(row_id, session) is session for row_id in left)
        require(not (left and is_free), f"quiet: {attempt_id[-4:]} leaves alone, and {len(left)} wait for {recipient_id}, too")

    def check(self, line: dict[str, Any]) -> None:
        """Require that only quiet hours defer by that name, and that no clock has run in them."""
        is_timed = line["event"] in ("tier_opened", "round_due", "expired")
        is_deferred = line["event"] == "deferred" and line["detail"]["why"] == DeferralReason.QUIET
        if not self.is_on or not (is_timed or is_deferred):
            return
        for escalation in self._database.status(line["incident_id"]).escalations:
            if line["row_id"] in (escalation.facts.id, *(row.id for row in escalation.notifications)):
                (self._check_deferral if is_deferred else self._check_clock)(escalation, line)

    def _check_deferral(self, escalation: EscalationStatus, line: dict[str, Any]) -> None:
        facts, until = escalation.facts, datetime.fromisoformat(line["detail"]["until"])
        what = f"11: {line['row_id'][-4:]} waits until {until:%H:%M:%S} for {facts.recipient_id}"
        require(facts.severity is not Severity.CRITICAL, f"{what}, and is CRITICAL")
        lasting = self._lasting(facts.incident_id, facts.recipient_id, until - _MINUTE)
        require(lasting is not None and lasting.ended_at == until, f"{what}, whose quiet hours end at another time")

    def _check_clock(self, escalation: EscalationStatus, line: dict[str, Any]) -> None:
        facts = escalation.facts
        needed = self._needed(escalation, line)
        if needed is None:
            return
        passed = counted(facts.started_at, line["at"], self.paused_intervals(facts)) + timedelta(
            seconds=self._world.widest_skew_s
        )
        if facts.carried is not None and line["event"] != "expired":
            passed += facts.carried.clock
        require(
            passed >= needed, f"11: {line['event']} of {line['row_id'][-4:]} after {passed} outside quiet hours, not {needed}"
        )

    def _needed(self, escalation: EscalationStatus, line: dict[str, Any]) -> timedelta | None:
        """Return the time that an event needs, counted from the start of the round; None if it needs none."""
        facts = escalation.facts
        if line["event"] == "round_due":
            return facts.policy.repeat.every if facts.policy.repeat else None
        if line["event"] == "expired":
            is_page = any(row.id == line["row_id"] and row.kind is Kind.PAGE for row in escalation.notifications)
            return facts.policy.freshness(facts.severity) if is_page else None
        number = int(line["detail"]["tier"])
        if line["detail"]["why"] == "failed":
            before = [row for row in escalation.notifications if row.tier == number - 1]
            is_other = any(
                row.state is NotificationState.FAILED or made(row) or row.deferred_by not in (None, DeferralReason.QUIET)
                for row in before
            )
            is_other |= facts.carried is not None and any(page.tier == number - 1 for page in facts.carried.pages)
            is_other |= bool(self._database.look(_ASIDE, facts.incident_id))
            require(is_other, f"11: tier {number} of {facts.id[-4:]} opens, and nothing happened but quiet hours")
        if line["detail"]["why"] != "unacknowledged":
            return None
        rules = [rule for tier in facts.policy.tiers[number - 1 :] for rule in tier.rules]
        return min(rule.after for rule in rules if isinstance(rule, Unacknowledged))

    def _night(self, recipient_id: str) -> Night | None:
        if self.is_on and recipient_id not in self._nights:
            chance = self._world.apart(f"{recipient_id} sleeps")
            night = chance.randint(-10, 12) * _MINUTE, chance.choice((1, 3, 8, 20, 40)) * _MINUTE
            self._nights[recipient_id] = night if chance.random() < _SLEEPING else None
        return self._nights.get(recipient_id)

    def _night_of(self, incident_id: str, recipient_id: str) -> Night | None:
        """Return the quiet hours of a recipient of an incident; none if it was given without them, under another namespace."""
        night = self._nights.get(recipient_id)
        return night if night and self._database.look(_IS_KNOWN, incident_id, recipient_id) else None

    def _lasting(self, incident_id: str, recipient_id: str, at: datetime) -> PausedInterval | None:
        night = self._night_of(incident_id, recipient_id)
        begins = () if night is None else (START + night[0] + day * _DAY for day in range(-1, _DAYS))
        found = (
            PausedInterval(began_at=each, ended_at=each + night[1]) for each in begins if night and each <= at < each + night[1]
        )
        return next(found, None)
