"""Facts with defaults for all fields that a test leaves out, and a notification that goes through events."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from notifyflow.core.delivery import lifecycle
from notifyflow.core.delivery.escalation import DecisionContext
from notifyflow.core.delivery.facts import AttemptFacts, EscalationFacts, IncidentFacts, NotificationFacts, Outcome
from notifyflow.core.delivery.lifecycle import Moved, StopEvent
from notifyflow.core.delivery.model import AttemptState, Ended, NotificationState, Receipt, Result, Severity, Via
from notifyflow.core.delivery.policy import DEFAULT, Policy, RetrySchedule
from notifyflow.core.intake.inbound_log import InboundEffect, InboundEntry
from tests.capabilities import CALLING

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
LEASE = timedelta(seconds=60)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def attempt(number: int = 1, result: Result | None = None, **fields: Any) -> AttemptFacts:
    """Make an attempt: running without a result, recorded with one."""
    facts: dict[str, Any] = {
        "id": f"a{number}",
        "notification_id": "n",
        "number": number,
        "provider": "p",
        "token": f"t{number}",
        "started_at": NOW,
        "lease_until": NOW + LEASE,
        "state": AttemptState.RUNNING if result is None else AttemptState.RECORDED,
        "result": result,
    }
    return AttemptFacts(**(facts | fields))


def page(
    channel: str = "email", state: NotificationState = NotificationState.QUEUED, *attempts: AttemptFacts, **fields: Any
) -> NotificationFacts:
    """Make a page; one that is FAILED, SENT or DELIVERED has the attempt that made it so, unless attempts are given."""
    result = {
        NotificationState.FAILED: Result.PERMANENT_FAILURE,
        NotificationState.SENT: Result.ACCEPTED,
        NotificationState.DELIVERED: Result.DELIVERED,
    }.get(state)
    facts: dict[str, Any] = {
        "id": f"n-{channel}",
        "incident_id": "i",
        "escalation_id": "e",
        "channel": channel,
        "severity": Severity.ERROR,
        "max_attempts": 5,
        "created_at": NOW,
        "state": state,
        "attempts": attempts or ((attempt(1, result),) if result else ()),
    }
    return NotificationFacts(**(facts | fields))


def escalation(**fields: Any) -> EscalationFacts:
    facts: dict[str, Any] = {
        "id": "e",
        "incident_id": "i",
        "recipient_id": "ada",
        "round": 1,
        "severity": Severity.ERROR,
        "policy": DEFAULT,
        "started_at": NOW,
        "tier": 1,
    }
    return EscalationFacts(**(facts | fields))


def incident(**fields: Any) -> IncidentFacts:
    facts: dict[str, Any] = {
        "id": "i",
        "key": "db-1",
        "severity": Severity.ERROR,
        "policy": DEFAULT,
        "opened_at": NOW,
        "last_seen_at": NOW,
    }
    return IncidentFacts(**(facts | fields))


def inbound_entry(**fields: Any) -> InboundEntry:
    """Make the entry of a request that opened an incident."""
    facts: dict[str, Any] = {
        "incident_id": "i",
        "integration": Via.ALERTMANAGER,
        "api_key": "prometheus",
        "route": "routes[0]",
        "did": InboundEffect.OPENED,
        "first_at": NOW,
        "last_at": NOW,
    }
    return InboundEntry(**(facts | fields))


def context(
    *pages: NotificationFacts, addresses: str = "email slack sms voice", about: IncidentFacts | None = None, **fields: Any
) -> DecisionContext:
    """Make a decision context of pages; keywords go to its escalation, whose severity the pages take on."""
    facts = escalation(**fields)
    rows = tuple(replace(row, severity=facts.severity) for row in pages)
    return DecisionContext(
        escalation=facts,
        incident=about or incident(),
        notifications=rows,
        addresses=frozenset(addresses.split()),
        calling=CALLING,
    )


class Row:
    """A notification that goes through events, one second apart."""

    def __init__(self, *, policy: Policy = DEFAULT, max_attempts: int | None = None, **fields: Any) -> None:
        self.schedule: RetrySchedule = policy.retries.normal
        self.facts = page(**({"max_attempts": max_attempts or self.schedule.attempts, "due_at": NOW} | fields))
        self.now = NOW
        self.log: list[Moved] = []

    @property
    def state(self) -> NotificationState:
        return self.facts.state

    def _follow(self, moved: Moved) -> "Row":
        self.log.append(moved)
        self.facts = moved.after
        return self

    def _pass(self) -> datetime:
        self.now += seconds(1)
        return self.now

    def claim(self, **fields: Any) -> "Row":
        now = self._pass()
        number = len(self.facts.attempts) + 1
        new = attempt(number, **({"started_at": now, "lease_until": now + LEASE} | fields))
        return self._follow(lifecycle.claim(self.facts, new, now=now))

    def record(self, result: Result, **fields: Any) -> "Row":
        outcome = Outcome(result=result, **fields)
        number = len(self.facts.attempts)
        return self._follow(
            lifecycle.record(self.facts, f"a{number}", outcome, schedule=self.schedule, now=self._pass(), fraction=0.5)
        )

    def release(self) -> "Row":
        return self._follow(lifecycle.release(self.facts, f"a{len(self.facts.attempts)}", now=self._pass()))

    def lose(self) -> "Row":
        return self._follow(lifecycle.lose(self.facts, f"a{len(self.facts.attempts)}", now=self._pass()))

    def report(self, result: Result | None, number: int | None = None, **fields: Any) -> "Row":
        attempt_id = f"a{number or len(self.facts.attempts)}"
        receipt = Receipt(provider="p", event_id="e", result=result, attempt_id=attempt_id, **fields)
        return self._follow(
            lifecycle.receive(self.facts, attempt_id, receipt, schedule=self.schedule, now=self._pass(), fraction=0.5)
        )

    def refuse(self, number: int | None = None, *, result: Result = Result.TEMPORARY_FAILURE) -> "Row":
        """Report that the content of an attempt's message of several was refused."""
        attempt_id = f"a{number or len(self.facts.attempts)}"
        receipt = Receipt(provider="p", event_id="e", result=result, attempt_id=attempt_id, is_about_content=True)
        now = self._pass()
        return self._follow(
            lifecycle.receive(self.facts, attempt_id, receipt, schedule=self.schedule, now=now, fraction=0.5, half="half")
        )

    def end(self, why: Ended, reason: str = "") -> "Row":
        return self._follow(lifecycle.end(self.facts, why, reason=reason, now=self._pass()))

    def stop(self, event: StopEvent = "acknowledged") -> "Row":
        return self._follow(lifecycle.stop(self.facts, event, now=self._pass()))

    def sent(self, result: Result = Result.ACCEPTED, **fields: Any) -> "Row":
        """Claim and record."""
        return self.claim().record(result, **fields)
