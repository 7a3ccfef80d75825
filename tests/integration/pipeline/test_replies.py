"""Short codes, opt-outs and what is recalled, in both databases."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery import read_delivery
from notifyflow.core.intake.validation import OPERATIONS_KEY
from notifyflow.core.model import Ended, Evidence, IncidentState, NotificationState, Result
from notifyflow.core.policy import DEFAULT, Acknowledgement, Policy, Tier
from notifyflow.core.replies import Effect, Intent, Reply, write_response
from notifyflow.pipeline.claim import claim
from notifyflow.pipeline.notify import notify
from notifyflow.pipeline.ports import Claimed, Dependencies, Handled
from notifyflow.pipeline.record import record
from notifyflow.pipeline.replies import handle_reply
from notifyflow.storage.store import Store
from tests.builders import ACCEPTED, Story, a_contact, a_recipient, an_incident

OURS, HERS = "+15005550006", "+15005550011"
TEXTS = replace(DEFAULT, name="texts", tiers=(Tier(name="primary", channels=("sms",)),))
CALLS = replace(DEFAULT, name="calls", tiers=(Tier(name="primary", channels=("voice",)),))


@pytest.fixture
def story(store: Store) -> Iterator[Story]:
    story = Story(store)
    story.deps = replace(story.deps, senders={"twilio": OURS, "twilio-b": "+15005550007"}, replying=frozenset({"twilio"}))
    return story


def text(story: Story, key: str, *who: str, policy: Policy = TEXTS) -> Claimed:
    """Page people whose texts all go to one number; give the first claim."""
    people = [a_recipient(each, sms=HERS) for each in who or ("ada",)]
    notify(story.deps, an_incident(key), people, policy=policy, strict=False)
    return claim_due(story.deps, "sms")[0]


def claim_due(deps: Dependencies, channel: str, *providers: str) -> tuple[Claimed, ...]:
    return claim(deps, channel, (), limit=9, providers=providers or ("twilio",), reporting=("twilio",)).claimed


def say(
    story: Story,
    intent: Intent = Intent.ACKNOWLEDGE,
    code: str = "",
    *,
    event_id: str = "",
    ours: str = OURS,
    theirs: str = HERS,
    on_routes: Sequence[str] = (),
) -> Handled:
    reply = Reply(
        provider="twilio", event_id=event_id or story.deps.ids.new(), intent=intent, number=theirs, our_number=ours, code=code
    )
    return handle_reply(story.deps, reply, raw="Body=ack", on_routes=on_routes)


def test_a_code_is_kept_while_it_is_used_and_free_a_week_later(story: Story) -> None:
    assert text(story, "db-1").content.reply == "1"
    assert text(story, "db-2").content.reply == "11"
    story.clock.pass_time(timedelta(days=6))
    story.page_again("ada", "db-2")
    assert claim_due(story.deps, "sms")[0].content.reply == "11"
    story.clock.pass_time(timedelta(days=2))
    assert text(story, "db-3").content.reply == "10", "nobody has had it for a week"
    assert say(story, code="11").reply.effect is Effect.ACKNOWLEDGED
    assert story.status("db-2").facts.state is IncidentState.ACKNOWLEDGED


def test_codes_that_are_issued_at_the_same_time_differ(story: Story) -> None:
    for number in range(8):
        notify(story.deps, an_incident(f"db-{number}"), [a_recipient("ada", sms=HERS)], policy=TEXTS, strict=False)
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda _: claim(story.deps, "sms", (), limit=2, providers=("twilio",), reporting=()).claimed, range(8))
        )
    replies = [each.content.reply for some in found for each in some]
    assert len(replies) == 8
    assert len(set(replies)) == 8


@pytest.mark.parametrize("mode", Acknowledgement)
def test_who_shares_a_number_replies_for_all_who_do(story: Story, mode: Acknowledgement) -> None:
    text(story, "db-1", "ada", "bob", policy=replace(TEXTS, acknowledgement=mode))
    assert say(story).reply.effect is Effect.ACKNOWLEDGED
    assert story.status("db-1").facts.state is IncidentState.ACKNOWLEDGED


def test_without_anything_open_it_is_said_what_became_of_the_last(story: Story) -> None:
    story.store.run(lambda ledger: ledger.note_texted(HERS, "ada", at=story.clock.now()))
    assert say(story).reply.effect is Effect.UNKNOWN
    text(story, "db-1")
    story.acknowledge("bob", "db-1")
    late = say(story).reply
    assert (late.effect, late.by) == (Effect.LATE, "bob acknowledged it")
    story.resolve("bob", "db-1")
    assert say(story).reply.by == "It is over"


def test_stop_leaves_the_other_number_of_ours(story: Story) -> None:
    text(story, "db-1")
    assert say(story, Intent.STOP).reply.effect is Effect.BLOCKED
    notify(story.deps, an_incident("db-2"), [a_recipient("ada", sms=HERS)], policy=TEXTS, strict=False)
    (claimed,) = claim_due(story.deps, "sms", "twilio", "twilio-b")
    assert claimed.provider == "twilio-b"
    assert claimed.content.reply == "", "nobody hears answers there"
    say(story, Intent.STOP, ours="+15005550007")
    notify(story.deps, an_incident("db-3"), [a_recipient("ada", sms=HERS)], policy=TEXTS, strict=False)
    assert claim_due(story.deps, "sms", "twilio", "twilio-b") == ()
    (row,) = story.status("db-3").escalations[0].notifications
    assert (row.state, row.ended) == (NotificationState.FAILED, Ended.OPTED_OUT)
    assert say(story, Intent.START).reply.effect is Effect.UNBLOCKED
    story.page_again("ada", "db-3")
    assert claim_due(story.deps, "sms", "twilio", "twilio-b")[0].provider == "twilio"


def test_nothing_is_texted_in_response_to_who_said_stop_and_what_they_acknowledge_is_acknowledged(story: Story) -> None:
    text(story, "db-1")
    assert write_response(say(story, Intent.HELP).reply)
    say(story, Intent.STOP)
    assert write_response(say(story, Intent.HELP).reply) == ""
    reply = say(story).reply
    assert (reply.effect, write_response(reply)) == (Effect.ACKNOWLEDGED, "")
    assert write_response(say(story, Intent.START).reply)


def test_who_gets_a_redirected_text_replies_to_it(story: Story) -> None:
    story.deps = replace(story.deps, delivery=read_delivery(f"redirect:sms={HERS}"))
    notify(story.deps, an_incident("db-1"), [a_recipient("bob", sms="+15005550012")], policy=TEXTS, strict=False)
    assert claim_due(story.deps, "sms")[0].content.reply == "1"
    assert say(story).reply.effect is Effect.ACKNOWLEDGED
    assert story.status("db-1").facts.acknowledged_by == "bob"
    for ours in (OURS, "+15005550007"):
        say(story, Intent.STOP, ours=ours)
    notify(story.deps, an_incident("db-2"), [a_recipient("bob", sms="+15005550012")], policy=TEXTS, strict=False)
    assert claim_due(story.deps, "sms", "twilio", "twilio-b") == ()
    assert story.status("db-2").escalations[0].notifications[0].ended is Ended.OPTED_OUT


def test_what_is_withheld_is_given_no_code(story: Story) -> None:
    story.deps = replace(story.deps, delivery=read_delivery("dry-run"))
    assert text(story, "db-1").content.reply == ""
    assert say(story).reply.effect is Effect.IGNORED


def test_yes_takes_unless_its_sender_has_said_stop_and_then_lets_texts_in_again(story: Story) -> None:
    text(story, "db-1")
    assert say(story, Intent.YES).reply.effect is Effect.ACKNOWLEDGED
    text(story, "db-2")
    say(story, Intent.STOP)
    assert say(story, Intent.YES).reply.effect is Effect.UNBLOCKED
    assert story.status("db-2").facts.state is IncidentState.OPEN
    assert say(story, Intent.YES).reply.effect is Effect.ACKNOWLEDGED
    assert story.status("db-2").facts.state is IncidentState.ACKNOWLEDGED


def test_start_takes_nothing(story: Story) -> None:
    text(story, "db-1")
    assert say(story, Intent.START).reply.effect is Effect.UNBLOCKED
    assert story.status("db-1").facts.state is IncidentState.OPEN


@pytest.mark.parametrize("intent", Intent)
def test_a_reply_from_an_unknown_number_is_ignored(story: Story, intent: Intent) -> None:
    heard = say(story, intent, theirs="+15005550099").reply
    assert (heard.effect, write_response(heard)) == (Effect.IGNORED, "")
    assert story.store.run(lambda ledger: ledger.opt_outs("+15005550099", [OURS])) == frozenset()
    text(story, "db-1")
    assert say(story, theirs="+15005550099").reply.effect is Effect.IGNORED


def test_what_we_say_ourselves_gets_no_response(story: Story) -> None:
    text(story, "db-1")
    assert say(story, Intent.ECHO).reply.effect is Effect.IGNORED
    story.store.run(lambda ledger: ledger.note_texted("+15005550007", "ada", at=story.clock.now()))
    assert say(story, Intent.HELP, theirs="+15005550007").reply.effect is Effect.IGNORED, "it is a number of ours"


def test_somebody_gets_three_responses_an_hour_and_what_they_acknowledge_is_acknowledged(story: Story) -> None:
    text(story, "db-1")
    for _ in range(3):
        assert write_response(say(story, Intent.UNCLEAR).reply)
        story.clock.pass_time(timedelta(minutes=15))
    reply = say(story).reply
    assert (reply.effect, write_response(reply)) == (Effect.ACKNOWLEDGED, "")
    story.clock.pass_time(timedelta(minutes=15))
    assert write_response(say(story).reply), "the first was an hour ago"
    assert write_response(say(story).reply) == ""


def test_what_comes_again_or_gets_no_response_uses_none_up(story: Story) -> None:
    text(story, "db-1")
    for _ in range(9):
        say(story, event_id="1")
        say(story, Intent.STOP)
    say(story, Intent.START)
    assert write_response(say(story, Intent.HELP).reply)


def test_two_texts_at_once_get_no_more_responses(story: Story) -> None:
    text(story, "db-1")
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda _: write_response(say(story, Intent.HELP).reply), range(12)))
    assert len(list(filter(None, said))) == 3


def test_operations_is_told_once_when_somebody_on_a_route_says_stop(store: Store) -> None:
    story = Story(store, operations=[a_contact("ops", "email")])
    say(story, Intent.STOP, on_routes=("ada", "ben"))
    assert story.store.run(lambda ledger: ledger.opt_outs(HERS, [OURS])) == {OURS}, "though no text ever went there"
    say(story, Intent.STOP, on_routes=("ada", "ben"))
    told = (story.status(OPERATIONS_KEY).content.body or "").splitlines()
    assert [each for each in told if "ada has said STOP" in each] == told[:1]
    assert [each for each in told if "ben has said STOP" in each] == told[1:]


def test_operations_is_told_when_one_of_its_own_says_stop(store: Store) -> None:
    story = Story(store, operations=[replace(a_contact("ops", "email"), addresses={"email": "ops@email", "sms": HERS})])
    say(story, Intent.STOP)
    assert "ops has said STOP" in (story.status(OPERATIONS_KEY).content.body or "")


def test_who_is_on_no_route_says_stop_without_telling_operations(store: Store) -> None:
    story = Story(store, operations=[a_contact("ops", "email")])
    text(story, "db-1")
    assert say(story, Intent.STOP).reply.effect is Effect.BLOCKED
    assert story.store.read(lambda reads: reads.status(OPERATIONS_KEY)) is None


@pytest.mark.parametrize("intent", [Intent.STOP, Intent.START, Intent.YES, Intent.ACKNOWLEDGE])
def test_what_was_done_is_not_done_again_after_a_prune(story: Story, intent: Intent) -> None:
    text(story, "db-1")
    say(story, intent, event_id="old")
    say(story, Intent.HELP, event_id="asked")
    say(story, Intent.START if intent is Intent.STOP else Intent.STOP)
    before = story.clock.now() + timedelta(minutes=1)
    pruned = story.store.run(lambda ledger: ledger.prune_strays(before=before, limit=100))
    assert pruned.receipts == 1, "what changed nothing may go"
    assert say(story, intent, event_id="old", on_routes=("ada",)).reply.effect is Effect.REPEATED


def test_a_number_is_known_until_it_is_pruned_and_as_long_as_it_wants_no_texts(story: Story) -> None:
    text(story, "db-1")
    story.clock.pass_time(timedelta(days=30))
    story.sweep()
    assert say(story, Intent.HELP).reply.effect is Effect.EXPLAINED
    later = story.clock.now() + timedelta(days=1)
    story.store.run(lambda ledger: ledger.prune_strays(before=later, limit=100))
    assert say(story, Intent.HELP).reply.effect is Effect.IGNORED
    story.store.run(lambda ledger: ledger.opt_out(OURS, HERS, at=story.clock.now()))
    assert say(story, Intent.START).reply.effect is Effect.UNBLOCKED


def test_an_event_that_comes_again_does_nothing(story: Story) -> None:
    text(story, "db-1")
    assert say(story, Intent.STOP, event_id="1").reply.effect is Effect.BLOCKED
    say(story, Intent.START)
    assert say(story, Intent.STOP, event_id="1").reply.effect is Effect.REPEATED
    story.page_again("ada", "db-1")
    assert claim_due(story.deps, "sms")


@pytest.mark.parametrize(("ends", "is_recalled"), [("acknowledge", True), ("resolve", True), ("page_again", False)])
def test_a_call_that_is_accepted_only_after_somebody_acknowledged_it_is_recalled(
    story: Story, ends: str, is_recalled: bool
) -> None:
    notify(story.deps, an_incident("db-1"), [a_recipient("ada", "voice")], policy=CALLS, strict=False)
    (call,) = claim_due(story.deps, "voice")
    getattr(story, ends)("ada", "db-1")
    accepted = replace(ACCEPTED, result=Result.ACCEPTED, evidence=Evidence.ACCEPTED, provider_ref="CA1")
    recalls = record(story.deps, call.attempt_id, call.token, accepted).recalls
    assert [each.provider_ref for each in recalls] == (["CA1"] if is_recalled else [])
