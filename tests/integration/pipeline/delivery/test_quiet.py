"""A page to a quiet recipient waits visibly, with all clocks stopped, and leaves when the quiet hours end; CRITICAL rings."""

from dataclasses import replace
from datetime import timedelta

from notifyflow.core.delivery.model import DeferralReason, Ended, NotificationState, Recipient, Severity, Step, StepState
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT
from notifyflow.core.insight.next_events import NextEventKind, Wait
from notifyflow.pipeline import next_events
from tests.builders import BUSY, REFUSED, START, a_recipient, an_incident
from tests.driver import Driver

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
QUEUED, SENT = NotificationState.QUEUED, NotificationState.SENT
FAILED, CANCELLED = NotificationState.FAILED, NotificationState.CANCELLED
CRITICAL = Severity.CRITICAL
MORNING = START + 4 * HOUR


def quiet(who: str, *channels: str, hours: str = "22:00-07:00") -> Recipient:
    return replace(a_recipient(who, *channels), quiet=hours)


ADA = quiet("ada", "email", "sms", "voice")


def starts(driver: Driver) -> list[timedelta]:
    return [each.facts.started_at - START for each in driver.escalations()]


def test_a_page_waits_visibly_for_the_end_of_quiet_hours_and_is_not_late_then(driver: Driver) -> None:
    driver.notify(None, quiet("ada", "email"), a_recipient("ben", "email"))
    driver.deliver()
    waiting = driver.pages()["email"]
    assert (waiting.state, waiting.deferred_by, waiting.due_at) == (QUEUED, DeferralReason.QUIET, MORNING)
    assert (waiting.deferred_since, waiting.attempts) == (START, ())
    assert driver.pages("ben")["email"].state is SENT
    (line,) = (each for each in driver.status().transitions if each.event == "deferred")
    assert line.detail == {"why": "quiet", "provider": "", "until": "2026-11-25T07:00:00+00:00"}
    (coming,) = next_events.read(driver.deps, driver.status()).escalations[driver.escalation().id]
    assert (coming.what, coming.at, coming.wait) == (NextEventKind.ATTEMPT, MORNING, Wait.QUIET)
    driver.pass_time(hours=4)
    assert (driver.pages()["email"].state, driver.seen[-1].message.at) == (SENT, MORNING)
    assert driver.seen[-1].message.content.delayed == ""


def test_critical_rings_in_quiet_hours_and_its_clocks_run(driver: Driver) -> None:
    driver.notify(an_incident(severity=CRITICAL), ADA, policy=INSISTENT)
    driver.deliver()
    driver.pass_time(minutes=19)
    assert [each.channel for each in driver.seen] == ["email", "sms", "voice", "email"]
    assert starts(driver) == [0 * MINUTE, 15 * MINUTE]


def test_an_incident_that_becomes_critical_rings_at_once(driver: Driver) -> None:
    driver.notify(None, ADA, policy=INSISTENT)
    driver.pass_time(minutes=30)
    assert driver.seen == []
    driver.notify(an_incident(severity=CRITICAL), ADA)
    driver.deliver()
    driver.pass_time(minutes=11)
    assert [each.channel for each in driver.seen] == ["email", "sms", "voice"]


def test_no_round_and_no_tier_comes_because_of_quiet_hours(driver: Driver) -> None:
    driver.notify(None, ADA, policy=INSISTENT)
    driver.deliver()
    driver.pass_time(hours=3.9)
    assert (set(driver.pages()), starts(driver), driver.seen) == ({"email"}, [0 * MINUTE], [])
    driver.pass_time(hours=0.1, minutes=10)
    assert [(each.channel, each.message.at - MORNING) for each in driver.seen] == [
        ("email", 0 * MINUTE),
        ("sms", 5 * MINUTE),
        ("voice", 10 * MINUTE),
    ]
    driver.pass_time(minutes=60)
    assert starts(driver) == [0 * MINUTE, 4 * HOUR + 15 * MINUTE, 4 * HOUR + 30 * MINUTE]
    assert [each.critical_at for each in driver.outcome.critical] == [MORNING + 45 * MINUTE]


def test_clocks_stop_when_quiet_hours_begin_and_no_attempt_is_made_in_them(driver: Driver) -> None:
    driver.respond("email", BUSY, BUSY)
    driver.notify(None, quiet("ada", "email", "sms", "voice", hours="03:02-05:00"), policy=INSISTENT)
    driver.deliver()
    driver.pass_time(minutes=119)
    row = driver.pages()["email"]
    assert (row.deferred_by, len(row.attempts), row.due_at) == (DeferralReason.QUIET, 3, START + 120 * MINUTE)
    driver.pass_time(minutes=3)
    assert set(driver.pages()) == {"email"}
    driver.pass_time(minutes=1)
    assert set(driver.pages()) == {"email", "sms"}


def test_nothing_is_suspected_and_nothing_expires_in_quiet_hours(driver: Driver) -> None:
    driver.notify(None, quiet("ada", "email", "sms"), policy=replace(DEFAULT, fresh_for=HOUR))
    driver.pass_time(hours=3.99)
    assert {name: row.state for name, row in driver.pages().items()} == {"email": QUEUED}
    for hours, state, ended in ((4.5, QUEUED, None), (5.1, FAILED, Ended.EXPIRED)):  # sweepers are there, but no worker
        driver.note_sweep(START + hours * HOUR)
        driver.sweep()
        page = driver.pages()["email"]
        assert (page.state, page.ended) == (state, ended)


def test_a_failure_opens_the_next_tier_and_its_page_waits(driver: Driver) -> None:
    driver.respond("email", REFUSED)
    driver.notify(None, quiet("ada", "email", "sms", hours="03:00-04:00"))
    driver.pass_time(minutes=60)
    driver.deliver()
    assert driver.pages()["sms"].state is SENT
    driver.notify(an_incident("db-2"), quiet("ben", "email", "sms", hours="04:01-05:00"))
    driver.clock.pass_time(timedelta(seconds=30))
    (claimed,) = driver.claim("email")
    driver.clock.pass_time(timedelta(seconds=40))
    driver.record(claimed, REFUSED)
    driver.deliver()
    assert driver.pages("ben", "db-2")["sms"].deferred_by is DeferralReason.QUIET


def test_what_is_acknowledged_meanwhile_never_leaves(driver: Driver) -> None:
    driver.notify(None, ADA, a_recipient("ben", "email"))
    driver.deliver()
    driver.acknowledge("ben")
    assert driver.pages()["email"].state is CANCELLED
    driver.pass_time(hours=5)
    assert {each.message.address for each in driver.seen} == {"ben@email"}


def test_a_page_again_waits_too_and_a_status_update_comes_in_the_morning(driver: Driver) -> None:
    driver.notify(None, quiet("ada", "email", hours="03:01-05:00"), a_recipient("ben", "email"))
    driver.deliver()
    driver.pass_time(minutes=2)
    driver.page_again("ada")
    driver.deliver()
    assert driver.pages()["email"].deferred_by is DeferralReason.QUIET
    driver.acknowledge("ben")
    driver.deliver()
    (update,) = driver.status_updates("ada")
    assert (update.deferred_by, update.due_at) == (DeferralReason.QUIET, START + 2 * HOUR)
    driver.pass_time(hours=2)
    (update,) = driver.status_updates("ada")
    assert update.state is SENT


def test_the_next_step_of_a_chain_waits_while_everybody_before_is_quiet(driver: Driver) -> None:
    then = [Step(to=(a_recipient("ben", "email"),), after=10 * MINUTE)]
    driver.notify(None, ADA, then=then)
    driver.notify(an_incident("db-2"), ADA, a_recipient("cy", "email"), then=then)
    driver.notify(an_incident("db-3", severity=CRITICAL), ADA, then=then)
    driver.deliver()
    driver.pass_time(hours=4)
    assert (len(driver.status("db-2").escalations), len(driver.status("db-3").escalations)) == (3, 2)
    assert [each.facts.recipient_id for each in driver.status().escalations] == ["ada"]
    coming = next_events.read(driver.deps, driver.status()).step
    assert coming is not None
    assert coming.at == MORNING + 10 * MINUTE
    driver.pass_time(minutes=10)
    assert driver.escalation("ben").started_at == MORNING + 10 * MINUTE


def test_the_next_step_of_an_incident_that_becomes_critical_waits_for_nobody_who_is_quiet(driver: Driver) -> None:
    then = [Step(to=(a_recipient("ben", "email"),), after=10 * MINUTE)]
    for key, minutes in (("db-1", 5), ("db-2", 30)):
        driver.notify(an_incident(key), ADA, then=then)
        driver.pass_time(minutes=minutes)
        driver.notify(an_incident(key, severity=CRITICAL), ADA)
        driver.pass_time(minutes=max(10 - minutes, 0))
        steps = driver.status(key).steps
        assert [(each.number, each.state) for each in steps if each.started_at == driver.clock.now()] == [(2, StepState.STARTED)]


def test_the_next_step_of_a_chain_does_not_wait_for_people_who_are_spent(driver: Driver) -> None:
    driver.respond("email", REFUSED)
    driver.notify(None, quiet("ada", "email", hours="03:01-05:00"), then=[Step(to=(a_recipient("ben", "sms"),), after=HOUR)])
    driver.deliver()
    driver.pass_time(minutes=2)
    assert driver.escalation("ben").started_at < START + 2 * MINUTE


def test_a_repetition_brings_new_quiet_hours_for_open_incidents_too(driver: Driver) -> None:
    policy = replace(INSISTENT, repeat=None)
    driver.notify(None, replace(ADA, quiet=None), policy=policy)
    driver.deliver()
    driver.notify(None, ADA)
    driver.notify(an_incident("db-2"), ADA, policy=policy)
    driver.pass_time(hours=1)
    assert [each.channel for each in driver.seen] == ["email"]
    driver.notify(None, replace(ADA, quiet=""))
    driver.notify(an_incident("db-2"), replace(ADA, quiet="22:00-04:00"))
    driver.deliver()
    assert set(driver.pages()) == {"email", "sms", "voice"}
    assert (driver.pages(key="db-2")["email"].state, set(driver.pages(key="db-2"))) == (SENT, {"email"})
    driver.pass_time(minutes=5)
    assert set(driver.pages(key="db-2")) == {"email", "sms"}


def test_preferred_channels_page_one_after_another(driver: Driver) -> None:
    person = replace(a_recipient("ada", "email", "sms", "voice"), channels={"ERROR": ("voice", "email"), "CRITICAL": ("voice",)})
    driver.notify(None, person, policy=replace(INSISTENT, repeat=None))
    driver.deliver()
    driver.pass_time(minutes=30)
    assert [each.channel for each in driver.seen] == ["voice", "email"]
    driver.notify(an_incident(severity=CRITICAL), person)
    driver.deliver()
    assert {each.channel for each in driver.seen[2:]} == {"voice", "email"}
    driver.pass_time(minutes=10)
    assert {each.channel for each in driver.seen[2:]} == {"voice", "email", "sms"}


def test_recipients_without_quiet_hours_cost_no_statement_more(driver: Driver, counted: list[str]) -> None:
    for key in ("db-0", "db-1"):  # the provider's row is added for the first
        driver.notify(an_incident(key), a_recipient("ada", "email"))
        driver.deliver()
    driver.notify(an_incident("db-3"), a_recipient("cleo", "email"))
    counted.clear()
    (claimed,) = driver.claim("email")
    driver.record(claimed)
    plain = len(counted)
    driver.notify(an_incident("db-2"), quiet("ben", "email", hours="12:00-13:00"))
    counted.clear()
    (claimed,) = driver.claim("email")
    driver.record(claimed)
    assert len(counted) == plain
