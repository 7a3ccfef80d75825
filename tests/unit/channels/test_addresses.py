"""Which addresses each channel takes, and how it normalises them."""

import traceback

import pytest

from notifyflow.channels.base import Channel
from notifyflow.channels.email import EmailChannel
from notifyflow.channels.push import PushChannel
from notifyflow.channels.registry import load
from notifyflow.channels.slack import SlackChannel
from notifyflow.channels.sms import SmsChannel
from notifyflow.channels.teams import TeamsChannel
from notifyflow.channels.voice import VoiceChannel
from notifyflow.settings import Settings
from tests.log_lines import capture_logs

ARN = "arn:aws:sns:eu-central-1:123456789012:endpoint/APNS/app/5e3e9847-3183-3f18-a7e8-671c3a57d4b3"
BOT = {"NOTIFYFLOW_SLACK_BOT_TOKEN": "xoxb-1"}


def check(kind: type[Channel], address: str, variables: dict[str, str] | None = None) -> str:
    return kind.from_settings(Settings.from_variables(variables or {})).check_address(address)


@pytest.mark.parametrize(
    ("kind", "address", "expected"),
    [
        (EmailChannel, " ada@EXAMPLE.com ", "ada@example.com"),
        (EmailChannel, "ada@bücher.example.com", "ada@xn--bcher-kva.example.com"),
        (SmsChannel, "+49 (151) 1234-5678", "+4915112345678"),
        (SmsChannel, "+15005550006", "+15005550006"),
        (VoiceChannel, "+1 500 555 0006", "+15005550006"),
        (SlackChannel, "https://hooks.slack.com/services/T0/B0/x", "https://hooks.slack.com/services/T0/B0/x"),
        (TeamsChannel, "https://a.logic.azure.com:443/workflows/1", "https://a.logic.azure.com:443/workflows/1"),
        (TeamsChannel, "https://d.1.environment.api.powerplatform.com/x", "https://d.1.environment.api.powerplatform.com/x"),
        (PushChannel, f" {ARN} ", ARN),
    ],
)
def test_good_addresses_are_normalised(kind: type[Channel], address: str, expected: str) -> None:
    assert check(kind, address) == expected


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        (EmailChannel, "ada"),
        (EmailChannel, "ada@example"),
        (EmailChannel, "ada@example.com\nBcc: eve@example.com"),
        (EmailChannel, "Ada <ada@example.com>"),
        (EmailChannel, "ädä@example.com"),
        (EmailChannel, "=?utf-8?q?ada?=@example.com"),
        (EmailChannel, "=?utf-8?q?eve=40evil.example=2C?=@example.com"),
        (EmailChannel, "=?UTF-8?B?YWRh?=@example.com"),
        (EmailChannel, "x=?utf-8?q?ada?=@example.com"),
        (SmsChannel, "0151 12345678"),
        (SmsChannel, "+49 1"),
        (VoiceChannel, "call me"),
        (VoiceChannel, "+" + "1" * 40),
        (SlackChannel, "#general"),
        (SlackChannel, "C0123456789"),
        (SlackChannel, "https://example.com/services/T0/B0/x"),
        (TeamsChannel, "https://example.webhook.office.com/webhookb2/1"),
        (PushChannel, "arn:aws:sns:eu-central-1:123456789012:topic"),
    ],
)
def test_bad_addresses_are_refused_and_not_shown(kind: type[Channel], address: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        check(kind, address)
    assert address not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["ada@\u2764canary.com", "ada@[IPv6:canary]", "ada@xn--canary\u2764.com", "canary ada@example.com"]
)
def test_no_part_of_a_bad_address_is_shown_wherever_its_fault_lies(address: str) -> None:
    with pytest.raises(ValueError, match=r"is not a mail address: .+[^.]$") as caught:
        check(EmailChannel, address)
    assert "canary" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "address", ["a=b@example.com", "a?b@example.com", "!#$%&'*+-/=?^_`{|}~@example.com", "?=a=?@example.com"]
)
def test_signs_that_an_address_may_have_make_no_encoded_word_of_it(address: str) -> None:
    assert check(EmailChannel, address) == address


COSTLY = {
    "+19005551234": "premium-rate",
    "+448712345678": "premium-rate",
    "+33899123456": "premium-rate",
    "+491801123456": "shared-cost",
    "+33810123456": "shared-cost",
    "+870773123456": "satellite",
    "+881612345678": "satellite",
    "+88213312345": "satellite",
    "+883510012345": "satellite",
    "+979123456789": "premium-rate",
}


@pytest.mark.parametrize(("number", "kind"), COSTLY.items())
@pytest.mark.parametrize("channel", [SmsChannel, VoiceChannel])
def test_a_number_that_earns_by_being_called_is_refused_unless_it_is_allowed(
    channel: type[Channel], number: str, kind: str
) -> None:
    with pytest.raises(ValueError, match=f"^is a {kind} number, .*NOTIFYFLOW_COSTLY_NUMBERS") as caught:
        check(channel, number)
    assert number not in str(caught.value)
    for allowed in (number, number[:4], "+1,+44,+49,+33,+8,+9", "+"):
        assert check(channel, number, {"NOTIFYFLOW_COSTLY_NUMBERS": allowed}) == number
    with pytest.raises(ValueError, match=kind):
        check(channel, number, {"NOTIFYFLOW_COSTLY_NUMBERS": "+7,+1900555123499"})


@pytest.mark.parametrize(
    "number", ["+12025550123", "+18005551234", "+4915112345678", "+4930901820", "+15005550006", "+447055123456", "+15550001234"]
)
@pytest.mark.parametrize("channel", [SmsChannel, VoiceChannel])
def test_every_other_number_is_accepted(channel: type[Channel], number: str) -> None:
    assert check(channel, number) == number


@pytest.mark.parametrize(
    ("number", "is_odd"), [("+491901234567", True), ("+15550001234", True), ("+4915112345678", False), ("+15005550006", False)]
)
def test_a_number_in_an_unused_range_is_accepted_with_a_warning(number: str, is_odd: bool) -> None:
    for kind in (SmsChannel, VoiceChannel):
        channel = kind.from_settings(Settings.from_variables({}))
        assert channel.check_address(number) == number
        assert ("range" in channel.warning(number)) is is_odd
        assert number not in channel.warning(number)


def test_numbers_that_nobody_has_are_logged_once_a_country_and_not_named() -> None:
    with capture_logs() as lines:
        for number in range(10):
            for kind in (SmsChannel, VoiceChannel):
                check(kind, f"+354999123{number}")
    assert lines == [{"event": "channels.number_unassigned", "country_code": 354, "log_level": "warning"}]


def test_only_phone_numbers_are_warned_of() -> None:
    assert EmailChannel.from_settings(Settings.from_variables({})).warning("ada@example.com") == ""


def test_an_id_at_slack_needs_a_bot() -> None:
    assert check(SlackChannel, "U0123456789", BOT) == "U0123456789"


def test_a_bot_whose_token_would_travel_in_the_clear_is_none() -> None:
    with pytest.raises(ValueError, match="no bot token"):
        check(SlackChannel, "U0123456789", {**BOT, "NOTIFYFLOW_SLACK_BASE_URL": "http://slack.example.com/"})


@pytest.mark.parametrize(
    ("kind", "variables", "where"),
    [
        (EmailChannel, {"SMTP_URL": "http://x", "MAIL_FROM": "a@example.com"}, ["SMTP_URL"]),
        (EmailChannel, {"SMTP_URL": "smtp://", "MAIL_FROM": "nobody"}, ["SMTP_URL", "MAIL_FROM"]),
        (EmailChannel, {"SES_FROM": "nobody"}, ["AWS_REGION", "SES_FROM"]),
        (PushChannel, {"SNS_IS_CONFIGURED": "true"}, ["AWS_REGION"]),
        (SmsChannel, {"TWILIO_ACCOUNT_SID": "X1"}, ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_SMS_FROM"]),
        (SmsChannel, {"SNS_SMS": "true", "AWS_ENDPOINT_URL": "http://sns.example.com"}, ["AWS_REGION", "AWS_ENDPOINT_URL"]),
        (
            SmsChannel,
            {"SNS_SMS": "true", "AWS_REGION": "eu-central-1", "TWILIO_SMS_FROM": "+1"},
            ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"],
        ),
        (VoiceChannel, {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t"}, ["TWILIO_VOICE_FROM"]),
        (SlackChannel, {"SLACK_BASE_URL": "http://slack.example.com/"}, ["SLACK_BASE_URL"]),
    ],
)
def test_all_faults_of_the_settings_are_listed(kind: type[Channel], variables: dict[str, str], where: list[str]) -> None:
    channel = kind.from_settings(Settings.from_variables({f"NOTIFYFLOW_{name}": value for name, value in variables.items()}))
    assert [fault.where for fault in channel.faults] == [f"NOTIFYFLOW_{name}" for name in where]


def test_mail_goes_over_ses_first() -> None:
    variables = {
        "NOTIFYFLOW_SMTP_URL": "smtps://mail.example.com",
        "NOTIFYFLOW_MAIL_FROM": "a@example.com",
        "NOTIFYFLOW_SES_FROM": "a@example.com",
        "NOTIFYFLOW_AWS_REGION": "eu-central-1",
    }
    channel = EmailChannel.from_settings(Settings.from_variables(variables))
    assert [provider.name for provider in channel.providers] == ["ses", "smtp"]
    ordered = load(Settings.from_variables(variables | {"NOTIFYFLOW_PROVIDER_ORDER": "slack,smtp"}))["email"]
    assert [provider.name for provider in ordered.providers] == ["smtp", "ses"]


SNS = {"NOTIFYFLOW_SNS_SMS": "true", "NOTIFYFLOW_AWS_REGION": "eu-central-1"}
TWILIO = {"NOTIFYFLOW_TWILIO_ACCOUNT_SID": "AC1", "NOTIFYFLOW_TWILIO_AUTH_TOKEN": "t", "NOTIFYFLOW_TWILIO_VOICE_FROM": "+1"}


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        (SNS, ["sns"]),
        (SNS | TWILIO, ["sns"]),
        (SNS | TWILIO | {"NOTIFYFLOW_TWILIO_SMS_FROM": "+1"}, ["twilio", "sns"]),
        (SNS | TWILIO | {"NOTIFYFLOW_TWILIO_SMS_FROM": "+1", "NOTIFYFLOW_PROVIDER_ORDER": "sns"}, ["sns", "twilio"]),
    ],
)
def test_texts_go_over_sns_where_twilio_does_not_carry_them(variables: dict[str, str], names: list[str]) -> None:
    channel = load(Settings.from_variables(variables))["sms"]
    assert [provider.name for provider in channel.providers] == names
    assert channel.faults == ()
