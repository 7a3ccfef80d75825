"""What the same key, an acknowledgement, a resolve and the timer of rounds make of an incident."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery import incident as incidents
from notifyflow.core.delivery import series
from notifyflow.core.delivery.incident import IncidentUpdate
from notifyflow.core.delivery.machines import INCIDENT
from notifyflow.core.delivery.model import Incident, IncidentState, Severity, Via
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT
from notifyflow.errors import IncidentResolved
from tests.facts import NOW, incident, minutes

OPEN, ACKNOWLEDGED, RESOLVED = IncidentState.OPEN, IncidentState.ACKNOWLEDGED, IncidentState.RESOLVED
LATER = NOW + timedelta(hours=1)


def content(severity: Severity = Severity.ERROR, **given: object) -> Incident:
    return Incident(**({"key": "db-1", "title": "down", "severity": severity} | given))


def acknowledged(**given: object) -> IncidentUpdate:
    return incidents.acknowledge(incident(**given), by="ada", via="link", is_last=True, now=LATER)


def test_a_new_incident_is_open_and_has_no_timer_of_its_own() -> None:
    facts = incidents.open_(content(), incident_id="i", policy=INSISTENT, now=NOW)
    assert (facts.id, facts.key, facts.state, facts.severity, facts.round_at) == ("i", "db-1", OPEN, Severity.ERROR, None)
    assert incidents.open_(content(), incident_id="i", policy=DEFAULT, now=NOW, is_operations=True).is_operations


@pytest.mark.parametrize("state", [OPEN, ACKNOWLEDGED])
@pytest.mark.parametrize("severity", [Severity.ERROR, Severity.INFO])
def test_the_same_key_is_counted_and_nobody_is_paged_again(state: IncidentState, severity: Severity) -> None:
    update = incidents.repeat(incident(state=state), content(severity), now=LATER)
    assert update == IncidentUpdate(
        after=incident(state=state, times_seen=2, last_seen_at=LATER), event="repeated", has_moved=False
    )


@pytest.mark.parametrize("state", [OPEN, ACKNOWLEDGED])
def test_a_higher_severity_opens_it_for_a_new_round(state: IncidentState) -> None:
    facts = incident(state=state, policy=INSISTENT, acknowledged_at=NOW, acknowledged_by="ada", acknowledged_via="key")
    update = incidents.repeat(facts, content(Severity.CRITICAL), now=LATER)
    assert (update.event, update.needs_round, update.has_moved) == ("severity_raised", True, True)
    assert update.after == incident(
        severity=Severity.CRITICAL,
        policy=INSISTENT,
        times_seen=2,
        last_seen_at=LATER,
    )


def test_an_acknowledgement_moves_it() -> None:
    update = acknowledged(policy=INSISTENT, round_at=LATER)
    assert update.has_moved
    assert not update.needs_round
    assert update.after == series.end(
        incident(state=ACKNOWLEDGED, policy=INSISTENT, acknowledged_at=LATER, acknowledged_by="ada", acknowledged_via="link")
    )


def test_one_of_several_who_have_to_acknowledge_leaves_it_open() -> None:
    facts = incident(round_at=LATER)
    update = incidents.acknowledge(facts, by="ada", via="key", is_last=False, now=NOW)
    assert update == IncidentUpdate(after=facts, event="acknowledged", has_moved=False)


def test_an_acknowledged_operations_incident_keeps_its_timer() -> None:
    assert acknowledged(is_operations=True, round_at=LATER).after.round_at == LATER


@pytest.mark.parametrize("state", [ACKNOWLEDGED, RESOLVED])
def test_acknowledging_it_twice_is_late(state: IncidentState) -> None:
    facts = incident(state=state, acknowledged_by="ben")
    assert incidents.acknowledge(facts, by="ada", via="link", is_last=True, now=NOW) == IncidentUpdate(
        after=facts, event="acknowledged", has_moved=False
    )


@pytest.mark.parametrize("state", [OPEN, ACKNOWLEDGED])
def test_a_resolve_ends_it(state: IncidentState) -> None:
    update = incidents.resolve(incident(state=state, round_at=LATER), by="ben", now=LATER)
    assert update.has_moved
    assert update.after == incident(state=RESOLVED, resolved_at=LATER, resolved_by="ben")


def test_resolving_twice_is_late() -> None:
    facts = incident(state=RESOLVED, resolved_by="ben")
    assert incidents.resolve(facts, by="ada", now=LATER) == IncidentUpdate(after=facts, event="resolved", has_moved=False)


def test_what_is_resolved_is_not_repeated() -> None:
    facts = incident(state=RESOLVED)
    assert incidents.repeat(facts, content(), now=LATER).after == facts


def test_page_again_of_an_open_incident_leaves_the_others_alone() -> None:
    facts = incident(policy=INSISTENT)
    assert incidents.page_again(facts, now=NOW) == IncidentUpdate(
        after=facts, event="paged_again", has_moved=True, needs_round=True
    )


def test_page_again_opens_what_was_acknowledged() -> None:
    update = incidents.page_again(acknowledged(policy=INSISTENT).after, now=LATER)
    assert update.after == incident(policy=INSISTENT)
    assert (update.has_moved, update.needs_round) == (True, True)


@pytest.mark.parametrize("state", [OPEN, ACKNOWLEDGED])
def test_a_round_of_operations_uses_up_its_timer(state: IncidentState) -> None:
    update = incidents.page_again(incident(is_operations=True, state=state, round_at=NOW), now=NOW)
    assert (update.after, update.needs_round) == (incident(is_operations=True), True)


def test_page_again_after_resolve_is_refused() -> None:
    with pytest.raises(IncidentResolved):
        incidents.page_again(incident(state=RESOLVED), now=NOW)


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("repeat"), st.sampled_from(Severity)),
        st.tuples(st.just("acknowledge"), st.booleans()),
        st.tuples(st.sampled_from(["resolve", "page_again"]), st.none()),
    ),
    max_size=20,
)


@given(EVENTS, st.sampled_from([DEFAULT, INSISTENT]))
def test_any_sequence_of_events_replays_through_the_table(events: list[tuple], policy: object) -> None:  # type: ignore[type-arg]
    facts, now = incidents.open_(content(Severity.WARNING), incident_id="i", policy=policy, now=NOW), NOW
    for event, value in events:
        now += minutes(7)
        before = facts
        match event:
            case "repeat":
                update = incidents.repeat(facts, content(value), now=now)
            case "acknowledge":
                update = incidents.acknowledge(facts, by="ada", via="key", is_last=value, now=now)
            case "page_again" if facts.state is RESOLVED:
                continue
            case "resolve":
                update = incidents.resolve(facts, by="ada", now=now)
            case _:
                update = getattr(incidents, event)(facts, now=now)
        facts = update.after
        assert facts.state == before.state or facts.state in INCIDENT.targets(before.state, update.event)
        assert not update.needs_round or facts.state is OPEN
        assert (facts.acknowledged_at is not None) >= (facts.state is ACKNOWLEDGED)
        assert facts.round_at is None
        assert not facts.severity.is_above(Severity.CRITICAL)
        assert before.severity.rank >= facts.severity.rank
        assert before.state is not RESOLVED or facts == before


def test_its_chain_goes_on_while_it_is_open() -> None:
    facts = incident(run_number=1)
    assert incidents.go_on(facts, now=LATER) == IncidentUpdate(after=facts, event="step_due", has_moved=True)
    for state in (ACKNOWLEDGED, RESOLVED):
        late = incident(state=state)
        assert incidents.go_on(late, now=LATER) == IncidentUpdate(after=late, event="step_due", has_moved=False)


@pytest.mark.parametrize(
    ("via", "is_operations", "is_over"),
    [(Via.DASHBOARD, False, True), (Via.ALERTMANAGER, False, False), (None, False, False), (Via.DASHBOARD, True, False)],
)
def test_a_person_who_resolves_ends_the_series(via: Via | None, is_operations: bool, is_over: bool) -> None:
    update = incidents.resolve(incident(is_operations=is_operations), by="ben", via=via, now=LATER)
    assert series.of(update.after).is_over is is_over
