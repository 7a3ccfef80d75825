"""What once kept a phone silent, lived through the real doors: Alertmanager's webhook, Twilio's callbacks, the dashboard."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from notifyflow.core.delivery.model import EscalationState, IncidentState
from notifyflow.core.limits.pauses import PauseScope
from tests.acceptance.nights import ADA, BEN, Night, a_night

INSISTENT = '[default]\nto = ["ada"]\npolicy = "insistent"'
DEFAULT = '[default]\nto = ["ada"]\npolicy = "default"'
CHAIN = '[default]\nto = ["ada"]\nthen = [{ after = "10m", to = ["ben"] }]\npolicy = "insistent"'
NEW_NUMBER = "+4930901830"
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)

Nights = Callable[..., Night]


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Nights]:
    """Make nights, each in a folder of its own."""
    with ExitStack() as stack:

        def make(routes: str, **settings: Any) -> Night:
            folder = tmp_path / str(len(list(tmp_path.iterdir())))
            folder.mkdir()
            found: AbstractContextManager[Night] = a_night(folder, routes, **settings)
            return stack.enter_context(found)

        yield make


def test_an_alert_that_fires_four_minutes_of_every_four_and_a_half_is_texted_and_called_about_as_if_it_stayed_open(
    night: Nights,
) -> None:
    steady, flapping = night(INSISTENT), night(INSISTENT)
    steady.fires()
    steady.passes(60 * MINUTE)
    flapping.flaps(4 * MINUTE, 30 * SECOND, times=14)
    for channel in ("sms", "voice"):
        wanted, got = steady.minutes(channel, ADA), flapping.minutes(channel, ADA)
        assert len(wanted) == 3
        assert 3 <= len(got) <= 6, f"{channel}: {got}"
        assert got[0] <= wanted[0] * 9 / 8 + 0.5, f"{channel}: {got}, and {wanted} if it stays open"
    assert flapping.told_operations(), "nobody has acknowledged"


def test_the_second_person_of_a_chain_is_paged_about_an_alert_that_fires_eight_minutes_of_nine(night: Nights) -> None:
    flapping = night(CHAIN)
    flapping.flaps(8 * MINUTE, MINUTE, times=14)
    assert flapping.minutes("email", "ben@example.com")[0] <= 12
    assert flapping.minutes("voice", BEN)[0] <= 25


def test_a_call_follows_where_mail_and_chat_are_refused_and_no_firing_lasts_until_the_text_is_overdue(night: Nights) -> None:
    flapping = night(DEFAULT, has_chat=True, script="email: 550; slack: 404; sms: no receipt")
    flapping.flaps(50 * SECOND, 10 * SECOND, times=30)
    assert flapping.minutes("voice", ADA)[0] <= 2


@pytest.mark.parametrize(("routes", "script"), [(INSISTENT, ""), (DEFAULT, "email: 550; sms: undelivered; call: nobody answers")])
def test_an_alert_that_is_off_for_five_seconds_a_minute_rings_about_as_often_as_one_that_stays_open(
    night: Nights, routes: str, script: str
) -> None:
    steady, flapping = night(routes, script=script), night(routes, script=script)
    steady.fires()
    steady.passes(120 * MINUTE)
    flapping.flaps(50 * SECOND, 5 * SECOND, times=131)
    wanted, got = steady.minutes("voice", ADA), flapping.minutes("voice", ADA)
    assert len(wanted) == 3
    assert 2 <= len(got) <= 14, f"{got}, and {wanted} if it stays open"


def test_an_acknowledgement_of_the_firing_before_ends_the_series(night: Nights) -> None:
    flapping = night(INSISTENT)
    flapping.flaps(2 * MINUTE, MINUTE, times=1)
    flapping.fires()
    flapping.passes(MINUTE)
    flapping.presses_the_button_of(flapping.messages("email", "ada@example.com")[0])
    assert flapping.status().facts.state is IncidentState.ACKNOWLEDGED
    flapping.passes(60 * MINUTE)
    assert flapping.minutes("sms", ADA) == flapping.minutes("voice", ADA) == []


def test_what_fires_after_an_acknowledgement_has_clocks_of_its_own(night: Nights) -> None:
    flapping = night(INSISTENT)
    flapping.flaps(4 * MINUTE, MINUTE, times=1)
    flapping.fires()
    flapping.presses_the_button_of(flapping.messages("email", "ada@example.com")[0])
    flapping.passes(MINUTE)
    flapping.heals()
    flapping.passes(MINUTE)
    flapping.fires()  # at 7 minutes
    flapping.passes(4 * MINUTE)
    assert flapping.minutes("sms", ADA) == []
    flapping.passes(2 * MINUTE)
    assert flapping.minutes("sms", ADA) == [12]


def test_six_warnings_that_heal_by_themselves_wake_nobody(night: Nights) -> None:
    flapping = night(INSISTENT)
    flapping.flaps(40 * SECOND, 5 * MINUTE, times=6, severity="warning")
    flapping.passes(60 * MINUTE)
    assert flapping.minutes("sms", ADA) == flapping.minutes("voice", ADA) == []
    assert flapping.told_operations() == []


TEXTS = """
[[texts.tiers]]
name = "chat"
channels = ["email", "slack"]

[[texts.tiers]]
name = "text"
channels = ["sms"]
rules = [{ failed = 2 }]
"""
SILENT = f"email to ada@example.com: 550\nslack: 404\nsms to {ADA}: no receipt\nvoice to {ADA}: failed"


def test_operations_is_told_if_mail_and_chat_are_refused_the_text_is_silent_and_the_calls_fail(night: Nights) -> None:
    silent = night(DEFAULT, script=SILENT, has_chat=True)
    silent.fires()
    silent.passes(20 * MINUTE)
    assert len(silent.minutes("voice", ADA)) == 3
    assert any("f is down" in each for each in silent.told_operations())
    silent.passes(20 * MINUTE)
    assert silent.state() is EscalationState.EXHAUSTED


def test_operations_is_told_though_there_is_no_phone_to_call(night: Nights) -> None:
    silent = night('[default]\nto = ["ada"]\npolicy = "texts"', script=SILENT, has_chat=True, policies=TEXTS)
    silent.fires()
    silent.passes(10 * MINUTE)
    assert silent.minutes("voice", ADA) == []
    assert any("f is down" in each for each in silent.told_operations())
    silent.passes(30 * MINUTE)
    assert silent.state() is EscalationState.EXHAUSTED


def test_a_new_number_is_texted_although_the_old_one_was_only_silent(night: Nights) -> None:
    silent = night(DEFAULT, script=SILENT, has_chat=True)
    recipient = {"id": "ada", "email": "ada@example.com", "phone": ADA}
    silent.submits(key="db", title="db is down", severity="CRITICAL", recipients=[recipient])
    silent.passes(10 * MINUTE)
    recipient["phone"] = NEW_NUMBER
    silent.submits(key="db", title="db is down", severity="CRITICAL", recipients=[recipient])
    silent.passes(MINUTE)
    assert silent.minutes("sms", NEW_NUMBER) == [10]


@pytest.mark.parametrize("ways", [{"phone": ADA}, {"addresses": {"sms": ADA}}])
def test_operations_is_told_where_nothing_has_been_shown_to_arrive_and_a_new_number_is_called(
    night: Nights, ways: dict[str, Any]
) -> None:
    silent = night(DEFAULT, script=f"email: 550; sms: no receipt; call: failed\ncall to {NEW_NUMBER}: nobody answers")
    submit = partial(silent.submits, key="db-1", title="db-1 is down", severity="CRITICAL", policy="default")
    submit(recipients=[{"id": "ada", "email": "ada@example.com", **ways}])
    silent.passes(20 * MINUTE)
    assert len(silent.minutes("voice", ADA)) == (3 if "phone" in ways else 0)
    assert silent.state("db-1") is not EscalationState.REACHED
    assert any("db-1 is down" in each for each in silent.told_operations())
    submit(recipients=[{"id": "ada", "email": "ada@example.com", "phone": NEW_NUMBER}])
    silent.passes(20 * MINUTE)
    assert silent.minutes("voice", NEW_NUMBER)


def test_resolving_the_operations_incident_loses_none_of_the_failures_that_wait(night: Nights) -> None:
    failing = night(DEFAULT, script=f"email to ada@example.com: 550\nsms to {ADA}: 21211\ncall to {ADA}: 21211")
    failing.fires("first")
    failing.passes(6 * MINUTE)
    failing.fires("second")
    failing.passes(MINUTE)
    assert any("first" in each for each in failing.told_operations())
    assert not any("second" in each for each in failing.told_operations())
    failing.resolves("notifyflow/operations")
    failing.passes(20 * MINUTE)
    assert any("second" in each for each in failing.told_operations())


def test_operations_is_told_of_a_call_that_a_pause_holds_up(night: Nights) -> None:
    held_up = night(DEFAULT, script=f"email to ada@example.com: 550\nsms to {ADA}: no receipt")
    held_up.driver.flow.pauses.start(PauseScope.CHANNEL, "voice", span=timedelta(hours=24), by="grace", is_for_critical=True)
    held_up.fires()
    held_up.passes(20 * MINUTE)
    assert held_up.minutes("voice", ADA) == []
    assert any("f is down" in each for each in held_up.told_operations())


def test_a_worker_that_lives_for_four_seconds_of_every_79_rings_timers(night: Nights) -> None:
    crashing = night(INSISTENT)
    crashing.fires()
    crashing.crashes_again_and_again(lives=4 * SECOND, every=79 * SECOND, times=46)
    assert crashing.minutes("sms", ADA)[0] <= 5 + 15 + 2 * 79 / 60
    assert crashing.minutes("voice", ADA)[0] <= 10 + 15 + 2 * 79 / 60


def test_a_timer_opens_the_tiers_before_it(night: Nights) -> None:
    policies = """
        [[later.tiers]]
        name = "primary"
        channels = ["email"]
        [[later.tiers]]
        name = "text"
        channels = ["sms"]
        rules = [{ failed = 1 }]
        [[later.tiers]]
        name = "call"
        channels = ["voice"]
        rules = [{ unacknowledged_after = "5m" }]
    """
    calm = night('[default]\nto = ["ada"]\npolicy = "later"', policies=policies)
    calm.fires()
    calm.passes(10 * MINUTE)
    assert calm.minutes("voice", ADA)[:1] == [5]


def test_channels_that_are_wished_for_are_used_at_once_though_their_tier_is_shut_for_critical(night: Nights) -> None:
    policies = """
        [[mild.tiers]]
        name = "primary"
        channels = ["email"]
        [[mild.tiers]]
        name = "call"
        channels = ["voice"]
        rules = [{ unacknowledged_after = "5m" }]
        shut_for = ["CRITICAL"]
    """
    calm = night(
        '[default]\nto = ["ada"]\npolicy = "mild"', ada='channels = { CRITICAL = ["email", "voice"] }', policies=policies
    )
    calm.fires()
    calm.passes(MINUTE)
    assert calm.minutes("voice", ADA)[:1] == [0]


def test_a_call_that_is_wished_for_takes_none_of_those_that_the_policy_makes(night: Nights) -> None:
    calm = night(INSISTENT, ada='channels = { CRITICAL = ["voice"] }', script="call: hangs up")
    calm.fires()
    calm.passes(14 * MINUTE)
    calls = calm.minutes("voice", ADA)
    assert calls[0] == 0
    assert 10 in calls


@pytest.mark.parametrize("words", ["got it", "On it!", "on my way", "👍", "ack\n-- \nAda", "ack\nSent from my phone"])
def test_what_people_text_back_acknowledges(night: Nights, words: str) -> None:
    calm = night(DEFAULT, script="email: 550")
    calm.fires()
    calm.passes(MINUTE)
    calm.driver.sandbox.reply(ADA, words)
    assert calm.status().facts.state is IncidentState.ACKNOWLEDGED


def test_a_text_that_says_more_than_that_acknowledges_nothing(night: Nights) -> None:
    calm = night(DEFAULT, script="email: 550")
    calm.fires()
    calm.passes(MINUTE)
    calm.driver.sandbox.reply(ADA, "ack\nbut I am on a train, call Ben")
    assert calm.status().facts.state is IncidentState.OPEN


def test_the_link_of_an_earlier_firing_shows_and_acknowledges_the_one_that_is_open(night: Nights) -> None:
    one = night(INSISTENT)
    one.fires()
    one.passes(4 * MINUTE)
    one.heals()
    one.fires()
    first = one.messages("email", "ada@example.com")[0]
    link = next(each for each in first.links if "/a/" in each)
    assert 'method="post"' in one.driver.request("GET", link).text
    one.presses_the_button_of(first)
    assert "You acknowledged it." in one.driver.request("GET", link).text
    one.passes(30 * MINUTE)
    assert one.minutes("sms", ADA) == []
