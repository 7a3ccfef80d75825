"""What comes next for a chain, and why each of its steps began."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery.facts import NotificationFacts, StepFacts
from notifyflow.core.delivery.intervals import Interval, PausedInterval
from notifyflow.core.delivery.model import EscalationState, IncidentState, NotificationState, Result, Severity, StepState
from notifyflow.core.delivery.page_rules import DecisionContext
from notifyflow.core.insight.chain_steps import Because, NextStep, because, next_step, runs
from notifyflow.core.insight.views import IncidentStatus
from tests.chains import chain, moved, step
from tests.facts import attempt, page
from tests.statuses import AT

STARTED, SKIPPED = StepState.STARTED, StepState.SKIPPED
TEN = timedelta(minutes=10)


def contexts(status: IncidentStatus, state: EscalationState = EscalationState.ACTIVE) -> tuple[DecisionContext, ...]:
    ada = replace(status.escalations[0].facts, state=state)
    return (DecisionContext(escalation=ada, incident=status.facts, notifications=(), addresses=frozenset(), calling=frozenset()),)


def found(
    status: IncidentStatus,
    after: timedelta = timedelta(),
    *,
    ada: EscalationState = EscalationState.ACTIVE,
    intervals: tuple[Interval, ...] = (),
    people: tuple[str, ...] = ("ben",),
) -> NextStep | None:
    return next_step(
        status, contexts(status, ada), intervals, lambda step: {each: each.title() for each in people}, now=AT + after
    )


def certain(status: IncidentStatus, after: timedelta = timedelta(), **given: object) -> NextStep:
    coming = found(status, after, **given)  # type: ignore[arg-type]
    assert coming is not None
    return coming


def test_the_next_step_comes_when_the_time_of_the_one_before_is_over() -> None:
    coming = certain(chain(), timedelta(minutes=2))
    assert (coming.step.number, coming.at, coming.late_since) == (2, AT + TEN, None)
    assert (coming.people, coming.waits_for) == ({"ben": "Ben"}, ("ada",))


def test_it_comes_at_once_when_everybody_before_is_spent_and_a_break_moves_it() -> None:
    failing = certain(chain(), timedelta(minutes=2), ada=EscalationState.EXHAUSTED)
    assert (failing.at, failing.waits_for) == (AT + timedelta(minutes=2), ())
    pause = Interval(began_at=AT, ended_at=AT + timedelta(minutes=5))
    assert certain(chain(), intervals=(pause,)).at == AT + timedelta(minutes=15)


def test_a_step_that_is_due_is_late_after_some_seconds() -> None:
    assert certain(chain(), TEN + timedelta(seconds=4)).late_since is None
    late = certain(chain(), TEN + timedelta(seconds=6))
    assert (late.at, late.late_since) == (AT + TEN + timedelta(seconds=6), AT + TEN)


def test_nobody_is_paged_twice_in_a_pass_and_nobody_may_be_on_duty() -> None:
    known = certain(chain(), people=("ada",))
    assert (known.people, known.is_paged_already) == ({}, True)
    nobody = certain(chain(), people=())
    assert (nobody.people, nobody.is_paged_already) == ({}, False)


def test_the_end_of_a_chain_comes_last_and_pages_nobody_of_it() -> None:
    steps = (step(1, STARTED, paged=("ada",)), step(2, SKIPPED), step(3, SKIPPED), step(4, waits_since=AT, due_at=AT + TEN))
    coming = certain(chain(*steps))
    assert (coming.step.is_end, coming.people) == (True, {})


def silent(status: IncidentStatus, *rows: NotificationFacts, **fields: object) -> DecisionContext:
    """Return the CRITICAL escalation of Ada, whose last tier is open, with pages that wait for receipts."""
    (given,) = contexts(status)
    facts = replace(given.escalation, state=EscalationState.ACTIVE, tier=3, next_round_at=fields.pop("next_round_at", None))  # type: ignore[arg-type]
    return replace(given, escalation=facts, notifications=rows, **fields)  # type: ignore[arg-type]


def sent(channel: str, receipt_after_s: float | None) -> NotificationFacts:
    due_at = None if receipt_after_s is None else AT + timedelta(seconds=receipt_after_s)
    tried = attempt(1, Result.ACCEPTED, started_at=AT, receipt_due_at=due_at)
    return page(channel, NotificationState.SENT, tried, severity=Severity.CRITICAL)


def retried(due_after_s: float) -> NotificationFacts:
    tries = [attempt(number, Result.TEMPORARY_FAILURE, started_at=AT) for number in (1, 2)]
    due_at = AT + timedelta(seconds=due_after_s)
    return page("email", NotificationState.QUEUED, *tries, severity=Severity.CRITICAL, due_at=due_at)


LOST = page("email", NotificationState.FAILED, severity=Severity.CRITICAL)
SMS, CALL = sent("sms", 60), sent("voice", 90)
QUARANTINE = PausedInterval(began_at=AT, ended_at=AT + timedelta(minutes=1), is_quarantined=True)


@pytest.mark.parametrize(
    ("rows", "fields", "after_s"),
    [
        ((LOST, SMS, CALL), {}, 90),
        ((SMS,), {"outages": (Interval(began_at=AT + timedelta(seconds=10), ended_at=AT + timedelta(seconds=40)),)}, 90),
        ((retried(100), SMS, CALL), {}, 90),
        ((retried(80), SMS, CALL), {}, None),
        ((LOST, SMS, sent("slack", None)), {}, None),
        ((LOST, SMS, sent("voice", 601)), {}, None),
        ((SMS,), {"next_round_at": AT + timedelta(seconds=60)}, None),
        ((SMS,), {"paused_intervals": (QUARANTINE,)}, None),
        ((LOST,), {}, 0),
    ],
    ids=["receipts", "outage", "retry after", "retry before", "accepted", "after its time", "round", "quarantine", "all failed"],
)
def test_it_comes_when_the_last_receipt_is_overdue_unless_something_else_comes_before(
    rows: tuple[NotificationFacts, ...], fields: dict[str, object], after_s: float | None
) -> None:
    coming = next_step(chain(), [silent(chain(), *rows, **fields)], (), lambda step: {"ben": "Ben"}, now=AT)
    assert coming is not None
    assert coming.all_failed_at == (AT + timedelta(seconds=after_s) if after_s else None)
    assert coming.at == (AT if after_s == 0 else AT + TEN)


def test_the_last_of_several_people_counts_and_a_pause_puts_it_off() -> None:
    status = chain(step(1, STARTED, paged=("ada", "ben", "cy")), step(2, waits_since=AT, due_at=AT + TEN))
    ada = silent(status, SMS)
    ben = replace(ada, escalation=replace(ada.escalation, id="e2", recipient_id="ben"), notifications=(LOST,))
    cy = replace(ada, escalation=replace(ada.escalation, id="e3", recipient_id="cy"), notifications=(CALL,))

    def at(*own: DecisionContext, intervals: tuple[Interval, ...] = ()) -> object:
        coming = next_step(status, own, intervals, lambda step: {}, now=AT)
        return coming and coming.all_failed_at and (coming.all_failed_at - AT).total_seconds()

    assert at(ada, ben, cy) == 90
    assert at(ada, ben, replace(cy, notifications=(sent("slack", None),))) is None
    pause = Interval(began_at=AT + timedelta(seconds=80), ended_at=AT + timedelta(minutes=4))
    assert at(ada, ben, cy, intervals=(pause,)) == 240


@pytest.mark.parametrize(
    "status",
    [
        chain(state=IncidentState.ACKNOWLEDGED),
        chain(step(1, STARTED, paged=("ada",)), step(2)),
        chain(step(1, STARTED), step(2, StepState.STOPPED)),
        chain(step(1, waits_since=AT)),
    ],
    ids=["acknowledged", "INFO", "stopped", "first"],
)
def test_nothing_comes_where_no_step_waits_with_a_time(status: IncidentStatus) -> None:
    assert found(replace(status, facts=replace(status.facts, severity=Severity.INFO))) is None


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (STARTED, TEN, Because.TIME),
        (STARTED, TEN - timedelta(seconds=1), Because.ALL_FAILED),
        (SKIPPED, timedelta(), Because.SKIPPED),
    ],
)
def test_a_step_begins_after_its_time_or_sooner_for_a_reason(before: StepState, after: timedelta, why: Because) -> None:
    lines = (moved(1, "planned", StepState.WAITING), moved(1, "step_due", before), moved(2, "step_due", STARTED, after))
    assert because(lines, (step(1), step(2))) == {"s1": Because.FIRST, "s2": why}


def test_a_time_that_begins_anew_counts_from_then() -> None:
    lines = (
        moved(1, "step_due", STARTED),
        moved(2, "restarted", StepState.WAITING, timedelta(minutes=4)),
        moved(2, "step_due", STARTED, TEN),
    )
    assert because(lines, (step(1), step(2)))["s2"] is Because.ALL_FAILED
    later = (*lines[:2], moved(2, "step_due", STARTED, TEN + timedelta(minutes=4)))
    assert because(later, (step(1), step(2)))["s2"] is Because.TIME


def test_the_newest_pass_comes_first() -> None:
    def of(number: int) -> tuple[StepFacts, ...]:
        return tuple(replace(step(each), run_number=number) for each in (1, 2))

    assert runs(replace(chain(), steps=(*of(1), *of(2)))) == (of(2), of(1))
