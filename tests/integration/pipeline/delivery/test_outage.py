"""After an outage of our own nobody is called for nothing, however many sweepers come back at once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier

import pytest

from notifyflow.core.delivery.intervals import Outage
from notifyflow.core.delivery.model import EscalationState, NotificationState, Receipt, Result, Severity
from notifyflow.core.delivery.policy import INSISTENT
from notifyflow.pipeline.delivery import callback_paths, outages
from notifyflow.pipeline.delivery.sweep import sweep
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.storage.dialects import execute
from notifyflow.storage.store import Store
from tests.builders import ACCEPTED, REFUSED, START, a_contact, a_recipient, an_incident
from tests.driver import Driver

pytestmark = pytest.mark.usefixtures("each_by_itself")  # the rules for one row, whatever leaves with it

ADA = a_recipient("ada", "email", "sms", "voice")
PHONE = a_recipient("ada", "sms", "voice")
SWEEPERS = 6
MINUTE = timedelta(minutes=1)


def _texted(driver: Driver, *keys: str) -> None:
    """Send a CRITICAL text about each key, whose receipt is awaited for a minute."""
    for key in keys:
        driver.notify(an_incident(key, severity=Severity.CRITICAL), PHONE)
    driver.deliver()


def _called(driver: Driver, *keys: str) -> list[str]:
    return [key for key in keys if "voice" in driver.pages(key=key)]


def _outages(driver: Driver) -> tuple[Outage, ...]:
    return driver.store.run(lambda ledger: ledger.intervals.outages(since=START, now=driver.clock.at))


@pytest.fixture
def watched(driver: Driver) -> Driver:
    """A driver in which somebody has swept."""
    driver.sweep()
    return driver


def test_time_in_which_nobody_swept_is_no_time_in_which_nobody_acknowledged(watched: Driver) -> None:
    watched.notify(None, ADA, policy=INSISTENT)
    watched.deliver()
    watched.pass_time(minutes=3)
    watched.be_away(hours=2)
    watched.pass_time(minutes=1)
    assert set(watched.pages()) == {"email"}
    watched.pass_time(minutes=2)
    assert set(watched.pages()) == {"email", "sms"}
    assert len(watched.escalations()) == 1
    watched.pass_time(minutes=10)
    assert len(watched.escalations()) == 2, "the next round is a quarter of an hour of ours after the first"


def test_a_receipt_is_overdue_only_after_the_time_in_which_it_could_have_come(watched: Driver) -> None:
    _texted(watched, "db-1")
    watched.pass_time(seconds=30)
    watched.be_away(minutes=10)
    watched.pass_time(seconds=25)
    assert _called(watched, "db-1") == []
    watched.pass_time(seconds=10)
    assert _called(watched, "db-1") == ["db-1"]


def test_after_a_long_outage_a_receipt_is_overdue_soon(watched: Driver) -> None:
    _texted(watched, "db-1")
    watched.pass_time(seconds=30)
    watched.be_away(minutes=40)
    watched.pass_time(seconds=19)
    assert _called(watched, "db-1") == []
    watched.pass_time(seconds=1)
    assert _called(watched, "db-1") == ["db-1"]


def test_a_polled_receipt_has_a_minute_after_a_long_outage(watched: Driver) -> None:
    watched.deps = replace(watched.deps, polled=frozenset({"the sms provider"}))
    _texted(watched, "db-1")
    watched.pass_time(seconds=30)
    watched.be_away(minutes=40)
    watched.pass_time(seconds=59)
    assert _called(watched, "db-1") == []
    watched.pass_time(seconds=1)
    assert _called(watched, "db-1") == ["db-1"]


def test_a_phone_rings_though_no_worker_lives_for_long(driver: Driver) -> None:
    began_at = driver.clock.at
    driver.notify(an_incident(severity=Severity.CRITICAL), ADA, policy=INSISTENT)
    while driver.clock.at < began_at + timedelta(hours=1) and "voice" not in driver.pages():
        born_at = driver.clock.at
        for _ in range(4):
            driver._note(sweep(driver.deps, began_at=born_at))
            driver.deliver()
            driver.clock.pass_time(timedelta(seconds=1))
        driver.clock.pass_time(timedelta(seconds=75))
    tried = {row.channel: row.created_at - began_at for row in driver.pages().values()}
    assert timedelta(minutes=5) < tried["sms"] <= timedelta(minutes=23)
    assert timedelta(minutes=10) < tried["voice"] <= timedelta(minutes=28)


def test_a_process_notes_each_of_its_first_sweeps(watched: Driver) -> None:
    born_at = watched.clock.at
    for _ in range(3):
        watched.clock.pass_time(timedelta(seconds=3))
        sweep(watched.deps, began_at=born_at)
        assert watched.store.read(lambda reads: reads.swept_at()) == watched.clock.at
    watched.clock.pass_time(timedelta(seconds=3))
    sweep(watched.deps, began_at=born_at)
    assert watched.store.read(lambda reads: reads.swept_at()) == watched.clock.at - timedelta(seconds=3)


def test_a_page_that_is_not_critical_waits_as_long_as_nobody_could_answer(watched: Driver) -> None:
    watched.notify(None, ADA, policy=INSISTENT)
    watched.deliver()
    watched.pass_time(minutes=3)
    watched.be_away(hours=2)
    watched.pass_time(seconds=119)
    assert set(watched.pages()) == {"email"}


def test_what_was_overdue_before_stays_overdue(watched: Driver) -> None:
    _texted(watched, "db-1")
    watched.pass_time(seconds=61)
    watched.be_away(minutes=40)
    assert _called(watched, "db-1") == ["db-1"]


def test_a_receipt_that_was_missed_just_before_is_applied_after_it(watched: Driver) -> None:
    watched.notify(None, ADA)
    (claimed,) = watched.claim("email", providers=["ses"])
    watched.record(claimed, replace(ACCEPTED, provider_ref="m-1"))
    receipt = Receipt(provider="ses", event_id="1", result=Result.DELIVERED, provider_ref="m-1")
    watched.store.run(lambda ledger: ledger.inbox.add(receipt, raw="raw", at=watched.clock.now()))
    watched.be_away(minutes=40)
    assert watched.pages()["email"].state is NotificationState.DELIVERED


def test_nobody_is_called_by_a_worker_that_is_back_before_the_sweepers(watched: Driver) -> None:
    watched.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", "email", "sms", "voice"), policy=INSISTENT)
    claimed = watched.claim("email")
    watched.be_away(seconds=50)
    watched.clock.pass_time(timedelta(minutes=9))
    watched.record(claimed[0])
    assert set(watched.pages()) == {"email"}


def test_a_minute_without_a_sweep_is_no_outage(watched: Driver) -> None:
    watched.notify(None, ADA)
    assert watched.be_away(seconds=60).outages == ()
    (outage,) = watched.be_away(seconds=61).outages
    assert outage == Outage(began_at=START + MINUTE, ended_at=START + timedelta(seconds=121))
    assert _outages(watched) == (outage,)


def test_sweepers_that_come_back_at_once_make_up_for_an_outage_once(watched: Driver) -> None:
    keys = [f"db-{number}" for number in range(8)]
    for key in keys:
        watched.notify(an_incident(key), ADA, policy=INSISTENT)
    watched.deliver()
    watched.pass_time(minutes=3)
    watched.clock.pass_time(timedelta(hours=1))
    start = Barrier(SWEEPERS)

    def come_back(_: int) -> int:
        start.wait()
        return len(sweep(watched.deps).outages)

    with ThreadPoolExecutor(SWEEPERS) as pool:
        assert sum(pool.map(come_back, range(SWEEPERS))) == 1
    assert [outage.length for outage in _outages(watched)] == [timedelta(hours=1)]
    assert {watched.escalation(key=key).next_round_at for key in keys} == {START + timedelta(minutes=75)}
    assert {watched.escalation(key=key).next_decision_at for key in keys} == {START + timedelta(minutes=65)}


def _keep(driver: Driver, *, swept_at: datetime) -> Outage | None:
    """Note a sweep, as a process does that has read when the last one was before somebody else noted another."""
    return driver.store.run(lambda ledger: outages.note_sweep(Transaction(ledger, driver.deps), swept_at))


def test_a_process_that_comes_back_a_moment_later_does_not_end_the_outage_again(watched: Driver) -> None:
    watched.notify(None, ADA)
    watched.clock.pass_time(timedelta(hours=1))
    outage = _keep(watched, swept_at=START)
    assert outage == Outage(began_at=START, ended_at=START + timedelta(hours=1))
    for _ in range(3):
        assert _keep(watched, swept_at=START) is None
        watched.clock.pass_time(timedelta(seconds=7))
    assert _outages(watched) == (outage,)


def test_a_sweeper_whose_clock_is_behind_does_not_set_the_last_sweep_back(watched: Driver) -> None:
    watched.notify(None, ADA)
    watched.note_sweep(START + MINUTE)
    watched.clock.at = START + MINUTE / 2
    assert _keep(watched, swept_at=START) is None
    assert watched.store.run(lambda ledger: ledger.intervals.swept_at()) == START + MINUTE
    watched.clock.at = START + 2 * MINUTE
    assert _keep(watched, swept_at=START + MINUTE) is None
    assert _outages(watched) == (), "two minutes after the first sweep, and one after the last"


def test_two_sweepers_at_once_double_nothing(watched: Driver) -> None:
    keys = [f"db-{number}" for number in range(8)]
    for key in keys:
        watched.notify(an_incident(key), ADA, policy=INSISTENT)
        watched.claim("email")
    watched.pass_time(seconds=59)
    watched.clock.pass_time(timedelta(minutes=15))
    watched.store.run(lambda ledger: ledger.intervals.note_sweep(at=watched.clock.at))
    start = Barrier(2)

    def come(_: int) -> Counter[str]:
        start.wait()
        return Counter(due.notification_id for _ in range(3) for due in sweep(watched.deps).due)

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(come, range(2))
    assert set((one + other).values()) == {1}
    for key in keys:
        first, second = watched.escalations(key=key)
        assert (first.facts.state, second.facts.state) == (EscalationState.CANCELLED, EscalationState.ACTIVE)
        (lost,) = next(row for row in first.notifications if row.channel == "email").attempts
        assert lost.result is Result.IN_DOUBT


def test_a_time_in_which_nothing_waited_is_no_outage(watched: Driver) -> None:
    watched.clock.pass_time(timedelta(days=3))
    watched.notify(None, ADA, policy=INSISTENT)
    assert watched.sweep().outages == ()
    watched.deliver()
    watched.resolve()
    assert watched.be_away(days=3).outages == ()
    assert _outages(watched) == ()


def test_old_outages_are_let_go_of(watched: Driver) -> None:
    watched.notify(None, ADA, policy=replace(INSISTENT, fresh_for=timedelta(days=90)))
    watched.be_away(hours=1)
    watched.be_away(days=31)
    assert [outage.length for outage in _outages(watched)] == [timedelta(days=31)]


def test_a_damaged_note_of_the_last_sweep_stops_no_sweep_and_is_written_anew(watched: Driver) -> None:
    watched.store.run(lambda ledger: execute(ledger._unit.db, "UPDATE notifyflow_outage SET began_at = '-infinity'") and None)
    _texted(watched, "db-1")
    watched.pass_time(minutes=2)
    assert _called(watched, "db-1") == ["db-1"]
    watched.notify(None, ADA, policy=INSISTENT)
    watched.be_away(hours=2)
    assert [each.length > timedelta(hours=1) for each in _outages(watched)] == [True]


BROKEN = f"the sms provider: {callback_paths.BROKEN.format(channel='sms')}"


@pytest.fixture
def operated(store: Store) -> Driver:
    """A driver with somebody in operations, and for which each page leaves by itself."""
    driver = Driver(store, operations=[a_contact("ops", "slack")])
    driver.deps = replace(driver.deps, is_bundling=False)
    return driver


def _notices(driver: Driver) -> int:
    """Return how many notices about the callback path of texts operations was sent."""
    found = driver.store.read(lambda reads: reads.status("notifyflow/operations"))
    return (found.content.body or "").count(BROKEN) if found else 0


@pytest.mark.parametrize("count", [4, 5, 10])
def test_a_carrier_that_drops_texts_makes_every_phone_ring(operated: Driver, count: int) -> None:
    keys = [f"db-{number}" for number in range(count)]
    _texted(operated, *keys)
    for attempt in operated.sent("sms"):
        operated.report(attempt.message.attempt_id, Result.ACCEPTED)  # sent, and never delivered
    operated.pass_time(minutes=2)
    assert _called(operated, *keys) == keys
    assert _notices(operated) == (count >= 5), "no callback says what became of a text"


def test_without_receipts_every_phone_rings_and_operations_gets_one_notice_a_day(operated: Driver) -> None:
    keys = [f"db-{number}" for number in range(6)]
    _texted(operated, *keys)
    operated.pass_time(minutes=2)
    assert _called(operated, *keys) == keys
    assert _notices(operated) == 1
    more = [f"more-{number}" for number in range(6)]
    _texted(operated, *more)
    operated.pass_time(minutes=20)
    assert _called(operated, *more) == more
    assert _notices(operated) == 1


def test_fewer_than_five_attempts_say_nothing_about_the_callback_path(operated: Driver) -> None:
    keys = [f"db-{number}" for number in range(4)]
    _texted(operated, *keys)
    operated.pass_time(minutes=2)
    assert _called(operated, *keys) == keys
    assert _notices(operated) == 0


def test_one_silent_phone_among_many_is_no_broken_callback_path(operated: Driver) -> None:
    for who in ("ben", "cyd"):
        operated.respond("sms", REFUSED)
        operated.notify(an_incident(who, severity=Severity.CRITICAL), a_recipient(who, "sms"))
        operated.deliver()
    operated.respond("sms")
    keys = [f"db-{number}" for number in range(5)]
    _texted(operated, *keys)
    operated.pass_time(minutes=2)
    assert _called(operated, *keys) == keys
    assert _notices(operated) == 0


def test_one_callback_in_an_hour_shows_that_the_path_works(operated: Driver) -> None:
    keys = [f"db-{number}" for number in range(6)]
    _texted(operated, *keys)
    operated.report(operated.sent("sms")[0].message.attempt_id, Result.TEMPORARY_FAILURE)
    operated.pass_time(minutes=2)
    assert _notices(operated) == 0


def test_a_fetched_status_did_not_come_by_the_callback_path(operated: Driver) -> None:
    keys = [f"db-{number}" for number in range(6)]
    _texted(operated, *keys)
    operated.report(operated.sent("sms")[0].message.attempt_id, Result.DELIVERED, is_fetched=True)
    operated.pass_time(minutes=2)
    assert _notices(operated) == 1


def test_callbacks_about_calls_say_nothing_about_those_about_texts(operated: Driver) -> None:
    operated.notify(an_incident("call", severity=Severity.CRITICAL), a_recipient("ada", "voice"))
    (call,) = operated.claim("voice", providers=["the sms provider"])
    operated.record(call)
    operated.report(call.message.attempt_id, Result.ACCEPTED)
    keys = [f"db-{number}" for number in range(6)]
    _texted(operated, *keys)
    operated.pass_time(minutes=2)
    assert _notices(operated) == 1


def test_refusals_are_no_accepted_attempts(operated: Driver) -> None:
    operated.respond("sms", REFUSED)
    _texted(operated, *[f"no-{number}" for number in range(6)])
    operated.pass_time(minutes=2)
    assert _notices(operated) == 0


def test_an_outage_of_ours_is_no_broken_callback_path(operated: Driver) -> None:
    operated.sweep()
    keys = [f"db-{number}" for number in range(6)]
    _texted(operated, *keys)
    operated.be_away(minutes=20)
    for attempt in operated.sent("sms")[1:]:
        operated.report(attempt.message.attempt_id, Result.DELIVERED)
    operated.pass_time(minutes=2)
    assert _called(operated, *keys) == ["db-0"]
    assert _notices(operated) == 0


def test_failures_of_pages_to_operations_are_not_reported_to_operations(store: Store) -> None:
    driver = Driver(store, operations=[a_contact("ops", "slack", "sms")])
    driver.respond("email", REFUSED)
    driver.notify(an_incident("lost", severity=Severity.CRITICAL), a_recipient("cyd", "email"))
    driver.deliver()
    _texted(driver, *[f"db-{number}" for number in range(6)])
    driver.pass_time(minutes=30)
    assert "ops@sms" in [page.message.address for page in driver.sent("sms")], "nothing came back about these, either"
    assert _notices(driver) == 1
