"""The code and the link of a bundle stand for exactly what it carried, up to the severities that it showed."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from notifyflow.core.delivery.facts import Outcome
from notifyflow.core.delivery.model import IncidentState, NotificationState, Recipient, Result, Severity, Via
from notifyflow.core.delivery.policy import DEFAULT, Acknowledgement, Policy, Tier
from notifyflow.core.messages.bundle import halves
from notifyflow.core.messages.links import Subject
from notifyflow.core.messages.replies import Effect, HandledReply, Intent, Reply, write_response
from notifyflow.core.messages.segments import count
from notifyflow.errors import InvalidLink, StorageUnavailable
from notifyflow.pipeline.delivery.record import Halved, Release, release
from notifyflow.pipeline.replies import handle_reply
from notifyflow.pipeline.transaction.ports import Claimed, Transactions
from notifyflow.service.delivery.links import Links
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.storage.store import Store
from tests.builders import BUSY, START, a_recipient, an_incident
from tests.damage import Damage, damaged, release_all
from tests.driver import Driver
from tests.renderers import SMS

OPEN, ACKNOWLEDGED = IncidentState.OPEN, IncidentState.ACKNOWLEDGED
OURS, HERS = "+15005550006", "+15005550011"
NIGHT = timedelta(hours=4)
PROVIDER = "the sms provider"
TEXTS = replace(DEFAULT, name="texts", tiers=(Tier(name="primary", channels=("sms",)),))
THREE, FOUR = ("db-1", "db-2", "db-3"), ("db-1", "db-2", "db-3", "db-4")


@pytest.fixture
def driver(store: Store) -> Driver:
    driver = Driver(store, public_url="https://pages.example")
    driver.deps = replace(driver.deps, senders={"sms": {PROVIDER: OURS}}, replying=frozenset({("sms", PROVIDER)}))
    return driver


def quiet(who: str = "ada", number: str = HERS) -> Recipient:
    return replace(a_recipient(who, sms=number), quiet="22:00-07:00")


def night(driver: Driver, keys: Sequence[str], *people: Recipient, policy: Policy = TEXTS) -> None:
    """Notify people of incidents in their quiet hours, and let these end before anything is claimed."""
    for key in keys:
        driver.notify(an_incident(key, title=f"{key} is down", severity=Severity.ERROR), *people or (quiet(),), policy=policy)
    driver.deliver()
    driver.note_sweep(START + NIGHT)


def bundle(driver: Driver, keys: Sequence[str] = FOUR) -> Claimed:
    """Send one text about incidents that waited."""
    night(driver, keys)
    (call,) = driver.claim("sms")
    assert len(call.attempts) == len(keys)
    for attempt in call.attempts:
        driver.record(attempt)
    return call


def say(driver: Driver, code: str = "", *, is_all: bool = False, event_id: str = "") -> HandledReply:
    intent = Intent.ACKNOWLEDGE_ALL if is_all else Intent.ACKNOWLEDGE
    reply = Reply(
        provider=PROVIDER,
        event_id=event_id or driver.deps.ids.new(),
        intent=intent,
        number=HERS,
        our_number=OURS,
        code=code,
    )
    return handle_reply(driver.deps, reply, channel="sms", raw="").value


def states(driver: Driver, keys: Sequence[str] = FOUR) -> list[IncidentState]:
    return [driver.status(key).facts.state for key in keys]


def test_a_bundle_that_does_not_name_all_says_and_takes_all_and_its_code(driver: Driver) -> None:
    assert bundle(driver).message.content.reply == "ALL 10"
    asked = say(driver, "10")
    assert (asked.effect, asked.open_incidents) == (Effect.AMBIGUOUS, 4)
    assert write_response(asked) == ("4 are open, nothing was acknowledged. Reply with a code: ALL 10 db-1 is down and 3 more")
    for unclear in (say(driver), say(driver, is_all=True)):
        assert unclear == replace(asked, is_withheld=unclear.is_withheld)
    assert states(driver) == [OPEN] * 4
    done = say(driver, "10", is_all=True)
    assert (done.effect, len(done.choices), done.still_open) == (Effect.ACKNOWLEDGED, 4, [])
    assert states(driver) == [ACKNOWLEDGED] * 4


@pytest.mark.parametrize("code", ["", "10"])
def test_a_bundle_that_names_all_takes_its_code_and_a_word(driver: Driver, code: str) -> None:
    assert bundle(driver, THREE).message.content.reply == "10"
    assert say(driver, code).effect is Effect.ACKNOWLEDGED
    assert states(driver, THREE) == [ACKNOWLEDGED] * 3


def test_all_means_the_rows_that_the_message_carried_and_nothing_that_came_before_or_since(driver: Driver) -> None:
    driver.notify(an_incident("before"), a_recipient("ada", sms=HERS), policy=TEXTS)
    driver.deliver()
    bundle(driver)
    driver.notify(an_incident("since"), a_recipient("ada", sms=HERS), policy=TEXTS)
    driver.deliver()
    assert say(driver, "11", is_all=True).effect is Effect.ACKNOWLEDGED
    assert states(driver, ["before", *FOUR, "since"]) == [OPEN, *[ACKNOWLEDGED] * 4, OPEN]


def test_a_word_with_several_messages_open_is_answered_with_the_choices_the_newest_first(driver: Driver) -> None:
    bundle(driver)
    driver.notify(an_incident("db-9", title="queue is long"), a_recipient("ada", sms=HERS), policy=TEXTS)
    driver.deliver()
    assert driver.seen[-1].message.content.reply == "11"
    asked = say(driver)
    assert (asked.effect, asked.open_incidents) == (Effect.AMBIGUOUS, 5)
    assert [(each.code, each.is_all, each.more) for each in asked.choices] == [("11", False, 0), ("10", True, 3)]
    assert states(driver) == [OPEN] * 4


def test_what_has_risen_since_stays_open_and_is_named(driver: Driver) -> None:
    bundle(driver)
    driver.notify(an_incident("db-2", title="db-2 is down", severity=Severity.CRITICAL), quiet(), policy=TEXTS)
    done = say(driver, "10", is_all=True)
    assert states(driver) == [ACKNOWLEDGED, OPEN, ACKNOWLEDGED, ACKNOWLEDGED]
    assert write_response(done).endswith("Still open: db-2 is down is CRITICAL now.")
    again = say(driver, "10", is_all=True)
    assert (again.effect, [each.risen_to for each in again.still_open]) == (Effect.RISEN, [Severity.CRITICAL])


def test_a_code_acknowledges_up_to_the_severity_that_its_text_showed(driver: Driver) -> None:
    def text(severity: Severity) -> str:
        driver.notify(an_incident("db-1", title="db-1 is down", severity=severity), a_recipient("ada", sms=HERS), policy=TEXTS)
        (call,) = driver.claim("sms")
        driver.record(call)
        return call.message.content.reply

    assert [text(Severity.WARNING), text(Severity.CRITICAL)] == ["1", "11"]
    risen = say(driver, "10")
    assert write_response(risen) == (
        "Still open: db-1 is down is CRITICAL now. Use the link in the message. Nothing was changed."
    )
    asked = say(driver)
    assert write_response(asked) == "1 is open, nothing was acknowledged. Reply with a code: 11 db-1 is down"
    assert states(driver, ["db-1"]) == [OPEN]
    assert say(driver, "11").effect is Effect.ACKNOWLEDGED


def test_a_word_about_what_has_risen_names_it(driver: Driver) -> None:
    driver.notify(an_incident("db-1", severity=Severity.WARNING), a_recipient("ada", sms=HERS), policy=TEXTS)
    driver.deliver()
    driver.notify(an_incident("db-1", severity=Severity.ERROR), a_recipient("ada", sms=HERS), policy=TEXTS)
    assert [say(driver).effect, states(driver, ["db-1"])] == [Effect.RISEN, [OPEN]]


def test_a_key_acknowledges_up_to_the_severity_that_its_call_said(driver: Driver) -> None:
    calls = replace(DEFAULT, name="calls", tiers=(Tier(name="primary", channels=("voice",)),))
    driver.notify(an_incident(severity=Severity.WARNING), a_recipient("ada", "voice"), policy=calls)
    (call,) = driver.claim("voice")
    driver.record(call)
    driver.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", "voice"), policy=calls)
    driver.report(call.message.attempt_id, None, key="1")
    assert driver.status().facts.state is OPEN
    driver.clock.pass_time(timedelta(minutes=2))  # the first call is over
    driver.sweep()
    (again,) = driver.claim("voice")
    driver.record(again)
    driver.report(again.message.attempt_id, None, key="1")
    assert driver.status().facts.state is ACKNOWLEDGED


@pytest.mark.parametrize("mode", Acknowledgement)
def test_who_shares_a_number_replies_by_a_word_for_all_and_by_a_code_for_one(driver: Driver, mode: Acknowledgement) -> None:
    night(driver, THREE, quiet("ada"), quiet("bob"), policy=replace(TEXTS, acknowledgement=mode))
    replies = [call.message.content.reply for call in driver.claim("sms")]
    assert sorted(replies) == ["10", "11"]
    say(driver, "10")
    assert states(driver, THREE) == [ACKNOWLEDGED if mode is Acknowledgement.ANY else OPEN] * 3
    say(driver)
    assert states(driver, THREE) == [ACKNOWLEDGED] * 3


def test_a_code_that_is_used_again_is_late(driver: Driver) -> None:
    bundle(driver)
    say(driver, "10", is_all=True)
    again = say(driver, "10", is_all=True)
    assert write_response(again) == ("All are over, or acknowledged already: db-1 is down and 3 more. Nothing was changed.")
    driver.resolve(key="db-1")
    assert say(driver, "10").effect is Effect.LATE
    assert say(driver, "99", is_all=True).effect is Effect.UNKNOWN


def test_the_retries_of_what_was_acknowledged_do_not_leave(driver: Driver) -> None:
    night(driver, FOUR)
    (call,) = driver.claim("sms")
    for attempt in call.attempts:
        driver.record(attempt, BUSY)
    done = say(driver, "10", is_all=True)
    assert (done.effect, done.cancelled) == (Effect.ACKNOWLEDGED, 4)
    driver.pass_time(minutes=20)
    assert driver.seen == []
    assert {driver.pages(key=key)["sms"].state for key in FOUR} == {NotificationState.CANCELLED}


def test_all_and_the_claim_of_a_retry_at_once_leave_nothing_open(driver: Driver) -> None:
    keys = [f"db-{number}" for number in range(12)]
    night(driver, keys)
    for call in driver.claim("sms"):
        for attempt in call.attempts:
            driver.record(attempt, BUSY)
    driver.clock.pass_time(timedelta(minutes=2))
    ready = Barrier(2)

    def at_once(work: Callable[[], Any]) -> Any:
        ready.wait()
        return work()

    with ThreadPoolExecutor(2) as pool:
        claimed = pool.submit(at_once, lambda: driver.claim("sms"))
        done = pool.submit(at_once, lambda: say(driver, "10", is_all=True))
        assert len(done.result().choices) == 12
        for call in claimed.result():
            for attempt in call.attempts:
                driver.record(attempt, BUSY)
    assert states(driver, keys) == [ACKNOWLEDGED] * 12
    assert {driver.pages(key=key)["sms"].state for key in keys} == {NotificationState.CANCELLED}


def test_a_bundle_that_is_sent_again_has_a_code_of_its_own_and_the_old_one_keeps_its_meaning(driver: Driver) -> None:
    night(driver, FOUR)
    (call,) = driver.claim("sms")
    for attempt in call.attempts:
        driver.record(attempt, BUSY)
    driver.acknowledge(key="db-1")
    driver.clock.pass_time(timedelta(minutes=2))
    (again,) = driver.claim("sms")
    assert (len(again.attempts), again.message.content.reply) == (3, "11")
    assert len(say(driver, "10", is_all=True).choices) == 3
    assert states(driver) == [ACKNOWLEDGED] * 4


def test_a_bundle_that_was_not_sent_is_no_message(driver: Driver) -> None:
    night(driver, THREE)
    (call,) = driver.claim("sms")
    for attempt in call.attempts:
        driver.release(attempt)
    driver.acknowledge(key="db-1")
    (again,) = driver.claim("sms")
    assert (len(again.attempts), again.message.content.reply) == (2, "11")
    assert say(driver, "10", is_all=True).effect is Effect.UNKNOWN
    assert [say(driver).effect, states(driver, THREE)] == [Effect.ACKNOWLEDGED, [ACKNOWLEDGED] * 3]


def halve(driver: Driver, call: Claimed) -> None:
    """Let a provider refuse a text for its content."""
    refused = Outcome(result=Result.TEMPORARY_FAILURE, reason="our text is too long", is_our_fault=True, is_about_content=True)
    halved = [
        Release(lease=each.lease, halved=Halved(outcome=refused, half=half[0].lease.attempt_id))
        for half in halves(call.attempts)
        for each in half
    ]
    assert set(release(driver.deps, halved).results) == {None}


def test_a_text_that_was_refused_for_its_content_is_no_choice_and_its_code_is_unknown(driver: Driver) -> None:
    night(driver, FOUR)
    (whole,) = driver.claim("sms")
    halve(driver, whole)
    one, other = driver.claim("sms")
    halve(driver, one)
    driver.record(other)
    for attempt in other.carried:
        driver.record(attempt)
    for each in driver.claim("sms"):
        driver.record(each)
    handled = say(driver)
    assert (handled.effect, len(handled.choices)) == (Effect.AMBIGUOUS, 3)
    unsent = [each.message.content.reply.removeprefix("ALL ") for each in (whole, one)]
    assert [say(driver, code, is_all=True).effect for code in unsent] == [Effect.UNKNOWN] * 2
    assert states(driver) == [OPEN] * 4


def test_a_reply_that_comes_again_does_nothing(driver: Driver) -> None:
    bundle(driver)
    assert say(driver, "10", is_all=True, event_id="1").effect is Effect.ACKNOWLEDGED
    driver.page_again("ada", "db-1")
    assert say(driver, "10", is_all=True, event_id="1").effect is Effect.REPEATED
    assert states(driver) == [OPEN, *[ACKNOWLEDGED] * 3]


class _Failing:
    """The store, which is away for one transaction."""

    def __init__(self, store: Transactions, at: int) -> None:
        self._store = store
        self._left = at

    def run(self, *args: Any, **values: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            raise StorageUnavailable(0)
        return self._store.run(*args, **values)


def test_a_reply_that_is_cut_short_is_carried_on_by_its_repetition(driver: Driver) -> None:
    bundle(driver)
    whole = replace(driver.deps, set_size=3)
    at = 1
    while states(driver) != [ACKNOWLEDGED] * 4 and at < 20:
        driver.deps = replace(whole, transactions=_Failing(whole.transactions, at))
        try:
            say(driver, "10", is_all=True, event_id="1")
        except StorageUnavailable:
            at += 1
        driver.deps = whole
    assert at > 3, "it was cut short before, between and after its sets"
    assert say(driver, "10", is_all=True, event_id="1").effect in (Effect.ACKNOWLEDGED, Effect.LATE, Effect.REPEATED)


@pytest.mark.parametrize("machine", ["incident", "escalation", "notification"])
def test_one_that_cannot_be_changed_keeps_no_other_open(driver: Driver, machine: str) -> None:
    bundle(driver)
    (status,) = driver.status("db-3").escalations
    row_id = {"incident": status.facts.incident_id, "escalation": status.facts.id}.get(machine, status.notifications[0].id)
    with damaged(driver.deps, machine, row_id, Damage.REFUSED):
        done = say(driver, "10", is_all=True)
        assert done.effect is Effect.ACKNOWLEDGED
        assert states(driver, ("db-1", "db-2", "db-4")) == [ACKNOWLEDGED] * 3
        left = [each.title for each in done.still_open]
        assert left == (["db-3 is down"] if machine == "incident" else [])
    release_all(driver.deps)
    say(driver, "10", is_all=True)
    assert states(driver) == [ACKNOWLEDGED] * 4


def test_somebody_who_was_sent_a_bundle_gets_ten_responses_an_hour(driver: Driver) -> None:
    bundle(driver)
    answers = [write_response(say(driver)) for _ in range(12)]
    assert len(list(filter(None, answers))) == 10
    driver.clock.pass_time(timedelta(minutes=61))
    answers = [write_response(say(driver)) for _ in range(12)]
    assert len(list(filter(None, answers))) == 3


def test_stop_ends_the_retries_of_a_bundle_at_once(driver: Driver) -> None:
    night(driver, FOUR)
    (call,) = driver.claim("sms")
    for attempt in call.attempts:
        driver.record(attempt, BUSY)
    reply = Reply(provider=PROVIDER, event_id="stop", intent=Intent.STOP, number=HERS, our_number=OURS)
    assert handle_reply(driver.deps, reply, channel="sms", raw="").value.effect is Effect.BLOCKED
    assert {driver.pages(key=key)["sms"].state for key in FOUR} == {NotificationState.FAILED}


def links(driver: Driver) -> Links:
    return Links(driver.store, UseCases(driver.deps, lambda follow_ups: None))


def token(call: Claimed) -> str:
    assert call.message.content.link is not None
    return call.message.content.link.rpartition("/")[2]


def test_the_link_of_a_bundle_leads_to_what_it_carried_and_acknowledges_what_is_chosen(driver: Driver) -> None:
    call = bundle(driver)
    driver.notify(an_incident("db-4", title="db-4 is down", severity=Severity.CRITICAL), quiet(), policy=TEXTS)
    driver.notify(an_incident("db-9"), quiet(), policy=TEXTS)
    driver.acknowledge(key="db-3")
    claim = links(driver).check(token(call))
    assert (claim.subject, claim.subject_id, claim.recipient_id) == (Subject.BUNDLE, call.message.attempt_id, "ada")
    shown = links(driver).bundle(claim)
    assert [(each.title, each.is_open, each.is_named) for each in shown.pages] == [
        ("db-1 is down", True, True),
        ("db-2 is down", True, True),
        ("db-3 is down", False, True),
        ("db-4 is down", True, False),
    ]
    assert [each.has_risen for each in shown.pages] == [False, False, False, True]
    assert (shown.contact.name, shown.pages[2].acknowledged_by) == ("Ada", "Ada")
    own = links(driver).check(shown.tokens[shown.pages[0].incident_id])
    assert (own.subject, own.subject_id, own.expires_at) == (Subject.INCIDENT, shown.pages[0].incident_id, claim.expires_at)

    other = driver.status("db-9").facts.id
    first, _, _, risen = (each.incident_id for each in shown.pages)
    links(driver).acknowledge(claim, {first: Severity.ERROR, risen: Severity.ERROR, other: Severity.CRITICAL})
    assert states(driver, [*FOUR, "db-9"]) == [ACKNOWLEDGED, OPEN, ACKNOWLEDGED, OPEN, OPEN]
    assert driver.status("db-1").facts.acknowledged_via == Via.LINK
    links(driver).acknowledge(claim, {risen: Severity.CRITICAL})
    assert states(driver) == [ACKNOWLEDGED, OPEN, ACKNOWLEDGED, ACKNOWLEDGED]


def test_the_link_of_a_bundle_is_no_other_link(driver: Driver) -> None:
    call = bundle(driver)
    assert len(token(call)) == 40
    for place in (5, 24, -2):
        signs = list(token(call))
        signs[place] = "x" if signs[place] == "y" else "y"
        with pytest.raises(InvalidLink):
            links(driver).check("".join(signs))
    pressed = Reply(provider="slack", event_id="1", intent=Intent.ACKNOWLEDGE, token=token(call))
    assert handle_reply(driver.deps, pressed, channel="slack", raw="").value.effect is Effect.UNKNOWN


def test_a_button_acknowledges_up_to_the_severity_that_its_message_showed(driver: Driver) -> None:
    driver.notify(an_incident(severity=Severity.ERROR), a_recipient("ada", "slack"))
    (call,) = driver.claim("slack")
    driver.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", "slack"))

    def press(shown: Severity | None) -> Effect:
        reply = Reply(provider="slack", event_id=f"{shown}", intent=Intent.ACKNOWLEDGE, token=token(call), shown=shown)
        return handle_reply(driver.deps, reply, channel="slack", raw="").value.effect

    assert [press(Severity.ERROR), driver.status().facts.state] == [Effect.RISEN, OPEN]
    assert [press(Severity.CRITICAL), driver.status().facts.state] == [Effect.ACKNOWLEDGED, ACKNOWLEDGED]


def test_twenty_cyrillic_incidents_leave_in_few_texts_that_count_them_all_and_a_reply_acknowledges_them(driver: Driver) -> None:
    keys = [f"db-{number}" for number in range(20)]
    for key in keys:
        incident = an_incident(key, title=f"База данных заказов {key} не отвечает на запросы", severity=Severity.ERROR)
        driver.notify(incident, a_recipient("ada", sms=HERS), policy=TEXTS)
        driver.deliver()
        driver.note_sweep(driver.clock.at + timedelta(seconds=0.1))
    driver.pass_time(minutes=2)
    calls = driver.sent("sms")
    assert [len(call.attempts) for call in calls] == [1, 1, 18]
    together = calls[-1].message.content
    first, *lines = SMS.text(together).splitlines()
    assert (first, count(SMS.text(together))) == ("18 incidents: 18 ERROR", 3)
    assert lines == [
        "- База данных заказов db-2 не от...",
        "- База данных...",
        "- База данных...",
        "and 15 more",
        f"Reply {together.reply} to acknowledge.",
        together.link,
    ]
    replies = [call.message.content.reply for call in calls]
    assert replies == ["1", "11", "ALL 12"]
    say(driver, "12", is_all=True)
    assert [key for key in keys if driver.status(key).facts.state is OPEN] == keys[:2]
    say(driver, "11")
    say(driver)
    assert set(states(driver, keys)) == {ACKNOWLEDGED}
