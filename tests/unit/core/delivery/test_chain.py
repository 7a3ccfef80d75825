"""When a step of a chain starts, whom it pages, when all ways to its people have failed, and how a run ends."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifyflow.core.delivery import chain as chains
from notifyflow.core.delivery.chain import Chain, Planned
from notifyflow.core.delivery.escalation import DecisionContext
from notifyflow.core.delivery.facts import EscalationFacts, StepFacts
from notifyflow.core.delivery.intervals import Interval, Outage, PausedInterval
from notifyflow.core.delivery.model import EscalationState, IncidentState, NotificationState, Result, Severity, StepState
from notifyflow.core.delivery.policy import DEFAULT, Policy, Tier
from notifyflow.errors import IllegalMove
from tests.facts import NOW, attempt, escalation, incident, minutes, page

WAITING, STARTED, SKIPPED, STOPPED = StepState
ACTIVE, REACHED, EXHAUSTED, ACKNOWLEDGED, CANCELLED = EscalationState
CHAIN = Chain(
    to=("@primary",),
    then=(Planned(to=("ben",), after=minutes(10)), Planned(to=("leads",), after=minutes(20))),
    over_after=minutes(5),
)
ONE_TIER = replace(DEFAULT, tiers=DEFAULT.tiers[:1])
LONE_MAIL = Policy(name="mail", tiers=(Tier(name="primary", channels=("email",)),))


def ids() -> Iterator[str]:
    return (f"s{number}" for number in itertools.count(1))


def planned(**facts: Any) -> tuple[StepFacts, ...]:
    return chains.plan(CHAIN, incident(run_number=1, **facts), ids())


def begun(count: int, steps: Sequence[StepFacts] | None = None) -> tuple[StepFacts, ...]:
    """Return the steps of a run, of which the first ones have started."""
    return tuple(replace(each, started_at=NOW if each.number <= count else None) for each in steps or planned())


def one(**facts: Any) -> StepFacts:
    return replace(planned()[1], **facts)


def context(state: EscalationState = ACTIVE, *pages: Any, who: str = "ada", **facts: Any) -> DecisionContext:
    own: dict[str, Any] = {"recipient_id": who, "state": state, "policy": LONE_MAIL}
    return DecisionContext(
        escalation=escalation(**(own | facts)),
        incident=incident(run_number=1),
        notifications=pages,
        addresses=frozenset({"email", "sms"}),
    )


def test_a_pass_has_the_people_at_once_each_step_and_an_end() -> None:
    steps = planned()
    assert [(each.number, each.to, each.after) for each in steps] == [
        (1, ("@primary",), timedelta()),
        (2, ("ben",), minutes(10)),
        (3, ("leads",), minutes(20)),
        (4, (), minutes(5)),
    ]
    assert [each.is_end for each in steps] == [False, False, False, True]
    assert {(each.incident_id, each.run_number, each.state, each.due_at) for each in steps} == {("i", 1, WAITING, None)}


def test_a_new_pass_repeats_all_steps_of_the_last() -> None:
    new = chains.plan_again(planned(), incident(run_number=2), ids())
    assert [(each.run_number, each.number, each.to, each.after) for each in new] == [
        (2, each.number, each.to, each.after) for each in planned()
    ]


def test_a_new_pass_for_one_person_goes_on_with_what_had_not_started() -> None:
    first, second, third, end = planned()
    last = (replace(first, started_at=NOW), replace(second, state=SKIPPED, reason="paged_already"), third, end)
    new = chains.plan_again(last, incident(run_number=2), ids(), first=("ada",))
    assert [(each.number, each.to, each.after) for each in new] == [
        (1, ("ada",), timedelta()),
        (2, ("leads",), minutes(20)),
        (3, (), minutes(5)),
    ]
    over = (*last[:2], replace(third, started_at=NOW), replace(end, state=SKIPPED, reason=chains.OVER))
    assert [each.to for each in chains.plan_again(over, incident(run_number=2), ids(), first=("ada",))] == [("ada",), ()]


def test_the_next_step_is_the_first_that_waits() -> None:
    first, second, third, end = planned()
    steps = (replace(first, state=STARTED), second, third, end)
    assert chains.next_step(steps) == second
    assert not chains.is_over(steps)
    over = tuple(replace(each, state=STOPPED) for each in steps)
    assert chains.next_step(over) is None
    assert chains.is_over(over)


@pytest.mark.parametrize(
    ("state", "is_end_passed", "is_new"),
    [(IncidentState.OPEN, False, False), (IncidentState.OPEN, True, True), (IncidentState.ACKNOWLEDGED, False, True)],
)
def test_a_round_begins_a_new_pass_after_an_acknowledgement_and_after_the_end(
    state: IncidentState, is_end_passed: bool, is_new: bool
) -> None:
    steps = tuple(replace(each, state=SKIPPED if is_end_passed else WAITING) for each in planned())
    assert chains.needs_new_run(incident(state=state), steps) is is_new


def test_the_time_of_a_step_begins_now_unless_it_is_info() -> None:
    waiting = chains.begin_waiting(one(), Severity.ERROR, now=NOW)
    assert (waiting.waits_since, waiting.due_at) == (NOW, NOW + minutes(10))
    assert chains.begin_waiting(one(), Severity.INFO, now=NOW) == one()


def at(step: StepFacts, *intervals: Outage | PausedInterval, has_all_failed: bool = False, after: float = 0) -> datetime:
    return chains.goes_on_at(step, Severity.ERROR, intervals, has_all_failed=has_all_failed, now=NOW + minutes(after))


def test_outages_and_pauses_put_a_step_off() -> None:
    step = chains.begin_waiting(one(), Severity.ERROR, now=NOW)
    assert at(step) == NOW + minutes(10)
    assert at(step, Outage(began_at=NOW + minutes(2), ended_at=NOW + minutes(5))) == NOW + minutes(13)
    assert at(step, PausedInterval(began_at=NOW - minutes(9), ended_at=NOW + minutes(5))) == NOW + minutes(15)
    assert at(step, PausedInterval(began_at=NOW + minutes(11), ended_at=NOW + minutes(15))) == NOW + minutes(10)


def test_a_step_starts_at_once_when_everybody_before_it_is_spent_but_not_in_a_pause() -> None:
    step = chains.begin_waiting(one(), Severity.ERROR, now=NOW)
    assert at(step, has_all_failed=True, after=3) == NOW + minutes(3)
    assert at(step, PausedInterval(began_at=NOW, ended_at=NOW + minutes(5)), has_all_failed=True, after=3) == NOW + minutes(5)
    assert at(step, PausedInterval(began_at=NOW, ended_at=NOW + minutes(2)), has_all_failed=True, after=3) == NOW + minutes(3)
    assert at(one(), after=3) == NOW + minutes(3)


spans = st.integers(0, 600).map(lambda number: timedelta(seconds=number))


@given(st.lists(st.tuples(spans, spans), max_size=4), spans, st.booleans())
@example([(timedelta(0), minutes(5))], minutes(1), True)
@example([(timedelta(0), minutes(5))], minutes(1), False)
def test_no_step_starts_within_a_break_or_before_its_time(
    intervals: list[tuple[timedelta, timedelta]], passed: timedelta, has_all_failed: bool
) -> None:
    paused_intervals = [PausedInterval(began_at=NOW + began, ended_at=NOW + began + length) for began, length in intervals]
    step, now = chains.begin_waiting(one(), Severity.ERROR, now=NOW), NOW + passed
    due_at = chains.goes_on_at(step, Severity.ERROR, paused_intervals, has_all_failed=has_all_failed, now=now)
    assert due_at >= (now if has_all_failed else NOW + step.after)
    if not has_all_failed:
        assert not any(each.began_at < due_at < each.ended_at for each in paused_intervals)


@pytest.mark.parametrize(
    ("state", "has_all_failed"), [(ACTIVE, False), (REACHED, False), (EXHAUSTED, True), (ACKNOWLEDGED, False), (CANCELLED, False)]
)
@pytest.mark.parametrize("severity", [Severity.CRITICAL, Severity.ERROR])
def test_all_ways_to_a_recipient_have_failed(state: EscalationState, has_all_failed: bool, severity: Severity) -> None:
    assert chains.has_all_failed(context(state, severity=severity), NOW) is has_all_failed


def tried(times: int, severity: Severity) -> Any:
    tries = (attempt(number, Result.TEMPORARY_FAILURE) for number in range(1, times + 1))
    return page("email", NotificationState.QUEUED, *tries, severity=severity)


def test_a_critical_recipient_is_spent_when_no_tier_is_left_and_each_page_is_suspected() -> None:
    critical = Severity.CRITICAL
    assert chains.has_all_failed(context(ACTIVE, tried(2, critical), severity=critical), NOW)
    assert not chains.has_all_failed(context(ACTIVE, tried(1, critical), severity=critical), NOW)
    assert not chains.has_all_failed(context(ACTIVE, tried(2, critical), severity=critical, policy=DEFAULT), NOW)
    assert not chains.has_all_failed(context(ACTIVE, tried(2, Severity.ERROR)), NOW)
    failed = page("sms", NotificationState.FAILED, severity=critical)
    assert chains.has_all_failed(context(REACHED, failed, severity=critical), NOW)
    sent = page("sms", NotificationState.SENT, severity=critical)
    assert not chains.has_all_failed(context(REACHED, failed, sent, severity=critical), NOW)


def test_a_step_is_spent_when_all_its_people_are_and_when_it_paged_nobody() -> None:
    first, second, *later = planned()
    steps = (replace(first, state=STARTED, paged=("ada", "ben")), second, *later)
    ada, ben, cy = context(EXHAUSTED), context(REACHED, who="ben"), context(REACHED, who="cy")
    assert not chains.have_all_failed(steps, second, [ada, ben, cy], NOW)
    assert chains.have_all_failed(steps, second, [ada, context(EXHAUSTED, who="ben"), cy], NOW)
    passed = (replace(first, state=SKIPPED), second, *later)
    assert chains.have_all_failed(passed, second, [cy], NOW)


def test_the_pass_pages_those_whose_escalation_is_not_closed() -> None:
    states = zip("abcde", EscalationState, strict=True)
    assert chains.paged(escalation(recipient_id=who, state=state) for who, state in states) == {"a", "b", "c"}


def test_a_step_pages_whom_the_pass_does_not_page_yet() -> None:
    update = chains.start(one(due_at=NOW, waits_since=NOW), ("ada", "ben", "cy", "ben"), paged={"ada"}, now=NOW)
    assert update.after == one(state=STARTED, started_at=NOW, paged=("ben", "cy"))
    assert (update.event, update.has_moved) == ("step_due", True)
    assert update.detail == {"pass": "1", "step": "2", "duty": "ben cy"}


@pytest.mark.parametrize(("people", "reason"), [((), "nobody_on_duty"), (("ada",), "paged_already")])
def test_a_step_without_anybody_to_page_is_passed_and_says_why(people: tuple[str, ...], reason: str) -> None:
    update = chains.start(one(due_at=NOW), people, paged={"ada"}, now=NOW)
    assert update.after == one(state=SKIPPED, reason=reason)
    assert update.detail == {"pass": "1", "step": "2", "reason": reason}


def test_the_end_is_passed_once() -> None:
    end = planned()[-1]
    update = chains.finish(replace(end, due_at=NOW))
    assert update.after == replace(end, state=SKIPPED, reason="chain_over")
    with pytest.raises(IllegalMove):
        chains.finish(update.after)


def test_an_acknowledgement_stops_what_waits_and_what_has_started() -> None:
    for state in (WAITING, STARTED):
        assert chains.stop(one(state=state, due_at=NOW), "acknowledged").after == one(state=STOPPED)
    for state in (SKIPPED, STOPPED):
        late = chains.stop(one(state=state), "resolved")
        assert (late.after, late.has_moved) == (one(state=state), False)


def test_a_step_that_waits_begins_anew() -> None:
    update = chains.restart(one(waits_since=NOW, due_at=NOW), Severity.ERROR, now=NOW + minutes(3))
    assert update.after == one(waits_since=NOW + minutes(3), due_at=NOW + minutes(13))
    assert not chains.restart(one(state=STARTED), Severity.ERROR, now=NOW).has_moved


def alerted(severity: Severity, *states: EscalationState, **facts: Any) -> tuple[EscalationFacts, bool, str]:
    own = [
        escalation(id=f"e{number}", recipient_id=f"r{number}", state=state, started_at=NOW + minutes(number), **facts)
        for number, state in enumerate(states)
    ]
    marked, effect = chains.alert(incident(severity=severity, run_number=1), own, NOW + minutes(9))
    return marked, effect.is_paging, effect.reason


def test_a_chain_that_is_over_pages_operations_about_the_last_person() -> None:
    marked, is_paging, reason = alerted(Severity.ERROR, EXHAUSTED, REACHED, ACKNOWLEDGED)
    assert (marked.id, marked.critical_at, marked.alerted_at) == ("e1", NOW + minutes(9), NOW + minutes(9))
    assert (is_paging, reason) == (True, "chain_over")
    assert alerted(Severity.ERROR, EXHAUSTED, critical_at=NOW)[0].critical_at == NOW
    assert alerted(Severity.ERROR, ACKNOWLEDGED)[0].id == "e0"


def test_a_warning_that_somebody_got_is_only_linked() -> None:
    marked, is_paging, _ = alerted(Severity.WARNING, EXHAUSTED, REACHED)
    assert (is_paging, marked.alerted_at, marked.critical_at) == (False, None, NOW + minutes(9))
    assert alerted(Severity.WARNING, EXHAUSTED, ACTIVE)[1]


def test_an_incident_of_a_series_begins_with_the_steps_that_had_begun() -> None:
    last = begun(3)
    assert chains.steps_to_repeat(last, planned()) == (3, last[3])
    assert chains.steps_to_repeat(planned(), planned()) == (1, planned()[1])


def test_a_step_that_was_passed_had_begun() -> None:
    first, second, *later = begun(1)
    last = (first, replace(second, state=SKIPPED, reason="nobody_on_duty"), *later)
    assert chains.steps_to_repeat(last, planned()) == (2, later[0])


def test_the_time_of_a_step_goes_on_without_gaps() -> None:
    step = one(waits_since=NOW, waited=minutes(2), after=minutes(10))
    assert chains.waited(step, until=NOW + minutes(5), intervals=()) == minutes(7)
    assert chains.waited(step, until=NOW + minutes(5), intervals=[Interval(began_at=NOW, ended_at=NOW + minutes(4))]) == minutes(
        3
    )
    assert chains.waited(step, until=NOW - minutes(1), intervals=()) == minutes(2)
    assert chains.waited(replace(step, waits_since=None), until=NOW, intervals=()) == minutes(2)
    assert chains.waited(replace(step, state=SKIPPED), until=NOW, intervals=()) == minutes(10)


def test_what_had_started_before_somebody_was_paged_again_is_counted_too() -> None:
    again = partial(chains.plan_again, incident=incident(run_number=2), ids=ids())
    steps = again(begun(2), first=("ada",))
    assert [each.to for each in steps] == [("ada",), ("leads",), ()]
    assert chains.steps_to_repeat(begun(1, steps), planned())[0] == 2
    assert chains.steps_to_repeat(begun(2, steps), planned())[0] == 3
    assert chains.steps_to_repeat(begun(1, again(begun(2, steps), first=("ben",))), planned())[0] == 3


def test_of_another_chain_as_many_steps_begin_as_had_started() -> None:
    shorter, longer = ((*CHAIN.then[:1], *[Planned(to=("cy",), after=minutes(10))] * more) for more in (0, 3))
    for then, count in itertools.product((shorter, longer), (1, 2)):
        steps = chains.plan(replace(CHAIN, then=then), incident(run_number=1), ids())
        assert chains.steps_to_repeat(begun(count), steps) == (count, None)
