"""In a storm, what goes to one place leaves together at its beat; each of its pages stands for itself."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery.facts import Outcome
from notifyflow.core.delivery.model import DeferralReason, NotificationState, Result, Severity
from notifyflow.core.delivery.policy import DEFAULT, Failed, Tier
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.pipeline.delivery.outages import pause
from tests.builders import ACCEPTED, BUSY, START, a_recipient, an_incident
from tests.damage import Damage, damaged, release_all
from tests.driver import Driver

GONE = Outcome(result=Result.PERMANENT_FAILURE, code="550")
CRITICAL, ERROR, WARNING = Severity.CRITICAL, Severity.ERROR, Severity.WARNING
QUEUED, SENT, CANCELLED = NotificationState.QUEUED, NotificationState.SENT, NotificationState.CANCELLED


def numbered(first: int, last: int) -> list[str]:
    return [f"db-{number}" for number in range(first, last + 1)]


def at(driver: Driver) -> float:
    return round((driver.clock.at - START).total_seconds(), 1)


def sent(driver: Driver, channel: str = "sms") -> list[tuple[float, int]]:
    """Return when each message left, in seconds since the start, and how many pages it carried."""
    return [(round((each.message.at - START).total_seconds(), 1), len(each.attempts)) for each in driver.sent(channel)]


def deliver_each(driver: Driver, *keys: str, severity: Severity = ERROR, who: str = "ada", channel: str = "sms") -> None:
    for key in keys:
        driver.notify(an_incident(key, severity=severity), a_recipient(who, channel))
        driver.deliver()
        driver.note_sweep(driver.clock.at + timedelta(seconds=0.1))


def test_two_incidents_leave_at_once_and_the_others_of_the_minute_in_one_text(driver: Driver) -> None:
    deliver_each(driver, *numbered(1, 40))
    assert sent(driver) == [(0.0, 1), (0.1, 1)]
    row = driver.pages(key="db-40")["sms"]
    assert (row.state, row.deferred_by, row.deferred_since, row.attempts) == (QUEUED, None, None, ())
    assert row.waits_until == START + timedelta(seconds=60.1)
    driver.pass_time(minutes=10)
    assert sent(driver) == [(0.0, 1), (0.1, 1), (58.1, 38)]
    assert {driver.pages(key=key)["sms"].state for key in numbered(1, 40)} == {SENT}
    (line,) = (each for each in driver.status("db-40").transitions if each.event == "postponed")
    assert line.detail == {"until": row.waits_until.isoformat(timespec="seconds")}


def test_pages_whose_mails_fail_one_after_the_other_leave_in_one_text(driver: Driver) -> None:
    """Each of them has waited for its mail, and may hardly wait longer."""
    ladder = (Tier(name="mail", channels=("email",)), Tier(name="text", channels=("sms",), rules=(Failed(at_least=1),)))
    for key in numbered(1, 30):
        driver.notify(
            an_incident(key, severity=CRITICAL), a_recipient("ada", "email", "sms"), policy=replace(DEFAULT, tiers=ladder)
        )
        for call in driver.claim("email"):
            driver.record(call.attempts[0], GONE)
        driver.deliver()
    driver.note_sweep(START + timedelta(seconds=28))
    driver.sweep()
    (mail,) = driver.claim("email")
    for attempt in mail.attempts:
        driver.record(attempt, GONE)
        driver.sweep()
        driver.deliver()
        driver.note_sweep(driver.clock.at + timedelta(seconds=0.01))
    driver.pass_time(minutes=1)
    assert sent(driver)[-1][1] == len(mail.attempts) == 28


@pytest.mark.parametrize(("channel", "beat"), [("sms", 60), ("email", 60), ("slack", 10), ("teams", 10), ("push", 10)])
def test_each_channel_has_its_beat(driver: Driver, channel: str, beat: int) -> None:
    deliver_each(driver, *numbered(1, 4), channel=channel)
    driver.pass_time(seconds=beat + 1)
    assert sent(driver, channel) == [(0.0, 1), (0.1, 1), (beat - 1.9, 2)]


def test_a_storm_ends_after_five_minutes_without_a_new_incident(driver: Driver) -> None:
    deliver_each(driver, *numbered(1, 3))
    driver.pass_time(seconds=298)
    deliver_each(driver, "db-4", "db-5")
    driver.pass_time(seconds=5)
    assert sent(driver)[2:] == [(58.1, 1), (300.3, 2)]  # the last message left long ago
    deliver_each(driver, "db-6")
    driver.pass_time(minutes=6)
    assert sent(driver)[4:] == [(358.3, 1)]
    before = at(driver)
    deliver_each(driver, "db-7", "db-8")
    assert sent(driver)[5:] == [(before, 1), (round(before + 0.1, 1), 1)]


def test_the_first_critical_page_of_a_namespace_leaves_at_once_and_the_others_within_half_a_minute(driver: Driver) -> None:
    deliver_each(driver, *numbered(1, 5))
    now = at(driver)
    deliver_each(driver, "db-6", severity=CRITICAL)
    assert sent(driver)[-1] == (now, 1)
    deliver_each(driver, "db-7", "db-8", severity=CRITICAL)
    driver.pass_time(minutes=2)
    assert sent(driver)[3:] == [(28.1, 5)]
    *_, last = driver.sent("sms")
    assert [each.severity for each in last.attempts] == [CRITICAL, CRITICAL, ERROR, ERROR, ERROR]


def test_critical_pages_that_come_at_one_instant_leave_together_at_once(driver: Driver) -> None:
    for key in numbered(1, 40):
        driver.notify(an_incident(key, severity=CRITICAL), a_recipient("ada", "sms"))
    driver.deliver()
    assert sent(driver) == [(0.0, 40)]
    for key in numbered(41, 60):
        driver.notify(an_incident(key, severity=CRITICAL), a_recipient("ada", "sms"))
    driver.deliver()
    driver.pass_time(minutes=1)
    assert sent(driver) == [(0.0, 40), (28.0, 20)]


def test_severities_are_counted_apart(driver: Driver) -> None:
    deliver_each(driver, *numbered(1, 2))
    deliver_each(driver, *numbered(3, 4), severity=WARNING)
    assert len(sent(driver)) == 4
    deliver_each(driver, "db-5", severity=WARNING)
    assert len(sent(driver)) == 4
    deliver_each(driver, "db-6")
    assert len(sent(driver)) == 4
    driver.pass_time(minutes=2)
    assert [number for _, number in sent(driver)] == [1, 1, 1, 1, 2]


def test_an_incident_whose_severity_rises_is_one_incident(driver: Driver) -> None:
    deliver_each(driver, "db-1", severity=WARNING)
    deliver_each(driver, "db-2", "db-1", severity=ERROR)
    deliver_each(driver, "db-2", severity=CRITICAL)
    assert len(sent(driver)) == 4


def test_what_is_over_is_not_in_the_message(driver: Driver) -> None:
    deliver_each(driver, *numbered(1, 6))
    driver.acknowledge(key="db-3")  # it leads the others
    driver.resolve(key="db-4")
    driver.pass_time(minutes=2)
    assert [number for _, number in sent(driver)] == [1, 1, 2]
    assert driver.pages(key="db-3")["sms"].state is CANCELLED
    assert all(driver.pages(key=key)["sms"].state is SENT for key in ("db-5", "db-6"))
    assert sent(driver)[-1][0] <= 60.1


def test_namespaces_and_people_at_one_address_get_messages_of_their_own_at_the_same_beat(driver: Driver) -> None:
    deliver_each(driver, *numbered(1, 4))
    for number, (namespace, who) in enumerate([("shop", "ada"), ("shop", "ben"), ("", "ben"), ("shop", "ada")], start=10):
        recipient = a_recipient(who, sms="ada@sms")
        driver.notify(an_incident(f"db-{number}", severity=ERROR), recipient, namespace=namespace)
        driver.deliver()
    driver.pass_time(minutes=2)
    assert sent(driver)[2:] == [(58.1, 2), (58.1, 2), (58.1, 1), (58.1, 1)]


def test_retries_leave_at_their_own_time_with_those_of_their_message(driver: Driver) -> None:
    deliver_each(driver, *numbered(1, 6))
    driver.respond("sms", BUSY, ACCEPTED)
    driver.pass_time(seconds=70)
    assert [number for _, number in sent(driver)] == [1, 1, 4]
    driver.pass_time(minutes=5)
    assert [number for _, number in sent(driver)] == [1, 1, 4, 4]
    assert {driver.pages(key=key)["sms"].state for key in numbered(1, 6)} == {SENT}
    assert [each.position for key in numbered(3, 6) for each in driver.pages(key=key)["sms"].attempts] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_what_a_pause_deferred_does_not_wait_for_another_beat(driver: Driver) -> None:
    deliver_each(driver, *numbered(1, 6))
    now, ends_at = driver.clock.now(), START + timedelta(seconds=90)
    pause(driver.deps, Pause(scope=PauseScope.CHANNEL, name="sms", ends_at=ends_at, paused_at=now, paused_by="eve"))
    deliver_each(driver, "db-7", severity=CRITICAL)
    driver.pass_time(seconds=80)
    row = driver.pages(key="db-3")["sms"]
    assert (row.deferred_by, row.waits_until) == (DeferralReason.PAUSE, None)
    driver.pass_time(seconds=120)
    assert sent(driver)[2:] == [(0.6, 1), (90.0, 4)]


def test_without_bundling_each_leaves_by_itself_and_what_waits_is_released(driver: Driver) -> None:
    deliver_each(driver, *numbered(1, 6))
    driver.deps = replace(driver.deps, is_bundling=False)
    driver.sweep()
    deliver_each(driver, "db-7")
    assert [number for _, number in sent(driver)] == [1] * 7


def test_a_policy_may_forbid_it(driver: Driver) -> None:
    deliver_each(driver, *numbered(1, 4))
    policy = replace(DEFAULT, bundling=False)
    for key in ("db-5", "db-6"):
        driver.notify(an_incident(key, severity=ERROR), a_recipient("ada", "sms"), policy=policy)
    driver.deliver()
    assert [number for _, number in sent(driver)] == [1, 1, 1, 1]
    driver.pass_time(minutes=2)
    assert [number for _, number in sent(driver)] == [1, 1, 1, 1, 2]


def test_a_quiet_lane_costs_one_statement_and_no_write(driver: Driver, counted: list[str]) -> None:
    for who in ("ada", "ben"):
        driver.notify(an_incident(), a_recipient(who, "sms"))
    counted.clear()
    assert len(driver.claim("sms")) == 2
    assert [sql.lstrip("(").split()[0] for sql in counted if "notifyflow_lane" in sql] == ["SELECT"]


def test_workers_that_claim_at_once_send_one_message(driver: Driver) -> None:
    deliver_each(driver, *numbered(1, 30))
    driver.note_sweep(START + timedelta(seconds=59))
    driver.sweep()
    calls = [driver.claim("sms", limit=1) for _ in range(3)]
    assert [[len(call.attempts) for call in some] for some in calls] == [[28], [], []]


def test_more_than_a_message_carries_leave_in_several(driver: Driver) -> None:
    driver.deps = replace(driver.deps, set_size=10)  # as with SQLite: a message carries no fewer
    for key in numbered(1, 503):
        driver.notify(an_incident(key, severity=CRITICAL), a_recipient("ada", "sms"))
    driver.deliver()
    driver.pass_time(minutes=1)
    assert sent(driver) == [(0.0, 500), (28.0, 3)]


def test_status_updates_leave_together_in_a_message_of_their_own(driver: Driver) -> None:
    for key in numbered(1, 6):
        severity = CRITICAL if key == "db-6" else ERROR
        people = a_recipient("ada", "email", "slack"), a_recipient("ben", "email", "slack")
        driver.notify(an_incident(key, severity=severity), *people)
        driver.deliver()
    driver.pass_time(minutes=2)
    pages = len(driver.seen)
    for key in numbered(1, 6):
        driver.acknowledge("ada", key=key)
        driver.deliver()
    driver.pass_time(minutes=2)
    told = [(each.channel, len(each.attempts)) for each in driver.seen[pages:]]
    assert sorted(told) == [("email", 6), *[("slack", 1)] * 6]
    (mail,) = (each for each in driver.seen[pages:] if each.channel == "email")
    assert mail.attempts[0].lease.ref.incident_id == driver.status("db-6").facts.id
    assert {row.state for key in numbered(1, 6) for row in driver.status_updates("ben", key)} == {SENT}


def test_a_message_of_many_costs_few_statements_more(driver: Driver, counted: list[str]) -> None:
    texting = {"replying": frozenset({("sms", "the sms provider")}), "senders": {"sms": {"the sms provider": "+15550001"}}}
    driver.deps = replace(driver.deps, **texting)
    needed = []
    for number, count in enumerate((4, 40)):
        person = a_recipient(f"p{number}", "sms")
        for key in range(count):
            driver.notify(an_incident(f"{number}-{key}", severity=CRITICAL), person)
            driver.deliver()
            driver.note_sweep(driver.clock.at + timedelta(seconds=0.1))
        driver.note_sweep(driver.clock.at + timedelta(seconds=30))
        counted.clear()
        (call,) = driver.claim("sms")
        needed.append(len(counted))
        assert len(call.attempts) == count - 2
    assert needed[1] <= needed[0]


def test_lanes_are_deleted_when_their_storm_is_long_over(driver: Driver) -> None:
    deliver_each(driver, *numbered(1, 4))
    driver.pass_time(minutes=2)
    for span in (timedelta(0), timedelta(hours=1)):
        driver.store.run(lambda ledger, before=START + span: ledger.pruning.strays(before=before, limit=10))  # type: ignore[misc]
        left = driver.store.run(
            lambda ledger: ledger.lanes.read([(driver.pages(key="db-4")["sms"].lane, Severity.ERROR)], now=driver.clock.at)
        )
        assert len(left.lanes) == (span == timedelta(0))


@pytest.mark.parametrize("damage", Damage)
@pytest.mark.parametrize("machine", ["notification", "escalation", "incident"])
def test_a_damaged_page_makes_no_other_miss_its_beat(driver: Driver, machine: str, damage: Damage) -> None:
    """Neither in its lane nor in that of others, whose pages the same claim lets wait."""
    deliver_each(driver, "over", *numbered(1, 3))
    driver.resolve(key="over")
    for who in ("ben", "cy"):
        deliver_each(driver, *(f"{who}-{number}" for number in range(3)), who=who)
    for number in range(4, 10):
        driver.notify(an_incident(f"db-{number}", severity=ERROR), *(a_recipient(who, "sms") for who in ("ada", "ben", "cy")))
    row_id = {
        "notification": driver.pages(key="db-6")["sms"].id,
        "escalation": driver.escalation("ada", "db-6").id,
        "incident": driver.status("db-6").facts.id,
    }[machine]
    others = {
        driver.pages(who, key)["sms"].id
        for who in ("ada", "ben", "cy")
        for key in numbered(4, 9)
        if (who, key) != ("ada", "db-6")
    }
    if machine == "incident":
        others -= {driver.pages(who, "db-6")["sms"].id for who in ("ben", "cy")}
    calls = []
    with damaged(driver.deps, machine, row_id, damage):
        for seconds in (0, 61, 1, 1):
            driver.note_sweep(driver.clock.at + timedelta(seconds=seconds))
            driver.sweep()
            calls += driver.claim("sms")
    left = [each for call in calls for each in call.attempts]
    assert others <= {each.message.notification_id for each in left}
    release_all(driver.deps)
    for each in left:
        driver.record(each)
