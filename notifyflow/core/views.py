"""What ``status()`` shows: an incident with all that became of it, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from notifyflow.core.facts import EscalationFacts, IncidentFacts, NotificationFacts, Transition
from notifyflow.core.model import Contact, EscalationState, Incident, IncidentState, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationStatus:
    """One recipient in one round.

    Attributes:
        facts: The escalation.
        contact: Who is paged; personal.
        notifications: Its pages and status updates with their attempts, by tier, then channel.
    """

    facts: EscalationFacts
    contact: Contact
    notifications: tuple[NotificationFacts, ...]

    @property
    def is_settled(self) -> bool:
        """Tell whether nothing more happens by itself."""
        return self.facts.state is not EscalationState.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a provider said that decides nothing: a complaint, an automatic answer, a status that nobody knows.

    Attributes:
        attempt_id: About which attempt.
        code: The provider's code or status.
        reason: What that means, from our tables.
        received_at: When it came.
    """

    attempt_id: str
    code: str
    reason: str
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentStatus:
    """One incident, whole.

    Attributes:
        facts: The incident.
        content: What was said last.
        escalations: By recipient in the order they were added, then round.
        transitions: The log of all its rows, by time.
        operations_key: The key of the operations incident its critical failures are linked to; None without.
        notes: What providers said that decides nothing, in the order it came.
        incident_events: The events for other systems, sent or to be sent, in the order in which they happened.
        is_quarantined: Whether nothing of it is sent, since its database was adopted and nobody has decided.
    """

    facts: IncidentFacts
    content: Incident
    escalations: tuple[EscalationStatus, ...]
    transitions: tuple[Transition, ...]
    operations_key: str | None = None
    notes: tuple[Note, ...] = ()
    incident_events: tuple[NotificationFacts, ...] = ()
    is_quarantined: bool = False

    @property
    def is_settled(self) -> bool:
        """Tell whether every escalation is."""
        return all(escalation.is_settled for escalation in self.escalations)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentSummary:
    """One incident, as a list shows it.

    Attributes:
        facts: The incident.
        content: What was said last.
    """

    facts: IncidentFacts
    content: Incident


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFilter:
    """Which incidents a list shows: those for which all of it holds; what is empty or None excludes nothing.

    Attributes:
        states: In one of these.
        severities: Of one of these.
        key: Under this key.
        namespaces: In one of these; None for all.
        labels: With each of these labels.
    """

    states: frozenset[IncidentState] = frozenset()
    severities: frozenset[Severity] = frozenset()
    key: str | None = None
    namespaces: frozenset[str] | None = None
    labels: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRecipient:
    """A recipient as the newest incident that names them knows them.

    Attributes:
        contact: Who it is; personal.
        last_pages: What became of the last page on each channel that came to something of late.
        opted_out_of: Numbers of ours to which they have said STOP.
    """

    contact: Contact
    last_pages: Mapping[str, NotificationFacts]
    opted_out_of: frozenset[str] = frozenset()
