"""The heartbeat: once an interval for all processes together, and never while something is wrong."""

from datetime import timedelta

import pytest

from notifyflow.core.model import EscalationState, Result, Severity
from notifyflow.pipeline import operations
from notifyflow.pipeline.heartbeat import Pulse, beat
from notifyflow.pipeline.notices import add_notice
from notifyflow.storage.store import Store
from tests.builders import BUSY, REFUSED, UNKNOWN, Story, a_contact, a_recipient, an_incident

MINUTE = timedelta(minutes=1)
OPS = operations.KEY


@pytest.fixture
def story(store: Store) -> Story:
    """Mail fails for everybody; operations is called, which reports back."""
    story = Story(store, operations=[a_contact("olga", "voice"), a_contact("otto", "email")])
    story.respond("email", REFUSED)
    return story


def pulse(story: Story) -> Pulse:
    """Ask for the heartbeat a minute later."""
    story.clock.pass_time(MINUTE)
    return beat(story.deps, every=MINUTE)


def test_whoever_asks_first_sends_it_and_the_others_do_not(story: Story) -> None:
    asked = [beat(story.deps, every=MINUTE) for _ in range(3)]
    assert asked == [Pulse.OURS, Pulse.EARLY, Pulse.EARLY]
    story.clock.pass_time(MINUTE - timedelta(microseconds=1))
    assert beat(story.deps, every=MINUTE) is Pulse.EARLY
    story.clock.pass_time(timedelta(microseconds=1))
    assert beat(story.deps, every=MINUTE) is Pulse.OURS


def test_what_waits_for_its_time_is_no_harm(story: Story) -> None:
    story.respond("slack", BUSY)
    story.notify(an_incident(), a_recipient("ada", "slack"))
    story.deliver()
    assert pulse(story) is Pulse.OURS


def test_it_stops_while_a_page_has_been_due_for_long(story: Story) -> None:
    story.notify(an_incident(), a_recipient("ada", "slack"))
    assert [pulse(story) for _ in range(5)] == [Pulse.OURS] * 4 + [Pulse.LEFT_BEHIND]
    story.deliver()
    assert pulse(story) is Pulse.OURS


def test_it_stops_while_an_expired_lease_is_not_taken_back(story: Story) -> None:
    story.notify(an_incident(), a_recipient("ada", "slack"))
    story.claim("slack")
    story.clock.pass_time(timedelta(minutes=6))
    assert beat(story.deps, every=MINUTE) is Pulse.LEFT_BEHIND
    story.sweep()
    story.deliver()
    assert beat(story.deps, every=MINUTE) is Pulse.OURS


def _lose(story: Story) -> None:
    """Fail Ada by every way, and operations, too."""
    story.respond("voice", REFUSED)
    story.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", "email"))
    story.deliver()


def test_it_stops_when_all_of_operations_have_failed_until_somebody_acknowledges(story: Story) -> None:
    _lose(story)
    assert pulse(story) is Pulse.OPERATIONS_UNREACHED
    story.acknowledge("olga", OPS)
    assert pulse(story) is Pulse.OURS


def test_it_stops_when_all_of_operations_have_failed_until_that_is_resolved(story: Story) -> None:
    _lose(story)
    assert pulse(story) is Pulse.OPERATIONS_UNREACHED
    story.resolve("olga", OPS)
    assert pulse(story) is Pulse.OURS


def test_a_new_round_for_operations_ends_the_silence_only_when_it_arrives(story: Story) -> None:
    _lose(story)
    story.respond("email")
    story.page_again("otto", OPS)
    assert pulse(story) is Pulse.OPERATIONS_UNREACHED
    story.deliver()
    assert pulse(story) is Pulse.OURS


def test_a_late_delivery_to_operations_ends_the_silence(story: Story) -> None:
    story.respond("voice", UNKNOWN)
    story.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", "email"))
    story.deliver()
    story.pass_time(minutes=30)
    assert pulse(story) is Pulse.OPERATIONS_UNREACHED
    story.report(story.told("voice")[-1].attempt_id, Result.DELIVERED)
    assert pulse(story) is Pulse.OURS


def test_it_goes_on_when_one_of_operations_was_reached(story: Story) -> None:
    story.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", "email"))
    story.deliver()
    assert pulse(story) is Pulse.OURS


def test_it_goes_on_while_nobody_is_configured_for_operations(store: Store) -> None:
    story = Story(store)
    story.respond("email", REFUSED)
    _lose(story)
    assert pulse(story) is Pulse.OURS


@pytest.fixture
def phones(store: Store) -> Story:
    """Nobody of operations has anything but a phone; what a notice tells comes by mail and chat only."""
    return Story(store, operations=[a_contact("olga", "voice"), a_contact("otto", "sms")])


def test_a_round_of_notices_does_not_stop_it_where_operations_has_phones_only(phones: Story) -> None:
    add_notice(phones.deps, "its callbacks are not signed", "twilio")
    phones.deliver()
    assert [each.facts.state for each in phones.status(OPS).escalations] == [EscalationState.EXHAUSTED] * 2
    assert pulse(phones) is Pulse.OURS


def test_a_round_of_notices_does_not_hide_that_nobody_was_reached_about_a_failure(phones: Story) -> None:
    phones.respond("email", REFUSED)
    phones.respond("sms", REFUSED)
    _lose(phones)
    phones.pass_time(hours=1)
    assert pulse(phones) is Pulse.OPERATIONS_UNREACHED
    add_notice(phones.deps, "its callbacks are not signed", "twilio")
    phones.pass_time(minutes=1)
    assert phones.escalations("olga", OPS)[-1].facts.severity is Severity.WARNING
    assert pulse(phones) is Pulse.OPERATIONS_UNREACHED


def test_a_round_of_notices_that_fails_by_mail_stops_it_whoever_has_a_phone_only(story: Story) -> None:
    add_notice(story.deps, "its callbacks are not signed", "twilio")
    story.deliver()
    assert pulse(story) is Pulse.OPERATIONS_UNREACHED
