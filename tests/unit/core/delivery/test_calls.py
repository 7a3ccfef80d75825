"""When a phone call is over, whatever is reported and whatever is not; and which titles nobody has heard."""

from datetime import datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.copies import replace
from notifyflow.core.delivery import calls, lifecycle
from notifyflow.core.delivery.attempts import state_of, with_attempt
from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts, Outcome
from notifyflow.core.delivery.model import AttemptState, Evidence, NotificationState, Receipt, Result, Severity
from notifyflow.core.delivery.policy import DEFAULT
from tests.facts import LEASE, NOW, attempt, minutes, page, seconds

A, D, T, P, DOUBT = Result.ACCEPTED, Result.DELIVERED, Result.TEMPORARY_FAILURE, Result.PERMANENT_FAILURE, Result.IN_DOUBT
SCHEDULE = DEFAULT.retries.normal
COMPLETED = Receipt(provider="p", event_id="completed", result=T, evidence=Evidence.CARRIER, code="completed")
RINGING = Receipt(provider="p", event_id="ringing", result=A, evidence=Evidence.CARRIER, code="ringing")
KEY = Receipt(provider="p", event_id="key", result=D, evidence=Evidence.HUMAN, code="key 3 at 2", is_key_press=True)
CUT_SHORT = Receipt(provider="p", event_id="key", result=None, evidence=Evidence.CARRIER, code=calls.UNSAID)
END_AT = NOW + seconds(105)


def call(*, is_end_told: bool = True, **fields: object) -> NotificationFacts:
    """Make a row whose call has just begun."""
    over_at = calls.first_over_at(NOW, is_end_told=is_end_told)
    return page("voice", NotificationState.SENDING, attempt(1, over_at=over_at, **fields), max_attempts=3)


def record(row: NotificationFacts, result: Result, *, after_s: float = 1) -> NotificationFacts:
    return lifecycle.record(row, "a1", Outcome(result=result), schedule=SCHEDULE, now=NOW + seconds(after_s), fraction=0.5).after


def receive(row: NotificationFacts, receipt: Receipt, *, after_s: float) -> NotificationFacts:
    return lifecycle.receive(row, "a1", receipt, schedule=SCHEDULE, now=NOW + seconds(after_s), fraction=0.5).after


def over_at(row: NotificationFacts) -> datetime | None:
    return row.attempts[0].over_at


def test_a_call_from_which_nothing_comes_is_over_after_a_minute_or_once_its_provider_was_asked() -> None:
    assert over_at(record(call(is_end_told=False), A)) == NOW + seconds(60)
    assert over_at(record(call(), A)) == END_AT


@pytest.mark.parametrize("result", [T, P])
def test_a_call_that_was_refused_is_over_at_once(result: Result) -> None:
    assert over_at(record(call(), result, after_s=2)) == NOW + seconds(2)


def test_a_call_in_doubt_is_over_after_a_minute_unless_it_shows_that_it_was_made() -> None:
    doubted = record(call(), DOUBT, after_s=10)
    assert over_at(doubted) == NOW + seconds(60)
    assert over_at(receive(doubted, RINGING, after_s=12)) == END_AT
    assert over_at(receive(doubted, RINGING, after_s=70)) == NOW + seconds(60)


def test_a_call_whose_worker_died_is_over_after_a_minute() -> None:
    lost = lifecycle.lose(call(), "a1", now=NOW + LEASE + seconds(3)).after
    assert over_at(lost) == NOW + seconds(60)


def test_a_call_that_rang_before_its_outcome_was_lost_is_waited_for() -> None:
    rang = receive(call(), RINGING, after_s=3)
    assert over_at(record(rang, DOUBT, after_s=10)) == END_AT


def test_a_call_that_was_not_made_is_over() -> None:
    released = lifecycle.release(call(), "a1", now=NOW + seconds(4)).after
    assert over_at(released) == NOW + seconds(4)


def test_the_receipt_that_ends_a_call_counts_and_neither_a_key_nor_a_ring_does() -> None:
    sent = record(call(), A)
    heard = receive(receive(sent, RINGING, after_s=5), KEY, after_s=20)
    assert over_at(heard) == END_AT
    ended = receive(heard, COMPLETED, after_s=25)
    assert (over_at(ended), ended.state) == (NOW + seconds(25), NotificationState.DELIVERED)
    assert over_at(receive(ended, COMPLETED, after_s=40)) == NOW + seconds(25)


def test_what_makes_no_call_never_ends() -> None:
    carried = page("voice", NotificationState.SENDING, attempt(1, sent_with="a0"), max_attempts=3)
    assert over_at(receive(record(carried, A), COMPLETED, after_s=30)) is None


def test_a_provider_is_asked_after_ninety_seconds_and_every_thirty_and_never_after_five_minutes() -> None:
    asked, ends_at, now = [], END_AT, NOW
    while now < NOW + minutes(10):
        later = calls.over_at_once_asked(NOW, now)
        if calls.is_to_ask(ends_at, now) and later > ends_at:
            asked.append((now - NOW).total_seconds())
            ends_at = later
        now += seconds(5)
    assert asked == [90, 120, 150, 180, 210, 240, 270]
    assert ends_at == NOW + minutes(5)


@given(
    st.lists(
        st.tuples(st.sampled_from(["ringing", "key", "completed", "asked", "accepted", "doubt", "lost"]), st.floats(0, 900))
    ),
    st.booleans(),
)
def test_no_number_is_taken_for_longer_than_five_minutes_and_none_after_its_last_receipt(
    events: list[tuple[str, float]], is_end_told: bool
) -> None:
    row, ended_at = call(is_end_told=is_end_told), None
    for event, after_s in sorted(events, key=lambda each: each[1]):
        now = NOW + seconds(after_s)
        is_running = row.attempts[0].state == "RUNNING"
        if event in ("ringing", "key", "completed"):
            row = receive(row, {"ringing": RINGING, "key": KEY, "completed": COMPLETED}[event], after_s=after_s)
        elif event == "asked":
            ends_at = over_at(row)
            if ends_at is not None and calls.is_to_ask(ends_at, now):
                put_off = replace(row.attempts[0], over_at=max(ends_at, calls.over_at_once_asked(NOW, now)))
                row = with_attempt(row, put_off)
        elif is_running:
            row = record(row, DOUBT if event == "doubt" else A, after_s=after_s) if event != "lost" else row
        ended_at = now if event == "completed" and ended_at is None else ended_at
        ends_at = over_at(row)
        assert ends_at is not None
        assert ends_at <= NOW + minutes(5)
        assert ended_at is None or ends_at <= ended_at


@pytest.mark.parametrize("order", list(permutations([KEY, COMPLETED, CUT_SHORT])))
def test_a_title_that_was_said_after_all_is_delivered_in_any_order_of_the_reports(order: tuple[Receipt, ...]) -> None:
    row = record(call(), A)
    for receipt in order:
        row = receive(row, receipt, after_s=30)
    assert row.state is NotificationState.DELIVERED


@pytest.mark.parametrize("order", list(permutations(["record", "key", "completed"])))
def test_a_title_that_was_not_begun_is_unsaid_in_any_order_of_the_reports(order: tuple[str, ...]) -> None:
    row = call(sent_with="a0", position=3)
    for event in order:
        if event == "record":
            row = record(row, A, after_s=20)
        else:
            row = receive(row, CUT_SHORT if event == "key" else COMPLETED, after_s=30)
    first = row.attempts[0]
    assert (row.state, first.result, first.code, first.reason) == (NotificationState.QUEUED, T, "unsaid", calls.UNSAID_REASON)
    assert calls.is_unsaid(first)


def unsaid(number: int, *, after_s: float, **fields: object) -> AttemptFacts:
    return attempt(number, T, **({"started_at": NOW + seconds(after_s), "is_named": False} | fields))


@pytest.mark.parametrize(
    ("attempts", "is_unheard"),
    [
        ([unsaid(1, after_s=0), unsaid(2, after_s=60), unsaid(3, after_s=600)], True),
        ([unsaid(1, after_s=0), unsaid(2, after_s=60), unsaid(3, after_s=601)], False),
        ([unsaid(1, after_s=0), unsaid(2, after_s=60)], False),
        ([unsaid(1, after_s=0), unsaid(2, after_s=60, is_named=True, code=calls.UNSAID), unsaid(3, after_s=90)], True),
        ([unsaid(1, after_s=0), unsaid(2, after_s=60, is_named=True), unsaid(3, after_s=90)], False),
        ([unsaid(1, after_s=0), unsaid(2, after_s=60), attempt(3, A, is_named=False)], False),
        ([unsaid(1, after_s=-900), *(unsaid(number, after_s=60 * number) for number in (2, 3, 4))], True),
    ],
)
def test_three_calls_in_ten_minutes_without_a_title_are_enough(attempts: list[AttemptFacts], is_unheard: bool) -> None:
    assert calls.is_unheard(attempts) is is_unheard
    row = page("voice", NotificationState.QUEUED, *attempts, max_attempts=9)
    assert (state_of(row) is NotificationState.FAILED) is is_unheard


def test_a_page_for_which_no_call_had_time_says_so() -> None:
    earlier = [unsaid(number, after_s=60 * number) for number in (1, 2)]
    last = attempt(3, A, started_at=NOW + timedelta(minutes=3), is_named=False)
    row = page("voice", NotificationState.SENT, *earlier, last, max_attempts=9)
    moved = lifecycle.receive(row, "a3", COMPLETED, schedule=SCHEDULE, now=NOW + minutes(4), fraction=0.5)
    assert (moved.after.state, moved.after.reason) == (NotificationState.FAILED, calls.UNHEARD)


def due(name: str, severity: Severity = Severity.CRITICAL, *attempts: AttemptFacts, after_s: float = 0) -> NotificationFacts:
    """Make a due row, named by its namespace and a number."""
    return page(
        "voice",
        NotificationState.QUEUED,
        *attempts,
        id=name,
        namespace=name.partition("-")[0],
        severity=severity,
        created_at=NOW + seconds(after_s),
    )


def test_a_call_says_the_worst_first_then_what_was_unsaid_and_takes_turns_by_namespace() -> None:
    rows = [
        due("shop-1", after_s=1),
        due("shop-2", after_s=2),
        due("shop-3", after_s=3),
        due("orders-1", after_s=5),
        due("orders-2", Severity.ERROR, unsaid(1, after_s=0), after_s=0),
        due("mail-1", Severity.CRITICAL, unsaid(1, after_s=0), attempt(2, state=AttemptState.NOT_SENT), after_s=9),
        due("mail-2", Severity.CRITICAL, attempt(1, T), after_s=4),
    ]
    said = [row.id for row in calls.in_turn(reversed(rows))]
    assert said == ["mail-1", "shop-1", "mail-2", "orders-1", "shop-2", "shop-3", "orders-2"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(list(Severity)), st.booleans(), st.integers(0, 9)),
        max_size=20,
    )
)
def test_every_notification_is_said_once_and_none_of_a_namespace_waits_for_two_of_another(
    made: list[tuple[str, Severity, bool, int]],
) -> None:
    rows = [
        due(f"{name}-{number}", severity, *([unsaid(1, after_s=0)] if is_unsaid else []), after_s=after_s)
        for number, (name, severity, is_unsaid, after_s) in enumerate(made)
    ]
    said = calls.in_turn(rows)
    assert sorted(row.id for row in said) == sorted(row.id for row in rows)
    ranks = [(row.severity.rank, not row.attempts) for row in said]
    assert ranks == sorted(ranks)
    for rank in set(ranks):
        left = [row.namespace for row, its in zip(said, ranks, strict=True) if its == rank]
        while left:  # each namespace that has something left says one thing in each round
            turn = left[: len(set(left))]
            assert sorted(turn) == sorted(set(left))
            left = left[len(turn) :]
