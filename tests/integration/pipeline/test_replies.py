"""Short codes, opt-outs and what is recalled, in both databases."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery.model import Ended, Evidence, IncidentState, NotificationState, Result
from notifyflow.core.delivery.policy import DEFAULT, Acknowledgement, Policy, Tier
from notifyflow.core.intake.validation import OPERATIONS_KEY
from notifyflow.core.limits.mode import read_delivery
from notifyflow.core.messages.replies import Effect, HandledReply, Intent, Reply, write_response
from notifyflow.pipeline.limits.claim import claim
from notifyflow.pipeline.replies import handle_reply
from notifyflow.pipeline.transaction.ports import Claimed, Committed, Dependencies
from notifyflow.storage.dialects import execute
from notifyflow.storage.store import Store
from tests.builders import ACCEPTED, a_contact, a_recipient, an_incident
from tests.damage import run
from tests.driver import Driver
from tests.leases import record_one
from tests.notifying import notify

pytestmark = pytest.mark.usefixtures("each_by_itself")  # the rules for one row, whatever leaves with it

OURS, HERS = "+15005550006", "+15005550011"
TEXTS = replace(DEFAULT, name="texts", tiers=(Tier(name="primary", channels=("sms",)),))
CALLS = replace(DEFAULT, name="calls", tiers=(Tier(name="primary", channels=("voice",)),))


@pytest.fixture
def driver(store: Store) -> Iterator[Driver]:
    driver = Driver(store)
    senders = {"sms": {"twilio": OURS, "twilio-b": "+15005550007"}}
    driver.deps = replace(driver.deps, senders=senders, replying=frozenset({("sms", "twilio")}))
    return driver


def text(driver: Driver, key: str, *who: str, policy: Policy = TEXTS) -> Claimed:
    """Page people whose texts all go to one number; give the first claim."""
    people = [a_recipient(each, sms=HERS) for each in who or ("ada",)]
    notify(driver.deps, an_incident(key), people, policy=policy, strict=False)
    return claim_due(driver.deps, "sms")[0]


def claim_due(deps: Dependencies, channel: str, *providers: str) -> tuple[Claimed, ...]:
    return claim(deps, channel, (), limit=9, providers=providers or ("twilio",), reporting=("twilio",)).claimed


def say(
    driver: Driver,
    intent: Intent = Intent.ACKNOWLEDGE,
    code: str = "",
    *,
    event_id: str = "",
    ours: str = OURS,
    theirs: str = HERS,
    on_routes: Sequence[str] = (),
) -> Committed[HandledReply]:
    reply = Reply(
        provider="twilio", event_id=event_id or driver.deps.ids.new(), intent=intent, number=theirs, our_number=ours, code=code
    )
    return handle_reply(driver.deps, reply, channel="sms", raw="Body=ack", on_routes=on_routes)


def test_a_code_is_kept_while_it_is_used_and_free_a_week_later(driver: Driver) -> None:
    assert text(driver, "db-1").message.content.reply == "1"
    assert text(driver, "db-2").message.content.reply == "11"
    driver.clock.pass_time(timedelta(days=6))
    driver.page_again("ada", "db-2")
    assert claim_due(driver.deps, "sms")[0].message.content.reply == "11"
    driver.clock.pass_time(timedelta(days=2))
    assert text(driver, "db-3").message.content.reply == "10", "nobody has had it for a week"
    assert say(driver, code="11").value.effect is Effect.ACKNOWLEDGED
    assert driver.status("db-2").facts.state is IncidentState.ACKNOWLEDGED


def test_codes_that_are_issued_at_the_same_time_differ(driver: Driver) -> None:
    for number in range(8):
        notify(driver.deps, an_incident(f"db-{number}"), [a_recipient("ada", sms=HERS)], policy=TEXTS, strict=False)
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda _: claim(driver.deps, "sms", (), limit=2, providers=("twilio",), reporting=()).claimed, range(8))
        )
    replies = [each.message.content.reply for some in found for each in some]
    assert len(replies) == 8
    assert len(set(replies)) == 8


@pytest.mark.parametrize("mode", Acknowledgement)
def test_who_shares_a_number_replies_for_all_who_do(driver: Driver, mode: Acknowledgement) -> None:
    text(driver, "db-1", "ada", "bob", policy=replace(TEXTS, acknowledgement=mode))
    assert say(driver).value.effect is Effect.ACKNOWLEDGED
    assert driver.status("db-1").facts.state is IncidentState.ACKNOWLEDGED


def test_without_an_open_incident_the_response_describes_the_last_one(driver: Driver) -> None:
    driver.store.run(lambda ledger: ledger.replies.note_texted(HERS, "ada", at=driver.clock.now()))
    assert say(driver).value.effect is Effect.UNKNOWN
    text(driver, "db-1")
    driver.acknowledge("bob", "db-1")
    late = say(driver).value
    assert (late.effect, late.by) == (Effect.LATE, "bob acknowledged it")
    driver.resolve("bob", "db-1")
    assert say(driver).value.by == "It is over"


def test_a_reply_to_an_incident_that_cannot_be_read_says_so_and_another_one_is_acknowledged(driver: Driver) -> None:
    text(driver, "db-1")
    hurt = text(driver, "db-2").message.content.reply
    where = "WHERE key = 'db-2'"
    run(driver.deps, lambda db: execute(db, f"UPDATE notifyflow_incident SET state = 'LOUD' {where}"))
    assert say(driver, code=hurt).value.effect is Effect.UNREADABLE
    assert say(driver).value.effect is Effect.ACKNOWLEDGED
    assert driver.status("db-1").facts.state is IncidentState.ACKNOWLEDGED
    assert say(driver).value.effect is Effect.UNREADABLE
    run(driver.deps, lambda db: execute(db, f"UPDATE notifyflow_incident SET state = 'OPEN' {where}"))
    assert say(driver, code=hurt).value.effect is Effect.ACKNOWLEDGED


def test_stop_leaves_the_other_number_of_ours(driver: Driver) -> None:
    text(driver, "db-1")
    assert say(driver, Intent.STOP).value.effect is Effect.BLOCKED
    notify(driver.deps, an_incident("db-2"), [a_recipient("ada", sms=HERS)], policy=TEXTS, strict=False)
    (claimed,) = claim_due(driver.deps, "sms", "twilio", "twilio-b")
    assert claimed.provider == "twilio-b"
    assert claimed.message.content.reply == "", "nobody reads responses there"
    say(driver, Intent.STOP, ours="+15005550007")
    notify(driver.deps, an_incident("db-3"), [a_recipient("ada", sms=HERS)], policy=TEXTS, strict=False)
    assert claim_due(driver.deps, "sms", "twilio", "twilio-b") == ()
    (row,) = driver.status("db-3").escalations[0].notifications
    assert (row.state, row.ended) == (NotificationState.FAILED, Ended.OPTED_OUT)
    assert say(driver, Intent.START).value.effect is Effect.UNBLOCKED
    driver.page_again("ada", "db-3")
    assert claim_due(driver.deps, "sms", "twilio", "twilio-b")[0].provider == "twilio"


def test_after_stop_no_response_is_texted_but_an_acknowledgement_counts(driver: Driver) -> None:
    text(driver, "db-1")
    assert write_response(say(driver, Intent.HELP).value)
    say(driver, Intent.STOP)
    assert write_response(say(driver, Intent.HELP).value) == ""
    reply = say(driver).value
    assert (reply.effect, write_response(reply)) == (Effect.ACKNOWLEDGED, "")
    assert write_response(say(driver, Intent.START).value)


def test_who_gets_a_redirected_text_replies_to_it(driver: Driver) -> None:
    driver.deps = replace(driver.deps, delivery=read_delivery(f"redirect:sms={HERS}"))
    notify(driver.deps, an_incident("db-1"), [a_recipient("bob", sms="+15005550012")], policy=TEXTS, strict=False)
    assert claim_due(driver.deps, "sms")[0].message.content.reply == "1"
    assert say(driver).value.effect is Effect.ACKNOWLEDGED
    assert driver.status("db-1").facts.acknowledged_by == "bob"
    for ours in (OURS, "+15005550007"):
        say(driver, Intent.STOP, ours=ours)
    notify(driver.deps, an_incident("db-2"), [a_recipient("bob", sms="+15005550012")], policy=TEXTS, strict=False)
    assert claim_due(driver.deps, "sms", "twilio", "twilio-b") == ()
    assert driver.status("db-2").escalations[0].notifications[0].ended is Ended.OPTED_OUT


def test_what_is_withheld_is_given_no_code(driver: Driver) -> None:
    driver.deps = replace(driver.deps, delivery=read_delivery("dry-run"))
    assert text(driver, "db-1").message.content.reply == ""
    assert say(driver).value.effect is Effect.IGNORED


def test_yes_acknowledges_or_unblocks_a_number_that_sent_stop(driver: Driver) -> None:
    text(driver, "db-1")
    assert say(driver, Intent.YES).value.effect is Effect.ACKNOWLEDGED
    text(driver, "db-2")
    say(driver, Intent.STOP)
    assert say(driver, Intent.YES).value.effect is Effect.UNBLOCKED
    assert driver.status("db-2").facts.state is IncidentState.OPEN
    assert say(driver, Intent.YES).value.effect is Effect.ACKNOWLEDGED
    assert driver.status("db-2").facts.state is IncidentState.ACKNOWLEDGED


def test_start_acknowledges_nothing(driver: Driver) -> None:
    text(driver, "db-1")
    assert say(driver, Intent.START).value.effect is Effect.UNBLOCKED
    assert driver.status("db-1").facts.state is IncidentState.OPEN


@pytest.mark.parametrize("intent", Intent)
def test_a_reply_from_an_unknown_number_is_ignored(driver: Driver, intent: Intent) -> None:
    handled = say(driver, intent, theirs="+15005550099").value
    assert (handled.effect, write_response(handled)) == (Effect.IGNORED, "")
    assert driver.store.run(lambda ledger: ledger.replies.opt_outs("+15005550099", [OURS])) == frozenset()
    text(driver, "db-1")
    assert say(driver, theirs="+15005550099").value.effect is Effect.IGNORED


def test_what_we_say_ourselves_gets_no_response(driver: Driver) -> None:
    text(driver, "db-1")
    assert say(driver, Intent.ECHO).value.effect is Effect.IGNORED
    driver.store.run(lambda ledger: ledger.replies.note_texted("+15005550007", "ada", at=driver.clock.now()))
    assert say(driver, Intent.HELP, theirs="+15005550007").value.effect is Effect.IGNORED, "it is a number of ours"


def test_somebody_gets_three_responses_an_hour_and_what_they_acknowledge_is_acknowledged(driver: Driver) -> None:
    text(driver, "db-1")
    for _ in range(3):
        assert write_response(say(driver, Intent.UNCLEAR).value)
        driver.clock.pass_time(timedelta(minutes=15))
    reply = say(driver).value
    assert (reply.effect, write_response(reply)) == (Effect.ACKNOWLEDGED, "")
    driver.clock.pass_time(timedelta(minutes=15))
    assert write_response(say(driver).value), "the first was an hour ago"
    assert write_response(say(driver).value) == ""


def test_what_comes_again_or_gets_no_response_uses_none_up(driver: Driver) -> None:
    text(driver, "db-1")
    for _ in range(9):
        say(driver, event_id="1")
        say(driver, Intent.STOP)
    say(driver, Intent.START)
    assert write_response(say(driver, Intent.HELP).value)


def test_two_texts_at_once_get_no_more_responses(driver: Driver) -> None:
    text(driver, "db-1")
    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda _: write_response(say(driver, Intent.HELP).value), range(12)))
    assert len(list(filter(None, texts))) == 3


def test_operations_gets_one_notice_when_somebody_on_a_route_says_stop(store: Store) -> None:
    driver = Driver(store, operations=[a_contact("ops", "email")])
    say(driver, Intent.STOP, on_routes=("ada", "ben"))
    assert driver.store.run(lambda ledger: ledger.replies.opt_outs(HERS, [OURS])) == {OURS}, "though no text ever went there"
    say(driver, Intent.STOP, on_routes=("ada", "ben"))
    lines = (driver.status(OPERATIONS_KEY).content.body or "").splitlines()
    assert [each for each in lines if "ada has replied STOP" in each] == lines[:1]
    assert [each for each in lines if "ben has replied STOP" in each] == lines[1:]


def test_operations_gets_a_notice_when_one_of_its_own_says_stop(store: Store) -> None:
    driver = Driver(store, operations=[replace(a_contact("ops", "email"), addresses={"email": "ops@email", "sms": HERS})])
    say(driver, Intent.STOP)
    assert "ops has replied STOP" in (driver.status(OPERATIONS_KEY).content.body or "")


def test_who_is_on_no_route_says_stop_without_telling_operations(store: Store) -> None:
    driver = Driver(store, operations=[a_contact("ops", "email")])
    text(driver, "db-1")
    assert say(driver, Intent.STOP).value.effect is Effect.BLOCKED
    assert driver.store.read(lambda reads: reads.status(OPERATIONS_KEY)) is None


@pytest.mark.parametrize("intent", [Intent.STOP, Intent.START, Intent.YES, Intent.ACKNOWLEDGE])
def test_what_was_done_is_not_done_again_after_a_prune(driver: Driver, intent: Intent) -> None:
    text(driver, "db-1")
    say(driver, intent, event_id="old")
    say(driver, Intent.HELP, event_id="asked")
    say(driver, Intent.START if intent is Intent.STOP else Intent.STOP)
    before = driver.clock.now() + timedelta(minutes=1)
    pruned = driver.store.run(lambda ledger: ledger.pruning.strays(before=before, limit=100))
    assert pruned.receipts == 1, "what changed nothing may go"
    assert say(driver, intent, event_id="old", on_routes=("ada",)).value.effect is Effect.REPEATED


def test_a_number_is_known_until_it_is_pruned_and_as_long_as_it_wants_no_texts(driver: Driver) -> None:
    text(driver, "db-1")
    driver.clock.pass_time(timedelta(days=30))
    driver.sweep()
    assert say(driver, Intent.HELP).value.effect is Effect.EXPLAINED
    later = driver.clock.now() + timedelta(days=1)
    driver.store.run(lambda ledger: ledger.pruning.strays(before=later, limit=100))
    assert say(driver, Intent.HELP).value.effect is Effect.IGNORED
    driver.store.run(lambda ledger: ledger.replies.opt_out(OURS, HERS, at=driver.clock.now()))
    assert say(driver, Intent.START).value.effect is Effect.UNBLOCKED


def test_an_event_that_comes_again_does_nothing(driver: Driver) -> None:
    text(driver, "db-1")
    assert say(driver, Intent.STOP, event_id="1").value.effect is Effect.BLOCKED
    say(driver, Intent.START)
    assert say(driver, Intent.STOP, event_id="1").value.effect is Effect.REPEATED
    driver.page_again("ada", "db-1")
    assert claim_due(driver.deps, "sms")


@pytest.mark.parametrize(("ends", "is_recalled"), [("acknowledge", True), ("resolve", True), ("page_again", False)])
def test_a_call_that_is_accepted_only_after_somebody_acknowledged_it_is_recalled(
    driver: Driver, ends: str, is_recalled: bool
) -> None:
    notify(driver.deps, an_incident("db-1"), [a_recipient("ada", "voice")], policy=CALLS, strict=False)
    (call,) = claim_due(driver.deps, "voice")
    getattr(driver, ends)("ada", "db-1")
    accepted = replace(ACCEPTED, result=Result.ACCEPTED, evidence=Evidence.ACCEPTED, provider_ref="CA1")
    recalls = record_one(driver.deps, call, accepted).recalls
    assert [each.provider_ref for each in recalls] == (["CA1"] if is_recalled else [])
