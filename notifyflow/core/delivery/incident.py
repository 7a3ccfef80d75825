"""The lifecycle of an incident: repeat, continue its chain, acknowledge, resolve, page again; pure.

``repeated_key`` has the other rules for a repeated key.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from notifyflow.core.copies import replace
from notifyflow.core.delivery import series
from notifyflow.core.delivery.facts import IncidentFacts
from notifyflow.core.delivery.machines import MACHINES
from notifyflow.core.delivery.model import Incident, IncidentState, Severity, Via
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.state_machine import Move
from notifyflow.errors import IncidentResolved

_MACHINE = MACHINES["incident"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentUpdate:
    """An incident after an event.

    Attributes:
        after: The incident after the event.
        event: The machine's event, for the transition log.
        has_moved: Whether the transition log gets a line: the state has changed, or a round starts, or its chain goes on. Save
            ``after`` in any case.
        needs_round: Whether a new round starts: for every recipient after ``severity_raised``, for the named ones after
            ``paged_again``.
    """

    after: IncidentFacts
    event: str
    has_moved: bool
    needs_round: bool = False


def open_(
    incident: Incident, *, incident_id: str, policy: Policy, now: datetime, namespace: str = "", is_operations: bool = False
) -> IncidentFacts:
    """Return a new incident."""
    return IncidentFacts(
        id=incident_id,
        namespace=namespace,
        key=incident.key,
        severity=incident.severity,
        policy=policy,
        opened_at=now,
        last_seen_at=now,
        is_operations=is_operations,
    )


def repeat(facts: IncidentFacts, incoming: Incident, *, now: datetime) -> IncidentUpdate:
    """Handle the same key again: ``repeated``, or ``severity_raised`` with a new round by the new severity."""
    is_raised = incoming.severity.is_above(facts.severity)
    return _fire(facts, "severity_raised" if is_raised else "repeated", now, severity=incoming.severity)


def acknowledge(facts: IncidentFacts, *, by: str, via: str, is_last: bool, now: datetime) -> IncidentUpdate:
    """Acknowledge an incident; late unless it is OPEN.

    ``is_last`` acknowledges it for all: always with ``any``; with ``each`` if all have, or ``by`` is not a recipient. A person's
    acknowledgement ends its series, too.
    """
    return _fire(facts, "acknowledged", now, by=by, via=via, is_last=is_last)


def resolve(facts: IncidentFacts, *, by: str, via: Via | None = None, now: datetime) -> IncidentUpdate:
    """Resolve an incident, and also its series if a person does it; late if it is resolved already."""
    return _fire(facts, "resolved", now, by=by, via=via or "")


def page_again(facts: IncidentFacts, *, now: datetime) -> IncidentUpdate:
    """Open an incident for a new round: of one recipient, or of all recipients of an operations incident.

    Raises:
        IncidentResolved: When the incident is resolved.
    """
    if facts.state is IncidentState.RESOLVED:
        raise IncidentResolved(facts.key)
    return _fire(facts, "paged_again", now)


def go_on(facts: IncidentFacts, *, now: datetime) -> IncidentUpdate:
    """Note that the next step of its chain begins, or that its chain is over; late unless the incident is OPEN."""
    return _fire(facts, "step_due", now)


def _fire(facts: IncidentFacts, event: str, now: datetime, **given: Any) -> IncidentUpdate:
    subject = _IncidentSubject(state=str(facts.state), facts=facts, now=now, **given)
    _MACHINE.fire(event, subject)
    after = replace(subject.facts, state=IncidentState(subject.state))
    has_moved = after.state is not facts.state or subject.needs_round or subject.has_gone_on
    return IncidentUpdate(after=after, event=event, has_moved=has_moved, needs_round=subject.needs_round)


@dataclass(slots=True, kw_only=True)
class _IncidentSubject:
    """The subject of the machine: an incident, and the arguments of the event."""

    state: str
    facts: IncidentFacts
    now: datetime
    severity: Severity = Severity.INFO
    by: str = ""
    via: str = ""
    is_last: bool = True
    needs_round: bool = False
    has_gone_on: bool = False

    def heads_for(self, move: Move) -> bool:
        return move.target == (IncidentState.ACKNOWLEDGED if self.is_last else IncidentState.OPEN)

    def count(self, move: Move) -> None:
        del move
        self.facts = replace(self.facts, last_seen_at=self.now, times_seen=self.facts.times_seen + 1)

    def raise_severity(self, move: Move) -> None:
        self.count(move)
        self.facts = replace(self.facts, severity=self.severity)
        self._restart()

    def page(self, move: Move) -> None:
        if move.source == IncidentState.OPEN and not self.facts.is_operations:
            self.needs_round = True  # of one recipient; the others' escalations stay as they are
        else:
            self._restart()

    def go_on(self, move: Move) -> None:
        del move
        self.has_gone_on = True

    def acknowledge(self, move: Move) -> None:
        if move.target == IncidentState.ACKNOWLEDGED:
            keeps_timer = self.facts.is_operations  # failures meanwhile are paged by a round, acknowledged or not
            self.facts = replace(
                self.facts,
                round_at=self.facts.round_at if keeps_timer else None,
                acknowledged_at=self.now,
                acknowledged_by=self.by,
                acknowledged_via=self.via,
            )
            if series.acknowledges_in_person(self.via) and not self.facts.is_operations:
                self.facts = series.end(self.facts)

    def finish(self, move: Move) -> None:
        del move
        self.facts = replace(self.facts, round_at=None, resolved_at=self.now, resolved_by=self.by)
        if series.resolves_in_person(self.via) and not self.facts.is_operations:
            self.facts = series.end(self.facts)

    def _restart(self) -> None:
        """Start a round, and forget the acknowledgement."""
        self.needs_round = True
        self.facts = replace(
            series.reopen(self.facts), round_at=None, acknowledged_at=None, acknowledged_by="", acknowledged_via=""
        )
