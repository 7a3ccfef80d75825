"""A pause stops what it names, lets CRITICAL pass, and ends by itself."""

from datetime import timedelta

import pytest

from notifyflow.core.limits.pauses import Pause, PauseScope, covering, until, validate_pause
from notifyflow.errors import InvalidPause
from tests.facts import NOW, minutes


def a_pause(
    scope: PauseScope = PauseScope.ALL, name: str = "", *, minutes_long: float = 30, is_for_critical: bool = False
) -> Pause:
    ends_at = NOW + minutes(minutes_long)
    return Pause(scope=scope, name=name, ends_at=ends_at, paused_at=NOW, paused_by="ada", is_for_critical=is_for_critical)


@pytest.mark.parametrize(
    ("pause", "is_stopped"),
    [
        (a_pause(), True),
        (a_pause(PauseScope.CHANNEL, "sms"), True),
        (a_pause(PauseScope.CHANNEL, "twilio"), False),
        (a_pause(PauseScope.PROVIDER, "twilio"), True),
        (a_pause(PauseScope.PROVIDER, "sms"), False),
    ],
)
def test_a_pause_stops_what_it_names(pause: Pause, is_stopped: bool) -> None:
    found = until([pause], "sms", "twilio", is_urgent=False, now=NOW)
    assert found == (pause.ends_at if is_stopped else None)


def test_critical_passes_unless_it_is_stopped_too() -> None:
    assert until([a_pause()], "sms", "twilio", is_urgent=True, now=NOW) is None
    assert until([a_pause(is_for_critical=True)], "sms", "twilio", is_urgent=True, now=NOW) is not None


def test_of_two_pauses_the_longer_one_counts_and_each_ends_by_itself() -> None:
    pauses = [a_pause(), a_pause(PauseScope.CHANNEL, "sms", minutes_long=60)]
    assert until(pauses, "sms", "twilio", is_urgent=False, now=NOW) == NOW + minutes(60)
    assert until(pauses, "sms", "twilio", is_urgent=False, now=NOW + minutes(60)) is None


def test_all_faults_of_a_pause_are_listed_at_once() -> None:
    with pytest.raises(InvalidPause) as refused:
        validate_pause(PauseScope.CHANNEL, "smss", timedelta(hours=25), " ", ["sms", "voice"])
    assert [fault.where for fault in refused.value.faults] == ["channel", "for", "by"]
    assert refused.value.faults[0].remedy == "Use sms, if that was meant"
    assert refused.value.faults[1].what == "25 h 00 m is not a valid length for a pause"


@pytest.mark.parametrize("span", [timedelta(0), -minutes(1)])
def test_a_pause_that_would_be_over_is_refused(span: timedelta) -> None:
    with pytest.raises(InvalidPause):
        validate_pause(PauseScope.ALL, "", span, "ada", ())


def test_a_pause_of_something_that_there_is_is_fine() -> None:
    validate_pause(PauseScope.ALL, "", timedelta(hours=24), "ada", ())
    validate_pause(PauseScope.PROVIDER, "ses", minutes(1), "ada", ["ses"])


def test_only_pauses_of_everything_cover_all_messages_of_an_urgency() -> None:
    strict, usual, one = a_pause(is_for_critical=True), a_pause(), a_pause(PauseScope.CHANNEL, "sms", is_for_critical=True)
    assert covering([strict, usual, one], is_urgent=False) == (strict, usual)
    assert covering([strict, usual, one], is_urgent=True) == (strict,)
