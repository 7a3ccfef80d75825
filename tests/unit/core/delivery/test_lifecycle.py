"""What each event makes of a notification: the table of moves by example, then any sequence by Hypothesis."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery import lifecycle
from notifyflow.core.delivery.attempts import counted, doubt_of, state_of, used_up
from notifyflow.core.delivery.facts import NotificationFacts, Outcome
from notifyflow.core.delivery.machines import NOTIFICATION
from notifyflow.core.delivery.model import AttemptState, DeferralReason, Ended, Evidence, NotificationState, Result, Severity
from notifyflow.core.delivery.policy import RetrySchedule
from notifyflow.errors import IllegalMove
from tests.facts import LEASE, NOW, Row, attempt, minutes, page, seconds
from tests.oracle import STRENGTH, OracleRow

QUEUED, SENDING, SENT = NotificationState.QUEUED, NotificationState.SENDING, NotificationState.SENT
DELIVERED, FAILED, CANCELLED = NotificationState.DELIVERED, NotificationState.FAILED, NotificationState.CANCELLED
A, D, T, P, DOUBT = Result.ACCEPTED, Result.DELIVERED, Result.TEMPORARY_FAILURE, Result.PERMANENT_FAILURE, Result.IN_DOUBT

HISTORIES: dict[str, tuple[Callable[[], Row], NotificationState]] = {
    # QUEUED
    "a claimed row is sending": (lambda: Row().claim(), SENDING),
    "a delivery of an earlier attempt reaches a queued row": (lambda: Row().sent(DOUBT).report(D), DELIVERED),
    "a bounce of the latest attempt fails a queued row": (lambda: Row().sent(DOUBT).report(P), FAILED),
    "a bounce of an older attempt leaves a queued row": (lambda: Row().sent(T).sent(T).report(P, 1), QUEUED),
    "an acceptance answers a doubt": (lambda: Row().sent(DOUBT).report(A), SENT),
    "an acceptance is weaker than a refusal": (lambda: Row().sent(T).report(A), QUEUED),
    "a temporary failure leaves a queued row": (lambda: Row().sent(DOUBT).report(T), QUEUED),
    "a note leaves a queued row": (lambda: Row().sent(DOUBT).report(None), QUEUED),
    # SENDING
    "accepted is sent": (lambda: Row().sent(), SENT),
    "accepted after a failure was reported is tried again": (lambda: Row().claim().report(T).record(A), QUEUED),
    "accepted after a failure was reported fails on the last": (lambda: Row(max_attempts=1).claim().report(T).record(A), FAILED),
    "accepted after a bounce was reported fails": (lambda: Row().claim().report(P).record(A), FAILED),
    "refused is tried again": (lambda: Row().sent(T), QUEUED),
    "refused on the last fails": (lambda: Row(max_attempts=2).sent(T).sent(T), FAILED),
    "in doubt is tried again": (lambda: Row().sent(DOUBT), QUEUED),
    "in doubt on the last fails": (lambda: Row(max_attempts=1).sent(DOUBT), FAILED),
    "a doubt whose acceptance is in is sent": (lambda: Row().claim().report(A).record(DOUBT), SENT),
    "refused for good fails": (lambda: Row().sent(P), FAILED),
    "accepted after a failure and an acknowledgement is cancelled": (lambda: Row().claim().report(T).stop().record(A), CANCELLED),
    "a lost lease whose acceptance is in is sent": (lambda: Row().claim().report(A).lose(), SENT),
    "a lost lease is tried again": (lambda: Row().claim().lose(), QUEUED),
    "a lost lease on the last fails": (lambda: Row(max_attempts=1).claim().lose(), FAILED),
    "released is queued": (lambda: Row().claim().release(), QUEUED),
    "released after a failure is queued": (lambda: Row().sent(T).claim().release(), QUEUED),
    "released after a bounce of the attempt before is failed": (lambda: Row().sent(DOUBT).claim().report(P, 1).release(), FAILED),
    "released after an acceptance of the attempt before is sent": (
        lambda: Row().sent(DOUBT).claim().report(A, 1).release(),
        SENT,
    ),
    "released after a result of its own was sent after all": (lambda: Row(max_attempts=1).claim().report(T).release(), FAILED),
    "refused after an acknowledgement is cancelled": (lambda: Row().claim().stop().record(T), CANCELLED),
    "in doubt after a resolve is cancelled": (lambda: Row().claim().stop("resolved").record(DOUBT), CANCELLED),
    "a lost lease after a replacement is cancelled": (lambda: Row().claim().stop("replaced").lose(), CANCELLED),
    "released after an acknowledgement is cancelled": (lambda: Row().claim().stop().release(), CANCELLED),
    "accepted after an acknowledgement is sent": (lambda: Row().claim().stop().record(A), SENT),
    "refused for good after an acknowledgement fails": (lambda: Row().claim().stop().record(P), FAILED),
    "a delivery reaches a sending row": (lambda: Row().claim().report(D), DELIVERED),
    "a delivery of an older attempt reaches a sending row": (lambda: Row().sent(T).claim().report(D, 1), DELIVERED),
    "any weaker result leaves a sending row": (lambda: Row().claim().report(A).report(T).report(None), SENDING),
    "a bounce leaves a sending row": (lambda: Row().claim().report(P), SENDING),
    # SENT
    "a delivery reaches a sent row": (lambda: Row().sent().report(D), DELIVERED),
    "a bounce fails a sent row": (lambda: Row().sent().report(P), FAILED),
    "a failure of a sent row is tried again": (lambda: Row().sent().report(T), QUEUED),
    "a failure of a sent row fails it on the last": (lambda: Row(max_attempts=1).sent().report(T), FAILED),
    "a failure of a sent row after an acknowledgement cancels it": (lambda: Row().sent().stop().report(T), CANCELLED),
    "a result about an older attempt leaves a sent row": (lambda: Row().sent(T).sent().report(P, 1), SENT),
    "an acknowledgement leaves a sent row": (lambda: Row().sent().stop(), SENT),
    "a sent row whose message of several was refused is queued": (lambda: Row(max_attempts=1).sent().refuse(), QUEUED),
    "though such a refusal of one would be for good": (lambda: Row(max_attempts=1).sent().refuse(result=P), QUEUED),
    "so is one that was refused before it was recorded": (lambda: Row(max_attempts=1).claim().refuse().record(A), QUEUED),
    "a delivery is stronger": (lambda: Row().sent().refuse().report(D), DELIVERED),
    "a bounce is stronger": (lambda: Row().sent().refuse().report(P), FAILED),
    # DELIVERED
    "a refusal of the content takes no delivery back": (lambda: Row().sent().report(D).refuse(result=P), DELIVERED),
    "a bounce takes a delivery back": (lambda: Row().sent().report(D).report(P), FAILED),
    "a bounce of a delivered attempt leaves a running one": (lambda: Row().sent(T).claim().report(D, 1).report(P, 1), SENDING),
    "a bounce of a delivered attempt leaves a sent one": (
        lambda: Row().sent(T).claim().report(D, 1).record(A).report(P, 1),
        SENT,
    ),
    "a bounce of a delivered attempt leaves a refused one": (
        lambda: Row().sent(T).claim().report(D, 1).record(T).report(P, 1),
        QUEUED,
    ),
    "a bounce of a delivered attempt after an acknowledgement": (
        lambda: Row().sent(T).claim().report(D, 1).record(T).stop().report(P, 1),
        CANCELLED,
    ),
    "a bounce of one of two delivered attempts": (
        lambda: Row().sent(T).claim().report(D, 1).record(A).report(D).report(P, 1),
        DELIVERED,
    ),
    "delivered while it runs, then recorded": (lambda: Row().claim().report(D).record(A), DELIVERED),
    "delivered while it runs, then lost": (lambda: Row().claim().report(D).lose(), DELIVERED),
    "delivered before, then released": (lambda: Row().sent(T).claim().report(D, 1).release(), DELIVERED),
    "delivered while it runs, then given back": (lambda: Row().claim().report(D).release(), DELIVERED),
    "delivered while it runs, then refused for good": (lambda: Row().claim().report(D).record(P), FAILED),
    "another attempt is refused for good": (lambda: Row().sent(T).claim().report(D, 1).record(P), DELIVERED),
    "a weaker result leaves a delivered row": (lambda: Row().sent().report(D).report(T).report(A).report(None).stop(), DELIVERED),
    # FAILED
    "a late delivery puts a failed row right": (lambda: Row(max_attempts=1).sent(T).report(D), DELIVERED),
    "a delivery after a bounce does not": (lambda: Row().sent(P).report(D), FAILED),
    "an acceptance answers the last doubt": (lambda: Row(max_attempts=1).sent(DOUBT).report(A), SENT),
    "an acceptance of an older attempt does not": (lambda: Row(max_attempts=2).sent(DOUBT).sent(T).report(A, 1), FAILED),
    "the last attempt was refused for what another page said": (lambda: Row(max_attempts=1).sent(T).refuse(), QUEUED),
    "the last doubt was": (lambda: Row(max_attempts=1).sent(DOUBT).refuse(), QUEUED),
    "the last attempt was, after an acknowledgement": (lambda: Row(max_attempts=1).sent(T).stop().refuse(), CANCELLED),
    "an older attempt was": (lambda: Row(max_attempts=2).sent(T).sent(T).refuse(1), FAILED),
    "the attempt of an ended row was": (lambda: Row().sent(DOUBT).end(Ended.EXPIRED).refuse(), FAILED),
    "an acknowledgement leaves a failed row": (lambda: Row().sent(P).stop().report(T), FAILED),
    # ended by us
    "an expired row fails": (lambda: Row().end(Ended.EXPIRED), FAILED),
    "a row beyond its window fails": (lambda: Row().sent(T, retry_after_s=3600.0), FAILED),
    "a row without a provider fails": (lambda: Row().end(Ended.NO_PROVIDER), FAILED),
    "a capped row fails": (lambda: Row().end(Ended.CAPPED), FAILED),
    "a row of somebody who has opted out fails": (lambda: Row().end(Ended.OPTED_OUT), FAILED),
    "a row whose window was found over fails": (lambda: Row().end(Ended.BEYOND_WINDOW), FAILED),
    "receipts move an ended row": (lambda: Row().sent(DOUBT).end(Ended.EXPIRED).report(D), DELIVERED),
    "an ended row is not queued again": (lambda: Row().sent(DOUBT).end(Ended.EXPIRED).report(A).report(T), FAILED),
    # CANCELLED
    "an acknowledgement cancels a queued row": (lambda: Row().stop(), CANCELLED),
    "a resolve cancels a queued row": (lambda: Row().stop("resolved"), CANCELLED),
    "a newer round cancels a queued row": (lambda: Row().stop("replaced"), CANCELLED),
    "a cancelled row never moves": (
        lambda: Row().sent(T).stop().report(D).report(P).report(None).stop().end(Ended.CAPPED).claim(),
        CANCELLED,
    ),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_a_story_ends_in_its_state_and_its_log_replays(name: str) -> None:
    build, state = HISTORIES[name]
    row = build()
    assert row.state is state
    assert_replays(row)


def assert_replays(row: Row) -> None:
    state: str = QUEUED
    for moved in row.log:
        if moved.has_moved:
            assert moved.after.state in NOTIFICATION.targets(state, moved.event)
        else:
            assert moved.after.state == state
        state = moved.after.state


def test_the_stories_take_every_arrow_that_is_in_the_table() -> None:
    seen = set()
    for build, _ in HISTORIES.values():
        state: str = QUEUED
        for moved in build().log:
            seen.add((moved.event, state, str(moved.after.state)))
            state = moved.after.state
    arrows = {
        (event.name, str(source), str(target))
        for event in NOTIFICATION.events
        for source, targets in event.moves.items()
        for target in targets
        if source != target
    }
    assert arrows <= seen


def test_a_refused_row_is_due_by_its_schedule_and_may_be_rung_again() -> None:
    row = Row(rung_at=NOW).sent(T)
    assert (row.facts.due_at, row.facts.rung_at, row.facts.deferred_since) == (row.now + seconds(30), None, None)


def test_a_lost_or_released_row_is_due_at_once() -> None:
    assert (row := Row().claim().lose()).facts.due_at == row.now
    assert (row := Row().claim().release()).facts.due_at == row.now


def test_a_result_that_leaves_a_row_queued_does_not_delay_it() -> None:
    row = Row().sent(DOUBT)
    due_at = row.facts.due_at
    assert row.report(T).facts.due_at == due_at


def test_a_row_that_is_not_queued_is_not_due() -> None:
    assert Row().claim().facts.due_at is None
    assert Row().sent().facts.due_at is None
    assert Row().stop().facts.due_at is None


@pytest.mark.parametrize("build", [lambda: Row().sent().refuse(), lambda: Row().sent(DOUBT).refuse()], ids=["sent", "in doubt"])
def test_a_row_whose_message_of_several_was_refused_leaves_again_at_once(build: Callable[[], Row]) -> None:
    row = build()
    assert (row.facts.due_at, row.facts.rung_at, row.facts.deferred_by) == (row.now, None, None)
    assert (len(counted(row.facts)), used_up(row.facts)) == (1, ())


def test_such_a_row_waits_all_the_same_if_its_provider_asks_for_it() -> None:
    row = Row().claim().refuse().record(T, retry_after_s=45.0)
    assert (row.facts.due_at, row.facts.deferred_by) == (row.now + seconds(45), DeferralReason.RETRY_AFTER)
    deferred = Row().sent(T, retry_after_s=45.0)
    due_at = deferred.facts.due_at
    assert deferred.refuse().facts.due_at == due_at


def test_a_row_that_was_sent_again_since_is_in_no_half() -> None:
    row = Row().sent(DOUBT).sent().refuse(1)
    assert (row.state, row.facts.attempts[0].result, row.facts.attempts[0].half) == (SENT, T, None)


def test_retries_of_a_row_begin_with_the_first_that_was_refused_alone() -> None:
    row = Row().sent().refuse().sent().refuse().sent(T)
    assert row.facts.due_at == row.now + row.schedule.delays[0]


def test_retry_after_is_honoured_and_defers_the_row() -> None:
    row = Row().sent(T, retry_after_s=300.0)
    assert row.facts.due_at == row.now + minutes(5)
    assert row.facts.deferred_since == row.now
    assert row.claim().facts.deferred_since is None


def test_retry_after_beyond_the_window_ends_the_row_and_says_so() -> None:
    row = Row().sent(T, retry_after_s=601.0, code="429")
    assert (row.state, row.facts.ended, row.facts.ended_at) == (FAILED, Ended.BEYOND_WINDOW, row.now)
    assert row.facts.reason == "beyond_retry_window"


def test_a_failed_row_says_why_and_forgets_it_when_it_is_put_right() -> None:
    assert Row().sent(P, code="21610", reason="opted out").facts.reason == "opted out"
    assert Row().sent(P, code="21610").facts.reason == "21610"
    assert Row(max_attempts=1).sent(DOUBT).facts.reason == "the attempts are used up"
    assert Row().end(Ended.NO_PROVIDER, "sms has no provider").facts.reason == "sms has no provider"
    assert Row(max_attempts=1).sent(T, reason="busy").report(D).facts.reason == ""


def test_a_late_claim_or_end_leaves_no_trace() -> None:
    row = Row().stop()
    before = row.facts
    assert row.claim().facts == before
    assert row.end(Ended.EXPIRED).facts == before
    assert not row.log[-1].has_moved


def test_a_cancelled_row_keeps_its_receipts_on_the_attempt() -> None:
    row = Row().sent(T).stop().report(D, evidence=Evidence.DEVICE)
    assert row.state is CANCELLED
    assert (row.facts.attempts[0].result, row.facts.attempts[0].evidence) == (D, Evidence.DEVICE)


def test_an_outcome_is_kept_on_its_attempt() -> None:
    row = (
        Row()
        .claim(receipt_due_at=NOW)
        .record(A, code="201", reason="queued", provider_ref="SM1", receipt_due_at=NOW + minutes(1))
    )
    kept = row.facts.attempts[0]
    assert (kept.result, kept.code, kept.reason, kept.provider_ref) == (A, "201", "queued", "SM1")
    assert (kept.evidence, kept.state, kept.ended_at) == (Evidence.ACCEPTED, AttemptState.RECORDED, row.now)
    assert kept.receipt_due_at == NOW + minutes(1)
    assert Row().claim(receipt_due_at=NOW).record(A).facts.attempts[0].receipt_due_at == NOW


def test_the_strongest_result_keeps_its_code_and_the_strongest_evidence_counts() -> None:
    row = Row().sent(provider_ref="SM1").report(D, code="delivered", evidence=Evidence.DEVICE)
    kept = row.report(A, code="sent", provider_ref="SM2").facts.attempts[0]
    assert (kept.result, kept.code, kept.evidence, kept.provider_ref) == (D, "delivered", Evidence.DEVICE, "SM1")
    confirmed = row.report(None, is_key_press=True, evidence=Evidence.HUMAN).facts.attempts[0]
    assert (confirmed.result, confirmed.evidence) == (D, Evidence.HUMAN)


def test_a_result_without_evidence_proves_no_more_than_acceptance() -> None:
    assert Row().sent().report(None).facts.attempts[0].evidence is Evidence.ACCEPTED
    assert Row().sent(DOUBT).report(None).facts.attempts[0].evidence is Evidence.ACCEPTED


def test_a_receipt_names_the_message_before_the_response_does() -> None:
    row = Row().claim().report(A, provider_ref="SM1").record(DOUBT)
    assert row.facts.attempts[0].provider_ref == "SM1"


def test_a_refusal_that_is_contradicted_is_a_doubt() -> None:
    assert Row().sent(T).report(A).facts.attempts[0].is_doubted
    assert Row().claim().report(A).record(T).facts.attempts[0].is_doubted
    assert Row().claim().report(None).record(P).facts.attempts[0].is_doubted


def test_a_response_followed_by_its_receipts_is_no_doubt() -> None:
    assert not Row().sent(T).facts.attempts[0].is_doubted
    assert not Row().sent().report(T).report(A).facts.attempts[0].is_doubted
    assert not Row().claim().report(A).record(A).facts.attempts[0].is_doubted


def test_every_recorded_doubt_is_marked() -> None:
    for row in (
        Row().sent(DOUBT),
        Row().claim().lose(),
        Row().claim().report(A).release(),
        Row().claim().report(A).record(DOUBT),
    ):
        assert row.facts.attempts[0].is_doubted


def test_a_refusal_of_us_is_kept() -> None:
    assert Row().sent(T, is_our_fault=True).facts.attempts[0].is_our_fault


def test_what_was_not_sent_counts_for_nothing() -> None:
    row = Row(max_attempts=1).claim().release()
    assert counted(row.facts) == ()
    assert row.report(D, 1).state is QUEUED
    assert row.sent().state is SENT


@pytest.mark.parametrize("late", [Row.lose, Row.release, lambda row: row.record(A)], ids=["lose", "release", "record"])
def test_an_attempt_is_recorded_once(late: Callable[[Row], Row]) -> None:
    with pytest.raises(IllegalMove):
        late(Row().sent(T))


def test_a_row_is_claimed_once() -> None:
    with pytest.raises(IllegalMove):
        Row().claim().claim()


def test_a_row_that_is_being_sent_is_not_ended() -> None:
    with pytest.raises(IllegalMove):
        Row().claim().end(Ended.EXPIRED)


def test_an_attempt_that_runs_under_a_cancelled_row_is_recorded_all_the_same() -> None:
    row = replace(page(state=CANCELLED), attempts=(attempt(),), is_stopped=True)
    moved = lifecycle.lose(row, "a1", now=NOW + LEASE)
    assert (moved.has_moved, moved.after.state) == (False, CANCELLED)
    assert moved.after.attempts[0].state is AttemptState.RECORDED


results = st.sampled_from(Result)
outcomes = st.sampled_from([A, T, P, DOUBT])
reports = st.one_of(results, st.just("its content"))
receipts = st.tuples(st.integers(0, 4), reports)
events = st.lists(
    st.one_of(
        st.just(("claim",)),
        st.just(("release",)),
        st.just(("lose",)),
        st.tuples(st.just("record"), outcomes),
        st.tuples(st.just("report"), receipts),
        st.tuples(st.just("end"), st.sampled_from(Ended)),
        st.tuples(st.just("stop"), st.sampled_from(["acknowledged", "resolved", "replaced"])),
    ),
    max_size=25,
)


def has_a_place(row: Row, event: tuple) -> bool:  # type: ignore[type-arg]
    attempts = row.facts.attempts
    match event[0]:
        case "claim" | "end":
            return row.state is QUEUED
        case "release" | "lose" | "record":
            return bool(attempts) and attempts[-1].state is AttemptState.RUNNING
        case "report":
            return event[1][0] < len(attempts)
        case _:
            return True


def report(row: Row, result: Result | str, number: int) -> None:
    """Report a result, or that the content of a message of several was refused."""
    if isinstance(result, Result):
        row.report(result, number)
    else:
        row.refuse(number)


def follow(row: Row, oracle: OracleRow, event: tuple) -> None:  # type: ignore[type-arg]
    """Let both live through one event."""
    match event:
        case ("claim",):
            row.claim()
            oracle.claim()
        case ("release",):
            row.release()
            oracle.release()
        case ("lose",):
            row.lose()
            oracle.record("in_doubt")
        case ("record", result):
            row.record(result)
            oracle.record(result.value)
        case ("report", (number, result)):
            report(row, result, number + 1)
            oracle.report(number, result)
        case ("end", why):
            row.end(why)
            oracle.is_ended = True
        case ("stop", why):
            row.stop(why)
            oracle.is_stopped = True


@given(events, st.integers(1, 4))
def test_any_sequence_of_events_comes_to_what_the_oracle_says(events: list[tuple], max_attempts: int) -> None:  # type: ignore[type-arg]
    row, oracle = Row(max_attempts=max_attempts), OracleRow(max_attempts)
    for event in events:
        if not has_a_place(row, event):
            continue
        was_cancelled = row.state is CANCELLED
        follow(row, oracle, event)
        assert row.state == oracle.expected_state()
        assert not was_cancelled or row.state is CANCELLED
        assert len(used_up(row.facts)) <= max_attempts
        assert sum(each.state is AttemptState.RUNNING for each in row.facts.attempts) <= 1
        assert (row.facts.due_at is not None) is (row.state is QUEUED)
        assert bool(row.facts.reason) is (row.state is FAILED)
        assert row.state is CANCELLED or state_of(row.facts) is row.state
    assert_replays(row)


@given(st.data())
def test_receipts_commute_and_may_be_repeated(data: st.DataObject) -> None:
    max_attempts = data.draw(st.integers(1, 4))
    row = Row(max_attempts=max_attempts)
    for outcome in data.draw(st.lists(st.sampled_from([T, DOUBT, A, P]), max_size=max_attempts)):
        if row.state is QUEUED:
            row.sent(outcome)
    if row.state is QUEUED and data.draw(st.booleans()):
        row.claim()
    if not row.facts.attempts:
        return
    reported = data.draw(st.lists(st.tuples(st.integers(1, len(row.facts.attempts)), reports), max_size=8))
    again = data.draw(st.lists(st.sampled_from(reported), max_size=4)) if reported else []
    one, other = replay(row, reported), replay(row, data.draw(st.permutations(reported + again)))
    assert one.state is other.state
    assert [each.result for each in one.facts.attempts] == [each.result for each in other.facts.attempts]
    assert [each.is_doubted for each in one.facts.attempts] == [each.is_doubted for each in other.facts.attempts]
    assert [each.half for each in one.facts.attempts] == [each.half for each in other.facts.attempts]


def replay(row: Row, reported: list[tuple[int, Result | str]]) -> Row:
    copy = Row(max_attempts=row.facts.max_attempts)
    copy.facts, copy.now = row.facts, row.now
    for number, result in reported:
        report(copy, result, number)
    return copy


def test_the_oracle_knows_the_results_of_the_model() -> None:
    assert [result.value for result in sorted(Result, key=lambda result: result.strength)] == STRENGTH


SOON = RetrySchedule(delays=(seconds(1),) * 4, jitter=0)


def test_a_doubt_that_events_may_resolve_is_resent_no_sooner() -> None:
    running = Row().claim().facts

    def record(result: Result) -> NotificationFacts:
        outcome = Outcome(result=result)
        return lifecycle.record(
            running, "a1", outcome, schedule=SOON, now=NOW + seconds(10), fraction=0.5, doubt_resolution_time=seconds(15)
        ).after

    assert record(DOUBT).due_at == NOW + seconds(25)
    assert record(T).due_at == NOW + seconds(11)


def test_a_lost_attempt_that_events_may_resolve_is_resent_no_sooner_after_it_began() -> None:
    running = Row().claim(started_at=NOW).facts
    lost = lifecycle.lose(running, "a1", now=NOW + seconds(5), doubt_resolution_time=seconds(15)).after
    assert lost.due_at == NOW + seconds(15)
    assert lifecycle.lose(running, "a1", now=NOW + seconds(60), doubt_resolution_time=seconds(15)).after.due_at == NOW + seconds(
        60
    )
    critical = replace(running, severity=Severity.CRITICAL)
    assert lifecycle.lose(critical, "a1", now=NOW + seconds(5), doubt_resolution_time=seconds(15)).after.due_at == NOW + seconds(
        5
    )


@pytest.mark.parametrize(
    ("build", "doubted"),
    [
        (lambda: Row(), None),
        (lambda: Row().sent(DOUBT), "a1"),
        (lambda: Row().sent(DOUBT).claim().release(), "a1"),
        (lambda: Row().sent(DOUBT).report(T), None),
        (lambda: Row().sent(DOUBT).sent(T), None),
    ],
    ids=["unsent", "in doubt", "not sent again", "answered", "sent again"],
)
def test_a_row_is_in_doubt_while_the_result_of_its_latest_attempt_is_unknown(
    build: Callable[[], Row], doubted: str | None
) -> None:
    found = doubt_of(build().facts)
    assert (found and found.id) == doubted


def test_a_row_that_waits_for_others_goes_on_being_deferred() -> None:
    row = lifecycle.defer(page(due_at=NOW), DeferralReason.LIMIT, until=NOW, now=NOW).after
    waiting = lifecycle.postpone(replace(row, rung_at=NOW), due_at=NOW + seconds(58), until=NOW + minutes(1), now=NOW)
    assert (waiting.event, waiting.has_moved) == ("postponed", False)
    assert waiting.after == replace(row, due_at=NOW + seconds(58), waits_until=NOW + minutes(1))
    for ended in (
        lifecycle.defer(waiting.after, DeferralReason.PAUSE, until=NOW, now=NOW),
        lifecycle.claim(waiting.after, attempt(), now=NOW),
        lifecycle.stop(waiting.after, "acknowledged", now=NOW),
    ):
        assert ended.after.waits_until is None


def test_a_row_that_a_silence_has_held_says_so_whatever_defers_it_afterwards() -> None:
    silenced = lifecycle.defer(page(due_at=NOW), DeferralReason.SILENCE, until=NOW + minutes(2), now=NOW).after
    quiet = lifecycle.defer(silenced, DeferralReason.QUIET, until=NOW + minutes(9), now=NOW + minutes(2)).after
    assert (silenced.has_been_silenced, quiet.has_been_silenced) == (True, True)


def test_a_row_that_is_deferred_keeps_since_when_and_how_long_it_was_paused() -> None:
    deferred = lifecycle.defer(page(due_at=NOW), DeferralReason.LIMIT, until=NOW + seconds(65), now=NOW)
    assert (deferred.event, deferred.has_moved) == ("deferred", False)
    assert (deferred.after.due_at, deferred.after.deferred_since, deferred.after.deferred_by) == (
        NOW + seconds(65),
        NOW,
        DeferralReason.LIMIT,
    )
    longer = lifecycle.defer(deferred.after, DeferralReason.CIRCUIT, until=NOW + minutes(2), now=NOW + minutes(1)).after
    assert (longer.deferred_since, longer.deferred_by) == (NOW, DeferralReason.CIRCUIT)
    paused = lifecycle.defer(longer, DeferralReason.PAUSE, until=NOW + minutes(9), now=NOW + minutes(2)).after
    assert (paused.deferred_since, paused.deferred_by) == (NOW, DeferralReason.PAUSE)
    assert (paused.paused_since, paused.paused_until) == (NOW + minutes(2), NOW + minutes(9))
    again = lifecycle.defer(paused, DeferralReason.PAUSE, until=NOW + minutes(20), now=NOW + minutes(9)).after
    assert (again.paused_since, again.paused_until) == (NOW + minutes(2), NOW + minutes(20))
    sent = lifecycle.claim(again, attempt(), now=NOW + minutes(20)).after
    assert (sent.deferred_since, sent.deferred_by, sent.paused_since) == (None, None, NOW + minutes(2))
