"""Reads an incident's next steps; nothing is locked, decided or written."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from notifyflow.core.copies import replace
from notifyflow.core.delivery import chain, tier_rules
from notifyflow.core.delivery.chain import ChainPlace
from notifyflow.core.delivery.facts import IncidentFacts
from notifyflow.core.delivery.model import Severity
from notifyflow.core.delivery.page_rules import DecisionContext
from notifyflow.core.insight.chain_steps import NextStep, current, next_step
from notifyflow.core.insight.next_events import NextEvents, next_events
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus
from notifyflow.core.limits import pauses, preferences, quiet
from notifyflow.pipeline.delivery import outages, series, steps
from notifyflow.pipeline.transaction import use_case
from notifyflow.pipeline.transaction.ports import Dependencies
from notifyflow.pipeline.transaction.running import Transaction


def read(deps: Dependencies, status: IncidentStatus) -> NextEvents:
    """Return the next step of each escalation of an incident, and of its chain."""

    def body(tx: Transaction) -> NextEvents:
        contexts = {each.facts.id: _context(tx, status, each) for each in status.escalations}
        coming = {escalation_id: next_events(context, tx.now) for escalation_id, context in contexts.items()}
        late = frozenset(each for each, context in contexts.items() if tier_rules.is_too_late_to_open(context, tx.now))
        is_urgent = status.facts.severity is Severity.CRITICAL
        paused = pauses.covering(tx.ledger.intervals.pauses(now=tx.now), is_urgent=is_urgent)
        found = NextEvents(escalations=coming, now=tx.now, too_late=late, pauses=paused)
        if not status.steps:
            return found
        ahead = [name for step in current(status) for name in step.to]
        names = {each: name for each, name in _people(tx, status, ahead).items() if each in ahead}
        return replace(found, step=_next_step(tx, status, contexts.values()), names=names)

    return use_case.run(deps, body)[0]


def step_times(deps: Dependencies, places: Mapping[str, tuple[IncidentFacts, ChainPlace]]) -> Mapping[str, datetime]:
    """Return when the chains of incidents go on, by incident id, with a fixed number of statements.

    A step that is due before its time, or at the end of an interval, is left out: ``read`` decides whether all ways to
    the people before it have failed.
    """

    def body(tx: Transaction) -> Mapping[str, datetime]:
        tx.ledger.intervals.load(places, now=tx.now)
        tx.ledger.contacts.load_all([each for each, (facts, _) in places.items() if facts.severity is not Severity.CRITICAL])
        found = {each: _step_time(tx, facts, place) for each, (facts, place) in places.items()}
        return {each: at for each, at in found.items() if at is not None}

    return use_case.run(deps, body)[0]


def _step_time(tx: Transaction, facts: IncidentFacts, place: ChainPlace) -> datetime | None:
    step = place.following
    if step is None or step.waits_since is None or step.due_at is None:
        return None
    intervals = outages.intervals_of(tx, facts, since=step.waits_since)
    if facts.severity is not Severity.CRITICAL:
        known = tx.ledger.contacts.of(facts.id)
        people = [known[each] for each in place.before if each in known]
        intervals += quiet.step_intervals(people, facts.severity, step.after, since=step.waits_since, now=tx.now)
    is_early = step.due_at < step.waits_since + step.after - step.waited or step.due_at in {each.ended_at for each in intervals}
    return None if is_early else max(tx.now, chain.goes_on_at(step, facts.severity, intervals, has_all_failed=False, now=tx.now))


def _context(tx: Transaction, status: IncidentStatus, escalation: EscalationStatus) -> DecisionContext:
    context = DecisionContext(
        escalation=escalation.facts,
        incident=status.facts,
        notifications=escalation.notifications,
        addresses=frozenset(escalation.contact.addresses),
        calling=tx.deps.calling,
        wishes=preferences.wished(escalation.contact, escalation.facts.severity),
        polled=tx.deps.polled,
        earlier=series.earlier(tx, escalation.facts),
    )
    return outages.inform(tx, context, escalation.contact)


def _next_step(tx: Transaction, status: IncidentStatus, contexts: Collection[DecisionContext]) -> NextStep | None:
    """Return the next step of an incident's chain."""
    live = [each for each in contexts if each.escalation.is_current]
    since = min((each.waits_since for each in current(status) if each.waits_since), default=tx.now)
    intervals = outages.intervals_of(tx, status.facts, since=since)
    return next_step(status, live, intervals, lambda step: _people(tx, status, step.to), now=tx.now)


def _people(tx: Transaction, status: IncidentStatus, names: Sequence[str]) -> Mapping[str, str]:
    """Return the people that a step's names mean now: ids to names."""
    return {each.recipient_id: each.name for each in steps.whom(tx, status.facts, names)}
