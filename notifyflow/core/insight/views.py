"""The results of ``status()`` and lists: incidents with their escalations, notifications and logs, as frozen values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from notifyflow.core.delivery.chain import ChainPlace
from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts, NotificationFacts, StepFacts, Transition
from notifyflow.core.delivery.model import Contact, EscalationState, Incident, IncidentState, Severity
from notifyflow.core.insight.left_out import LeftOut
from notifyflow.core.intake.inbound_log import InboundEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationStatus:
    """One recipient in one round.

    Attributes:
        facts: The escalation, with all its times.
        contact: The recipient; personal.
        notifications: The pages and status updates with their attempts, by tier, then channel.
        critical_reason: Why operations is alerted, or the failure linked, as in ``AlertOperations``; empty if it is not.
    """

    facts: EscalationFacts
    contact: Contact
    notifications: tuple[NotificationFacts, ...]
    critical_reason: str = ""

    @property
    def recipient_id(self) -> str:
        """The id of the recipient."""
        return self.facts.recipient_id

    @property
    def state(self) -> EscalationState:
        """The state of the escalation."""
        return self.facts.state

    @property
    def is_settled(self) -> bool:
        """Whether nothing more happens without a new event."""
        return self.state is not EscalationState.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A report of a provider that changes nothing: a complaint, an automatic reply, an unknown status.

    Attributes:
        code: The provider's code or status.
        reason: The meaning of the code, from the provider's table.
    """

    attempt_id: str
    code: str
    reason: str
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentSilence:
    """The time in which a silence holds, or held, one incident.

    Attributes:
        silence_id: The silence.
        author: Who started it, by name.
        reason: Why, in their words.
        ended_at: When it ended for the incident, or will end by itself.
    """

    silence_id: str
    author: str
    reason: str
    began_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentStatus:
    """An incident with everything that belongs to it.

    Attributes:
        content: Its latest title, body, labels and so on.
        escalations: By recipient in the order they were added, then round.
        transitions: The transition log of all rows, by time.
        steps: The steps of its chain, by run and number; empty if it has none.
        operations_key: The key of the operations incident that its critical failures are linked to; None if there are none.
        has_operations_recipients: Whether that operations incident has recipients, who can be told.
        operations_told_at: When providers accepted its pages, the earliest first.
        notes: Reports of providers that change nothing, in the order they were received.
        incident_events: The events for subscribers, in the order they happened.
        arrivals: The requests about it through integrations, the earliest first.
        damaged: Rows of it that cannot be read, and are left out.
        is_quarantined: Whether it is in quarantine, since its database was adopted; none of its notifications is sent.
        silences: The silences that hold it, or held it, the earliest first.
    """

    facts: IncidentFacts
    content: Incident
    escalations: tuple[EscalationStatus, ...]
    transitions: tuple[Transition, ...]
    steps: tuple[StepFacts, ...] = ()
    operations_key: str | None = None
    has_operations_recipients: bool = True
    operations_told_at: tuple[datetime, ...] = ()
    notes: tuple[Note, ...] = ()
    incident_events: tuple[NotificationFacts, ...] = ()
    arrivals: tuple[InboundEntry, ...] = ()
    damaged: tuple[LeftOut, ...] = ()
    is_quarantined: bool = False
    silences: tuple[IncidentSilence, ...] = ()

    @property
    def state(self) -> IncidentState:
        """The state of the incident."""
        return self.facts.state

    @property
    def is_settled(self) -> bool:
        """Whether every escalation is settled, and no step of its chain waits for its time."""
        is_waiting = any(step.due_at is not None for step in self.steps)
        return not is_waiting and all(escalation.is_settled for escalation in self.escalations)

    @property
    def others(self) -> Mapping[str, int]:
        """How many other pages the calls of attempts carried, by the ids of the attempts; those of lone calls are left out."""
        together = (each.detail for each in self.transitions if "together" in each.detail)
        return {detail["attempt"]: int(detail["together"]) for detail in together}

    @property
    def damaged_itself(self) -> tuple[LeftOut, ...]:
        """The rows left out that belong to no escalation that is shown."""
        shown = {each.facts.id for each in self.escalations}
        return tuple(each for each in self.damaged if each.escalation_id not in shown)

    def alerted_at(self, facts: EscalationFacts) -> datetime | None:
        """Return when operations was alerted about a recipient; None if it was not. In a chain, a held-up page is only linked."""
        return facts.alerted_at or (None if self.facts.run_number else facts.held_up_at)

    def told_at(self, facts: EscalationFacts) -> datetime | None:
        """Return when a provider first accepted a page about a critical failure; None if none has."""
        since = self.alerted_at(facts)
        return next((at for at in self.operations_told_at if since is not None and at >= since), None)

    @property
    def name_of(self) -> Callable[[str], str]:
        """The function that returns the name for a recipient's id, and any other text unchanged; keep it to name many."""
        names = {each.contact.recipient_id: each.contact.name for each in self.escalations}
        return lambda who: names.get(who, who)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentSummary:
    """An incident as lists show it.

    Attributes:
        content: Its latest title, body, labels and so on.
    """

    facts: IncidentFacts
    content: Incident

    @property
    def state(self) -> IncidentState:
        """The state of the incident."""
        return self.facts.state


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientCounts:
    """How many recipients of an incident were reached, by their newest rounds.

    Attributes:
        recipients: How many recipients it has.
        reached: How many were sent or delivered a page.
        failed: How many could not be reached on any channel.
        critical: How many are a critical failure.
        critical_reason: Why one of them is; None if none is.
        failed_pages: How many pages are FAILED.
    """

    recipients: int = 0
    reached: int = 0
    failed: int = 0
    critical: int = 0
    critical_reason: str | None = None
    failed_pages: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFilter:
    """A filter for lists of incidents; all conditions must hold, and empty ones exclude nothing.

    Attributes:
        states: The incident is in one of these states.
        severities: It has one of these severities.
        key: It has this key.
        namespaces: It is in one of these namespaces; None for all.
        labels: It has all of these labels.
        recipient_id: It has this recipient.
        since: It was opened at this time or later.
        until: It was opened before this time.
        text: Its title, key or source contains this text (case-insensitive), or it has this id.
    """

    states: frozenset[IncidentState] = frozenset()
    severities: frozenset[Severity] = frozenset()
    key: str | None = None
    namespaces: frozenset[str] | None = None
    labels: frozenset[tuple[str, str]] = frozenset()
    recipient_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentLine:
    """An incident as one line of a list.

    Attributes:
        title: Its latest title.
        labels: Its latest labels.
        source: The system that reported it.
        occurred_at: When it happened.
        counts: How many recipients it has reached.
        chain: How far its chain has come; None without one, or if the incident is not OPEN.
        silence: The silence that holds or held it, of several the one that ends last; None without one.
    """

    facts: IncidentFacts
    title: str
    labels: Mapping[str, str]
    source: str
    url: str | None
    occurred_at: datetime | None
    counts: RecipientCounts
    chain: ChainPlace | None = None
    silence: IncidentSilence | None = None

    @property
    def state(self) -> IncidentState:
        """The state of the incident."""
        return self.facts.state


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPlace:
    """A place in the list of incidents: first the OPEN ones, then the ACKNOWLEDGED, then the RESOLVED, each the newest first.

    Attributes:
        state: The state of the incident at this place.
    """

    state: IncidentState
    incident_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentPage:
    """A page of the list of incidents.

    Attributes:
        following: The place after which the next page begins; None if this one is the last.
        is_cut: Whether the next page only searches further back: this one has searched as much of the history as one page does.
    """

    lines: tuple[IncidentLine, ...]
    following: ListPlace | None = None
    is_cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ETag:
    """Differs whenever an incident has changed.

    Attributes:
        namespace: The incident's namespace.
        escalations: How many escalations it has.
        figures: Figures of its rows; each change to a row changes at least one.
        soonest_at: Its soonest due time, or None.
    """

    namespace: str
    escalations: int
    figures: tuple[str, ...]
    soonest_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRecipient:
    """A recipient with the contact of their newest incident.

    Attributes:
        contact: The recipient; personal.
        last_pages: Channel to the last recent page that was sent or failed.
        opted_out_of: Our numbers to which they have sent STOP.
    """

    contact: Contact
    last_pages: Mapping[str, NotificationFacts]
    opted_out_of: frozenset[str] = frozenset()
