"""A number gets one call at a time, which carries what is due there; each title counts by what somebody has heard of it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from threading import Barrier

import pytest

from notifyflow.core.delivery import calls, lifecycle
from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts
from notifyflow.core.delivery.model import Evidence, IncidentState, NotificationState, Receipt, Result, Severity
from notifyflow.core.delivery.policy import DEFAULT, Failed, Policy, Tier
from notifyflow.core.messages import bundle
from notifyflow.core.messages.replies import Effect, HandledReply
from notifyflow.pipeline.delivery.calls import claim_question, describe_key, end_unanswered, find_calls_to_ask
from notifyflow.pipeline.delivery.receive import receive
from notifyflow.pipeline.limits.claim import claim
from notifyflow.pipeline.transaction import use_case
from notifyflow.pipeline.transaction.ports import Claimed
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.storage.dialects import execute
from tests.builders import ACCEPTED, BUSY, START, UNKNOWN, a_contact, a_recipient, an_incident
from tests.damage import Damage, damaged, release_all, run
from tests.driver import Driver

CRITICAL, ERROR, WARNING = Severity.CRITICAL, Severity.ERROR, Severity.WARNING
QUEUED, SENT, DELIVERED, FAILED, CANCELLED = (
    NotificationState.QUEUED,
    NotificationState.SENT,
    NotificationState.DELIVERED,
    NotificationState.FAILED,
    NotificationState.CANCELLED,
)
VOICE = replace(DEFAULT, tiers=(Tier(name="phone", channels=("voice",)),))
PROVIDER = "the voice provider"
REF = replace(ACCEPTED, provider_ref="CA1")


def notify(driver: Driver, *keys: str, severity: Severity = CRITICAL, who: str = "ada", **more: object) -> None:
    for key in keys:
        recipient = a_recipient(who, voice="+4930123456")
        driver.notify(an_incident(key, severity=severity, title=f"{key} is down"), recipient, **{"policy": VOICE, **more})  # type: ignore[arg-type]


def make(driver: Driver) -> Claimed:
    """Make the one call that may be made now."""
    (call,) = driver.claim("voice")
    for each in call.attempts:
        driver.record(each, REF)
    return call


def keys(call: Claimed) -> list[str]:
    content = call.message.content
    return [each.key for each in content.bundled] or [content.key]


def hang_up(driver: Driver, call: Claimed) -> None:
    driver.report(call.message.attempt_id, Result.TEMPORARY_FAILURE, code="completed")


def press(
    driver: Driver, call: Claimed, digit: str, said: int | None = None, *, acknowledges: bool | None = None
) -> HandledReply:
    """Press a key; unless stated otherwise, 1 acknowledges what was said."""
    code = f"key {digit}" if said is None else f"key {digit} at {said}"
    receipt = Receipt(
        provider=PROVIDER,
        event_id=f"{call.message.attempt_id}:{code}",
        result=Result.DELIVERED,
        attempt_id=call.message.attempt_id,
        evidence=Evidence.HUMAN,
        code=code,
        is_key_press=True,
        is_acknowledgement=digit == "1" if acknowledges is None else acknowledges,
    )
    driver._note(receive(driver.deps, receipt, raw="").follow_ups)
    return describe_key(driver.deps, receipt)


def row(driver: Driver, key: str, who: str = "ada") -> NotificationFacts:
    return driver.pages(who, key)["voice"]


def last(driver: Driver, key: str) -> AttemptFacts:
    return row(driver, key).attempts[-1]


def wait(driver: Driver, seconds: float) -> None:
    """Let time pass, and sweep."""
    driver.note_sweep(driver.clock.at + timedelta(seconds=seconds))
    driver.sweep()


def since_start(at: datetime | None) -> float | None:
    return None if at is None else (at - START).total_seconds()


def test_what_is_due_while_a_number_is_called_waits_without_being_deferred(driver: Driver) -> None:
    notify(driver, "db-1")
    call = make(driver)
    notify(driver, "db-2")
    assert driver.claim("voice") == ()
    waiting = row(driver, "db-2")
    assert (waiting.state, waiting.deferred_by, waiting.deferred_since, waiting.attempts) == (QUEUED, None, None, ())
    assert since_start(waiting.waits_until) == since_start(waiting.due_at) == 105
    assert [each.event for each in driver.status("db-2").transitions if each.machine == "notification"] == ["queued", "postponed"]
    wait(driver, 5)
    assert driver.claim("voice") == ()
    hang_up(driver, call)
    wait(driver, 1)
    assert keys(make(driver)) == ["db-2"]
    assert row(driver, "db-2").waits_until is None


def test_the_next_call_carries_all_that_waited_and_what_is_due_again(driver: Driver) -> None:
    notify(driver, "db-1")
    call = make(driver)
    notify(driver, "db-2", "db-3", severity=ERROR)
    notify(driver, "db-4")
    assert driver.claim("voice") == ()
    hang_up(driver, call)
    wait(driver, 60)
    assert keys(make(driver)) == ["db-1", "db-4", "db-2", "db-3"]


def test_who_is_called_about_one_page_costs_no_search_for_others(driver: Driver, counted: list[str]) -> None:
    def searches() -> int:
        return sum('"waits_until" IS NOT NULL' in sql for sql in counted)

    notify(driver, "db-1")
    counted.clear()
    call = make(driver)
    assert not searches()
    press(driver, call, "1")
    wait(driver, 120)
    notify(driver, "db-2", "db-3")
    counted.clear()
    (call,) = driver.claim("voice", limit=1)
    assert keys(call) == ["db-2", "db-3"]
    assert searches() == 1


def test_people_and_namespaces_with_one_number_share_its_calls_in_turn(driver: Driver) -> None:
    notify(driver, "db-0")
    call = make(driver)
    notify(driver, "db-1", "db-2", namespace="shop")
    notify(driver, "db-3", who="ben")
    notify(driver, "db-4", namespace="orders")
    assert driver.claim("voice") == ()
    press(driver, call, "1")
    hang_up(driver, call)
    wait(driver, 1)
    assert keys(make(driver)) == ["db-1", "db-3", "db-4", "db-2"]


def test_without_bundling_each_page_has_a_call_of_its_own_one_at_a_time_and_critical_ones_first(driver: Driver) -> None:
    driver.deps = replace(driver.deps, is_bundling=False)
    notify(driver, "db-1", severity=ERROR)
    notify(driver, "db-2", "db-3")
    called = []
    for _ in range(3):
        call = make(driver)
        called += keys(call)
        wait(driver, 2)
        assert driver.claim("voice") == ()
        press(driver, call, "1")
        hang_up(driver, call)
        wait(driver, 1)
    assert called == ["db-2", "db-3", "db-1"]
    assert driver.claim("voice") == ()


def test_a_policy_without_bundling_keeps_its_pages_out_of_the_calls_of_others(driver: Driver) -> None:
    notify(driver, "db-0")
    call = make(driver)
    notify(driver, "db-1", policy=replace(VOICE, bundling=False))
    notify(driver, "db-2", "db-3")
    assert driver.claim("voice") == ()
    press(driver, call, "1")
    hang_up(driver, call)
    wait(driver, 1)
    first = make(driver)
    assert keys(first) == ["db-1"]
    hang_up(driver, first)
    wait(driver, 30)  # for the beat of the storm
    assert keys(make(driver)) == ["db-2", "db-3"]


@pytest.mark.parametrize(("outcome", "free_after_s"), [(ACCEPTED, 105), (UNKNOWN, 60), (BUSY, 0)])
def test_a_number_is_free_again_even_if_nothing_is_ever_heard_of_its_call(
    driver: Driver, outcome: object, free_after_s: int
) -> None:
    notify(driver, "db-1")
    (call,) = driver.claim("voice")
    driver.record(call, outcome)  # type: ignore[arg-type]
    notify(driver, "db-2")
    if free_after_s:
        wait(driver, free_after_s - 1)
        assert driver.claim("voice") == ()
        wait(driver, 1)
    assert "db-2" in keys(make(driver))


def test_a_number_is_free_again_after_its_worker_has_died(driver: Driver) -> None:
    notify(driver, "db-1")
    driver.claim("voice")
    notify(driver, "db-2")
    assert driver.claim("voice") == ()
    wait(driver, 59)
    assert driver.claim("voice") == ()
    wait(driver, 46)
    assert set(keys(make(driver))) == {"db-1", "db-2"}


def test_without_receipts_a_number_is_free_after_a_minute(driver: Driver) -> None:
    notify(driver, "db-1")
    (call,) = claim(driver.deps, "voice", [], limit=9, providers=[PROVIDER], reporting=()).claimed
    driver.record(call)
    notify(driver, "db-2")
    wait(driver, 59)
    assert driver.claim("voice") == ()
    wait(driver, 1)
    assert keys(make(driver)) == ["db-2"]


def test_while_the_provider_says_that_a_call_goes_on_its_number_is_taken_for_five_minutes_at_most(driver: Driver) -> None:
    notify(driver, "db-1")
    make(driver)
    notify(driver, "db-2")
    asked = []
    for second in range(5, 400, 5):
        wait(driver, 5)
        for found in find_calls_to_ask(driver.deps, [PROVIDER], limit=9):
            if claim_question(driver.deps, found):
                asked.append(second)
                assert claim_question(driver.deps, found) is None
        if driver.claim("voice"):
            break
    assert asked == [90, 120, 150, 180, 210, 240, 270]
    assert second == 300


def test_a_provider_that_does_not_say_whether_a_call_goes_on_frees_its_number(driver: Driver) -> None:
    notify(driver, "db-1")
    make(driver)
    notify(driver, "db-2")
    wait(driver, 92)
    (found,) = find_calls_to_ask(driver.deps, [PROVIDER], limit=9)
    asked = claim_question(driver.deps, found)
    assert asked is not None
    end_unanswered(driver.deps, found)  # another process, which was late, frees nothing
    wait(driver, 0.1)
    assert driver.claim("voice") == ()
    end_unanswered(driver.deps, asked)
    wait(driver, 0.1)
    assert keys(make(driver)) == ["db-2"]


def test_two_workers_that_claim_at_once_make_one_call(driver: Driver) -> None:
    notify(driver, *(f"db-{number}" for number in range(8)))
    ready = Barrier(2)

    def work() -> tuple[Claimed, ...]:
        ready.wait()
        return driver.claim("voice", limit=4)

    with ThreadPoolExecutor(2) as pool:
        claimed = [each for worker in [pool.submit(work) for _ in range(2)] for each in worker.result()]
    assert len(claimed) == 1
    assert driver.claim("voice") == ()


def test_a_retry_that_is_due_waits_for_the_call_under_way(driver: Driver) -> None:
    notify(driver, "db-1")
    first = make(driver)
    hang_up(driver, first)
    notify(driver, "db-2")
    second = make(driver)
    wait(driver, 61)
    assert driver.claim("voice") == ()
    waiting = row(driver, "db-1")
    assert (waiting.state, len(waiting.attempts), waiting.deferred_by) == (QUEUED, 1, None)
    press(driver, second, "1")
    hang_up(driver, second)
    wait(driver, 1)
    assert keys(make(driver)) == ["db-1"]


def test_another_number_is_called_meanwhile(driver: Driver) -> None:
    notify(driver, "db-1")
    make(driver)
    driver.notify(an_incident("db-2", severity=CRITICAL), a_recipient("cleo", voice="+4930999999"), policy=VOICE)
    assert keys(make(driver)) == ["db-2"]


def call_briefly(driver: Driver, called: list[tuple[float, int]]) -> None:
    """Make the calls that may be made now; each is picked up, heard to its end, and over a second later."""
    for call in driver.claim("voice"):
        called.append((round((driver.clock.at - START).total_seconds()), len(call.attempts)))
        for each in call.attempts:
            driver.record(each, REF)
        wait(driver, 1)
        press(driver, call, "1", len(keys(call)) if call.carried else None)
        hang_up(driver, call)


@pytest.mark.parametrize(("severity", "beat_s"), [(CRITICAL, 30), (WARNING, 60)])
def test_in_a_storm_a_short_call_is_not_followed_by_another_before_the_beat(
    driver: Driver, severity: Severity, beat_s: int
) -> None:
    called: list[tuple[float, int]] = []
    for number in range(40):
        notify(driver, f"db-{number}", severity=severity)
        call_briefly(driver, called)
        wait(driver, 1)
    for _ in range(30):
        wait(driver, 2)
        call_briefly(driver, called)
    assert sum(count for _, count in called) >= 40
    first, *later = [at for at, _ in called]
    assert first == 0
    gaps = [after - before for before, after in pairwise(later)]
    assert len(later) <= 100 / beat_s + 2
    assert all(gap >= beat_s - 3 for gap in gaps[1:]), called


def test_the_first_critical_page_of_a_namespace_waits_for_no_beat_and_takes_all_others_along(driver: Driver) -> None:
    called: list[tuple[float, int]] = []
    for number in range(8):
        notify(driver, f"db-{number}")
        call_briefly(driver, called)
        wait(driver, 1)
    before = len(called)
    notify(driver, "shop-1", namespace="shop")
    call_briefly(driver, called)
    assert len(called) == before + 1
    assert called[-1][1] > 1


def a_call(driver: Driver, count: int = 4, *, severity: Severity = CRITICAL) -> tuple[Claimed, list[str]]:
    """Make a call about several incidents."""
    names = [f"db-{number}" for number in range(1, count + 1)]
    notify(driver, *names, severity=severity)
    call = make(driver)
    assert keys(call) == names[: len(keys(call))]
    return call, names


def states(driver: Driver, names: Sequence[str]) -> list[NotificationState]:
    return [row(driver, name).state for name in names]


def acknowledged(driver: Driver, names: Sequence[str]) -> list[str]:
    return [name for name in names if driver.status(name).facts.state is IncidentState.ACKNOWLEDGED]


def test_key_1_acknowledges_and_delivers_the_titles_that_were_begun_and_the_others_are_said_first_next_time(
    driver: Driver,
) -> None:
    call, names = a_call(driver)
    handled = press(driver, call, "1", 2)
    assert acknowledged(driver, names) == names[:2]
    assert states(driver, names) == [DELIVERED, DELIVERED, SENT, SENT]
    assert (handled.acknowledged, handled.content and [each.key for each in handled.content.bundled]) == (2, names)
    hang_up(driver, call)
    assert states(driver, names) == [DELIVERED, DELIVERED, QUEUED, QUEUED]
    assert [(each.result, each.code) for each in (last(driver, name) for name in names[2:])] == [
        (Result.TEMPORARY_FAILURE, "unsaid")
    ] * 2
    notify(driver, "db-0")
    wait(driver, 70)
    assert keys(make(driver)) == ["db-3", "db-4", "db-0"]


def test_another_key_delivers_what_was_said_and_acknowledges_nothing(driver: Driver) -> None:
    call, names = a_call(driver)
    assert press(driver, call, "3", 4).acknowledged == 0
    assert states(driver, names) == [DELIVERED] * 4
    assert acknowledged(driver, names) == []
    assert {last(driver, name).evidence for name in names} == {Evidence.HUMAN}


def test_a_key_before_the_first_title_delivers_nothing(driver: Driver) -> None:
    call, names = a_call(driver)
    press(driver, call, "1", 0, acknowledges=False)
    assert (states(driver, names), acknowledged(driver, names)) == ([SENT] * 4, [])
    assert {last(driver, name).evidence for name in names} == {Evidence.CARRIER}


def test_a_key_acknowledges_no_incident_that_has_become_more_severe_and_the_answer_names_it(driver: Driver) -> None:
    call, names = a_call(driver, 3, severity=ERROR)
    notify(driver, "db-2")
    handled = press(driver, call, "1", 3)
    assert acknowledged(driver, names) == ["db-1", "db-3"]
    assert [(each.title, each.risen_to) for each in handled.still_open] == [("db-2 is down", CRITICAL)]
    assert handled.acknowledged == 2


def test_a_later_key_reaches_further_and_one_after_the_end_counts_as_well(driver: Driver) -> None:
    call, names = a_call(driver)
    press(driver, call, "3", 1)
    hang_up(driver, call)
    assert states(driver, names) == [DELIVERED, QUEUED, QUEUED, QUEUED]
    press(driver, call, "1", 3)
    assert states(driver, names) == [DELIVERED, DELIVERED, DELIVERED, QUEUED]
    assert acknowledged(driver, names) == names[:3]


def test_key_4_acknowledges_all_that_the_call_carries_and_delivers_what_was_said(driver: Driver) -> None:
    call, names = a_call(driver, 14, severity=ERROR)
    assert len(keys(call)) < 14
    handled = press(driver, call, "4", 1, acknowledges=True)
    assert acknowledged(driver, names) == names
    assert states(driver, names) == [DELIVERED] + [SENT] * 13
    assert handled.acknowledged == 14
    hang_up(driver, call)
    assert states(driver, names) == [DELIVERED] + [CANCELLED] * 13


def test_the_counts_of_a_call_are_of_all_and_only_what_it_has_time_for_is_named(driver: Driver) -> None:
    call, names = a_call(driver, 30)
    content = call.message.content
    assert sum(content.counts.values()) == 30
    assert len(content.bundled) + content.unnamed == 30
    attempts = [last(driver, name) for name in names]
    assert [each.position for each in attempts] == list(range(30))
    assert [each.is_named for each in attempts] == [number < len(content.bundled) for number in range(30)]
    assert {each.sent_with for each in attempts} == {call.message.attempt_id}
    assert [each.over_at is None for each in attempts] == [False] + [True] * 29


def test_after_three_calls_without_time_for_a_title_it_fails_and_operations_is_told_how_many(driver: Driver) -> None:
    driver.deps = replace(driver.deps, operations=(a_contact("ops", "email"),))
    notify(driver, *(f"db-{number:02}" for number in range(60)))
    for _ in range(3):
        call = make(driver)
        press(driver, call, "3", len(keys(call)))
        hang_up(driver, call)
        wait(driver, 90)
    assert driver.claim("voice") == ()
    rows = [row(driver, f"db-{number:02}") for number in range(60)]
    unheard = [each for each in rows if each.state is FAILED]
    assert {each.reason for each in unheard} == {calls.UNHEARD}
    assert len(unheard) + sum(each.state is DELIVERED for each in rows) == 60
    told = driver.store.run(lambda ledger: ledger.operations.notices(since=START))
    expected = f"{len(unheard)} incidents failed, because three calls in ten minutes had no time for them"
    assert (expected, "voice") in [(each.reason, each.provider) for each in told]


def refuse_for_its_content(driver: Driver, call: Claimed) -> None:
    """Give a call back in two halves, as a worker does whose provider has refused the call's words."""

    def give_back(tx: Transaction) -> None:
        for half in bundle.halves(call.attempts):
            for each in half:
                row = tx.ledger.notifications.lock(each.message.notification_id)
                first = half[0].message.attempt_id
                refused = replace(BUSY, result=Result.PERMANENT_FAILURE, code="21617")
                moved = lifecycle.set_apart(row, each.message.attempt_id, refused, half=first, now=tx.now)
                tx.write(row, moved, attempt=each.message.attempt_id)

    driver._note(use_case.run(driver.deps, give_back).follow_ups)


def test_the_halves_of_a_call_that_was_refused_for_its_content_are_called_one_after_the_other_and_apart(driver: Driver) -> None:
    notify(driver, "db-1", "db-2", "db-3", "db-4")
    (call,) = driver.claim("voice")
    refuse_for_its_content(driver, call)
    notify(driver, "db-5")
    first = make(driver)
    assert keys(first) == ["db-1", "db-2"]
    hang_up(driver, first)
    wait(driver, 1)
    assert keys(make(driver)) == ["db-3", "db-4"]


def test_a_call_is_recalled_only_when_nothing_that_it_carries_is_open(driver: Driver) -> None:
    call, names = a_call(driver, 3)
    for name in names[:2]:
        driver.acknowledge(key=name)
        assert driver.outcome.recalls == ()
    driver.resolve(key=names[2])
    (recall,) = driver.outcome.recalls
    assert (recall.attempt_id, recall.provider_ref, recall.channel) == (call.message.attempt_id, "CA1", "voice")


def test_a_call_in_which_somebody_has_pressed_a_key_is_not_cut_off(driver: Driver) -> None:
    call, names = a_call(driver, 3, severity=ERROR)
    press(driver, call, "4", 0, acknowledges=True)
    assert acknowledged(driver, names) == names
    assert driver.outcome.recalls == ()


def test_a_call_whose_incidents_were_acknowledged_before_it_was_accepted_is_recalled(driver: Driver) -> None:
    notify(driver, "db-1", "db-2")
    (call,) = driver.claim("voice")
    driver.acknowledge(key="db-1")
    driver.acknowledge(key="db-2")
    for each in call.attempts:
        driver.record(each, REF)
    assert [each.attempt_id for each in driver.outcome.recalls] == [call.message.attempt_id]


def test_the_response_to_a_key_tells_how_things_are_by_now(driver: Driver) -> None:
    notify(driver, "db-1")
    call = make(driver)
    handled = press(driver, call, "2")
    assert (handled.effect, handled.content and handled.content.title) == (Effect.EXPLAINED, "db-1 is down")
    foreign = Receipt(provider=PROVIDER, event_id="e", result=None, attempt_id="0" * 32, code="key 1", is_key_press=True)
    assert describe_key(driver.deps, foreign) == HandledReply(effect=Effect.UNKNOWN)


def test_the_response_to_a_key_says_that_the_incident_cannot_be_read(driver: Driver) -> None:
    notify(driver, "db-1")
    call = make(driver)
    key = Receipt(
        provider=PROVIDER, event_id="e", result=None, attempt_id=call.message.attempt_id, code="key 2", is_key_press=True
    )
    run(driver.deps, lambda db: execute(db, "UPDATE notifyflow_incident SET state = 'LOUD'"))
    assert describe_key(driver.deps, key) == HandledReply(effect=Effect.UNREADABLE)
    run(driver.deps, lambda db: execute(db, "UPDATE notifyflow_incident SET state = 'OPEN'"))
    assert describe_key(driver.deps, key).effect is Effect.EXPLAINED


def test_a_failed_tier_opens_the_next_one_although_the_call_was_shared(driver: Driver) -> None:
    tiers = (*VOICE.tiers, Tier(name="mail", channels=("email",), rules=(Failed(at_least=1),)))
    policy: Policy = replace(VOICE, tiers=tiers)
    for key in ("db-1", "db-2"):
        recipient = a_recipient("ada", email="ada@email", voice="+4930123456")
        driver.notify(an_incident(key, severity=CRITICAL), recipient, policy=policy)
    driver.respond("voice", replace(BUSY, result=Result.PERMANENT_FAILURE))
    driver.deliver()
    assert [driver.pages(key=key)["email"].state for key in ("db-1", "db-2")] == [SENT] * 2


def test_in_a_storm_what_nobody_took_is_called_again_together(driver: Driver) -> None:
    notify(driver, "db-1")
    call = make(driver)
    notify(driver, "db-2", "db-3")
    called = [(0.0, call)]
    for second in range(1, 240):
        if second == 40:
            notify(driver, "db-4")
        wait(driver, 1)
        for each in driver.claim("voice"):
            called.append((float(second), each))
            for attempt in each.attempts:
                driver.record(attempt, REF)
        hang_up(driver, called[-1][1])
    assert [len(each.attempts) for _, each in called] == [1, 2, 4, 4, 1]
    assert [round(after - before, -1) for (before, _), (after, _) in pairwise(called)] == [30, 30, 60, 60]
    assert {row(driver, f"db-{number}").state for number in range(1, 5)} == {FAILED}


@pytest.mark.parametrize("is_early", [True, False])
@pytest.mark.parametrize("place", [0, 4])
@pytest.mark.parametrize("damage", Damage)
@pytest.mark.parametrize("machine", ["notification", "escalation", "incident"])
def test_a_damaged_page_makes_no_other_of_its_number_late(
    driver: Driver, machine: str, damage: Damage, place: int, *, is_early: bool
) -> None:
    notify(driver, "over", "db-1")
    driver.resolve(key="over")
    call, names = make(driver), [f"db-{number}" for number in range(2, 11)]
    notify(driver, *names)
    assert driver.claim("voice") == ()
    hurt = names.pop(place)
    row_id = {
        "notification": row(driver, hurt).id,
        "escalation": driver.escalation(key=hurt).id,
        "incident": driver.status(hurt).facts.id,
    }[machine]
    others = {row(driver, name).id for name in names}
    with ExitStack() as stack:
        if is_early:
            stack.enter_context(damaged(driver.deps, machine, row_id, damage))
        hang_up(driver, call)
        later: list[Claimed] = []
        for seconds in (1, 2, 26):  # there is a storm: the next call waits for the beat
            wait(driver, seconds)
            later += driver.claim("voice")
        if not is_early:
            stack.enter_context(damaged(driver.deps, machine, row_id, damage))
        for _ in range(3):  # the first page leads the others, which are due two seconds later
            wait(driver, 1)
            later += driver.claim("voice")
        (next_call,) = later
        assert others <= {each.message.notification_id for each in next_call.attempts}
    release_all(driver.deps)
    for each in next_call.attempts:
        driver.record(each, REF)


@pytest.mark.parametrize("damage", Damage)
@pytest.mark.parametrize("machine", ["notification", "escalation", "incident"])
def test_a_damaged_page_keeps_no_other_from_being_called_again(driver: Driver, machine: str, damage: Damage) -> None:
    names = [f"db-{number}" for number in range(1, 6)]
    notify(driver, "over", *names)
    driver.resolve(key="over")
    call = make(driver)
    assert len(call.attempts) == 5
    wait(driver, 1)
    hang_up(driver, call)
    row_id = {
        "notification": row(driver, "db-3").id,
        "escalation": driver.escalation(key="db-3").id,
        "incident": driver.status("db-3").facts.id,
    }[machine]
    others = {row(driver, name).id for name in names if name != "db-3"}
    again: list[Claimed] = []
    with damaged(driver.deps, machine, row_id, damage):
        for seconds in (50, 2, 2, 2, 2, 2, 2):  # each is due again after 54 s or more
            wait(driver, seconds)
            again += driver.claim("voice")
    (next_call,) = again
    assert others <= {each.message.notification_id for each in next_call.attempts}
    release_all(driver.deps)
    for each in next_call.attempts:
        driver.record(each, REF)


@pytest.mark.parametrize("column", ["left_at", "beat_at", "urgent_from", "urgent_until", "calm_until"])
@pytest.mark.parametrize("channel", ["sms", "voice"])
def test_a_damaged_lane_makes_nobody_wait(driver: Driver, channel: str, column: str) -> None:
    policy = replace(DEFAULT, tiers=(Tier(name="all", channels=(channel,)),))
    names = [f"db-{number}" for number in range(1, 6)]
    for name in names:
        driver.notify(an_incident(name, severity=CRITICAL), a_recipient("ada", channel), policy=policy)
        driver.deliver()
    lane = driver.pages(key="db-5")[channel].lane
    use_case.run(
        driver.deps,
        lambda tx: execute(tx.ledger._unit.db, f"UPDATE notifyflow_lane SET {column} = '-infinity' WHERE id = '{lane}'") and None,
    )
    driver.notify(an_incident("db-6", severity=CRITICAL), a_recipient("ada", channel), policy=policy)
    driver.pass_time(minutes=3)
    assert all(driver.pages(key=name)[channel].attempts for name in (*names, "db-6"))
