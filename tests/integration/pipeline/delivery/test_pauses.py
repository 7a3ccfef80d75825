"""What a pause stopped leaves when it ends, marked as delayed, and no clock that it covers has run meanwhile."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery.model import DeferralReason, Ended, EscalationState, NotificationState, Result, Severity
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.core.limits.provider_health import Obstacle
from notifyflow.core.limits.slots import Wanted
from notifyflow.pipeline.delivery import operations, provider_health
from notifyflow.pipeline.delivery.outages import pause, pauses, resume
from notifyflow.pipeline.upkeep.adopt import adopt, release_from_quarantine
from notifyflow.storage.store import Store
from tests.builders import BUSY, START, a_contact, a_recipient, an_incident
from tests.damage import Damage, damaged, release_all
from tests.driver import Driver

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
QUEUED, SENT, FAILED = NotificationState.QUEUED, NotificationState.SENT, NotificationState.FAILED
CRITICAL = Severity.CRITICAL
ADA = a_recipient("ada", "email", "sms", "voice")
MAIL = a_recipient("ada", "email")


def stop(
    driver: Driver, span: timedelta, scope: PauseScope = PauseScope.ALL, name: str = "", *, is_for_critical: bool = False
) -> None:
    now = driver.clock.now()
    wanted = Pause(scope=scope, name=name, ends_at=now + span, paused_at=now, paused_by="eve", is_for_critical=is_for_critical)
    pause(driver.deps, wanted)


def starts(driver: Driver, who: str = "ada", key: str = "db-1") -> list[timedelta]:
    return [each.facts.started_at - START for each in driver.escalations(who, key)]


@pytest.fixture
def watched(driver: Driver) -> Driver:
    """A driver in which somebody has swept."""
    driver.sweep()
    return driver


def test_a_pause_of_everything_burns_no_round(driver: Driver) -> None:
    driver.notify(None, MAIL, policy=INSISTENT)
    driver.deliver()
    driver.pass_time(minutes=1)
    stop(driver, 40 * MINUTE)
    driver.pass_time(minutes=120)
    assert starts(driver) == [0 * MINUTE, 55 * MINUTE, 70 * MINUTE]
    assert [each.critical_at for each in driver.outcome.critical] == [START + 85 * MINUTE]
    assert [each.message.content.delayed for each in driver.sent("email")] == ["", "", ""]


def test_a_pause_of_everything_is_no_time_in_which_nobody_acknowledged(driver: Driver) -> None:
    driver.notify(None, ADA, policy=INSISTENT)
    driver.deliver()
    driver.pass_time(minutes=4)
    stop(driver, 40 * MINUTE)
    driver.pass_time(minutes=40)
    assert set(driver.pages()) == {"email"}
    driver.pass_time(minutes=1)
    assert set(driver.pages()) == {"email", "sms"}


def test_critical_pages_and_their_clocks_go_on_unless_they_are_paused_too(driver: Driver) -> None:
    driver.notify(an_incident(severity=CRITICAL), MAIL, policy=INSISTENT)
    driver.notify(an_incident("db-2", severity=CRITICAL), a_recipient("ada", "slack"), policy=INSISTENT)
    driver.deliver()
    driver.pass_time(minutes=1)
    stop(driver, 40 * MINUTE)
    driver.pass_time(minutes=30)
    assert starts(driver) == [0 * MINUTE, 15 * MINUTE, 30 * MINUTE]
    stop(driver, 40 * MINUTE, is_for_critical=True)
    driver.pass_time(minutes=40)
    assert driver.outcome.critical == ()


def test_what_was_paused_for_as_long_as_it_is_fresh_leaves_all_the_same_and_says_that_it_is_late(driver: Driver) -> None:
    driver.notify(None, MAIL)
    stop(driver, 24 * HOUR)
    driver.deliver()
    driver.pass_time(hours=23)
    stop(driver, 24 * HOUR)
    driver.pass_time(hours=23)
    assert (driver.pages()["email"].state, driver.seen) == (QUEUED, [])
    driver.pass_time(hours=2)
    assert driver.pages()["email"].state is SENT
    assert [each.message.content.delayed for each in driver.seen] == ["delayed 47 h 00 m"]


def test_a_page_grows_old_before_and_after_a_pause(driver: Driver) -> None:
    driver.notify(None, MAIL, policy=replace(DEFAULT, fresh_for=2 * HOUR))
    driver.clock.pass_time(HOUR)
    stop(driver, 5 * HOUR)
    driver.clock.pass_time(6 * HOUR - MINUTE)
    driver.sweep()
    assert driver.pages()["email"].state is QUEUED
    driver.clock.pass_time(MINUTE)
    driver.sweep()
    assert driver.pages()["email"].ended is Ended.EXPIRED


def test_a_pause_that_is_ended_early_counts_as_long_as_it_was(driver: Driver) -> None:
    driver.notify(None, ADA, policy=INSISTENT)
    driver.notify(an_incident("db-2"), MAIL)
    driver.deliver()
    driver.pass_time(minutes=1)
    driver.notify(an_incident("db-3"), MAIL)
    stop(driver, 10 * HOUR)
    driver.deliver()
    driver.pass_time(minutes=60)
    assert len(driver.seen) == 2
    assert resume(driver.deps, PauseScope.ALL, "")
    assert not resume(driver.deps, PauseScope.ALL, "")
    driver.pass_time(seconds=0)
    (late,) = driver.seen[2:]
    assert (late.message.incident_id, late.message.content.delayed) == (driver.status("db-3").facts.id, "delayed 1 h 00 m")
    driver.pass_time(minutes=4)
    assert set(driver.pages()) == {"email", "sms"}
    driver.pass_time(minutes=10)
    assert starts(driver) == [0 * MINUTE, 75 * MINUTE]


def test_a_pause_that_another_one_replaces_counts_as_long_as_it_was(driver: Driver) -> None:
    driver.notify(None, MAIL, policy=INSISTENT)
    stop(driver, 20 * HOUR)
    driver.deliver()
    driver.pass_time(minutes=10)
    stop(driver, 10 * MINUTE)
    driver.pass_time(minutes=9)
    assert driver.seen == []
    driver.pass_time(minutes=1)
    assert len(driver.seen) == 1
    driver.pass_time(minutes=15)
    assert starts(driver) == [0 * MINUTE, 35 * MINUTE]


def test_what_an_outage_and_a_pause_cover_together_is_counted_once(watched: Driver) -> None:
    watched.notify(None, ADA, policy=INSISTENT)
    watched.deliver()
    watched.pass_time(minutes=1)
    stop(watched, 60 * MINUTE)
    watched.pass_time(minutes=30)
    watched.be_away(minutes=60)
    watched.pass_time(minutes=3)
    assert set(watched.pages()) == {"email"}
    watched.pass_time(minutes=1)
    assert set(watched.pages()) == {"email", "sms"}
    watched.pass_time(minutes=10)
    assert starts(watched) == [0 * MINUTE, 105 * MINUTE]


def test_a_pause_of_everything_is_no_time_of_the_retry_window(driver: Driver) -> None:
    driver.respond("email", BUSY, replace(BUSY, retry_after_s=300.0))
    driver.notify(None, MAIL)
    driver.deliver()
    stop(driver, 20 * MINUTE)
    driver.pass_time(minutes=21)
    row = driver.pages()["email"]
    assert (row.state, row.deferred_by, len(row.attempts)) == (QUEUED, DeferralReason.RETRY_AFTER, 2)


def test_a_pause_is_no_time_of_the_retry_window_when_a_receipt_queues_a_page_again_either(driver: Driver) -> None:
    driver.respond("email", BUSY, replace(BUSY, retry_after_s=300.0))
    driver.notify(None, MAIL)
    driver.deliver()
    driver.pass_time(minutes=1)
    first, second = (attempt.id for attempt in driver.pages()["email"].attempts)
    driver.report(first, Result.DELIVERED)
    assert driver.pages()["email"].state is NotificationState.DELIVERED
    stop(driver, 20 * MINUTE)
    driver.pass_time(minutes=21)
    driver.report(first, Result.PERMANENT_FAILURE)
    row = driver.pages()["email"]
    assert (row.state, row.deferred_by, row.attempts[-1].id) == (QUEUED, DeferralReason.RETRY_AFTER, second)


def test_an_outage_is_no_time_of_the_retry_window(watched: Driver) -> None:
    watched.respond("email", BUSY, replace(BUSY, retry_after_s=300.0))
    watched.notify(None, MAIL)
    watched.deliver()
    watched.be_away(minutes=20)
    watched.deliver()
    row = watched.pages()["email"]
    assert (row.state, row.deferred_by, len(row.attempts)) == (QUEUED, DeferralReason.RETRY_AFTER, 2)


def test_a_pause_is_over_when_its_time_is(driver: Driver) -> None:
    stop(driver, HOUR)
    driver.clock.pass_time(HOUR)
    assert pauses(driver.deps) == ()
    assert not resume(driver.deps, PauseScope.ALL, "")


def test_a_worker_that_saw_a_pause_which_was_ended_meanwhile_defers_nothing(driver: Driver) -> None:
    driver.notify(None, MAIL)
    stop(driver, 10 * HOUR)
    seen = Obstacle(why=DeferralReason.PAUSE, until=driver.clock.now() + 10 * HOUR, provider="ses")
    resume(driver.deps, PauseScope.ALL, "")
    provider_health.defer(driver.deps, "email", {Wanted(namespace="", is_urgent=False): seen}, at=driver.clock.now())
    provider_health.defer_one(driver.deps, driver.pages()["email"], seen, at=driver.clock.now())
    assert (driver.pages()["email"].deferred_by, driver.pages()["email"].due_at) == (None, START)


@pytest.mark.parametrize("damage", [Damage.REFUSED, Damage.VERSION, Damage.WORD])
@pytest.mark.parametrize("machine", ["notification", "escalation"])
@pytest.mark.parametrize("is_replaced", [True, False])
def test_a_damaged_row_keeps_no_pause_from_ending(driver: Driver, machine: str, damage: Damage, is_replaced: bool) -> None:
    for key, who in (("db-1", "ada"), ("db-2", "ben")):
        driver.notify(an_incident(key), a_recipient(who, "email"), policy=INSISTENT)
    stop(driver, HOUR)
    driver.deliver()
    (escalation,) = driver.status("db-1").escalations
    row_id = escalation.facts.id if machine == "escalation" else escalation.notifications[0].id
    with damaged(driver.deps, machine, row_id, damage):
        if is_replaced:
            stop(driver, MINUTE)
        else:
            assert resume(driver.deps, PauseScope.ALL, "")
        assert driver.pages("ben", key="db-2")["email"].due_at == START
    release_all(driver.deps)


def test_old_pauses_are_let_go_of(driver: Driver) -> None:
    def kept() -> int:
        return len(driver.store.run(lambda ledger: ledger.intervals.of("i", since=START - HOUR, now=driver.clock.now())))

    for _ in range(2):
        stop(driver, HOUR)
        driver.clock.pass_time(2 * HOUR)
        resume(driver.deps, PauseScope.ALL, "")
    assert kept() == 2
    driver.clock.pass_time(timedelta(days=31))
    stop(driver, HOUR)
    resume(driver.deps, PauseScope.ALL, "")
    assert kept() == 1


@pytest.mark.parametrize(("severity", "suspected_after"), [(CRITICAL, timedelta(seconds=30)), (Severity.ERROR, 10 * MINUTE)])
def test_what_a_pause_of_its_channel_keeps_waiting_is_suspected_as_behind_a_limit(
    driver: Driver, severity: Severity, suspected_after: timedelta
) -> None:
    stop(driver, HOUR, PauseScope.CHANNEL, "email", is_for_critical=True)
    driver.notify(an_incident(severity=severity), ADA)
    driver.deliver()
    driver.pass_time(seconds=suspected_after.total_seconds() - 1)
    assert set(driver.pages()) == {"email"}
    driver.pass_time(seconds=1)
    assert set(driver.pages()) == {"email", "sms"}
    driver.pass_time(hours=1)
    assert driver.pages()["email"].state is SENT


def test_a_pause_of_a_channel_stops_no_timer(driver: Driver) -> None:
    driver.notify(None, ADA, policy=INSISTENT)
    driver.deliver()
    stop(driver, 10 * HOUR, PauseScope.CHANNEL, "email")
    driver.pass_time(minutes=5)
    assert set(driver.pages()) == {"email", "sms"}
    driver.pass_time(minutes=10)
    assert starts(driver) == [0 * MINUTE, 15 * MINUTE]


@pytest.mark.parametrize(
    ("scope", "name"), [(PauseScope.CHANNEL, "email"), (PauseScope.PROVIDER, "the email provider")], ids=["channel", "provider"]
)
def test_only_what_a_pause_of_a_channel_or_provider_keeps_waiting_stays_fresh(
    driver: Driver, scope: PauseScope, name: str
) -> None:
    driver.notify(None, a_recipient("ada", "email", "slack"), policy=replace(DEFAULT, fresh_for=2 * HOUR))
    stop(driver, 5 * HOUR, scope, name)
    (claimed,) = driver.claim("slack")
    driver.claim("email")
    driver.record(claimed, BUSY)
    driver.clock.pass_time(3 * HOUR)
    driver.sweep()
    assert driver.pages()["slack"].ended is Ended.EXPIRED
    assert driver.pages()["email"].state is QUEUED
    driver.clock.pass_time(2 * HOUR)
    driver.deliver()
    assert [each.message.content.delayed for each in driver.sent("email")] == ["delayed 5 h 00 m"]


def test_while_an_incident_is_quarantined_no_clock_of_it_runs(watched: Driver) -> None:
    watched.notify(None, ADA, policy=INSISTENT)
    watched.notify(an_incident("db-2"), MAIL)
    watched.notify(an_incident("db-3", severity=CRITICAL), a_recipient("ada", "sms", "voice"))
    watched.claim("slack")
    paused = _id(watched, "db-2")
    for each in (*watched.claim("sms"), *[each for each in watched.claim("email") if each.message.incident_id != paused]):
        watched.record(each)
    unsent = watched.pages(key="db-2")["email"]
    watched.pass_time(seconds=30)
    adopt(watched.deps, "production", is_forced=True)
    watched.pass_time(hours=30)
    assert release_from_quarantine(watched.deps) == 3
    watched.pass_time(seconds=29)
    assert "voice" not in watched.pages(key="db-3"), "its receipt could not come while it was quarantined"
    watched.pass_time(seconds=31)
    assert "voice" in watched.pages(key="db-3")
    assert (watched.pages(key="db-2")["email"].id, watched.pages(key="db-2")["email"].ended) == (unsent.id, None)
    watched.pass_time(minutes=14)
    assert starts(watched) == [0 * MINUTE, 30 * HOUR + 15 * MINUTE]


def _id(driver: Driver, key: str) -> str:
    return driver.status(key).facts.id


@pytest.fixture
def operated(store: Store) -> Driver:
    """A driver with somebody in operations."""
    return Driver(store, operations=[a_contact("ops", "slack")])


def test_operations_is_paged_once_for_everybody_whose_pages_expired(operated: Driver) -> None:
    operated.notify(None, a_recipient("ada", "email", "sms"), a_recipient("ben", "email", "push"))
    operated.be_away(hours=25)
    operated.deliver()
    for who in ("ada", "ben"):
        assert operated.escalation(who).state is EscalationState.EXHAUSTED
        assert {row.ended for row in operated.pages(who).values()} == {Ended.EXPIRED}
    assert len(operated.escalations("ops", operations.KEY)) == 1
    operated.pass_time(minutes=16)
    assert (operated.status(operations.KEY).content.body or "").count("was not reached") == 2
    assert len(operated.sent("slack")) in (1, 2)


def test_a_claim_that_finds_them_expired_pages_operations_too(operated: Driver) -> None:
    operated.notify(None, a_recipient("ada", "email", "slack"))
    operated.clock.pass_time(25 * HOUR)
    operated.claim("slack")
    operated.claim("email")
    assert operated.escalation().state is EscalationState.EXHAUSTED
    operated.deliver()
    assert len(operated.sent("slack")) == 1
    assert operated.sent("slack")[0].message.incident_id == _id(operated, operations.KEY)


def test_one_that_expires_beside_a_page_that_arrived_is_only_logged(operated: Driver) -> None:
    operated.respond("email", replace(BUSY))
    operated.notify(None, a_recipient("ada", "email", "slack"), policy=replace(DEFAULT, fresh_for=20 * MINUTE))
    (mail,), (chat,) = operated.claim("email"), operated.claim("slack")
    operated.record(chat)
    operated.record(mail, BUSY)
    operated.clock.pass_time(25 * HOUR)
    operated.sweep()
    assert operated.pages()["email"].ended is Ended.EXPIRED
    assert [row.channel for row in operated.outcome.failed] == ["email"]
    assert (operated.escalation().state, operated.escalation().critical_at) == (EscalationState.REACHED, None)
    assert operated.store.read(lambda reads: reads.status(operations.KEY)) is None


def test_an_expired_info_page_alerts_nobody(operated: Driver) -> None:
    operated.notify(an_incident(severity=Severity.INFO), MAIL)
    operated.be_away(hours=25)
    assert operated.pages()["email"].state is FAILED
    assert operated.store.read(lambda reads: reads.status(operations.KEY)) is None
