"""Whether a rehearsed incident reached its people, or operations instead, by its rows; pure."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from notifyflow.core.delivery.attempts import counted
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import DeferralReason, Kind, NotificationState, StepState
from notifyflow.core.delivery.proof import has_arrived, has_rung, rang
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus

_QUIET = DeferralReason.QUIET.value
_ARRIVED = frozenset({NotificationState.SENT, NotificationState.DELIVERED})


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstArrival:
    """A page that arrived, was sent on a channel without possible receipts, or made a phone ring.

    Attributes:
        is_after_quiet: Whether it waited until the recipient's quiet hours were over.
    """

    at: datetime
    channel: str
    provider: str
    is_after_quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """The result for one recipient.

    Attributes:
        name: The name that messages use.
        arrival: The first page that arrived; None if none did.
        alerted_at: When operations knew, by a page that arrived, that the recipient could not be reached; None if it did not.
        is_followed: Whether a later step of the chain has paged others.
    """

    recipient_id: str
    name: str
    arrival: FirstArrival | None
    alerted_at: datetime | None
    is_followed: bool = False

    @property
    def is_passed(self) -> bool:
        """Whether somebody knows of the incident: the recipient, or operations; or the next step of its chain has begun."""
        return self.arrival is not None or self.alerted_at is not None or self.is_followed


def rehearsed(status: IncidentStatus, operations: IncidentStatus | None, calling: Collection[str]) -> tuple[Rehearsed, ...]:
    """Return the result for each recipient, over all rounds.

    Args:
        status: The incident.
        operations: The operations incident that its critical failures are linked to; None if there are none.
        calling: The channels of calls.
    """
    rounds: dict[str, list[EscalationStatus]] = defaultdict(list)
    for each in status.escalations:
        rounds[each.facts.recipient_id].append(each)
    last = _last_people(status)
    over = [each for each in status.escalations if each.facts.recipient_id in last]  # the end of a chain is marked on one of them
    alerts = sorted(each.at for each in _arrivals(operations, operations.escalations, calling)) if operations else []
    return tuple(
        Rehearsed(
            recipient_id=recipient_id,
            name=found[0].contact.name,
            arrival=min(_arrivals(status, found, calling), key=lambda arrival: arrival.at, default=None),
            alerted_at=next(
                (
                    at
                    for at in alerts
                    for each in (over if recipient_id in last else found)
                    if each.facts.alerted_at and at >= each.facts.alerted_at
                ),
                None,
            ),
            is_followed=bool(last) and recipient_id not in last,
        )
        for recipient_id, found in rounds.items()
    )


def _last_people(status: IncidentStatus) -> frozenset[str]:
    """Return the people of the last chain step that has begun; nobody without a chain."""
    begun = [step for step in status.steps if step.state is StepState.STARTED]
    return frozenset(max(begun, key=lambda step: (step.run_number, step.number)).paged) if begun else frozenset()


def _arrivals(
    status: IncidentStatus, escalations: Collection[EscalationStatus], calling: Collection[str]
) -> Iterator[FirstArrival]:
    for row in chain.from_iterable(each.notifications for each in escalations):
        if row.kind is Kind.PAGE and (has_arrived(row) or has_rung(row, calling)):
            yield FirstArrival(
                at=_arrived_at(status, row),
                channel=row.channel,
                provider=counted(row)[-1].provider,
                is_after_quiet=any(each.row_id == row.id and each.detail.get("why") == _QUIET for each in status.transitions),
            )


def _arrived_at(status: IncidentStatus, row: NotificationFacts) -> datetime:
    """Return when a page came into the state that shows its arrival; for a call that only rang, when it was placed."""
    moved = [
        line.at for line in status.transitions if line.row_id == row.id and line.target in _ARRIVED and line.target == row.state
    ]
    return moved[0] if moved else next(each.started_at for each in counted(row) if rang(each))
