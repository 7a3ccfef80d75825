"""What the checker says of rows that stand as they should, and of each damage, in values that no database would let us store."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery import chain as chains
from notifyflow.core.delivery.chain import Chain, Planned
from notifyflow.core.delivery.facts import IncidentFacts, NotificationFacts, StepFacts, Transition
from notifyflow.core.delivery.model import (
    AttemptState,
    EscalationState,
    Evidence,
    IncidentState,
    NotificationState,
    Result,
    Severity,
    StepState,
)
from notifyflow.core.delivery.series_carried import Series
from notifyflow.core.delivery.set_aside import SetAside
from notifyflow.core.limits.silences import AuthorKind, Silence, read_matchers
from notifyflow.core.upkeep.audit import (
    Round,
    Rule,
    aside,
    check_chain,
    check_incident,
    check_operations,
    check_round,
    check_silence,
    missing,
    unreadable,
)
from tests.facts import NOW, Row, attempt, escalation, incident, minutes, page

WAITING, STARTED, SKIPPED, STOPPED = StepState
CHAIN = Chain(to=("ada",), then=(Planned(to=("ben",), after=minutes(10)),))


def test_two_operations_incidents_may_not_be_open_at_once():
    assert list(check_operations([])) == list(check_operations(["a"])) == []
    found = list(check_operations(["a", "b", "c"]))
    assert [(each.rule, each.row_id) for each in found] == [(Rule.OPERATIONS, "b"), (Rule.OPERATIONS, "c")]


SILENCE = Silence(
    id="s-1",
    matchers=read_matchers(["team=orders"]),
    reason="upgrade",
    begins_at=NOW,
    ends_at=NOW + minutes(120),
    created_at=NOW,
    author_kind=AuthorKind.COMMAND,
    author_id="",
    author="Grace",
    due_at=NOW,
)


@pytest.mark.parametrize(
    ("damaged", "what"),
    [
        ({}, []),
        ({"author": " "}, ["has no author, or no reason"]),
        ({"reason": ""}, ["has no author, or no reason"]),
        ({"ends_at": NOW}, ["has no end within a day of its begin"]),
        ({"ends_at": NOW + minutes(1_441)}, ["has no end within a day of its begin"]),
        ({"due_at": NOW - minutes(6)}, [f"should have been carried out at {NOW - minutes(6)}"]),
    ],
)
def test_a_silence_has_an_author_a_reason_and_an_end(damaged: dict[str, Any], what: list[str]):
    assert [each.what for each in check_silence(replace(SILENCE, **damaged), (), now=NOW)] == what


def test_a_silence_that_has_ended_holds_nothing():
    (found,) = check_silence(SILENCE, ["i-1"], now=NOW)
    assert (found.rule, found.machine, found.row_id, found.incident_id) == (Rule.SILENCE, "silence", "s-1", "i-1")
    assert found.what == "holds the incident i-1 after its end"


def test_two_attempts_may_not_run_at_once():
    attempts = attempt(id="a1", number=1), attempt(id="a2", number=2)
    row = replace(page(), attempts=attempts)
    stood = Round(incident=incident(), escalation=escalation(), notifications=(row,), transitions=())
    assert "has 2 attempts that run at once" in {each.what for each in check_round(stood, now=NOW)}


def test_a_critical_round_is_reached_only_by_what_arrived() -> None:
    sent = attempt(1, Result.ACCEPTED, receipt_due_at=NOW)
    silent, arrived = page("sms", NotificationState.SENT, sent), page("sms", NotificationState.DELIVERED)

    def found(state: EscalationState, row: NotificationFacts) -> set[str]:
        facts = escalation(state=state, severity=Severity.CRITICAL)
        stood = Round(incident=incident(), escalation=facts, notifications=(row,), transitions=())
        return {each.what for each in check_round(stood, now=NOW) if "arrived" in each.what}

    wrong = {"is REACHED, and nothing shows that a page arrived"}
    assert found(EscalationState.REACHED, silent) == wrong
    assert found(EscalationState.EXHAUSTED, arrived) == {"is EXHAUSTED, and a page arrived"}
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
    planned = chains.plan(CHAIN, incident(run_number=1), iter("abc"))
    found = [replace(step, state=state, version=2) for step, state in zip(planned, states, strict=True)]
    first = next((step for step in found if step.state is WAITING), None)
    return [replace(step, due_at=NOW) if due and step is first else step for step in found]


def log(some: list[StepFacts]) -> list[Transition]:
    events = {STARTED: "step_due", SKIPPED: "step_due", STOPPED: "acknowledged", WAITING: "restarted"}
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
    chained: IncidentFacts = incident(run_number=1, **facts)
    return [(each.rule, each.what) for each in check_chain(chained, some, log(some), now=NOW + minutes(6))]


@pytest.mark.parametrize(
    ("some", "facts"),
    [
        (steps(STARTED, SKIPPED, SKIPPED), {}),
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
    assert broken(steps(WAITING, STARTED, SKIPPED, due=False))[0] == (Rule.CHAIN, "is STARTED, and step 1 before it waits")
    assert broken(steps(STARTED, STOPPED, WAITING, due=False), state=IncidentState.ACKNOWLEDGED) == [
        (Rule.CHAIN, "is STARTED, and its incident is ACKNOWLEDGED"),
        (Rule.CHAIN, "is WAITING, and its incident is ACKNOWLEDGED"),
    ]


def test_the_log_of_a_step_is_replayed() -> None:
    some = steps(STARTED, SKIPPED, SKIPPED)
    found = list(check_chain(incident(run_number=1), some, [], now=NOW))
    assert [(each.rule, each.machine, each.what) for each in found] == [(Rule.LOG, "step", "has no log")] * 3


def line(event: str, source: str, target: str, version: int, row_id: str = "e", **detail: str) -> Transition:
    """Make a line of a log; what it is the log of, no rule asks."""
    facts: dict[str, Any] = {"machine": "", "at": NOW, "detail": detail}
    return Transition(row_id=row_id, version=version, event=event, source=source, target=target, **facts)


def stored(row: Row) -> tuple[NotificationFacts, list[Transition]]:
    """Return a notification and its log, as the ledger stores them."""
    lines, state = [line("queued", "", "QUEUED", 1, row.facts.id)], "QUEUED"
    for moved in row.log:
        if moved.has_moved:
            latest = f"a{len(moved.after.attempts)}"
            lines.append(line(moved.event, state, moved.after.state, len(lines) + 1, row.facts.id, attempt=latest))
            state = moved.after.state
    return replace(row.facts, version=len(lines)), lines


OPENED = [line("started", "", "ACTIVE", 1), line("tier_opened", "ACTIVE", "ACTIVE", 2, tier="1")]


def sent() -> Row:
    return Row(incident_id="i").claim().record(Result.ACCEPTED, evidence=Evidence.ACCEPTED)


def a_round(row: Row | None = None, log: Iterable[Transition] = OPENED, **fields: Any) -> Round:
    """Make a round that stands as it should: its one page waits, or is what a row has gone through."""
    facts, lines = stored(row or Row(incident_id="i"))
    before = list(log)
    decided = {"version": before[-1].version, "next_decision_at": NOW + minutes(1)}
    return Round(
        incident=incident(),
        escalation=escalation(**(decided | fields)),
        notifications=(facts,),
        transitions=(*before, *lines),
    )


def found(stood: Round, *, after: float = 1) -> list[tuple[Rule, str]]:
    return [(each.rule, each.what) for each in check_round(stood, now=NOW + minutes(after))]


def with_page(stood: Round, **fields: Any) -> Round:
    return replace(stood, notifications=(replace(stood.notifications[0], **fields),))


def with_attempt(stood: Round, **fields: Any) -> Round:
    (page_, *_) = stood.notifications
    return with_page(stood, attempts=(replace(page_.attempts[0], **fields), *page_.attempts[1:]))


def with_escalation(stood: Round, **fields: Any) -> Round:
    return replace(stood, escalation=replace(stood.escalation, **fields))


RESULTS = {"accepted": Result.ACCEPTED, "refused": Result.TEMPORARY_FAILURE, "doubted": Result.IN_DOUBT}
AT_LAST = {"lost": Row.lose, "released": Row.release}
CLAIMED = (*RESULTS, *AT_LAST)


@given(events=st.lists(st.sampled_from((*CLAIMED, "delivered", "bounced", "stopped")), max_size=6))
def test_what_a_page_can_go_through_has_no_finding(events: list[str]) -> None:
    row = Row(incident_id="i")
    for event in events:
        if event in CLAIMED and row.state is NotificationState.QUEUED:
            row.claim()
        if event in RESULTS and row.state is NotificationState.SENDING:
            row.record(RESULTS[event], evidence=Evidence.ACCEPTED if event == "accepted" else None)
        elif event in AT_LAST and row.state is NotificationState.SENDING:
            AT_LAST[event](row)
        elif event in ("delivered", "bounced") and row.state in (NotificationState.SENT, NotificationState.DELIVERED):
            row.report(Result.DELIVERED if event == "delivered" else Result.PERMANENT_FAILURE, evidence=Evidence.CARRIER)
        elif event == "stopped":
            row.stop()
    assert found(a_round(row)) == []


def test_an_incident_is_replayed_and_has_to_go_on() -> None:
    log_ = [line("opened", "", "OPEN", 1, "i")]
    assert list(check_incident(incident(), log_, now=NOW)) == []
    late = incident(round_at=NOW)
    (overdue,) = check_incident(late, log_, now=NOW + minutes(5))
    assert (overdue.rule, overdue.what, overdue.incident_id) == (Rule.OVERDUE, f"should have gone on at {NOW}", "i")
    assert list(check_incident(late, log_, now=NOW + minutes(4))) == []
    over = replace(late, state=IncidentState.RESOLVED, version=2)
    resolved = [*log_, line("resolved", "OPEN", "RESOLVED", 2, "i")]
    assert list(check_incident(over, resolved, now=NOW + minutes(5))) == []


@pytest.mark.parametrize(
    ("log_", "what"),
    [
        ([], "has no log"),
        ([line("opened", "", "", 1, "i")], "started without a state out of nothing"),
        ([line("opened", "", "RESOLVED", 1, "i")], "started RESOLVED out of nothing"),
        ([line("opened", "OPEN", "OPEN", 1, "i")], "started OPEN out of OPEN"),
        (
            [line("opened", "", "OPEN", 1, "i"), line("repeated", "RESOLVED", "OPEN", 2, "i")],
            "was OPEN at version 1, and RESOLVED before version 2",
        ),
        (
            [line("opened", "", "OPEN", 1, "i"), line("repeated", "OPEN", "OPEN", 1, "i")],
            "was OPEN at version 1, and OPEN before version 1",
        ),
        (
            [line("opened", "", "OPEN", 1, "i"), line("napped", "OPEN", "OPEN", 2, "i")],
            "made a move that does not exist: OPEN, napped → OPEN",
        ),
        (
            [line("opened", "", "OPEN", 1, "i"), line("resolved", "OPEN", "RESOLVED", 2, "i")],
            "is OPEN at version 2, and its log ends in RESOLVED at version 2",
        ),
        ([line("opened", "", "OPEN", 9, "i")], "is OPEN at version 2, and its log ends in OPEN at version 9"),
    ],
)
def test_a_log_that_does_not_lead_to_the_row_is_found(log_: list[Transition], what: str) -> None:
    assert what in [each.what for each in check_incident(incident(version=2), log_, now=NOW) if each.rule is Rule.LOG]


def test_a_row_that_is_missing_unreadable_or_set_aside_is_a_finding() -> None:
    gone = missing("notification", "n", "i")
    assert (gone.rule, gone.what) == (Rule.STATE, "is in the log, but its row is missing")
    torn = unreadable("notification", "n", "i", "ValueError")
    assert (torn.rule, torn.what) == (Rule.READABLE, "cannot be read whole (ValueError)")
    row = SetAside(
        machine="notification",
        row_id="n",
        incident_id="i",
        escalation_id="e",
        severity="ERROR",
        relation="attempt",
        code="XX001",
        what="its attempts cannot be read",
        at=NOW,
        until=NOW,
        times=1,
        is_paging=True,
    )
    put = aside(row)
    assert (put.rule, put.machine, put.row_id) == (Rule.SET_ASIDE, "notification", "n")
    assert put.what == "is set aside: its attempts cannot be read (XX001)"


def test_an_escalation_has_to_be_decided_and_repeated_in_time() -> None:
    late = a_round(next_decision_at=NOW, next_round_at=NOW)
    assert found(with_page(late, due_at=NOW + minutes(9)), after=5) == [
        (Rule.OVERDUE, f"should have been decided at {NOW}"),
        (Rule.OVERDUE, f"should have had a round at {NOW}"),
    ]
    over = with_escalation(late, is_current=False, state=EscalationState.CANCELLED)
    assert not [each for each in found(over, after=5) if "should have had" in each[1] or "decided" in each[1]]


def test_an_active_escalation_is_current_and_something_moves_it() -> None:
    assert (Rule.STATE, "is over, and still ACTIVE") in found(with_escalation(a_round(), is_current=False))
    stuck = a_round(sent(), next_decision_at=None)
    assert found(stuck) == [(Rule.STATE, "is ACTIVE, and nothing will ever move it")]
    assert found(a_round(next_decision_at=None)) == [], "its page is queued"


def test_a_tier_opens_once_and_pages_belong_to_open_tiers() -> None:
    twice = [*OPENED, line("tier_opened", "ACTIVE", "ACTIVE", 3, tier="1")]
    assert found(a_round(log=twice)) == [(Rule.TIER, "has opened tier 1 more than once")]
    for tier in (0, 2):
        assert found(with_page(a_round(), tier=tier)) == [(Rule.TIER, f"belongs to tier {tier}, and tier 1 is in force")]
    assert found(with_escalation(with_page(a_round(), tier=0), severity=Severity.CRITICAL)) == [], "it was wished for"


def test_what_operations_is_told_is_linked_to_its_incident() -> None:
    operations = incident(id="o", is_operations=True)
    critical = a_round(critical_at=NOW)
    assert found(critical) == [
        (Rule.OPERATIONS, "is a critical failure or held up, and is linked to no operations incident"),
    ]
    assert found(replace(critical, operations=operations)) == []
    assert found(replace(a_round(held_up_at=NOW), operations=operations)) == []
    assert found(replace(critical, operations=incident(id="other"))) == [
        (Rule.OPERATIONS, "is linked to other, which is not an operations incident"),
    ]
    assert found(replace(a_round(), operations=operations)) == [
        (Rule.OPERATIONS, "is linked to an operations incident, and is neither a critical failure nor held up"),
    ]
    flapping = Series(first_id="i", severity=Severity.ERROR, openings=(NOW,), flapping_at=NOW)
    assert found(replace(a_round(), operations=operations, incident=incident(series=flapping))) == []


def test_what_fails_while_operations_is_paged_is_linked_to_nothing() -> None:
    assert found(replace(a_round(critical_at=NOW), incident=incident(is_operations=True))) == []


def test_nobody_is_paged_after_an_acknowledgement() -> None:
    acknowledged = incident(state=IncidentState.ACKNOWLEDGED)
    assert found(replace(a_round(), incident=acknowledged)) == [
        (Rule.ACKNOWLEDGED, "is ACTIVE, and its incident is ACKNOWLEDGED"),
    ]
    ended = [*OPENED, line("acknowledged", "ACTIVE", "ACKNOWLEDGED", 3)]
    stood = a_round(sent(), log=ended, state=EscalationState.ACKNOWLEDGED)
    assert found(replace(stood, incident=acknowledged)) == [
        (Rule.ACKNOWLEDGED, f"was queued at {NOW}, after its escalation was acknowledged"),
        (Rule.ACKNOWLEDGED, f"was claimed at {NOW}, after its escalation was acknowledged"),
    ]
    in_order = replace(stood, transitions=(*stood.transitions[3:], *ended))
    assert found(replace(in_order, incident=acknowledged)) == []


def test_a_notification_is_in_the_state_that_its_attempts_say() -> None:
    stopped = with_page(a_round(Row(incident_id="i").stop()), is_stopped=False)
    assert found(stopped) == [(Rule.STATE, "is CANCELLED, and nobody stopped it")]
    claimed = a_round(sent())
    assert (Rule.STATE, "is DELIVERED, and should be SENT") in found(with_page(claimed, state=NotificationState.DELIVERED))


def test_a_notification_is_sent_and_its_lease_taken_back_in_time() -> None:
    assert found(a_round(next_decision_at=NOW + minutes(9)), after=5) == [(Rule.OVERDUE, f"should have been sent at {NOW}")]
    running = a_round(Row(incident_id="i").claim(lease_until=NOW), next_decision_at=NOW + minutes(9))
    assert found(running, after=5) == [
        (Rule.OVERDUE, f"has attempt 1, whose lease ended at {NOW} and has not been expired"),
    ]


def test_attempts_are_as_many_as_the_policy_allows_and_as_were_claimed() -> None:
    once = a_round(sent())
    assert found(with_page(once, max_attempts=0)) == [(Rule.ATTEMPTS, "has 1 counted attempt, and may have 0")]
    assert (Rule.ATTEMPTS, "was claimed 1 time, and has 0 attempts") in found(with_page(once, attempts=()))


def test_a_doubt_is_recorded_whatever_is_known_later() -> None:
    lost = a_round(Row(incident_id="i").claim().lose())
    unseen = (Rule.DOUBT, "has attempt 1, whose outcome is unknown, and which has no doubt on it")
    assert found(with_attempt(lost, is_doubted=False)) == [unseen]
    assert found(with_attempt(lost, is_doubted=False, result=Result.TEMPORARY_FAILURE)) == [unseen], "its log says so"
    refused = a_round(Row(incident_id="i").sent(Result.TEMPORARY_FAILURE))
    assert found(with_attempt(refused, evidence=Evidence.CARRIER)) == [unseen], "it was refused, and its model reported it"
    nameless = (Rule.DOUBT, "has attempt 1, which is recorded without a result")
    assert nameless in found(with_attempt(a_round(sent()), result=None))
    assert nameless not in found(with_attempt(a_round(sent()), result=None, state=AttemptState.NOT_SENT))
