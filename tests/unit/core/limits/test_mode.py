import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.limits.mode import LIVE, Delivery, Mode, read_delivery


def test_live_lets_everything_go_where_it_is_meant_to_and_says_nothing():
    assert read_delivery("live") == LIVE
    assert LIVE.final("sms", "+15005550006") == "+15005550006"
    assert LIVE.notice == ""


def test_each_mode_says_where_a_message_goes():
    assert read_delivery("dry-run").final("email", "ada@example.com") is None
    redirect = read_delivery("redirect: email=dev@example.com , sms=+15005550006")
    assert [redirect.final(channel, "ada") for channel in ("email", "sms", "voice")] == ["dev@example.com", "+15005550006", None]


@given(st.text(), st.text())
def test_a_dry_run_lets_nothing_go(channel: str, address: str):
    assert read_delivery(" dry-run ").final(channel, address) is None


@given(st.text(), st.text())
def test_redirected_messages_go_to_no_other_address(channel: str, address: str):
    delivery = read_delivery("redirect:email=dev@example.com, slack=https://hooks.slack.com/services/T/B/a=b")
    slack = "https://hooks.slack.com/services/T/B/a=b"
    assert delivery.addresses == {"email": "dev@example.com", "slack": slack}
    assert delivery.final(channel, address) == delivery.addresses.get(channel)


@pytest.mark.parametrize(
    ("address", "may_leave"),
    [
        ("ada@example.com", True),
        ("ADA@Example.COM", True),
        ("ada@example.com.evil.org", False),
        ("ada@evil.org", False),
        ("+442079460000", True),
        ("+4930123", False),
        ("", False),
    ],
)
def test_only_addresses_that_match_a_pattern_whole_are_allowed(address: str, may_leave: bool):
    delivery = read_delivery("allow:*@example.com,+4420*")
    assert delivery.final("any", address) == (address if may_leave else None)


@pytest.mark.parametrize("mode", Mode)
def test_whatever_is_not_live_has_a_mark(mode: Mode):
    assert bool(Delivery(mode=mode).notice) == (mode is not Mode.LIVE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "LIVE",
        "live:now",
        "dry-run:",
        "redirect:",
        "redirect:dev@example.com",
        "redirect:email=",
        "redirect:=x",
        "allow:",
        "allow:,",
        "off",
    ],
)
def test_what_says_nothing_clear_is_refused(text: str):
    with pytest.raises(ValueError, match=r"^(has to be|does not redirect|allows no)"):
        read_delivery(text)
