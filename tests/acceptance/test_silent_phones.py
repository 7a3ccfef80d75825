"""What once kept a phone silent, lived through the real doors: Alertmanager's webhook, Twilio's callbacks, the dashboard."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from notifyflow.core.model import EscalationState, IncidentState
from notifyflow.core.pauses import Scope
from tests.acceptance.nights import ADA, Night, a_night

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


# -- flapping


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


# -- what has not arrived

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


# -- operations


def test_operations_is_told_of_a_call_that_a_pause_holds_up(night: Nights) -> None:
    held_up = night(DEFAULT, script=f"email to ada@example.com: 550\nsms to {ADA}: no receipt")
    held_up.driver.flow.pauses.start(Scope.CHANNEL, "voice", span=timedelta(hours=24), by="grace", is_for_critical=True)
    held_up.fires()
    held_up.passes(20 * MINUTE)
    assert held_up.minutes("voice", ADA) == []
    assert any("f is down" in each for each in held_up.told_operations())


# -- timers


# -- wishes


# -- replies


def test_a_text_that_says_more_than_that_acknowledges_nothing(night: Nights) -> None:
    calm = night(DEFAULT, script="email: 550")
    calm.fires()
    calm.passes(MINUTE)
    calm.driver.sandbox.reply(ADA, "ack\nbut I am on a train, call Ben")
    assert calm.status().facts.state is IncidentState.OPEN
