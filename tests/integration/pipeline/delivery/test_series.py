"""Flapping: an alert that comes and goes is told like one that stays."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifyflow.core.delivery.earlier_pages import PAGE_AGAIN_AFTER
from notifyflow.core.delivery.model import Recipient, Result, Severity, Step, Via
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT, Acknowledgement, Policy
from notifyflow.core.references import ById, ByKey
from notifyflow.pipeline.delivery.acknowledge import acknowledge, resolve
from notifyflow.pipeline.delivery.operations import KEY as OPERATIONS_KEY
from notifyflow.storage.store import Store
from tests.builders import BUSY, REFUSED, START, a_contact, a_recipient, an_incident
from tests.driver import Driver

ADA = a_recipient("ada", "email", "slack", "sms", "voice")
BEN = a_recipient("ben", "email", "sms")


def fire(
    driver: Driver,
    *recipients: Recipient,
    policy: Policy = INSISTENT,
    severity: Severity = Severity.CRITICAL,
    then: tuple[Step, ...] = (),
) -> str:
    """Let an alert fire; return the id of its incident."""
    notified = driver.notify(an_incident(severity=severity), *recipients, policy=policy, then=then)
    driver.deliver()
    return notified.incident_id


def flap(
    driver: Driver,
    *recipients: Recipient,
    on: float,
    off: float,
    times: int,
    policy: Policy = INSISTENT,
    severity: Severity = Severity.CRITICAL,
    then: tuple[Step, ...] = (),
) -> None:
    """Let an alert fire for ``on`` seconds and be resolved for ``off``, again and again; the sender is a machine."""
    for _ in range(times):
        fire(driver, *recipients, policy=policy, severity=severity, then=then)
        driver.pass_time(seconds=on)
        driver.resolve()
        driver.pass_time(seconds=off)


def test_tiers_open_by_the_time_for_which_the_alert_fired(driver: Driver) -> None:
    flap(driver, ADA, on=240, off=30, times=3)
    assert [len(driver.sent(channel)) for channel in ("email", "sms", "voice")] == [3, 1, 1]


def test_a_flapping_alert_calls_about_as_often_as_one_that_stays(driver: Driver) -> None:
    flap(driver, ADA, on=50, off=5, times=130)
    assert len(driver.sent("email")) >= 130
    assert 2 <= len(driver.sent("voice")) <= 5
    assert len(driver.sent("sms")) <= 8


def test_after_the_last_round_an_opening_pages_the_first_tier_only(driver: Driver) -> None:
    flap(driver, ADA, on=300, off=60, times=10)
    before = len(driver.sent("voice")), len(driver.sent("sms"))
    flap(driver, ADA, on=300, off=60, times=4)
    assert (len(driver.sent("voice")), len(driver.sent("sms"))) == before
    assert len(driver.sent("email")) >= 14


def test_refused_ways_count_in_the_next_incident(driver: Driver) -> None:
    driver.respond("email", REFUSED)
    driver.respond("slack", REFUSED)
    flap(driver, ADA, on=45, off=15, times=30, policy=DEFAULT)
    assert 1 <= len(driver.sent("voice")) <= 4
    assert len(driver.sent("sms")) <= 5


def test_failed_attempts_count_in_the_next_incident(driver: Driver) -> None:
    for channel in ("email", "slack"):
        driver.respond(channel, BUSY)
    flap(driver, ADA, on=1, off=20, times=2, policy=DEFAULT)
    assert len(driver.sent("sms")) == 1


def test_operations_is_told_when_a_way_has_failed_as_often_as_it_is_tried_in_all(driver: Driver) -> None:
    driver.deps = replace(driver.deps, operations=(a_contact("ops", "email"),))
    driver.respond("sms", BUSY)
    flap(driver, a_recipient("ada", "sms"), on=480, off=30, times=1)
    assert driver.sent("email") == []
    flap(driver, a_recipient("ada", "sms"), on=480, off=30, times=1)
    assert len(driver.sent("email")) == 1


def test_the_second_person_of_a_chain_is_paged_by_the_time_for_which_the_alert_fired(driver: Driver) -> None:
    then = (Step(after=timedelta(minutes=20), to=(BEN,)),)
    flap(driver, ADA, on=480, off=60, times=14, then=then)
    assert driver.escalations("ben") != []
    assert [each for each in driver.sent("email") if each.message.address.startswith("ben")] != []


def test_a_person_who_acknowledges_an_earlier_firing_ends_the_one_that_is_open(driver: Driver) -> None:
    first = fire(driver, ADA)
    driver.pass_time(minutes=4)
    driver.resolve()
    driver.pass_time(minutes=1)
    fire(driver, ADA)
    acknowledge(driver.deps, ById(first), by="ada", via=Via.LINK)
    driver.pass_time(hours=1)
    assert driver.status().facts.acknowledged_by == "ada"
    assert driver.sent("sms") == []


def test_after_an_acknowledgement_clocks_begin_anew(driver: Driver) -> None:
    first = fire(driver, ADA)
    driver.pass_time(minutes=4)
    driver.resolve()
    acknowledge(driver.deps, ById(first), by="ada", via=Via.LINK)
    driver.pass_time(minutes=1)
    fire(driver, ADA)
    driver.pass_time(minutes=4)
    assert driver.sent("sms") == []
    driver.pass_time(minutes=2)
    assert len(driver.sent("sms")) == 1


@pytest.mark.parametrize("policy", [INSISTENT, replace(INSISTENT, acknowledgement=Acknowledgement.EACH)], ids=["any", "each"])
def test_a_series_that_was_ended_before_is_not_written_again(driver: Driver, policy: Policy) -> None:
    fire(driver, ADA, policy=policy)
    driver.resolve()
    versions = []
    for _ in range(2):
        driver.acknowledge()
        versions.append(driver.status().facts.version)
    assert versions[0] == versions[1]


def test_an_acknowledgement_does_not_cover_what_is_more_severe(driver: Driver) -> None:
    first = fire(driver, ADA, severity=Severity.ERROR)
    driver.pass_time(minutes=1)
    driver.resolve()
    fire(driver, ADA)
    acknowledge(driver.deps, ById(first), by="ada", via=Via.LINK)
    driver.pass_time(minutes=6)
    assert len(driver.sent("sms")) == 1


def test_what_a_machine_acknowledges_or_resolves_ends_no_series(driver: Driver) -> None:
    fire(driver, ADA)
    driver.pass_time(minutes=4)
    acknowledge(driver.deps, ByKey("db-1"), by="prometheus", via=Via.PAGERDUTY)
    resolve(driver.deps, ByKey("db-1"), by="prometheus", via=Via.PAGERDUTY)
    driver.pass_time(minutes=1)
    fire(driver, ADA)
    driver.pass_time(minutes=2)
    assert len(driver.sent("sms")) == 1


def test_a_persons_resolve_ends_the_series(driver: Driver) -> None:
    fire(driver, ADA)
    driver.pass_time(minutes=4)
    resolve(driver.deps, ByKey("db-1"), by="ada", via=Via.DASHBOARD)
    driver.pass_time(minutes=1)
    fire(driver, ADA)
    driver.pass_time(minutes=3)
    assert driver.sent("sms") == []


def test_a_gap_of_more_than_half_an_hour_ends_the_series(driver: Driver) -> None:
    flap(driver, ADA, on=240, off=1_860, times=3)
    assert driver.sent("sms") == []


def test_outages_of_earlier_firings_put_off_nothing_that_is_critical(driver: Driver) -> None:
    for _ in range(2):
        fire(driver, ADA)
        driver.be_away(minutes=3)
        driver.resolve()
        driver.pass_time(seconds=30)
    fire(driver, ADA)
    assert len(driver.sent("sms")) == 1
    assert driver.sent("voice") == []


def test_six_warnings_that_heal_by_themselves_wake_nobody(driver: Driver) -> None:
    driver.deps = replace(driver.deps, operations=(a_contact("ops", "email", "sms"),))
    flap(driver, ADA, on=30, off=300, times=6, severity=Severity.WARNING)
    assert (driver.sent("sms"), driver.sent("voice")) == ([], [])
    assert [each for each in driver.sent("email") if each.message.address.startswith("ops")] == []


def test_operations_is_paged_once_a_day_that_a_key_is_flapping(driver: Driver) -> None:
    driver.deps = replace(driver.deps, operations=(a_contact("ops", "email"),))
    flap(driver, ADA, on=20, off=60, times=20, policy=DEFAULT)
    told = driver.status(OPERATIONS_KEY)
    assert "comes and goes" in told.content.title


@pytest.mark.parametrize(("minutes", "pages"), [(9, 0), (11, 1)])
def test_operations_is_told_of_flapping_once_the_alert_was_open_for_long_enough(driver: Driver, minutes: int, pages: int) -> None:
    driver.deps = replace(driver.deps, operations=(a_contact("ops", "email"),))
    flap(driver, ADA, on=20 * 60, off=60, times=1, policy=DEFAULT)
    fire(driver, ADA, policy=DEFAULT)
    driver.pass_time(minutes=minutes)
    told = [each for each in driver.sent("email") if each.message.address.startswith("ops")]
    assert len(told) == pages
    assert driver.status("db-1").facts.round_at is None or not pages


def test_what_was_only_linked_uses_up_no_alert_of_flapping(driver: Driver) -> None:
    driver.deps = replace(driver.deps, operations=(a_contact("ops", "email"),))
    flap(driver, ADA, on=20, off=60, times=7, policy=DEFAULT, severity=Severity.WARNING)
    told = [each for each in driver.sent("email") if each.message.address.startswith("ops")]
    assert told == []
    fire(driver, ADA, policy=DEFAULT)
    driver.deliver()
    told = [each for each in driver.sent("email") if each.message.address.startswith("ops")]
    assert len(told) == 1


def test_nobody_is_told_of_flapping_that_a_person_has_taken(driver: Driver) -> None:
    driver.deps = replace(driver.deps, operations=(a_contact("ops", "email"),))
    flap(driver, ADA, on=600, off=60, times=2, policy=DEFAULT)
    fire(driver, ADA, policy=DEFAULT)
    driver.pass_time(minutes=9)
    driver.clock.at += timedelta(minutes=2)  # before a sweep
    resolve(driver.deps, ByKey("db-1"), by="ada", via=Via.DASHBOARD)
    driver.deliver()
    assert [each for each in driver.sent("email") if each.message.address.startswith("ops")] == []


def test_one_page_of_operations_says_that_nobody_has_acknowledged_a_series(driver: Driver) -> None:
    flap(driver, ADA, on=300, off=60, times=20)
    alerted = [each for each in driver.outcome.critical if each.alerted_at is not None]
    assert len({each.id for each in alerted}) == 1


def test_one_page_of_operations_says_so_for_all_recipients_of_a_series(driver: Driver) -> None:
    flap(driver, ADA, on=1800, off=60, times=4)
    flap(driver, BEN, on=1800, off=60, times=4)
    alerted = [each for each in driver.outcome.critical if each.alerted_at is not None]
    assert {each.recipient_id for each in alerted} == {"ada"}
    unanswered = [each for each in driver.outcome.critical if each.critical_at is not None]
    assert {each.recipient_id for each in unanswered} == {"ada", "ben"}


def test_an_acknowledgement_begins_a_series_of_which_operations_is_not_told_again_on_the_same_day(driver: Driver) -> None:
    driver.deps = replace(driver.deps, operations=(a_contact("ops", "email"),))
    flap(driver, ADA, on=20, off=60, times=6, policy=DEFAULT)
    fire(driver, ADA, policy=DEFAULT)
    driver.acknowledge("ada")
    driver.resolve()
    flap(driver, ADA, on=20, off=60, times=7, policy=DEFAULT)
    told = [each for each in driver.sent("email") if each.message.address.startswith("ops")]
    assert len(told) == 1


def test_a_severity_above_all_of_the_series_begins_anew(driver: Driver) -> None:
    flap(driver, ADA, on=240, off=30, times=2, severity=Severity.ERROR)
    assert len(driver.sent("sms")) == 1
    fire(driver, ADA)
    driver.pass_time(minutes=4)
    assert len(driver.sent("sms")) == 1
    driver.pass_time(minutes=1)
    assert len(driver.sent("sms")) == 2


def test_a_severity_that_is_raised_within_each_firing_does_not_begin_anew(driver: Driver) -> None:
    for _ in range(5):
        fire(driver, ADA, severity=Severity.WARNING)
        driver.pass_time(minutes=1)
        fire(driver, ADA)
        driver.pass_time(minutes=2)
        driver.resolve()
        driver.pass_time(seconds=30)
    assert len(driver.sent("voice")) >= 1


def test_each_ends_it_for_the_person_who_acknowledges(driver: Driver) -> None:
    policy = replace(INSISTENT, acknowledgement=Acknowledgement.EACH)
    first = fire(driver, ADA, BEN, policy=policy)
    driver.pass_time(minutes=4)
    driver.resolve()
    acknowledge(driver.deps, ById(first), by="ada", via=Via.LINK)
    fire(driver, ADA, BEN, policy=policy)
    driver.pass_time(minutes=3)
    assert [each.message.address for each in driver.sent("sms")] == ["ben@sms"]


def test_a_silent_text_is_overdue_by_the_time_for_which_the_alert_fired(driver: Driver) -> None:
    driver.respond("email", REFUSED)
    driver.respond("slack", REFUSED)
    flap(driver, ADA, on=40, off=10, times=2, policy=DEFAULT)
    assert len(driver.sent("sms")) == 1
    assert len(driver.sent("voice")) == 1


def test_a_text_that_arrives_late_opens_no_tier_in_the_next_incident(driver: Driver) -> None:
    driver.respond("email", REFUSED)
    driver.respond("slack", REFUSED)
    flap(driver, ADA, on=40, off=10, times=1, policy=DEFAULT)
    (text,) = driver.sent("sms")
    driver.report(text.message.attempt_id, Result.DELIVERED)
    flap(driver, ADA, on=400, off=10, times=1, policy=DEFAULT)
    assert driver.sent("voice") == []


@contextmanager
def a_driver() -> Iterator[Driver]:
    """Yield a driver on a new database."""
    with TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{folder}/series.db")
        store.upgrade()
        try:
            yield Driver(store)
        finally:
            store.close()


BREAKS = st.integers(1, 479) | st.integers(601, 1_700)
"""Between them, a text that waits for its receipt when the alert resolves is first sent again, ten minutes after it was sent."""


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.integers(20, 400), BREAKS), min_size=2, max_size=10))
def test_flapping_pages_like_an_incident_that_stays_open_without_the_gaps(firings: list[tuple[int, int]]) -> None:
    """Compare the firings with one incident that is open for as long as all of them."""
    first: dict[str, timedelta] = {}
    opened = timedelta()
    with a_driver() as flapping:
        for on, off in firings:
            before, began_at = len(flapping.seen), flapping.clock.at
            flap(flapping, ADA, on=on, off=off, times=1)
            for each in flapping.seen[before:]:
                first.setdefault(each.channel, opened + (each.message.at - began_at))
            opened += timedelta(seconds=on)
        calls = len(flapping.sent("voice"))
    with a_driver() as staying:
        flap(staying, ADA, on=opened.total_seconds(), off=0, times=1)
        wanted = {channel: [each.message.at - START for each in staying.sent(channel)] for channel in ("sms", "voice")}
    for channel, times in wanted.items():
        assert (channel in first) == bool(times)
        assert not times or abs(first[channel] - times[0]) <= timedelta(seconds=20)  # the least wait for the receipt of a text
    lasted = timedelta(seconds=sum(on + off for on, off in firings))
    assert calls <= len(wanted["voice"]) + lasted / PAGE_AGAIN_AFTER
