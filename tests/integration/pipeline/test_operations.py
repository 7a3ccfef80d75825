"""Operations: what went wrong is in one open incident, which pages at most every 15 minutes, and never about itself."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest

from notifyflow.core.links import check
from notifyflow.core.model import EscalationState, IncidentState, Result, Severity
from notifyflow.core.policy import INSISTENT
from notifyflow.errors import StorageUnavailable
from notifyflow.pipeline import operations, rounds, use_case
from notifyflow.pipeline.forget import forget
from notifyflow.pipeline.notices import add_notice
from notifyflow.pipeline.sweep import sweep
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.builders import ACCEPTED, BUSY, REFUSED, REFUSED_US, START, Story, a_contact, a_recipient, an_incident

OPS = operations.KEY
T = TypeVar("T")


class Leaving:
    """A database that goes away as soon as Ada has been a critical failure."""

    def __init__(self, story: Story) -> None:
        self._story = story

    def run(self, use_case: Callable[[Ledger], T], *, timeout_s: float = 5.0) -> T:
        if self._story.escalations()[0].facts.critical_at is not None:
            raise StorageUnavailable(timeout_s)
        return self._story.store.run(use_case, timeout_s=timeout_s)


@pytest.fixture
def story(store: Store) -> Story:
    """The e-mail of everybody fails for good; operations sits in Slack."""
    story = Story(store, operations=[a_contact("ops", "slack", "sms")])
    story.respond("email", REFUSED)
    return story


def _fail(story: Story, key: str, who: str = "ada") -> None:
    story.notify(an_incident(key), a_recipient(who, "email"))
    story.deliver()


def _rounds(story: Story) -> int:
    return len(story.escalations("ops", OPS))


def test_the_first_critical_failure_pages_operations(story: Story) -> None:
    _fail(story, "db-1")
    status = story.status(OPS)
    assert (status.facts.severity, status.facts.is_operations, status.facts.state) == (
        Severity.CRITICAL,
        True,
        IncidentState.OPEN,
    )
    assert status.content.title == 'Ada was not reached about "orders db is down" (ERROR)'
    assert [each.address for each in story.told("slack")] == ["ops@slack"]
    assert story.status("db-1").operations_key == OPS


def test_failures_within_a_quarter_of_an_hour_are_counted_in_and_paged_by_one_round(story: Story) -> None:
    _fail(story, "db-1")
    for minute in range(3):
        story.pass_time(minutes=1)
        _fail(story, f"web-{minute}")
    assert _rounds(story) == 1
    story.pass_time(minutes=11)
    assert _rounds(story) == 1
    story.pass_time(minutes=2)
    assert _rounds(story) == 2
    assert len(story.told("slack")) == 2
    told = story.told("slack")[-1].content
    assert told.title == '3 failures, the newest: Ada was not reached about "orders db is down" (ERROR)'
    assert [f"Key: {key}" in told.body for key in ("web-2", "web-1", "web-0")] == [True] * 3
    assert told.body.splitlines()[-2:] == [
        "Before that:",
        '2026-11-25 03:00 UTC: Ada was not reached about "orders db is down" (ERROR)',
    ]
    story.pass_time(hours=3)
    assert _rounds(story) == 4, "the second one insists, as the policy says"


def test_what_comes_later_starts_a_round_at_once(story: Story) -> None:
    _fail(story, "db-1")
    story.acknowledge(by="ops", key=OPS)
    story.pass_time(minutes=16)
    _fail(story, "db-2")
    assert _rounds(story) == 2


def test_what_was_counted_in_is_paged_acknowledged_meanwhile_or_not(story: Story) -> None:
    _fail(story, "db-1")
    _fail(story, "db-2")
    story.acknowledge(by="ops", key=OPS)
    story.pass_time(minutes=14)
    assert story.status(OPS).facts.state is IncidentState.ACKNOWLEDGED
    story.pass_time(minutes=2)
    assert (_rounds(story), story.status(OPS).facts.state) == (2, IncidentState.OPEN)


def test_after_a_resolve_the_next_failure_opens_another(story: Story) -> None:
    _fail(story, "db-1")
    first = story.status(OPS).facts.id
    story.resolve(by="ops", key=OPS)
    _fail(story, "db-2")
    assert story.status(OPS).facts.id != first
    assert _rounds(story) == 1


def test_what_goes_wrong_while_carrying_it_is_never_alerted_itself(story: Story) -> None:
    story.respond("slack", REFUSED)
    story.respond("sms", REFUSED_US, REFUSED)
    _fail(story, "db-1")
    story.pass_time(hours=1)
    escalation = story.escalation("ops", OPS)
    assert (escalation.state, _rounds(story)) == (EscalationState.EXHAUSTED, 3)
    assert {each.recipient_id for each in story.outcome.critical} == {"ada", "ops"}
    assert "Ada was not reached" in story.status(OPS).content.title
    assert story.status(OPS).operations_key is None


def test_a_provider_that_refuses_us_is_told_once_a_day(story: Story) -> None:
    story.respond("teams", REFUSED_US)
    for key in ("db-1", "db-2"):
        story.notify(an_incident(key), a_recipient("ada", "teams"))
        story.deliver()
    status = story.status(OPS)
    assert (status.content.body or "").splitlines() == [
        "2026-11-25 03:00 UTC: the teams provider: the provider refuses our credentials"
    ]
    assert add_notice(story.deps, "its callbacks are not signed", "twilio").due == ()
    assert len((story.status(OPS).content.body or "").splitlines()) == 2
    story.clock.pass_time(timedelta(days=1))
    assert add_notice(story.deps, "its callbacks are not signed", "twilio").due != ()


def test_a_failure_too_old_to_open_a_tier_is_linked_and_pages_nobody(story: Story) -> None:
    story.respond("email", ACCEPTED)
    story.notify(None, a_recipient("ada", "email"))
    story.deliver()
    story.clock.pass_time(timedelta(hours=2))
    story.report(story.told("email")[0].attempt_id, Result.PERMANENT_FAILURE)
    assert story.status().operations_key == OPS
    assert story.status(OPS).escalations == ()
    assert [each.recipient_id for each in story.outcome.critical] == ["ada"]


def test_what_a_sweep_has_written_is_reported_though_the_database_goes_away_during_it(story: Story) -> None:
    story.notify(an_incident("db-1"), a_recipient("ada", "email"))
    story.clock.pass_time(timedelta(hours=25))
    swept = sweep(replace(story.deps, transactions=Leaving(story)))
    assert [row.channel for row in swept.failed] == ["email"]
    assert [each.recipient_id for each in swept.critical] == ["ada"]
    assert [each.channel for each in swept.due] == ["email", "slack"], "what it rang for, and operations"
    assert isinstance(swept.cut_short, StorageUnavailable)


def test_without_operations_recipients_it_exists_all_the_same(store: Store) -> None:
    story = Story(store)
    story.respond("email", REFUSED)
    _fail(story, "db-1")
    _fail(story, "db-2")
    assert story.status("db-2").operations_key == OPS
    assert story.status(OPS).escalations == ()


def test_one_transaction_may_bring_several_failures(story: Story) -> None:
    story.notify(None, a_recipient("ada", "slack"), a_recipient("ben", email="bad"), a_recipient("cy", email="bad"))
    assert story.status(OPS).content.title == '2 failures, the newest: Cy was not reached about "orders db is down" (ERROR)'
    assert "There is no address at which anything may be sent." in (story.status(OPS).content.body or "")
    assert _rounds(story) == 1


# -- what it says


def test_it_says_which_incident_who_was_not_reached_and_why_each_way_failed(store: Store) -> None:
    story = Story(store, operations=[a_contact("ops", "slack")], public_url="https://notify.example")
    story.respond("email", REFUSED)
    said = replace(an_incident("db-1", severity=Severity.CRITICAL), url="https://grafana.example/d")
    story.respond("sms", BUSY)
    story.notify(said, a_recipient("ada", "email", "sms"))
    story.deliver()
    story.pass_time(minutes=15)
    (told,) = [each.content for each in story.told("slack")][:1]
    assert told.title == 'Ada was not reached about "orders db is down" (CRITICAL)'
    lines = told.body.splitlines()
    assert lines[:2] == [f"{told.title}.", "Every way failed:"]
    assert lines[2] == "- email: failed: there is no such address"
    assert lines[3].startswith("- sms: failed: ")
    assert lines[3].endswith("(5 attempts)")
    assert lines[4].endswith("Key: db-1")
    assert lines[5] == "What it is about: https://grafana.example/d"


def test_it_links_its_own_incident_and_those_that_failed(store: Store) -> None:
    story = Story(store, operations=[a_contact("ops", "slack"), a_contact("otto", "slack")], public_url="https://notify.example")
    story.respond("email", REFUSED)
    for number in range(4):
        _fail(story, f"db-{number}")
    story.pass_time(minutes=16)
    for told in story.told("slack")[-2:]:
        links = [told.content.link, told.content.url, *re.findall(r"Acknowledge it yourself: (\S+)", told.content.body)]
        claims = [check(story.deps.secret_keys, str(link).rpartition("/")[2], story.clock.now()) for link in links]
        keys = [story.store.read(lambda reads, id=each.incident_id: reads.status_by_id(id)) for each in claims]
        assert [status.facts.key for status in keys if status] == [OPS, "db-3", "db-3", "db-2", "db-1"]
        assert {each.recipient_id for each in claims} == {"ops" if told.address.startswith("ops") else "otto"}
    assert "https://notify.example" not in repr(story.status(OPS).content), "a link is for one person, and for a week"


def test_who_has_not_answered_was_reached_all_the_same(story: Story) -> None:
    story.respond("email")
    story.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", "email"), policy=INSISTENT)
    story.pass_time(minutes=46)
    assert story.status(OPS).content.title == 'Ada has not answered about "orders db is down" (CRITICAL)'
    assert "- email: sent" in (story.status(OPS).content.body or "")


def test_what_is_said_of_somebody_who_is_forgotten_is_overwritten(story: Story) -> None:
    _fail(story, "db-1")
    story.notify(an_incident("db-2", title="another"), a_recipient("ben", "email"))
    story.deliver()
    story.resolve(key="db-1")
    forget(story.deps, "ada")
    said = story.status(OPS).content
    assert "Ada" not in repr(said)
    assert "orders db is down" not in repr(said)
    assert 'Ben was not reached about "another"' in said.title


# -- how urgent it is


def _severities(story: Story) -> list[Severity]:
    return [each.facts.severity for each in story.escalations("ops", OPS)]


def _notice(story: Story, reason: str = "its callbacks are not signed") -> None:
    add_notice(story.deps, reason, "twilio")
    story.deliver()


def test_notices_alone_are_a_warning_and_text_nobody(store: Store) -> None:
    story = Story(store, operations=[a_contact("ops", "slack", "sms", "voice")])
    _notice(story)
    story.pass_time(hours=2)
    assert set(_severities(story)) == {Severity.WARNING}
    assert story.status(OPS).facts.severity is Severity.WARNING
    assert (len(story.told("slack")), story.told("sms"), story.told("voice")) == (3, [], [])


def test_a_failure_is_critical_and_insists_by_text_and_by_phone(store: Store) -> None:
    story = Story(store, operations=[a_contact("ops", "slack", "sms", "voice")])
    story.respond("email", REFUSED)
    _fail(story, "db-1")
    story.pass_time(minutes=11)
    assert [each.channel for each in story.seen if each.channel != "email"] == ["slack", "sms", "voice"]
    story.acknowledge(by="ops", key=OPS)
    story.pass_time(hours=2)
    assert _rounds(story) == 1


def test_a_failure_does_not_wait_for_a_round_of_notices(story: Story) -> None:
    _notice(story)
    story.pass_time(minutes=1)
    _notice(story, "another")
    _fail(story, "db-1")
    assert _severities(story) == [Severity.WARNING, Severity.CRITICAL]
    story.pass_time(minutes=1)
    _fail(story, "db-2")
    assert _rounds(story) == 2, "it waits for those of failures"


def test_a_round_of_failures_that_runs_is_not_replaced_by_a_warning(story: Story) -> None:
    _fail(story, "db-1")
    story.pass_time(minutes=1)
    _notice(story)
    story.pass_time(minutes=15)
    assert _severities(story) == [Severity.CRITICAL, Severity.CRITICAL]


def test_notices_after_an_acknowledgement_are_a_warning(story: Story) -> None:
    _fail(story, "db-1")
    story.acknowledge(by="ops", key=OPS)
    story.pass_time(minutes=1)
    _notice(story)
    story.pass_time(minutes=15)
    assert _severities(story) == [Severity.CRITICAL, Severity.WARNING]
    assert story.told("slack")[-1].content.title == "twilio: its callbacks are not signed"


def test_notices_after_the_last_round_of_failures_are_a_warning(story: Story) -> None:
    _fail(story, "db-1")
    story.pass_time(hours=2)
    _notice(story)
    assert _severities(story) == [*[Severity.CRITICAL] * 3, Severity.WARNING]


# -- whom it pages


def test_recipients_that_changed_are_used_while_it_is_open(story: Story) -> None:
    _fail(story, "db-1")
    story.deps = replace(story.deps, operations=(a_contact("otto", "slack"),))
    story.pass_time(minutes=16)
    assert [each.address for each in story.told("slack")] == ["ops@slack", "otto@slack"]
    assert (_rounds(story), len(story.escalations("otto", OPS))) == (1, 1)
    _fail(story, "db-2")
    story.pass_time(minutes=15)
    assert {each.address for each in story.told("slack")[1:]} == {"otto@slack"}


def test_an_address_that_changed_is_used_by_the_next_round(story: Story) -> None:
    _fail(story, "db-1")
    story.deps = replace(story.deps, operations=(replace(a_contact("ops"), addresses={"slack": "ops@new"}),))
    story.pass_time(minutes=16)
    assert [each.address for each in story.told("slack")] == ["ops@slack", "ops@new"]


def test_a_process_that_knows_nobody_pages_those_who_were_paged_before(story: Story) -> None:
    _fail(story, "db-1")
    story.deps = replace(story.deps, operations=())
    _fail(story, "db-2")
    story.pass_time(minutes=16)
    assert [each.address for each in story.told("slack")] == ["ops@slack", "ops@slack"]


def test_what_was_counted_in_is_paged_though_somebody_pages_one_again(story: Story) -> None:
    _fail(story, "db-1")
    _fail(story, "db-2")
    story.page_again("ops", OPS)
    story.acknowledge(by="ops", key=OPS)
    story.pass_time(minutes=16)
    assert _rounds(story) == 3


def test_under_a_policy_with_rounds_what_was_counted_in_is_paged_once_and_the_rounds_begin_anew(story: Story) -> None:
    story.deps = replace(story.deps, operations_policy=INSISTENT)
    _fail(story, "db-1")
    story.pass_time(minutes=5)
    _fail(story, "db-2")
    story.pass_time(minutes=11)
    rounds = [(each.facts.started_at - START, each.facts.repetition) for each in story.escalations("ops", OPS)]
    assert rounds == [(timedelta(), 1), (timedelta(minutes=15), 1)]
    story.pass_time(minutes=15)
    assert (_rounds(story), story.escalation("ops", OPS).repetition) == (3, 2)


def test_a_recipients_timer_leaves_the_round_to_the_timer_of_operations_that_is_due_as_well(story: Story) -> None:
    story.deps = replace(story.deps, operations_policy=INSISTENT)
    _fail(story, "db-1")
    story.pass_time(minutes=5)
    _fail(story, "db-2")
    story.clock.pass_time(timedelta(minutes=10))
    use_case.run_on(story.deps, story.status(OPS).facts.id, rounds.pass_time)
    assert _rounds(story) == 1
    story.sweep()
    assert (_rounds(story), story.escalation("ops", OPS).repetition) == (2, 1)
