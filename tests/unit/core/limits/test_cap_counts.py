import re
from collections.abc import Iterable
from datetime import timedelta

import pytest

from notifyflow.core.limits.cap_counts import Caps, hour_of, is_used_up
from tests.facts import NOW

CAPS = Caps(channels=frozenset({"sms", "voice"}), recipients={"sms": 5}, prefixes={"+": 100, "+44": 10, "+4420": 3})


def named(caps: Iterable[str]) -> list[str]:
    """Show scopes with their addresses out of sight, as they are stored."""
    return [re.sub("[0-9a-f]{64}", "…", each) for each in caps]


@pytest.mark.parametrize(
    ("channel", "address", "is_urgent", "caps"),
    [
        ("sms", "+442079460000", False, {"address …": 5, "prefix +4420": 3}),
        ("sms", "+447700900000", False, {"address …": 5, "prefix +44": 10}),
        ("sms", "+447700900000", True, {"address …": 15, "prefix +44 of prometheus": 30}),
        ("voice", "+15005550006", False, {"prefix +": 100}),
        ("email", "ada@example.com", False, {}),
    ],
)
def test_a_message_is_capped_by_its_address_and_the_longest_prefix(
    channel: str, address: str, is_urgent: bool, caps: dict[str, int]
):
    found = CAPS.of(channel, "prometheus", address, is_urgent=is_urgent)
    assert dict(zip(named(found), found.values(), strict=True)) == caps
    counted = CAPS.counted(channel, "prometheus", address)
    assert set(found) <= set(counted)
    assert not any(address in each for each in counted)


def test_a_namespace_counts_an_address_for_itself():
    assert CAPS.counted("sms", "a", "+447700900000") != CAPS.counted("sms", "b", "+447700900000")


def test_what_has_no_cap_is_not_counted():
    assert Caps().of("sms", "", "+15005550006", is_urgent=False) == {}
    assert not Caps().counted("sms", "", "+15005550006")
    assert not is_used_up({}, {})


def test_a_cap_is_used_up_when_its_number_was_sent():
    assert not is_used_up({"a": 5, "b": 9}, {"a": 4})
    assert is_used_up({"a": 5, "b": 9}, {"a": 5})


def test_an_hour_begins_by_the_clock():
    assert hour_of(NOW) <= NOW < hour_of(NOW) + timedelta(hours=1)
    assert (hour_of(NOW).minute, hour_of(NOW).second, hour_of(NOW).microsecond) == (0, 0, 0)
