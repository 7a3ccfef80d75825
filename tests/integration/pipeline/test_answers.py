"""Short codes, opt-outs and what is recalled, in both databases."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery import read_delivery
from notifyflow.core.model import Ended, Evidence, IncidentState, NotificationState, Word
from notifyflow.core.policy import DEFAULT, Acknowledgement, Policy, Tier
from notifyflow.core.replies import Effect, Said, Verb, answer
from notifyflow.pipeline.answer import hear
from notifyflow.pipeline.claim import claim
from notifyflow.pipeline.notify import notify
from notifyflow.pipeline.ports import Answered, Claimed, Tools
from notifyflow.pipeline.record import record
from notifyflow.storage.store import Store
from tests.builders import ACCEPTED, Story, a_recipient, an_incident

OURS, HERS = "+15005550006", "+15005550011"
TEXTS = replace(DEFAULT, name="texts", tiers=(Tier(name="primary", channels=("sms",)),))
CALLS = replace(DEFAULT, name="calls", tiers=(Tier(name="primary", channels=("voice",)),))


@pytest.fixture
def story(store: Store) -> Iterator[Story]:
    story = Story(store)
    story.tools = replace(story.tools, senders={"twilio": OURS, "twilio-b": "+15005550007"}, replying=frozenset({"twilio"}))
    return story


def text(story: Story, key: str, *who: str, policy: Policy = TEXTS) -> Claimed:
    """Page people whose texts all go to one number; give the first claim."""
    people = [a_recipient(each, sms=HERS) for each in who or ("ada",)]
    notify(story.tools, an_incident(key), people, policy=policy, strict=False)
    return take(story.tools, "sms")[0]


def take(tools: Tools, channel: str, *providers: str) -> tuple[Claimed, ...]:
    return claim(tools, channel, (), limit=9, providers=providers or ("twilio",), reporting=("twilio",)).claimed


def say(story: Story, verb: Verb = Verb.ACKNOWLEDGE, code: str = "", *, event_id: str = "", ours: str = OURS) -> Answered:
    said = Said(provider="twilio", event_id=event_id or story.tools.ids.new(), verb=verb, theirs=HERS, ours=ours, code=code)
    return hear(story.tools, said, raw="Body=ack")


def test_a_code_is_kept_while_it_is_used_and_free_a_week_later(story: Story) -> None:
    assert text(story, "db-1").content.reply == "1"
    assert text(story, "db-2").content.reply == "11"
    story.clock.pass_time(timedelta(days=6))
    story.page_again("ada", "db-2")
    assert take(story.tools, "sms")[0].content.reply == "11"
    story.clock.pass_time(timedelta(days=2))
    assert text(story, "db-3").content.reply == "10", "nobody has had it for a week"
    assert say(story, code="11").heard.effect is Effect.TAKEN
    assert story.status("db-2").facts.state is IncidentState.ACKNOWLEDGED


def test_codes_that_are_given_at_the_same_time_differ(story: Story) -> None:
    for number in range(8):
        notify(story.tools, an_incident(f"db-{number}"), [a_recipient("ada", sms=HERS)], policy=TEXTS, strict=False)
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda _: claim(story.tools, "sms", (), limit=2, providers=("twilio",), reporting=()).claimed, range(8))
        )
    replies = [each.content.reply for some in found for each in some]
    assert len(replies) == 8
    assert len(set(replies)) == 8


@pytest.mark.parametrize("mode", Acknowledgement)
def test_who_shares_a_number_answers_for_all_who_do(story: Story, mode: Acknowledgement) -> None:
    text(story, "db-1", "ada", "bob", policy=replace(TEXTS, acknowledgement=mode))
    assert say(story).heard.effect is Effect.TAKEN
    assert story.status("db-1").facts.state is IncidentState.ACKNOWLEDGED


def test_without_anything_open_it_is_said_what_became_of_the_last(story: Story) -> None:
    assert say(story).heard.effect is Effect.UNKNOWN
    text(story, "db-1")
    story.acknowledge("bob", "db-1")
    late = say(story).heard
    assert (late.effect, late.by) == (Effect.LATE, "bob took it")
    story.resolve("bob", "db-1")
    assert say(story).heard.by == "It is over"


def test_stop_leaves_the_other_number_of_ours(story: Story) -> None:
    text(story, "db-1")
    assert say(story, Verb.STOP).heard.effect is Effect.BLOCKED
    notify(story.tools, an_incident("db-2"), [a_recipient("ada", sms=HERS)], policy=TEXTS, strict=False)
    (claimed,) = take(story.tools, "sms", "twilio", "twilio-b")
    assert claimed.provider == "twilio-b"
    assert claimed.content.reply == "", "nobody hears answers there"
    say(story, Verb.STOP, ours="+15005550007")
    notify(story.tools, an_incident("db-3"), [a_recipient("ada", sms=HERS)], policy=TEXTS, strict=False)
    assert take(story.tools, "sms", "twilio", "twilio-b") == ()
    (row,) = story.status("db-3").escalations[0].notifications
    assert (row.state, row.ended) == (NotificationState.FAILED, Ended.OPTED_OUT)
    assert say(story, Verb.START).heard.effect is Effect.UNBLOCKED
    story.page_again("ada", "db-3")
    assert take(story.tools, "sms", "twilio", "twilio-b")[0].provider == "twilio"


def test_nothing_is_texted_in_answer_to_who_said_stop_and_what_they_take_is_taken(story: Story) -> None:
    text(story, "db-1")
    assert answer(say(story, Verb.HELP).heard)
    say(story, Verb.STOP)
    assert answer(say(story, Verb.HELP).heard) == ""
    taken = say(story).heard
    assert (taken.effect, answer(taken)) == (Effect.TAKEN, "")
    assert answer(say(story, Verb.START).heard)


def test_what_is_redirected_is_answered_by_who_gets_it(story: Story) -> None:
    story.tools = replace(story.tools, delivery=read_delivery(f"redirect:sms={HERS}"))
    notify(story.tools, an_incident("db-1"), [a_recipient("bob", sms="+15005550012")], policy=TEXTS, strict=False)
    assert take(story.tools, "sms")[0].content.reply == "1"
    assert say(story).heard.effect is Effect.TAKEN
    assert story.status("db-1").facts.acknowledged_by == "bob"
    for ours in (OURS, "+15005550007"):
        say(story, Verb.STOP, ours=ours)
    notify(story.tools, an_incident("db-2"), [a_recipient("bob", sms="+15005550012")], policy=TEXTS, strict=False)
    assert take(story.tools, "sms", "twilio", "twilio-b") == ()
    assert story.status("db-2").escalations[0].notifications[0].ended is Ended.OPTED_OUT


def test_what_is_withheld_is_given_no_code(story: Story) -> None:
    story.tools = replace(story.tools, delivery=read_delivery("dry-run"))
    assert text(story, "db-1").content.reply == ""
    assert say(story).heard.effect is Effect.UNKNOWN


def test_an_event_that_comes_again_does_nothing(story: Story) -> None:
    text(story, "db-1")
    assert say(story, Verb.STOP, event_id="1").heard.effect is Effect.BLOCKED
    say(story, Verb.START)
    assert say(story, Verb.STOP, event_id="1").heard.effect is Effect.REPEATED
    story.page_again("ada", "db-1")
    assert take(story.tools, "sms")


@pytest.mark.parametrize(("ends", "is_recalled"), [("acknowledge", True), ("resolve", True), ("page_again", False)])
def test_a_call_that_is_accepted_only_after_somebody_took_it_is_recalled(story: Story, ends: str, is_recalled: bool) -> None:
    notify(story.tools, an_incident("db-1"), [a_recipient("ada", "voice")], policy=CALLS, strict=False)
    (call,) = take(story.tools, "voice")
    getattr(story, ends)("ada", "db-1")
    accepted = replace(ACCEPTED, word=Word.ACCEPTED, evidence=Evidence.ACCEPTED, provider_ref="CA1")
    recalls = record(story.tools, call.attempt_id, call.token, accepted).recalls
    assert [each.provider_ref for each in recalls] == (["CA1"] if is_recalled else [])
