"""Each provider as the contract of channels needs it: how it is built, and how the real service responds."""

import base64
import email
import email.policy
import json
from collections.abc import Mapping

from notifyflow.channels.aws.codes import SES, SNS, SNS_TEXTS
from notifyflow.channels.email import EmailChannel
from notifyflow.channels.push import PushChannel
from notifyflow.channels.slack import SlackChannel
from notifyflow.channels.slack.codes import SLACK, WEBHOOK
from notifyflow.channels.sms import SmsChannel
from notifyflow.channels.teams import TEAMS, TeamsChannel
from notifyflow.channels.twilio.codes import TWILIO
from notifyflow.channels.voice import VoiceChannel
from notifyflow.channels.webhook import WEBHOOK as WEBHOOKS
from notifyflow.channels.webhook import WebhookChannel
from notifyflow.testing.channel_contract import Bench, Response
from tests import pagers as pagers  # before the plug-in, which it puts on the path

from test_pager_channel import PAGERS  # isort: skip

ARN = "arn:aws:sns:eu-central-1:123456789012:endpoint/GCM/app/5e3e9847-3183-3f18-a7e8-671c3a57d4b3"
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


def _subscribed(url: str) -> Mapping[str, str]:
    subscriber = {"url": f"{url}/events", "secrets": [WEBHOOK_SECRET]}
    return _settings({"WEBHOOKS": json.dumps({"status": subscriber})})


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _rest_json(status: int, code: str) -> Response:
    return status, _json({"message": "no"}), {"Content-Type": "application/json", "x-amzn-ErrorType": code or "Unlisted"}


def _query(status: int, code: str) -> Response:
    error = f"<Error><Type>Sender</Type><Code>{code or 'Unlisted'}</Code><Message>no</Message></Error>"
    return status, f"<ErrorResponse>{error}<RequestId>r</RequestId></ErrorResponse>".encode(), {"Content-Type": "text/xml"}


def _twilio(status: int, code: str) -> Response:
    return status, _json({"code": int(code or 0), "message": "no", "status": status}), {"Content-Type": "application/json"}


def _bot(status: int, code: str) -> Response:
    return (200 if code else status), _json({"ok": False, "error": code}), {"Content-Type": "application/json"}


def _text(status: int, code: str) -> Response:
    return status, code.encode(), {"Content-Type": "text/html"}


def _mail(body: bytes) -> str:
    """Return the text and the HTML of a mail to SES."""
    raw = base64.b64decode(json.loads(body)["Content"]["Raw"]["Data"])
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    return "\n".join(part.get_content() for part in mail.iter_parts())


_PUBLISHED = b"<PublishResponse><PublishResult><MessageId>m-1</MessageId></PublishResult></PublishResponse>"


def _aws(url: str) -> Mapping[str, str]:
    return _settings({**AWS, "AWS_ENDPOINT_URL": url})


def _twilio_account(url: str) -> Mapping[str, str]:
    return _settings({**TWILIO_ACCOUNT, "TWILIO_BASE_URL": url})


def _slack_bot(url: str) -> Mapping[str, str]:
    return _settings({"SLACK_BOT_TOKEN": "xoxb-token", "SLACK_BASE_URL": f"{url}/api/"})


def _nothing(url: str) -> Mapping[str, str]:
    del url
    return {}


def _settings(values: Mapping[str, str]) -> Mapping[str, str]:
    return {f"NOTIFYFLOW_{name}": value for name, value in values.items()}


BENCHES = (
    Bench(
        name="ses", channel=EmailChannel, codes=SES, variables=_aws, address="ada@example.com",
        host="email.eu-central-1.amazonaws.com", accepted=(200, _json({"MessageId": "m-1"}), {}), refused=_rest_json,
        provider_ref="m-1", text=_mail,
    ),
    Bench(
        name="sns", channel=PushChannel, codes=SNS, variables=_aws, address=ARN, host="sns.eu-central-1.amazonaws.com",
        accepted=(200, _PUBLISHED, {"Content-Type": "text/xml"}), refused=_query, provider_ref="m-1",
    ),
    Bench(
        name="sns sms", channel=SmsChannel, codes=SNS_TEXTS, variables=_aws, address="+4915112345678",
        host="sns.eu-central-1.amazonaws.com", accepted=(200, _PUBLISHED, {"Content-Type": "text/xml"}), refused=_query,
        provider_ref="m-1",
    ),
    Bench(
        name="twilio sms", channel=SmsChannel, codes=TWILIO, variables=_twilio_account, address="+4915112345678",
        host="api.twilio.com", accepted=(201, _json({"sid": "m-1", "status": "queued"}), {}), refused=_twilio,
        provider_ref="m-1", has_receipts=True,
    ),
    Bench(
        name="twilio voice", channel=VoiceChannel, codes=TWILIO, variables=_twilio_account, address="+4915112345678",
        host="api.twilio.com", accepted=(201, _json({"sid": "m-1", "status": "queued"}), {}), refused=_twilio,
        provider_ref="m-1", has_receipts=True,
    ),
    Bench(
        name="slack bot", channel=SlackChannel, codes=SLACK, variables=_slack_bot, address="C0123456789", host="slack.com",
        accepted=(200, _json({"ok": True, "channel": "C0123456789", "ts": "1.2"}), {}), refused=_bot,
        provider_ref="C0123456789:1.2",
    ),
    Bench(
        name="slack webhook", channel=SlackChannel, codes=WEBHOOK, variables=_nothing, address="/services/T0/B0/key",
        host="hooks.slack.com", accepted=(200, b"ok", {}), refused=_text,
    ),
    Bench(
        name="teams", channel=TeamsChannel, codes=TEAMS, variables=_nothing, address="/workflows/1/triggers/manual?sig=key",
        host="prod-1.westeurope.logic.azure.com", accepted=(202, b"", {}), refused=_text, needs_body=False,
    ),
    Bench(
        name="webhook", channel=WebhookChannel, codes=WEBHOOKS, variables=_subscribed, address="status",
        host="status.example.com", accepted=(204, b"", {}), refused=_text, needs_body=False,
    ),
    PAGERS,
)  # fmt: skip
