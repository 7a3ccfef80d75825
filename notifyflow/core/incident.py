"""The incident's life: what a repeated key, an acknowledgement, a resolve and the timer of rounds make of it. Pure."""

from dataclasses import dataclass
from datetime import datetime

from notifyflow.core.facts import IncidentFacts
from notifyflow.core.model import Incident
from notifyflow.core.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """What an event made of an incident.

    Attributes:
        after: The incident now.
        event: The machine's event, for the transition log.
        has_moved: Whether a line of the log is due (the state is another one, or a round starts); if not, save ``after`` where it changed.
        needs_round: Whether a new round starts: for every recipient at ``severity_raised``, for those who have not acknowledged at
            ``round_due``, for the one named at ``paged_again``.
        is_over: Whether the policy's last round has passed: ``escalation.decide(…, event="rounds_over")`` for each current escalation.
    """

    after: IncidentFacts
    event: str
    has_moved: bool
    needs_round: bool = False
    is_over: bool = False


def open_(incident: Incident, *, incident_id: str, policy: Policy, now: datetime, is_operations: bool = False) -> IncidentFacts:
    """Make the facts of a new incident."""
    raise NotImplementedError


def repeat(facts: IncidentFacts, incoming: Incident, *, now: datetime) -> Turned:
    """Hear the same key again: ``repeated``, or ``severity_raised`` with a new round by the new severity."""
    raise NotImplementedError


def amend(stored: Incident, incoming: Incident) -> Incident:
    """Merge what is said now into what was said: the newest words, the highest severity, the first time."""
    raise NotImplementedError


def acknowledge(facts: IncidentFacts, *, by: str, via: str, is_last: bool, now: datetime) -> Turned:
    """Take it; late unless OPEN. ``is_last``: with ``each``, whether now all have, or ``by`` is no recipient; True with ``any``."""
    raise NotImplementedError


def resolve(facts: IncidentFacts, *, by: str, now: datetime) -> Turned:
    """End it; late when it is."""
    raise NotImplementedError


def page_again(facts: IncidentFacts, *, now: datetime) -> Turned:
    """Open it for a new round of one recipient (operations: of all of its recipients).

    Raises:
        IncidentResolved: When it is resolved.
    """
    raise NotImplementedError


def round_due(facts: IncidentFacts, *, now: datetime) -> Turned:
    """Hear the timer of rounds: a new round, or the end after the last; late unless OPEN."""
    raise NotImplementedError
