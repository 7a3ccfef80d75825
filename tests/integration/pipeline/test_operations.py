"""Operations: what went wrong is in one open incident, which pages at most every 15 minutes, and never about itself."""

from datetime import timedelta

import pytest

from notifyflow.core.model import EscalationState, IncidentState, Severity, Word
from notifyflow.pipeline import operations
from notifyflow.pipeline.tell import tell
from notifyflow.storage.store import Store
from tests.builders import ACCEPTED, REFUSED, REFUSED_US, Story, a_contact, a_recipient, an_incident

OPS = operations.KEY


@pytest.fixture
def story(store: Store) -> Story:
    """The e-mail of everybody fails for good; operations sits in Slack."""
    story = Story(store, operations=[a_contact("ops", "slack", "sms")])
    story.answer("email", REFUSED)
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
    assert status.content.title == "every way to reach ada about db-1 has failed"
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
    assert story.status(OPS).content.title == "3 failures, the last: every way to reach ada about web-2 has failed"
    assert len(story.status(OPS).content.body.splitlines()) == 4
    assert len(story.told("slack")) == 2
    story.pass_time(hours=3)
    assert _rounds(story) == 2


def test_what_comes_later_starts_a_round_at_once(story: Story) -> None:
    _fail(story, "db-1")
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
    story.answer("slack", REFUSED)
    story.answer("sms", REFUSED_US, REFUSED)
    _fail(story, "db-1")
    story.pass_time(hours=1)
    escalation = story.escalation("ops", OPS)
    assert (escalation.state, _rounds(story)) == (EscalationState.EXHAUSTED, 1)
    assert [each.recipient_id for each in story.outcome.critical] == ["ada", "ops"]
    assert story.status(OPS).operations_key is None


def test_a_provider_that_refuses_us_is_told_once_a_day(story: Story) -> None:
    story.answer("teams", REFUSED_US)
    for key in ("db-1", "db-2"):
        story.notify(an_incident(key), a_recipient("ada", "teams"))
        story.deliver()
    status = story.status(OPS)
    assert status.content.body.splitlines() == ["2026-11-25 03:00 UTC: the teams provider: the provider refuses our credentials"]
    assert tell(story.tools, "its callbacks are not signed", "twilio").due == ()
    assert len(story.status(OPS).content.body.splitlines()) == 2
    story.clock.pass_time(timedelta(days=1))
    assert tell(story.tools, "its callbacks are not signed", "twilio").due != ()


def test_a_failure_too_old_to_open_a_tier_is_linked_and_pages_nobody(story: Story) -> None:
    story.answer("email", ACCEPTED)
    story.notify(None, a_recipient("ada", "email"))
    story.deliver()
    story.clock.pass_time(timedelta(hours=2))
    story.say(story.told("email")[0].attempt_id, Word.PERMANENT)
    assert story.status().operations_key == OPS
    assert story.status(OPS).escalations == ()
    assert [each.recipient_id for each in story.outcome.critical] == ["ada"]


def test_without_operations_recipients_it_exists_all_the_same(store: Store) -> None:
    story = Story(store)
    story.answer("email", REFUSED)
    _fail(story, "db-1")
    _fail(story, "db-2")
    assert story.status("db-2").operations_key == OPS
    assert story.status(OPS).escalations == ()


def test_one_transaction_may_bring_several_failures(story: Story) -> None:
    story.notify(None, a_recipient("ada", "slack"), a_recipient("ben", email="bad"), a_recipient("cy", email="bad"))
    assert story.status(OPS).content.title.startswith("2 failures, the last: cy has no address")
    assert _rounds(story) == 1
