"""Stores the steps of chains, and the recipients given with them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from peewee import SQL

from notifyflow.core.copies import replace
from notifyflow.core.delivery.chain import ChainPlace, place
from notifyflow.core.delivery.facts import IncidentFacts, StepFacts
from notifyflow.core.delivery.model import Contact, StepState
from notifyflow.core.frozen import FrozenDict
from notifyflow.storage.session.repositories import MachineRepository
from notifyflow.storage.session.rows import Reader, select
from notifyflow.storage.session.statements import Run, Statement
from notifyflow.storage.tables import IncidentRow, StepContactRow, StepRow

_PERSON = tuple(getattr(StepContactRow, name) for name in Contact.__dataclass_fields__)
_OF_RUN = Statement(
    lambda param: select(
        StepFacts, StepRow.incident_id == param(StepRow.incident_id), StepRow.run_number == param(StepRow.run_number)
    ).order_by(StepRow.number)
)
_OF = Statement(
    lambda param: select(StepFacts, param.any_of(StepRow.incident_id)).order_by(
        StepRow.incident_id, StepRow.run_number, StepRow.number
    )
)
_PEOPLE = Statement(
    lambda param: StepContactRow.select(*_PERSON).where(StepContactRow.incident_id == param(StepContactRow.incident_id))
)
_NAMES = Statement(
    lambda param: StepContactRow.select(StepContactRow.incident_id, StepContactRow.recipient_id, StepContactRow.name).where(
        param.any_of(StepContactRow.incident_id)
    )
)
_IS_RUNNING = StepRow.due_at.is_null(is_null=False)
_NEXT_OF = Statement(
    lambda param: select(StepFacts, param.any_of(StepRow.incident_id), _IS_RUNNING).order_by(StepRow.incident_id)
)
_NEXT = Statement(lambda param: select(StepFacts, _IS_RUNNING).order_by(StepRow.incident_id))


_STARTED = Statement(
    lambda param: (
        StepRow.select(StepRow.incident_id, StepRow.to)
        .join(IncidentRow, on=((IncidentRow.id == StepRow.incident_id) & (IncidentRow.run_number == StepRow.run_number)))
        .where(StepRow.state == StepState.STARTED, IncidentRow.state == SQL("'OPEN'"))
    )
)


class Steps(MachineRepository[StepFacts]):
    """The steps of locked incidents; only ``bring_forward`` changes a step without its incident's lock."""

    facts = StepFacts

    def of_run(self, incident: IncidentFacts) -> tuple[StepFacts, ...]:
        """Read the steps of the current run, by number; empty without a chain."""
        return tuple(self._unit.read(StepFacts, _OF_RUN(incident.id, incident.run_number))) if incident.run_number else ()

    def lock_run(self, incident: IncidentFacts) -> tuple[StepFacts, ...]:
        """Lock and read the steps of the current run, by number, after the incident's escalations; empty without a chain."""
        if not incident.run_number:
            return ()
        return tuple(self._unit.read(StepFacts, self._unit.locked(_OF_RUN(incident.id, incident.run_number))))

    def add(self, steps: Sequence[StepFacts], people: Sequence[Contact], *, at: datetime) -> None:
        """Store and log the steps of a new run, with the recipients given with them."""
        self._unit.add(steps)
        self._unit.log(steps, event="planned", at=at)
        known = self.people(steps[0].incident_id) if people else {}
        new = [each for each in people if each.recipient_id not in known]
        self._unit.insert(StepContactRow, [_row(steps[0].incident_id, each) for each in new])

    def people(self, incident_id: str) -> Mapping[str, Contact]:
        """Read the recipients given with the steps of an incident, by id."""
        return {row["recipient_id"]: Contact(**row) for row in self._unit.rows(_PEOPLE(incident_id))}

    def with_duty_of(self, schedule: str) -> tuple[str, ...]:
        """Return the OPEN incidents, by id, with a step that has paged the people on duty in a schedule."""
        rows = self._unit.rows(_STARTED())
        return tuple(sorted({row["incident_id"] for row in rows if f"@{schedule}" in row["to"]}))

    def bring_forward(self, incident_ids: Collection[str], *, now: datetime) -> None:
        """Make the next steps of incidents due, so that the next sweep decides whether all ways before them have failed."""
        if incident_ids:
            self._bring_forward(_NEXT_OF(sorted(incident_ids)), now)

    def decide_again(self, *, now: datetime) -> None:
        """Make every step with a running timer due, so that the next sweep computes its time again."""
        self._bring_forward(_NEXT(), now)

    def _bring_forward(self, query: Run, now: datetime) -> None:
        for step in self._unit.read(StepFacts, self._unit.locked(query)):
            if step.due_at is not None and step.due_at > now:
                self._unit.save(step, replace(step, due_at=now))


class StepReads(Reader):
    """Reads steps for display and for the checker."""

    def of(self, incident_ids: Collection[str]) -> Mapping[str, tuple[StepFacts, ...]]:
        """Read the steps of incidents, by run and number."""
        found: dict[str, list[StepFacts]] = {each: [] for each in incident_ids}
        for step in self._source.read(StepFacts, _OF(sorted(incident_ids))) if incident_ids else ():
            found[step.incident_id].append(step)
        return {incident_id: tuple(steps) for incident_id, steps in found.items()}

    def places(self, incidents: Collection[IncidentFacts]) -> Mapping[str, ChainPlace]:
        """Read how far the chains of incidents have come, with the names of the recipients given with the next step."""
        runs = {each.id: each.run_number for each in incidents if each.run_number}
        if not runs:
            return {}
        names: dict[str, dict[str, str]] = {each: {} for each in runs}
        for row in self._source.rows(_NAMES(sorted(runs))):
            names[row["incident_id"]][row["recipient_id"]] = row["name"]
        found = {}
        for incident_id, steps in self.of(runs).items():
            reached = place([each for each in steps if each.run_number == runs[incident_id]])
            to = reached.following.to if reached.following else ()
            given = {each: name for each, name in names[incident_id].items() if each in to}
            found[incident_id] = replace(reached, people=FrozenDict(given))
        return found


def _row(incident_id: str, contact: Contact) -> dict[str, object]:
    return {"incident_id": incident_id} | {field.name: getattr(contact, field.name) for field in _PERSON}
