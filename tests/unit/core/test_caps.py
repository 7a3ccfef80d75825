from datetime import timedelta

import pytest

from notifyflow.core.caps import CRITICAL_TIMES, Caps, hour_of, is_used_up
from tests.facts import NOW

CAPS = Caps(recipients={"sms": 5}, prefixes={"+": 100, "+44": 10, "+4420": 3})


@pytest.mark.parametrize(
    ("channel", "address", "caps"),
    [
        ("sms", "+442079460000", {"recipient ada": 5, "prefix +4420": 3}),
        ("sms", "+447700900000", {"recipient ada": 5, "prefix +44": 10}),
        ("voice", "+15005550006", {"prefix +": 100}),
        ("email", "ada@example.com", {}),
    ],
)
def test_a_message_counts_for_its_recipient_and_for_the_longest_prefix(channel: str, address: str, caps: dict[str, int]):
    assert CAPS.of(channel, "ada", address) == caps


def test_what_has_no_cap_is_not_counted():
    assert Caps().of("sms", "ada", "+15005550006") == {}
    assert not is_used_up({}, {}, is_urgent=False)


@pytest.mark.parametrize("is_urgent", [False, True])
def test_a_cap_is_used_up_when_as_many_were_given_and_is_higher_for_what_is_critical(is_urgent: bool):
    cap = 5 * (CRITICAL_TIMES if is_urgent else 1)
    assert not is_used_up({"a": 5, "b": 9}, {"a": cap - 1}, is_urgent=is_urgent)
    assert is_used_up({"a": 5, "b": 9}, {"a": cap}, is_urgent=is_urgent)


def test_an_hour_begins_by_the_clock():
    assert hour_of(NOW) <= NOW < hour_of(NOW) + timedelta(hours=1)
    assert (hour_of(NOW).minute, hour_of(NOW).second, hour_of(NOW).microsecond) == (0, 0, 0)
