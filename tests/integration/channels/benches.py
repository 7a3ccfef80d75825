"""Each provider beside the scripted server, behind one face: how it is built, and how the real service would respond."""

import base64
import contextlib
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from notifyflow.channels.aws_codes import SES, SNS, SNS_TEXTS
from notifyflow.channels.base import Channel, Provider
from notifyflow.channels.email import EmailChannel
from notifyflow.channels.push import PushChannel
from notifyflow.channels.slack import SlackChannel
from notifyflow.channels.slack_codes import SLACK, WEBHOOK
from notifyflow.channels.sms import SmsChannel
from notifyflow.channels.tables import Table
from notifyflow.channels.teams import TEAMS, TeamsChannel
from notifyflow.channels.templating import SAMPLE
from notifyflow.channels.twilio_codes import TWILIO
from notifyflow.channels.voice import VoiceChannel
from notifyflow.channels.webhook import WEBHOOK as WEBHOOKS
from notifyflow.channels.webhook import WebhookChannel
from notifyflow.core.messages import OutboundMessage
from notifyflow.settings import Settings
from tests import pagers  # before the plug-in, which it puts on the path
from tests.integration.channels.scripted import HttpServer

from pager_channel import CODES, PagerChannel  # isort: skip

ARN = "arn:aws:sns:eu-central-1:123456789012:endpoint/GCM/app/5e3e9847-3183-3f18-a7e8-671c3a57d4b3"
ATTEMPT = "0195e1f0a0b07c3e8f0a1b2c3d4e5f60"
AT = datetime(2026, 11, 25, 3, 0, 10, tzinfo=UTC)
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four b").decode()
AWS = {
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "SES_FROM": "notifyflow <pager@example.com>",
    "SNS_IS_CONFIGURED": "true",
    "SNS_SMS": "true",
}
TWILIO_ACCOUNT = {
    "TWILIO_ACCOUNT_SID": "AC00000000000000000000000000000000",
    "TWILIO_AUTH_TOKEN": "token",
    "TWILIO_SMS_FROM": "+15005550006",
    "TWILIO_VOICE_FROM": "+15005550006",
}
Reply = tuple[int, bytes, Mapping[str, str]]


@dataclass(frozen=True)
class Bench:
    """One provider over HTTP.

    Attributes:
        name: Of the case.
        channel: What builds it.
        table: Its codes.
        values: Its settings, without prefix.
        base: The setting that holds its base URL; empty where the address is the URL.
        address: Of the recipient; where it begins with a slash, below the server.
        real: The host that it reaches with its own settings.
        accepted: What the real thing says when it accepts.
        refused: What the real thing says with a status and a code.
        needs_body: Whether an acceptance is known by its body.
        at: What the base setting holds for a URL.
    """

    name: str
    channel: type[Channel]
    table: Table
    values: Mapping[str, str]
    base: str
    address: str
    real: str
    accepted: Reply
    refused: Callable[[int, str], Reply]
    needs_body: bool = True
    at: Callable[[str], str] = str

    @contextlib.contextmanager
    def provider(self, server: HttpServer | int, **more: str) -> Iterator[tuple[Provider, OutboundMessage]]:
        """Build the provider against a server, or a port on which nobody listens."""
        port = server if isinstance(server, int) else server.port
        values = {"TRUSTED_ENDPOINTS": f"127.0.0.1:{port}", **self.values, **more}
        if self.base:
            values.setdefault(self.base, self.at(f"http://127.0.0.1:{port}"))
        channel = _build(self.channel, tuple(values.items()))
        address = f"http://127.0.0.1:{port}{self.address}" if self.address.startswith("/") else self.address
        try:
            yield channel.providers[0], a_message(channel.check_address(address))
        finally:
            channel.close()


@functools.cache  # boto3 needs a while to read its models
def _build(kind: type[Channel], values: tuple[tuple[str, str], ...]) -> Channel:
    with pytest.MonkeyPatch.context() as environment:  # in which a plug-in finds its own settings
        for name, value in values:
            if name.startswith("PAGER_"):
                environment.setenv(name, value)
        variables = {f"NOTIFYFLOW_{name}": value for name, value in values if not name.startswith("PAGER_")}
        channel = kind.from_settings(Settings.from_variables(variables))
    assert not channel.faults
    return channel


def a_message(address: str, **more: Any) -> OutboundMessage:
    return OutboundMessage(attempt_id=ATTEMPT, notification_id="n1", address=address, content=SAMPLE, at=AT, **more)


def _subscribe(url: str) -> str:
    return json.dumps({"status": {"url": f"{url}/events", "secrets": [WEBHOOK_SECRET]}})


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _rest_json(status: int, code: str) -> Reply:
    return status, _json({"message": "no"}), {"Content-Type": "application/json", "x-amzn-ErrorType": code or "Unlisted"}


def _query(status: int, code: str) -> Reply:
    error = f"<Error><Type>Sender</Type><Code>{code or 'Unlisted'}</Code><Message>no</Message></Error>"
    return status, f"<ErrorResponse>{error}<RequestId>r</RequestId></ErrorResponse>".encode(), {"Content-Type": "text/xml"}


def _twilio(status: int, code: str) -> Reply:
    return status, _json({"code": int(code or 0), "message": "no", "status": status}), {"Content-Type": "application/json"}


def _pager(status: int, code: str) -> Reply:
    return status, _json({"code": code}), {"Content-Type": "application/json"}


def _bot(status: int, code: str) -> Reply:
    return (200 if code else status), _json({"ok": False, "error": code}), {"Content-Type": "application/json"}


def _text(status: int, code: str) -> Reply:
    return status, code.encode(), {"Content-Type": "text/html"}


_PUBLISHED = b"<PublishResponse><PublishResult><MessageId>m-1</MessageId></PublishResult></PublishResponse>"
BENCHES = (
    Bench("ses", EmailChannel, SES, AWS, "AWS_ENDPOINT_URL", "ada@example.com", "email.eu-central-1.amazonaws.com:443",
          (200, _json({"MessageId": "m-1"}), {}), _rest_json),
    Bench("sns", PushChannel, SNS, AWS, "AWS_ENDPOINT_URL", ARN, "sns.eu-central-1.amazonaws.com:443",
          (200, _PUBLISHED, {"Content-Type": "text/xml"}), _query),
    Bench("sns sms", SmsChannel, SNS_TEXTS, AWS, "AWS_ENDPOINT_URL", "+4915112345678", "sns.eu-central-1.amazonaws.com:443",
          (200, _PUBLISHED, {"Content-Type": "text/xml"}), _query),
    Bench("twilio sms", SmsChannel, TWILIO, TWILIO_ACCOUNT, "TWILIO_BASE_URL", "+4915112345678", "api.twilio.com:443",
          (201, _json({"sid": "m-1", "status": "queued"}), {}), _twilio),
    Bench("twilio voice", VoiceChannel, TWILIO, TWILIO_ACCOUNT, "TWILIO_BASE_URL", "+4915112345678", "api.twilio.com:443",
          (201, _json({"sid": "m-1", "status": "queued"}), {}), _twilio),
    Bench("slack bot", SlackChannel, SLACK, {"SLACK_BOT_TOKEN": "xoxb-token"}, "SLACK_BASE_URL", "C0123456789", "slack.com:443",
          (200, _json({"ok": True, "channel": "C0123456789", "ts": "1.2"}), {}), _bot),
    Bench("slack webhook", SlackChannel, WEBHOOK, {}, "", "/services/T0/B0/key", "hooks.slack.com:443",
          (200, b"ok", {}), _text),
    Bench("teams", TeamsChannel, TEAMS, {}, "", "/workflows/1/triggers/manual?sig=key", "prod-1.westeurope.logic.azure.com:443",
          (202, b"", {}), _text, needs_body=False),
    Bench("webhook", WebhookChannel, WEBHOOKS, {}, "WEBHOOKS", "status", "status.example.com:443",
          (204, b"", {}), _text, needs_body=False, at=_subscribe),
    Bench("pager", PagerChannel, CODES, {"PAGER_SECRET": pagers.SECRET}, "PAGER_URL", "4711", "pagers.example.com:443",
          (201, _json({"id": "m-1"}), {}), _pager),
)  # fmt: skip
_STATUS = re.compile(r"\d(\d\d|xx)")


def row_cases() -> list[tuple[Bench, str, int, str]]:
    """Every row of every table once: bench, row's code, the status and the code of the provider's response."""
    cases = []
    seen = set()
    for bench in BENCHES:
        for code, row in bench.table.items():
            if (bench.refused, row) in seen:  # texts and calls, texts and push: one client and one table
                continue
            seen.add((bench.refused, row))
            is_status = _STATUS.fullmatch(code)
            cases.append((bench, code, int(code.replace("xx", "02")) if is_status else 400, "" if is_status else code))
    return cases
