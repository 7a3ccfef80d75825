"""Operations: what went wrong is in one open incident, which pages at most every 15 minutes, and never about itself."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest

from notifyflow.core.delivery.model import EscalationState, IncidentState, Result, Severity
from notifyflow.core.delivery.policy import INSISTENT
from notifyflow.core.messages.links import check
from notifyflow.core.references import ById
from notifyflow.errors import StorageUnavailable
from notifyflow.pipeline.delivery import operations, rounds
from notifyflow.pipeline.delivery.operations import add_notice
from notifyflow.pipeline.delivery.sweep import sweep
from notifyflow.pipeline.transaction import sparing
from notifyflow.pipeline.upkeep.forget import forget
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.builders import ACCEPTED, BUSY, REFUSED, REFUSED_US, START, a_contact, a_recipient, an_incident
from tests.driver import Driver

OPS = operations.KEY
T = TypeVar("T")


class Leaving:
    """A database that goes away as soon as Ada has been a critical failure."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def run(self, use_case: Callable[[Ledger], T], *, timeout_s: float = 5.0, tries: int | None = None) -> T:
        if self._driver.escalations()[0].facts.critical_at is not None:
            raise StorageUnavailable(timeout_s)
        return self._driver.store.run(use_case, timeout_s=timeout_s, tries=tries)


@pytest.fixture
def driver(store: Store) -> Driver:
    """The e-mail of everybody fails for good; operations sits in Slack."""
    driver = Driver(store, operations=[a_contact("ops", "slack", "sms")])
    driver.respond("email", REFUSED)
    return driver


def _fail(driver: Driver, key: str, who: str = "ada") -> None:
    driver.notify(an_incident(key), a_recipient(who, "email"))
    driver.deliver()


def _rounds(driver: Driver) -> int:
    return len(driver.escalations("ops", OPS))


def test_the_first_critical_failure_pages_operations(driver: Driver) -> None:
    _fail(driver, "db-1")
    status = driver.status(OPS)
    assert (status.facts.severity, status.facts.is_operations, status.facts.state) == (
        Severity.CRITICAL,
        True,
        IncidentState.OPEN,
    )
    assert status.content.title == 'Ada was not reached about "orders db is down" (ERROR)'
    assert [each.message.address for each in driver.sent("slack")] == ["ops@slack"]
    assert driver.status("db-1").operations_key == OPS
    assert driver.status("db-1").has_operations_recipients


def test_failures_within_a_quarter_of_an_hour_are_counted_in_and_paged_by_one_round(driver: Driver) -> None:
    _fail(driver, "db-1")
    for minute in range(3):
        driver.pass_time(minutes=1)
        _fail(driver, f"web-{minute}")
    assert _rounds(driver) == 1
    driver.pass_time(minutes=11)
    assert _rounds(driver) == 1
    driver.pass_time(minutes=2)
    assert _rounds(driver) == 2
    assert len(driver.sent("slack")) == 2
    content = driver.sent("slack")[-1].message.content
    assert content.title == '3 failures, the newest: Ada was not reached about "orders db is down" (ERROR)'
    assert [f"Key: {key}" in content.body for key in ("web-2", "web-1", "web-0")] == [True] * 3
    assert content.body.splitlines()[-2:] == [
        "Earlier:",
        'Wed 25 Nov 03:00 UTC: Ada was not reached about "orders db is down" (ERROR)',
    ]
    driver.pass_time(hours=3)
    assert _rounds(driver) == 4, "the second one insists, as the policy says"


def test_what_comes_later_starts_a_round_at_once(driver: Driver) -> None:
    _fail(driver, "db-1")
    driver.acknowledge(by="ops", key=OPS)
    driver.pass_time(minutes=16)
    _fail(driver, "db-2")
    assert _rounds(driver) == 2


def test_what_was_counted_in_is_paged_acknowledged_meanwhile_or_not(driver: Driver) -> None:
    _fail(driver, "db-1")
    _fail(driver, "db-2")
    driver.acknowledge(by="ops", key=OPS)
    driver.pass_time(minutes=14)
    assert driver.status(OPS).facts.state is IncidentState.ACKNOWLEDGED
    driver.pass_time(minutes=2)
    assert (_rounds(driver), driver.status(OPS).facts.state) == (2, IncidentState.OPEN)


def test_after_a_resolve_the_next_failure_opens_another(driver: Driver) -> None:
    _fail(driver, "db-1")
    first = driver.status(OPS).facts.id
    driver.resolve(by="ops", key=OPS)
    _fail(driver, "db-2")
    assert driver.status(OPS).facts.id != first
    assert _rounds(driver) == 1


def test_what_goes_wrong_while_carrying_it_is_never_alerted_itself(driver: Driver) -> None:
    driver.respond("slack", REFUSED)
    driver.respond("sms", REFUSED_US, REFUSED)
    _fail(driver, "db-1")
    driver.pass_time(hours=1)
    escalation = driver.escalation("ops", OPS)
    assert (escalation.state, _rounds(driver)) == (EscalationState.EXHAUSTED, 5), "one every 15 minutes, as long as it is untold"
    assert {each.recipient_id for each in driver.outcome.critical} == {"ada", "ops"}
    assert "Ada was not reached" in driver.status(OPS).content.title
    assert driver.status(OPS).operations_key is None


def test_a_provider_that_refuses_us_is_one_notice_a_day(driver: Driver) -> None:
    driver.respond("teams", REFUSED_US)
    for key in ("db-1", "db-2"):
        driver.notify(an_incident(key), a_recipient("ada", "teams"))
        driver.deliver()
    status = driver.status(OPS)
    assert (status.content.body or "").splitlines() == [
        "Wed 25 Nov 03:00 UTC: the teams provider: the provider refuses our credentials"
    ]
    assert add_notice(driver.deps, "its callbacks are not signed", "twilio").follow_ups.due == ()
    assert len((driver.status(OPS).content.body or "").splitlines()) == 2
    driver.clock.pass_time(timedelta(days=1))
    assert add_notice(driver.deps, "its callbacks are not signed", "twilio").follow_ups.due != ()


def test_a_failure_too_old_to_open_a_tier_is_linked_and_pages_nobody(driver: Driver) -> None:
    driver.respond("email", ACCEPTED)
    driver.notify(None, a_recipient("ada", "email"))
    driver.deliver()
    driver.clock.pass_time(timedelta(hours=2))
    driver.report(driver.sent("email")[0].message.attempt_id, Result.PERMANENT_FAILURE)
    assert driver.status().operations_key == OPS
    assert driver.status(OPS).escalations == ()
    assert [each.recipient_id for each in driver.outcome.critical] == ["ada"]


def test_what_a_sweep_has_written_is_reported_though_the_database_goes_away_during_it(driver: Driver) -> None:
    driver.notify(an_incident("db-2", severity=Severity.WARNING), a_recipient("ben", "sms"), policy=INSISTENT)
    driver.deliver()
    driver.notify(an_incident("db-1"), a_recipient("ada", "email"))
    driver.clock.pass_time(timedelta(hours=25))
    swept = sweep(replace(driver.deps, transactions=Leaving(driver)))
    assert [row.channel for row in swept.failed] == ["email"]
    assert [each.recipient_id for each in swept.critical] == ["ada"]
    assert [each.channel for each in swept.due] == ["email", "slack"], "what it rang for, and operations"
    assert isinstance(swept.cut_short, StorageUnavailable)


def test_without_operations_recipients_it_exists_all_the_same(store: Store) -> None:
    driver = Driver(store)
    driver.respond("email", REFUSED)
    _fail(driver, "db-1")
    _fail(driver, "db-2")
    assert driver.status("db-2").operations_key == OPS
    assert driver.status(OPS).escalations == ()


def test_one_transaction_may_bring_several_failures(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "slack"), a_recipient("ben", email="bad"), a_recipient("cy", email="bad"))
    assert driver.status(OPS).content.title == '2 failures, the newest: Cy was not reached about "orders db is down" (ERROR)'
    assert "There is no address to send anything to." in (driver.status(OPS).content.body or "")
    assert _rounds(driver) == 1


def test_it_says_which_incident_who_was_not_reached_and_why_each_way_failed(store: Store) -> None:
    driver = Driver(store, operations=[a_contact("ops", "slack")], public_url="https://notify.example")
    driver.respond("email", REFUSED)
    incident = replace(an_incident("db-1", severity=Severity.CRITICAL), url="https://grafana.example/d")
    driver.respond("sms", BUSY)
    driver.notify(incident, a_recipient("ada", "email", "sms"))
    driver.deliver()
    driver.pass_time(minutes=15)
    (content,) = [each.message.content for each in driver.sent("slack")][:1]
    assert content.title == 'Ada was not reached about "orders db is down" (CRITICAL)'
    lines = content.body.splitlines()
    assert lines[:2] == [f"{content.title}.", "Every channel failed:"]
    assert lines[2] == "- mail: failed: there is no such address"
    assert lines[3].startswith("- text: failed: ")
    assert lines[3].endswith("(5 attempts)")
    assert lines[4].endswith("Key: db-1")
    assert content.links["Look at db-1"] == "https://grafana.example/d"


def test_it_links_its_own_incident_and_those_that_failed(store: Store) -> None:
    driver = Driver(
        store, operations=[a_contact("ops", "slack"), a_contact("otto", "slack")], public_url="https://notify.example"
    )
    driver.respond("email", REFUSED)
    for number in range(4):
        _fail(driver, f"db-{number}")
    driver.pass_time(minutes=16)
    for page in driver.sent("slack")[-2:]:
        content = page.message.content
        links = [content.link, content.url, *(url for name, url in content.links.items() if name.startswith("Acknowledge "))]
        tokens = [str(link).rpartition("/")[2] for link in links]
        claims = [check(driver.deps.secret_keys, each, ["ops", "otto"], driver.clock.now()) for each in tokens]
        keys = [driver.store.read(lambda reads, id=each.subject_id: reads.status_by_id(id)) for each in claims]
        assert [status.facts.key for status in keys if status] == [OPS, "db-3", "db-3", "db-2", "db-1"]
        assert {each.recipient_id for each in claims} == {"ops" if page.message.address.startswith("ops") else "otto"}
    assert "https://notify.example" not in repr(driver.status(OPS).content), "a link is for one person, and for a week"


def test_a_recipient_who_did_not_reply_was_reached_all_the_same(driver: Driver) -> None:
    driver.respond("email")
    driver.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", "email"), policy=INSISTENT)
    driver.pass_time(minutes=46)
    assert driver.status(OPS).content.title == 'Ada has not answered about "orders db is down" (CRITICAL)'
    assert "- mail: sent" in (driver.status(OPS).content.body or "")
    assert driver.escalations()[-1].critical_reason == "unanswered"
    (counts,) = driver.store.read(lambda reads: reads.listings.counts([driver.status().facts.id])).values()
    assert (counts.reached, counts.critical, counts.critical_reason) == (1, 1, "unanswered")


def test_notices_about_a_forgotten_person_are_overwritten(driver: Driver) -> None:
    _fail(driver, "db-1")
    driver.notify(an_incident("db-2", title="another"), a_recipient("ben", "email"))
    driver.deliver()
    driver.resolve(key="db-1")
    forget(driver.deps, "ada")
    incident = driver.status(OPS).content
    assert "Ada" not in repr(incident)
    assert "orders db is down" not in repr(incident)
    assert 'Ben was not reached about "another"' in incident.title


def _severities(driver: Driver) -> list[Severity]:
    return [each.facts.severity for each in driver.escalations("ops", OPS)]


def _notice(driver: Driver, reason: str = "its callbacks are not signed") -> None:
    add_notice(driver.deps, reason, "twilio")
    driver.deliver()


def test_notices_alone_are_a_warning_and_text_nobody(store: Store) -> None:
    driver = Driver(store, operations=[a_contact("ops", "slack", "sms", "voice")])
    _notice(driver)
    driver.pass_time(hours=2)
    assert set(_severities(driver)) == {Severity.WARNING}
    assert driver.status(OPS).facts.severity is Severity.WARNING
    assert (len(driver.sent("slack")), driver.sent("sms"), driver.sent("voice")) == (3, [], [])


def test_a_failure_is_critical_and_insists_by_text_and_by_phone(store: Store) -> None:
    driver = Driver(store, operations=[a_contact("ops", "slack", "sms", "voice")])
    driver.respond("email", REFUSED)
    _fail(driver, "db-1")
    driver.pass_time(minutes=11)
    assert [each.channel for each in driver.seen if each.channel != "email"] == ["slack", "sms", "voice"]
    driver.acknowledge(by="ops", key=OPS)
    driver.pass_time(hours=2)
    assert _rounds(driver) == 1


def test_a_failure_does_not_wait_for_a_round_of_notices(driver: Driver) -> None:
    _notice(driver)
    driver.pass_time(minutes=1)
    _notice(driver, "another")
    _fail(driver, "db-1")
    assert _severities(driver) == [Severity.WARNING, Severity.CRITICAL]
    driver.pass_time(minutes=1)
    _fail(driver, "db-2")
    assert _rounds(driver) == 2, "it waits for those of failures"


def test_a_round_of_failures_that_runs_is_not_replaced_by_a_warning(driver: Driver) -> None:
    _fail(driver, "db-1")
    driver.pass_time(minutes=1)
    _notice(driver)
    driver.pass_time(minutes=15)
    assert _severities(driver) == [Severity.CRITICAL, Severity.CRITICAL]


def test_notices_after_an_acknowledgement_are_a_warning(driver: Driver) -> None:
    _fail(driver, "db-1")
    driver.acknowledge(by="ops", key=OPS)
    driver.pass_time(minutes=1)
    _notice(driver)
    driver.pass_time(minutes=15)
    assert _severities(driver) == [Severity.CRITICAL, Severity.WARNING]
    assert driver.sent("slack")[-1].message.content.title == "twilio: its callbacks are not signed"


def test_notices_after_the_last_round_of_failures_are_a_warning(driver: Driver) -> None:
    _fail(driver, "db-1")
    driver.pass_time(hours=2)
    _notice(driver)
    assert _severities(driver) == [*[Severity.CRITICAL] * 3, Severity.WARNING]


def test_recipients_that_changed_are_used_while_it_is_open(driver: Driver) -> None:
    _fail(driver, "db-1")
    driver.deps = replace(driver.deps, operations=(a_contact("otto", "slack"),))
    driver.pass_time(minutes=16)
    assert [each.message.address for each in driver.sent("slack")] == ["ops@slack", "otto@slack"]
    assert (_rounds(driver), len(driver.escalations("otto", OPS))) == (1, 1)
    _fail(driver, "db-2")
    driver.pass_time(minutes=15)
    assert {each.message.address for each in driver.sent("slack")[1:]} == {"otto@slack"}


def test_an_address_that_changed_is_used_by_the_next_round(driver: Driver) -> None:
    _fail(driver, "db-1")
    driver.deps = replace(driver.deps, operations=(replace(a_contact("ops"), addresses={"slack": "ops@new"}),))
    driver.pass_time(minutes=16)
    assert [each.message.address for each in driver.sent("slack")] == ["ops@slack", "ops@new"]


def test_a_process_that_knows_nobody_pages_those_who_were_paged_before(driver: Driver) -> None:
    _fail(driver, "db-1")
    driver.deps = replace(driver.deps, operations=())
    _fail(driver, "db-2")
    driver.pass_time(minutes=16)
    assert [each.message.address for each in driver.sent("slack")] == ["ops@slack", "ops@slack"]


def test_what_was_counted_in_is_paged_though_somebody_pages_one_again(driver: Driver) -> None:
    _fail(driver, "db-1")
    _fail(driver, "db-2")
    driver.page_again("ops", OPS)
    driver.acknowledge(by="ops", key=OPS)
    driver.pass_time(minutes=16)
    assert _rounds(driver) == 3


def test_under_a_policy_with_rounds_what_was_counted_in_is_paged_once_and_the_rounds_begin_anew(driver: Driver) -> None:
    driver.deps = replace(driver.deps, operations_policy=INSISTENT)
    _fail(driver, "db-1")
    driver.pass_time(minutes=5)
    _fail(driver, "db-2")
    driver.pass_time(minutes=11)
    rounds = [(each.facts.started_at - START, each.facts.repetition) for each in driver.escalations("ops", OPS)]
    assert rounds == [(timedelta(), 1), (timedelta(minutes=15), 1)]
    driver.pass_time(minutes=15)
    assert (_rounds(driver), driver.escalation("ops", OPS).repetition) == (3, 2)


def test_a_recipients_timer_leaves_the_round_to_the_timer_of_operations_that_is_due_as_well(driver: Driver) -> None:
    driver.deps = replace(driver.deps, operations_policy=INSISTENT)
    _fail(driver, "db-1")
    driver.pass_time(minutes=5)
    _fail(driver, "db-2")
    driver.clock.pass_time(timedelta(minutes=10))
    sparing.run_on(driver.deps, ById(driver.status(OPS).facts.id), rounds.start_due_rounds)
    assert _rounds(driver) == 1
    driver.sweep()
    assert (_rounds(driver), driver.escalation("ops", OPS).repetition) == (2, 1)
