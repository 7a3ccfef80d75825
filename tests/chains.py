"""A chain for tests of what is shown: Ada at once, Ben who is on duty after ten minutes, then the leads, then its end."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from notifyflow.core.delivery.facts import StepFacts, Transition
from notifyflow.core.delivery.model import StepState
from notifyflow.core.insight.views import IncidentStatus
from tests.statuses import AT, INCIDENT_ID, OPEN

PEOPLE = (("ada",), ("@secondary",), ("leads", "cy"), ())
NAMES = {"ada": "Ada", "ben": "Ben", "cy": "Cy"}


def step(number: int, state: StepState = StepState.WAITING, **fields: Any) -> StepFacts:
    """Return a step of the chain; one that has started did so ten minutes after the one before."""
    after = timedelta(minutes=10) if number > 1 else timedelta()
    if state in (StepState.STARTED, StepState.STOPPED) and "started_at" not in fields:
        fields["started_at"] = AT + (number - 1) * after
    given = {"id": f"s{number}", "incident_id": INCIDENT_ID, "run_number": 1, "to": PEOPLE[number - 1], "after": after}
    return StepFacts(**{"number": number, "state": state, **given, **fields})


def chain(*steps: StepFacts, **fields: Any) -> IncidentStatus:
    """Return an incident with a chain: by default Ada is paged, and Ben comes next, ten minutes after her."""
    usual = (
        step(1, StepState.STARTED, paged=("ada",)),
        step(2, waits_since=AT, due_at=AT + timedelta(minutes=10)),
        step(3),
        step(4),
    )
    facts = replace(OPEN.facts, run_number=1, **fields)
    return replace(OPEN, facts=facts, steps=steps or usual)


def moved(number: int, event: str, target: StepState, after: timedelta = timedelta(), **detail: str) -> Transition:
    """Return a line of the log about a step, some time after the incident was opened."""
    return Transition(
        machine="step", row_id=f"s{number}", version=1, event=event, source="", target=target, at=AT + after, detail=detail
    )
