"""What ``status()`` shows: an incident with all that became of it, as frozen values."""

from dataclasses import dataclass

from notifyflow.core.facts import EscalationFacts, IncidentFacts, NotificationFacts, Transition
from notifyflow.core.model import Contact, EscalationState, Incident


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationStatus:
    """One recipient in one round.

    Attributes:
        facts: The escalation.
        contact: Who is paged; personal.
        notifications: Its pages and news with their attempts, by tier, then channel.
    """

    facts: EscalationFacts
    contact: Contact
    notifications: tuple[NotificationFacts, ...]

    @property
    def is_settled(self) -> bool:
        """Tell whether nothing more happens by itself."""
        return self.facts.state is not EscalationState.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentStatus:
    """One incident, whole.

    Attributes:
        facts: The incident.
        content: What was said last.
        escalations: By recipient in the order they were added, then round.
        transitions: The log of all its rows, by time.
        operations_key: The key of the operations incident its critical failures are linked to; None without.
    """

    facts: IncidentFacts
    content: Incident
    escalations: tuple[EscalationStatus, ...]
    transitions: tuple[Transition, ...]
    operations_key: str | None = None

    @property
    def is_settled(self) -> bool:
        """Tell whether every escalation is."""
        return all(escalation.is_settled for escalation in self.escalations)
