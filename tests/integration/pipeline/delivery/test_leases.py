"""Claiming: who may send, who may record, and what becomes of a worker that vanishes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery.model import AttemptState, Ended, EscalationState, NotificationState, Result, Severity
from notifyflow.core.messages import links
from notifyflow.errors import Fenced
from notifyflow.pipeline.delivery.record import Recording, Release, record, release
from notifyflow.storage.store import Store
from tests.builders import ACCEPTED, BUSY, REFUSED, UNKNOWN, a_recipient, an_incident
from tests.driver import Driver


def test_the_attempt_stands_before_anybody_calls_a_provider(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email"))
    (claimed,) = driver.claim("email")
    email = driver.pages()["email"]
    assert email.state is NotificationState.SENDING
    assert [(attempt.id, attempt.state) for attempt in email.attempts] == [(claimed.message.attempt_id, AttemptState.RUNNING)]
    assert claimed.lease_until == driver.clock.at + timedelta(seconds=60)
    content = claimed.message.content
    assert (claimed.message.address, content.title, content.link) == ("ada@email", "orders db is down", None)


def test_a_claimed_row_is_claimed_by_nobody_else(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email"))
    assert len(driver.claim("email")) == 1
    assert driver.claim("email") == ()


def test_the_urgent_go_first_and_then_what_was_requested(driver: Driver) -> None:
    for key, severity in (("old", Severity.ERROR), ("requested", Severity.WARNING), ("urgent", Severity.CRITICAL)):
        driver.notify(an_incident(key, severity=severity), a_recipient("ada", "email"))
        driver.clock.pass_time(timedelta(seconds=1))
    requested_id = driver.pages(key="requested")["email"].id
    claimed = driver.claim("email", requested_id, limit=2) + driver.claim("email", requested_id, limit=2)
    assert [each.message.content.key for each in claimed] == ["urgent", "requested", "old"]


def test_only_the_holder_of_the_token_may_record(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email"))
    (claimed,) = driver.claim("email")
    driver.record(claimed)
    with pytest.raises(Fenced):
        driver.record(claimed, REFUSED)
    assert driver.pages()["email"].state is NotificationState.SENT


@pytest.mark.parametrize("gone", ["notification_id", "attempt_id"])
def test_what_an_older_copy_of_the_database_does_not_have_can_neither_be_recorded_nor_released(driver: Driver, gone: str) -> None:
    driver.notify(None, a_recipient("ada", "email"), a_recipient("ben", "email"))
    lost, kept = (each.lease for each in driver.claim("email", limit=2))
    lost = replace(lost, ref=replace(lost.ref, **{gone: "f" * 32}))
    done = record(driver.deps, [Recording(lease=each, outcome=ACCEPTED) for each in (lost, kept)])
    assert [type(each) for each in done.results] == [Fenced, type(None)]
    (error,) = release(driver.deps, [Release(lease=lost)]).results
    assert isinstance(error, Fenced)


def test_a_page_carries_its_recipients_link_where_there_is_a_callback_path(store: Store) -> None:
    driver = Driver(store, public_url="https://pages.example/")
    incident_id = driver.notify(None, a_recipient("ada", "email")).incident_id
    (claimed,) = driver.claim("email")
    assert claimed.message.content.link is not None
    address, _, token = claimed.message.content.link.rpartition("/")
    claim = links.check(driver.deps.secret_keys, token, ["ben", "ada"], driver.clock.at)
    assert (address, claim.subject_id, claim.recipient_id) == ("https://pages.example/a", incident_id, "ada")


def test_an_expired_lease_becomes_a_doubt_and_its_worker_is_fenced_off(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email"))
    (paused,) = driver.claim("email")
    driver.clock.pass_time(timedelta(seconds=61))
    assert [due.channel for due in driver.sweep().due] == ["email"]
    email = driver.pages()["email"]
    assert (email.state, email.due_at, email.attempts[0].result) == (NotificationState.QUEUED, driver.clock.at, Result.IN_DOUBT)
    with pytest.raises(Fenced):
        driver.record(paused)
    (again,) = driver.claim("email")
    assert again.lease.token != paused.lease.token
    driver.record(again)
    assert [attempt.is_doubted for attempt in driver.pages()["email"].attempts] == [True, False]


def test_a_lease_that_runs_is_left_alone(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email"))
    driver.claim("email")
    driver.clock.pass_time(timedelta(seconds=59))
    driver.sweep()
    assert driver.pages()["email"].state is NotificationState.SENDING


def test_a_released_attempt_counts_for_nothing_and_its_row_is_due_at_once(driver: Driver) -> None:
    driver.respond("email", BUSY)
    driver.notify(None, a_recipient("ada", "email"))
    for _ in range(7):
        (claimed,) = driver.claim("email")
        assert [due.notification_id for due in driver.release(claimed).due] == [claimed.message.notification_id]
    with pytest.raises(Fenced):
        driver.release(claimed)
    driver.deliver()
    driver.pass_time(minutes=20)
    attempts = driver.pages()["email"].attempts
    assert sum(attempt.state is AttemptState.NOT_SENT for attempt in attempts) == 7
    assert sum(attempt.state is AttemptState.RECORDED for attempt in attempts) == 5


def test_without_a_provider_what_is_due_fails_so_that_its_tier_moves_on(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email", "slack", "sms"))
    for channel in ("email", "slack"):
        assert driver.claim(channel, providers=()) == ()
    assert {row.channel: row.ended for row in driver.pages().values()} == {
        "email": Ended.NO_PROVIDER,
        "slack": Ended.NO_PROVIDER,
        "sms": None,
    }
    assert driver.outcome.failed[0].reason == "no provider is configured for email"
    assert driver.pages()["sms"].state is NotificationState.QUEUED


def test_a_page_that_is_too_old_expires_at_the_claim_and_opens_no_tier(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email", "sms"))
    driver.clock.pass_time(timedelta(hours=24))
    assert driver.claim("email") == ()
    assert driver.pages()["email"].ended is Ended.EXPIRED
    assert set(driver.pages()) == {"email"}
    assert driver.escalation().state is EscalationState.EXHAUSTED


def test_a_page_that_is_too_old_expires_by_the_sweeper_too(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email", "sms"))
    driver.clock.pass_time(timedelta(hours=24))
    driver.sweep()
    assert driver.pages()["email"].ended is Ended.EXPIRED
    assert driver.escalation().state is EscalationState.EXHAUSTED


def test_a_late_page_says_so(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email"))
    driver.clock.pass_time(timedelta(hours=2, minutes=3))
    (claimed,) = driver.claim("email")
    assert claimed.message.content.delayed == "delayed 2 h 03 m"


def test_a_doubt_is_tried_again(driver: Driver) -> None:
    driver.respond("email", UNKNOWN, ACCEPTED)
    driver.notify(None, a_recipient("ada", "email"))
    driver.deliver()
    driver.pass_time(minutes=1)
    email = driver.pages()["email"]
    assert email.state is NotificationState.SENT
    assert [attempt.result for attempt in email.attempts] == [Result.IN_DOUBT, Result.ACCEPTED]
