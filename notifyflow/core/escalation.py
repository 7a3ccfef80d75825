"""The escalation's decisions: which tiers open, how its state is named, and who has to be told. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from notifyflow.core.facts import EscalationFacts, IncidentFacts, NotificationFacts

Cause = Literal["recorded", "received", "looked_at", "address_added", "rounds_over"]
"""Why a decision is due: an attempt was recorded (also lost, released or ended); a receipt came; ``look_at`` is reached;
the recipient has another address; the policy's last round has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that a decision looks at.

    Attributes:
        escalation: As it was read under its lock.
        incident: Its incident.
        notifications: All of the escalation's, as they are *after* the event (news is not looked at).
        addresses: The channels on which the recipient can be reached.
    """

    escalation: EscalationFacts
    incident: IncidentFacts
    notifications: tuple[NotificationFacts, ...]
    addresses: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line for the transition log."""

    event: str
    source: str
    target: str
    detail: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTier:
    """Effect: queue a page on each of these channels (never empty), due now."""

    number: int
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertOperations:
    """Effect: this became a critical failure.

    Attributes:
        reason: ``exhausted``, ``unreachable`` (EXHAUSTED at birth), ``critical_channels_failed`` or ``unanswered``.
        is_paging: Whether operations is paged for it, and not only finds it linked.
    """

    reason: str
    is_paging: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPages:
    """Effect: ``lifecycle.stop(row, event)`` for each page of the escalation."""

    event: Literal["acknowledged", "resolved", "replaced"]


Effect = OpenTier | AlertOperations | StopPages


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What was decided.

    Attributes:
        after: The escalation; where ``steps`` is empty it may still have changed (``look_at``, ``critical_at``): save it.
        steps: The lines of the log, in order; each moves from ``source`` to ``target``, the last one ends in ``after.state``.
        effects: What has to be written beside it, in order.
    """

    after: EscalationFacts
    steps: tuple[Step, ...] = ()
    effects: tuple[Effect, ...] = ()


def born(case: Case, *, now: datetime) -> Decided:
    """Decide an escalation's first tiers; ``case.escalation`` is new (tier 0) and has no notifications.

    ``after`` is what is to be added; its birth is the line, so a step stands only for tiers beyond the first move.
    """
    raise NotImplementedError


def decide(case: Case, *, event: Cause, now: datetime) -> Decided:
    """Open what is to be opened, name the state, alert operations; late (nothing changes) where the escalation is closed."""
    raise NotImplementedError


def acknowledge(case: Case, *, now: datetime) -> Decided:
    """End it, since its recipient or the whole incident has acknowledged."""
    raise NotImplementedError


def close(case: Case, *, event: Literal["resolved", "replaced"], now: datetime) -> Decided:
    """End it, since the incident is resolved or a newer round takes its place; ``after.is_current`` is False."""
    raise NotImplementedError
