"""Runs the chain of an incident: starts its steps, stops them, and alerts operations at its end.

The caller holds the incident's lock. A transaction that records a recipient's last failure does not hold it. It only makes the
next step due (``at_end``), and the next sweep decides whether every way to everybody in the step before has failed.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Literal

from notifyflow.core.copies import replace
from notifyflow.core.delivery import chain as chains
from notifyflow.core.delivery import incident as incidents
from notifyflow.core.delivery import repeated_key
from notifyflow.core.delivery import series as series_rules
from notifyflow.core.delivery.chain import Chain, StepUpdate
from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts, StepFacts
from notifyflow.core.delivery.incident import IncidentUpdate
from notifyflow.core.delivery.intervals import without_outages
from notifyflow.core.delivery.model import Contact, IncidentState, Severity, StepState
from notifyflow.core.delivery.policy import Acknowledgement
from notifyflow.core.intake.validation import CheckedIncident, check_recipients
from notifyflow.core.limits import quiet
from notifyflow.pipeline.delivery import decisions, outages, rounds
from notifyflow.pipeline.transaction.running import Transaction


def at_end(tx: Transaction) -> None:
    """Make the next steps due of incidents to a recipient of which the last way failed in this transaction."""
    tx.ledger.steps.bring_forward(tx.all_failed, now=tx.now)


def plan(tx: Transaction, incident: IncidentFacts, chain: Chain) -> None:
    """Store the steps of a run that is about to begin."""
    tx.ledger.steps.add(chains.plan(chain, incident, _new_ids(tx)), chain.people, at=tx.now)


def open_(tx: Transaction, incident: IncidentFacts, people: Sequence[str], before: IncidentFacts | None) -> None:
    """Begin the first run of a new incident, whose first people are paged.

    In a series it begins with the steps that had started in the incident ``before``, and the next step's time goes on.
    """
    if not incident.run_number:
        return
    steps = tx.ledger.steps.lock_run(incident)
    if before is None or not series_rules.is_continued(before, tx.now):
        _begin(tx, incident, people, steps, up_to=1)
        return
    up_to, waiting = chains.steps_to_repeat(tx.ledger.steps.of_run(before), steps)
    _begin(tx, incident, people, steps, up_to=up_to, waited=_waited(tx, before, waiting) if waiting else timedelta())


def _waited(tx: Transaction, before: IncidentFacts, step: StepFacts) -> timedelta:
    """Return how much of a step's time had passed in a resolved incident; all of it if its chain was over."""
    until = series_rules.stopped_at(before) or tx.now
    since = step.waits_since or until
    contacts = tx.ledger.contacts.of(before.id)
    people = [contacts[each] for each in tx.ledger.steps.of_run(before)[step.number - 2].paged if each in contacts]
    nights = quiet.step_intervals(people, before.severity, step.after, since=since, now=until)
    intervals = without_outages(outages.intervals_of(tx, before, since=since), before.severity)
    return chains.waited(step, until=until, intervals=(*intervals, *nights))


def begin(tx: Transaction, incident: IncidentFacts, people: Sequence[str]) -> None:
    """Begin a further run: its first people are paged."""
    _begin(tx, incident, people, tx.ledger.steps.lock_run(incident), up_to=1)


def _begin(
    tx: Transaction,
    incident: IncidentFacts,
    people: Sequence[str],
    steps: Sequence[StepFacts],
    *,
    up_to: int,
    waited: timedelta = timedelta(),
) -> None:
    """Begin a run: page its first people and those of further steps up to a number.

    ``waited`` is how much of the next step's time has passed.
    """
    first, *later = steps
    started = _write(tx, first, chains.start(first, people, paged=(), now=tx.now))
    _go_on(tx, incident, [started, *later], up_to=min(up_to, len(later)), waited=waited)


def start_due_step(tx: Transaction, incident: IncidentFacts) -> None:
    """Start the next step of an incident if its time has come, or all ways in the step before have failed."""
    found, contacts = decisions.lock_contexts(tx, incident), tx.ledger.contacts.of(incident.id)
    contexts = [outages.inform(tx, each, contacts[each.escalation.recipient_id]) for each in found]
    steps = tx.ledger.steps.lock_run(incident)
    step = chains.next_step(steps)
    if incident.state is not IncidentState.OPEN or step is None or step.due_at is None or step.due_at > tx.now:
        return
    has_all_failed = chains.have_all_failed(steps, step, contexts, tx.now)
    since = step.waits_since or tx.now
    intervals = outages.intervals_of(tx, incident, since=since)
    if not has_all_failed:
        before = [contacts[each] for each in steps[step.number - 2].paged]
        intervals += quiet.step_intervals(before, incident.severity, step.after, since=since, now=tx.now)
    goes_on_at = chains.goes_on_at(step, incident.severity, intervals, has_all_failed=has_all_failed, now=tx.now)
    if goes_on_at > tx.now:
        tx.ledger.save(step, replace(step, due_at=goes_on_at))
    else:
        _go_on(tx, incident, list(steps), up_to=step.number)


def stop(tx: Transaction, incident: IncidentFacts, event: Literal["acknowledged", "resolved"]) -> None:
    """Stop the current run of an incident."""
    for step in tx.ledger.steps.lock_run(incident):
        _write(tx, step, chains.stop(step, event))


def renew(tx: Transaction, before: IncidentFacts, update: IncidentUpdate, chain: Chain | None = None) -> IncidentUpdate:
    """Return an update with the number of a new run, if its round begins one; ``chain`` came with the update."""
    if before.run_number:
        is_new = chains.needs_new_run(before, tx.ledger.steps.of_run(before))
    else:
        is_new = chain is not None and before.policy.acknowledgement is not Acknowledgement.EACH
    return replace(update, after=replace(update.after, run_number=before.run_number + 1)) if is_new else update


def raise_severity(tx: Transaction, before: IncidentFacts, incident: IncidentFacts, checked: CheckedIncident) -> None:
    """Start a round for the people paged so far, while the steps go on; or a new run, which reads again who is on duty.

    Args:
        tx: The transaction.
        before: The incident before its severity was raised.
        incident: The incident; ``renew`` has numbered its run.
        checked: The submission that raised it; a new run takes its chain, if it has one.
    """
    if incident.run_number == before.run_number:
        paged = chains.paged(tx.ledger.escalations.lock_current(incident.id))
        rounds.start(tx, incident, paged | {each.recipient_id for each in checked.contacts})
        if before.severity is Severity.INFO:
            _restart(tx, incident, goes_on=True)
        else:  # pauses and quiet hours that defer the next step may not apply to the new severity
            tx.ledger.steps.bring_forward([incident.id], now=tx.now)
        return
    known = tx.ledger.contacts.of(incident.id)
    people = {each.recipient_id: known[each.recipient_id] for each in checked.contacts}
    if checked.chain is None:
        new = chains.plan_again(tx.ledger.steps.of_run(before), incident, _new_ids(tx))
        tx.ledger.steps.add(new, (), at=tx.now)
        people |= {each.recipient_id: each for each in whom(tx, incident, new[0].to)}
    else:
        plan(tx, incident, checked.chain)
    is_going_on = before.state is IncidentState.OPEN or not before.run_number  # nobody took over from the people paged so far
    _page(tx, incident, list(people.values()), everybody=is_going_on)
    begin(tx, incident, list(people))


def page_again(tx: Transaction, before: IncidentFacts, incident: IncidentFacts, recipient_id: str) -> None:
    """Restart the time of the next step after a recipient was paged again; or begin a new run.

    ``renew`` has numbered its run; ``before`` is the incident before it was opened again.
    """
    if incident.run_number == before.run_number:
        _restart(tx, incident, goes_on=False)
        return
    steps = tx.ledger.steps.of_run(before)
    new = chains.plan_again(steps, incident, _new_ids(tx), first=(recipient_id,))
    tx.ledger.steps.add(new, (), at=tx.now)
    begin(tx, incident, [recipient_id])


def join(tx: Transaction, incident: IncidentFacts, *, names: Sequence[str], has_duty: Callable[[StepFacts], bool]) -> bool:
    """Page people, too, if a step of an OPEN incident has the duty that they take over; return whether.

    They count as people of the step, so that the next step waits for them.
    """
    known = tx.ledger.escalations.lock_current(incident.id) if incident.state is IncidentState.OPEN else ()
    step = next((each for each in reversed(tx.ledger.steps.lock_run(incident)) if has_duty(each)), None)
    paged = chains.paged(known)
    if not known or step is None or paged.issuperset(names):
        return False
    people = [each for each in whom(tx, incident, names) if each.recipient_id not in paged]
    tx.ledger.save(step, replace(step, paged=(*step.paged, *(each.recipient_id for each in people))))
    _page(tx, incident, people)
    return True


def _go_on(
    tx: Transaction, incident: IncidentFacts, steps: list[StepFacts], *, up_to: int, waited: timedelta = timedelta()
) -> None:
    """Start steps up to a number, and the step after one that pages nobody; then begin the next step's time."""
    while (step := chains.next_step(steps)) is not None and incident.severity is not Severity.INFO:
        if step.number > up_to and steps[step.number - 2].state is not StepState.SKIPPED:
            break
        incident = tx.update_incident(incident, incidents.go_on(incident, now=tx.now), step=str(step.number))
        steps[step.number - 1] = _finish(tx, incident, steps) if step.is_end else _start(tx, incident, step)
    if step is not None:
        waiting = chains.begin_waiting(
            step, incident.severity, now=tx.now, waited=waited if step.number == up_to + 1 else timedelta()
        )
        if waiting != step:
            tx.ledger.save(step, waiting)


def _start(tx: Transaction, incident: IncidentFacts, step: StepFacts) -> StepFacts:
    people = whom(tx, incident, step.to)
    paged = chains.paged(tx.ledger.escalations.lock_current(incident.id))
    started = _write(tx, step, chains.start(step, [each.recipient_id for each in people], paged=paged, now=tx.now))
    _page(tx, incident, [each for each in people if each.recipient_id in started.paged])
    return started


def _finish(tx: Transaction, incident: IncidentFacts, steps: Sequence[StepFacts]) -> StepFacts:
    """Alert operations, since nobody has acknowledged and nobody is next."""
    finished = _write(tx, steps[-1], chains.finish(steps[-1]))
    escalations = tx.ledger.escalations.lock_current(incident.id) or (_page_nobody(tx, incident, steps[0].to[0]),)
    marked, alert = chains.alert(incident, escalations, tx.now)
    (before,) = (each for each in escalations if each.id == marked.id)
    if series_rules.has_told(incident, marked.severity, tx.now):
        marked, alert = replace(marked, alerted_at=before.alerted_at), replace(alert, is_paging=False)
    elif alert.is_paging:
        tx.ledger.save(incident, series_rules.tell(incident, [marked.severity], now=tx.now))
    stored = tx.ledger.save(before, marked)
    tx.critical.append(stored)
    tx.alerts.append((stored, alert))
    return finished


def _page_nobody(tx: Transaction, incident: IncidentFacts, name: str) -> EscalationFacts:
    """Store, for a chain without anybody on duty, that the people of a name cannot be reached."""
    contact = Contact(recipient_id=name, name=name, addresses={})
    tx.ledger.contacts.put(incident.id, [contact])
    return decisions.start(tx, incident, contact)


def whom(tx: Transaction, incident: IncidentFacts, names: Sequence[str]) -> list[Contact]:
    """Return the people that a step's names mean now: given with the step, on the roster, or operations.

    People given with the step keep the rest of their contact in the incident; a contact from the roster or operations is
    complete.
    """
    given, known = tx.ledger.steps.people(incident.id), tx.ledger.contacts.of(incident.id)
    directory = tx.deps.wiring.whom(tx, [name for name in names if name != chains.OPERATIONS and name not in given])
    found: dict[str, Contact] = {}
    for name in names:
        if name == chains.OPERATIONS:
            people: Iterable[Contact] = tx.deps.operations
        elif name in given:
            person = given[name]
            people = (repeated_key.amend_contact(known.get(name, person), person, repeated_key.as_given(person)),)
        else:
            people, _ = check_recipients(directory[name], tx.deps.check_address, tx.deps.channels)
            people = [repeated_key.follow_contact(known.get(each.recipient_id, each), each) for each in people]
        found |= {each.recipient_id: each for each in people}
    return list(found.values())


def _page(tx: Transaction, incident: IncidentFacts, people: Sequence[Contact], *, everybody: bool = False) -> None:
    """Start a round for people, who become contacts of the incident; or for all of its contacts."""
    known = tx.ledger.contacts.of(incident.id)
    changed = [each for each in people if each != known.get(each.recipient_id)]
    if changed:
        tx.ledger.contacts.put(incident.id, changed)
    rounds.start(tx, incident, None if everybody else {each.recipient_id for each in people})


def _restart(tx: Transaction, incident: IncidentFacts, *, goes_on: bool) -> None:
    step = chains.next_step(tx.ledger.steps.lock_run(incident))
    if step is not None:
        waited = step.waited if goes_on else timedelta()
        _write(tx, step, chains.restart(step, incident.severity, now=tx.now, waited=waited))


def _write(tx: Transaction, before: StepFacts, update: StepUpdate) -> StepFacts:
    if not update.has_moved:
        return before
    return tx.ledger.move(before, update.after, event=update.event, at=tx.now, detail=update.detail)


def _new_ids(tx: Transaction) -> Iterable[str]:
    while True:
        yield tx.deps.ids.new()
