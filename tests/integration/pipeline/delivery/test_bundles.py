"""What waited in quiet hours is one message at their end, without what is over; each of its attempts stands for itself."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

from notifyflow.core.delivery.model import AttemptState, DeferralReason, NotificationState, Receipt, Recipient, Result, Severity
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.pipeline.delivery.receive import receive
from notifyflow.pipeline.transaction.ports import Claimed
from tests.builders import ACCEPTED, BUSY, START, a_recipient, an_incident
from tests.driver import Driver

QUEUED, SENT, FAILED, DELIVERED, CANCELLED = (
    NotificationState.QUEUED,
    NotificationState.SENT,
    NotificationState.FAILED,
    NotificationState.DELIVERED,
    NotificationState.CANCELLED,
)
KEYS = ("db-1", "db-2", "db-3", "db-4")
NIGHT = timedelta(hours=4)


def quiet(*channels: str, who: str = "ada", **addresses: str) -> Recipient:
    return replace(a_recipient(who, *channels, **addresses), quiet="22:00-07:00")


def wait(driver: Driver, *channels: str, keys: Sequence[str] = KEYS) -> None:
    """Notify Ada of incidents in her quiet hours, and let them end before anything is claimed."""
    for key in keys:
        driver.notify(an_incident(key), quiet(*channels))
    driver.deliver()
    driver.note_sweep(START + NIGHT)


def states(driver: Driver, channel: str = "email") -> list[NotificationState]:
    return [driver.pages(key=key)[channel].state for key in KEYS]


def ids(call: Claimed) -> list[str]:
    return [each.message.attempt_id for each in call.attempts]


def test_one_call_carries_what_waited_without_what_is_over(driver: Driver) -> None:
    driver.notify(an_incident("db-5"), quiet("email", who="ben"))
    wait(driver, "email")
    driver.resolve(key="db-2")
    driver.notify(an_incident("db-6"), quiet("email"))
    driver.notify(an_incident("db-1", severity=Severity.CRITICAL), quiet("email"))
    calls = driver.claim("email")
    (carrying,) = (each for each in calls if each.carried)
    assert {each.message.content.key for each in calls if not each.carried} == {"db-5"}
    assert carrying.message.content.title == "4 incidents: 1 CRITICAL, 3 ERROR"
    assert [each.key for each in carrying.message.content.bundled] == ["db-1", "db-3", "db-4", "db-6"]
    for attempt in carrying.attempts:
        driver.record(attempt)
    assert [driver.pages(key=key)["email"].state for key in KEYS] == [SENT, CANCELLED, SENT, SENT]
    rows = [driver.pages(key=key)["email"].attempts[-1] for key in KEYS[2:]]
    assert [each.sent_with for each in rows] == [ids(carrying)[0]] * 2


def test_a_claim_takes_along_what_its_ring_and_limit_do_not_name(driver: Driver, counted: list[str]) -> None:
    wait(driver, "email", keys=[f"db-{number}" for number in range(23)])
    driver.notify(an_incident("web-1"), a_recipient("ben", "slack"))
    for channel, carried in (("email", 23), ("slack", 1)):
        counted.clear()
        (call,) = driver.claim(channel, limit=1)
        assert len(call.attempts) == carried
        assert sum('waits_until" IS NOT NULL' in sql for sql in counted) == (channel == "email")


def test_a_claim_whose_clock_is_behind_takes_along_what_was_due_for_whoever_rang(driver: Driver) -> None:
    for key in KEYS:
        driver.notify(an_incident(key), quiet("email"))
    driver.deliver()
    due_at = driver.pages(key="db-1")["email"].due_at
    assert due_at is not None
    driver.note_sweep(due_at)
    driver.sweep()
    driver.clock.at -= timedelta(milliseconds=5)
    (call,) = driver.claim("email", driver.pages(key="db-1")["email"].id)
    assert [len(call.attempts), call.attempts[0].message.content.title] == [4, "4 incidents waited while you were quiet: 4 ERROR"]


def test_a_claim_makes_no_more_calls_than_its_limit(driver: Driver) -> None:
    driver.notify(an_incident("web-1"), quiet(email="ada@elsewhere"))
    wait(driver, "email")
    calls = [driver.claim("email", limit=1) for _ in range(2)]
    assert sorted(len(call.attempts) for (call,) in calls) == [1, 4]
    assert driver.claim("email") == ()


def test_two_workers_send_nothing_twice_and_leave_nothing(driver: Driver) -> None:
    wait(driver, "email")
    ready = Barrier(2)

    def work() -> tuple[Claimed, ...]:
        ready.wait()
        return driver.claim("email", limit=1)

    with ThreadPoolExecutor(2) as pool:
        claimed = [each for worker in [pool.submit(work) for _ in range(2)] for each in worker.result()]
    claimed += driver.claim("email")
    sent = [attempt.message.notification_id for call in claimed for attempt in call.attempts]
    assert sorted(sent) == sorted(driver.pages(key=key)["email"].id for key in KEYS)


def test_what_a_failed_call_carried_is_tried_again_together_and_escalates_one_by_one(driver: Driver) -> None:
    driver.respond("email", BUSY)
    wait(driver, "email", "sms")
    driver.pass_time(minutes=20)
    assert [len(each.attempts) for each in driver.sent("email")] == [4] * 5
    assert states(driver) == [FAILED] * 4
    assert states(driver, "sms") == [SENT] * 4
    assert [len(each.attempts) for each in driver.sent("sms")] == [4]


def test_receipts_apply_to_all_that_a_call_carried_in_any_order(driver: Driver) -> None:
    wait(driver, "sms", "voice")
    (call,) = driver.claim("sms")
    driver.seen.append(call)
    driver.report(ids(call)[0], Result.DELIVERED)  # before the send is recorded
    for attempt in call.attempts:
        driver.record(attempt, replace(ACCEPTED, provider_ref="SM1"))
    assert states(driver, "sms") == [DELIVERED] * 4
    refs = [driver.pages(key=key)["sms"].attempts[-1].provider_ref for key in KEYS]
    assert refs == ["SM1", "", "", ""]
    driver.acknowledge(key="db-4")
    driver.report(ids(call)[0], Result.PERMANENT_FAILURE)
    assert states(driver, "sms") == [FAILED] * 4
    assert ["voice" in driver.pages(key=key) for key in KEYS] == [True, True, True, False]


def test_a_receipt_by_the_providers_id_waits_for_the_record_and_applies_to_all(driver: Driver) -> None:
    wait(driver, "sms")
    (call,) = driver.claim("sms")
    receive(driver.deps, Receipt(provider=call.provider, event_id="e", result=Result.DELIVERED, provider_ref="SM1"), raw="")
    for attempt in call.attempts:
        driver.record(attempt, replace(ACCEPTED, provider_ref="SM1"))
    driver.sweep()
    assert states(driver, "sms") == [DELIVERED] * 4


def test_a_worker_that_dies_in_between_leaves_doubts_only_where_nothing_was_recorded(driver: Driver) -> None:
    wait(driver, "email")
    (call,) = driver.claim("email")
    driver.record(call)
    driver.pass_time(minutes=2)
    assert states(driver) == [SENT] * 4
    doubts = [driver.pages(key=key)["email"].attempts[0].is_doubted for key in KEYS]
    assert doubts == [False, True, True, True]
    (again,) = driver.sent("email")
    assert len(again.attempts) == 3


def test_a_released_call_releases_all_that_it_carried(driver: Driver) -> None:
    wait(driver, "email")
    (call,) = driver.claim("email")
    for attempt in call.attempts:
        driver.release(attempt)
    assert states(driver) == [QUEUED] * 4
    assert {driver.pages(key=key)["email"].attempts[0].state for key in KEYS} == {AttemptState.NOT_SENT}


def test_without_a_slot_none_of_them_leaves(driver: Driver) -> None:
    driver.deps = replace(driver.deps, limits={"the email provider": 1})
    wait(driver, "email")
    driver.notify(an_incident("db-5", severity=Severity.CRITICAL), a_recipient("ben", "email"))
    driver.claim("email", limit=1)
    assert driver.claim("email") == ()
    assert {driver.pages(key=key)["email"].deferred_by for key in KEYS} == {DeferralReason.LIMIT}


def test_a_status_update_never_replaces_a_gathered_message(driver: Driver) -> None:
    wait(driver, "slack", keys=KEYS[:2])
    (call,) = driver.claim("slack")
    for attempt in call.attempts:
        driver.record(attempt, replace(ACCEPTED, provider_ref="C1:1"))
    driver.resolve(by="ben", key="db-1")
    (update,) = driver.claim("slack")
    message: OutboundMessage = update.message
    assert (message.content.status_update, message.replaces) == ("resolved", "")


def test_one_call_says_what_waited(driver: Driver) -> None:
    wait(driver, "voice")
    assert [len(each.attempts) for each in driver.claim("voice")] == [4]
