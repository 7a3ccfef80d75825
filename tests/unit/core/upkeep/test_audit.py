"""What the checker says where a database would not let us do the damage."""

from dataclasses import replace

import pytest

from notifyflow.core.delivery import chain as chains
from notifyflow.core.delivery.chain import Chain, Planned
from notifyflow.core.delivery.facts import IncidentFacts, NotificationFacts, StepFacts, Transition
from notifyflow.core.delivery.model import EscalationState, IncidentState, NotificationState, Result, Severity, StepState
from notifyflow.core.upkeep.audit import Round, Rule, check_chain, check_operations, check_round
from tests.facts import NOW, attempt, escalation, incident, minutes, page

WAITING, STARTED, PASSED, STOPPED = StepState
CHAIN = Chain(to=("ada",), then=(Planned(to=("ben",), after=minutes(10)),))


def test_two_operations_incidents_may_not_be_open_at_once():
    assert list(check_operations([])) == list(check_operations(["a"])) == []
    found = list(check_operations(["a", "b", "c"]))
    assert [(each.rule, each.row_id) for each in found] == [(Rule.OPERATIONS, "b"), (Rule.OPERATIONS, "c")]


def test_two_attempts_may_not_run_at_once():
    attempts = attempt(id="a1", number=1), attempt(id="a2", number=2)
    row = replace(page(), attempts=attempts)
    stood = Round(incident=incident(), escalation=escalation(), notifications=(row,), transitions=())
    assert "has 2 attempts that run at once" in {each.what for each in check_round(stood, now=NOW)}


@pytest.mark.parametrize("needs_arrival", [True, False])
def test_a_critical_round_is_reached_only_by_what_arrived_unless_it_is_older_than_that_rule(*, needs_arrival: bool) -> None:
    sent = attempt(1, Result.ACCEPTED, receipt_due_at=NOW)
    silent, arrived = page("sms", NotificationState.SENT, sent), page("sms", NotificationState.DELIVERED)

    def found(state: EscalationState, row: NotificationFacts) -> set[str]:
        facts = escalation(state=state, severity=Severity.CRITICAL, needs_arrival=needs_arrival)
        stood = Round(incident=incident(), escalation=facts, notifications=(row,), transitions=())
        return {each.what for each in check_round(stood, now=NOW) if "arrived" in each.what}

    wrong = {"is REACHED, and nothing shows that a page arrived"}
    assert found(EscalationState.REACHED, silent) == (wrong if needs_arrival else set())
    assert found(EscalationState.EXHAUSTED, arrived) == ({"is EXHAUSTED, and a page arrived"} if needs_arrival else set())
    assert found(EscalationState.REACHED, arrived) == found(EscalationState.EXHAUSTED, silent) == set()


def test_a_page_that_was_only_wished_for_reaches_nobody_by_being_sent() -> None:
    wished = page("slack", NotificationState.SENT, tier=0)
    failed = page("email", NotificationState.FAILED)
    facts = escalation(state=EscalationState.EXHAUSTED, severity=Severity.CRITICAL)

    def found(*rows: NotificationFacts) -> set[str]:
        stood = Round(incident=incident(), escalation=facts, notifications=rows, transitions=())
        return {each.what for each in check_round(stood, now=NOW) if "arrived" in each.what}

    assert found(wished, failed) == set()
    assert found(page("slack", NotificationState.DELIVERED, tier=0), failed) == {"is EXHAUSTED, and a page arrived"}


def steps(*states: StepState, due: bool = True) -> list[StepFacts]:
    planned = chains.plan(CHAIN, incident(pass_number=1), iter("abc"))
    found = [replace(step, state=state, version=2) for step, state in zip(planned, states, strict=True)]
    first = next((step for step in found if step.state is WAITING), None)
    return [replace(step, due_at=NOW) if due and step is first else step for step in found]


def log(some: list[StepFacts]) -> list[Transition]:
    events = {STARTED: "step_due", PASSED: "step_due", STOPPED: "acknowledged", WAITING: "rearmed"}
    facts = {"machine": "step", "at": NOW, "detail": {}}
    return [
        line
        for step in some
        for line in (
            Transition(row_id=step.id, version=1, event="planned", source="", target="WAITING", **facts),  # type: ignore[arg-type]
            Transition(row_id=step.id, version=2, event=events[step.state], source="WAITING", target=step.state, **facts),  # type: ignore[arg-type]
        )
    ]


def broken(some: list[StepFacts], **facts: object) -> list[tuple[Rule, str]]:
    chained: IncidentFacts = incident(pass_number=1, **facts)
    return [(each.rule, each.what) for each in check_chain(chained, some, log(some), now=NOW + minutes(6))]


@pytest.mark.parametrize(
    ("some", "facts"),
    [
        (steps(STARTED, PASSED, PASSED), {}),
        (steps(STOPPED, STOPPED, STOPPED), {"state": IncidentState.ACKNOWLEDGED}),
        (steps(STARTED, WAITING, WAITING, due=False), {"severity": Severity.INFO}),
        (steps(WAITING, WAITING, WAITING, due=False), {}),
    ],
)
def test_a_chain_that_is_as_it_should_be_has_no_finding(some: list[StepFacts], facts: dict[str, object]) -> None:
    assert broken(some, **facts) == []


def test_a_chain_that_stands_still_or_goes_on_after_its_end_is_found() -> None:
    assert broken(steps(STARTED, WAITING, WAITING)) == [(Rule.OVERDUE, f"should have started at {NOW}")]
    assert broken(steps(STARTED, WAITING, WAITING, due=False)) == [(Rule.CHAIN, "is next, and nothing will ever start it")]
    assert broken(steps(WAITING, STARTED, PASSED, due=False))[0] == (Rule.CHAIN, "is STARTED, and step 1 before it waits")
    assert broken(steps(STARTED, STOPPED, WAITING, due=False), state=IncidentState.ACKNOWLEDGED) == [
        (Rule.CHAIN, "is STARTED, and its incident is ACKNOWLEDGED"),
        (Rule.CHAIN, "is WAITING, and its incident is ACKNOWLEDGED"),
    ]


def test_the_log_of_a_step_is_replayed() -> None:
    some = steps(STARTED, PASSED, PASSED)
    found = list(check_chain(incident(pass_number=1), some, [], now=NOW))
    assert [(each.rule, each.machine, each.what) for each in found] == [(Rule.LOG, "step", "has no log")] * 3
