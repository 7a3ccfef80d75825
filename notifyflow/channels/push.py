"""The push channel, over SNS platform endpoints (SNS Developer Guide, "Publishing with platform-specific payloads").

SNS reports that it accepted the message, not that the device has it: an accepted message stays SENT, unless an event reports
that it failed.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from notifyflow.channels.aws.client import AwsProvider, aws_faults
from notifyflow.channels.aws.codes import SNS
from notifyflow.channels.aws.events import PUSH_FAILURES
from notifyflow.channels.base import Accepted, Channel
from notifyflow.channels.templating import Templates
from notifyflow.core.capabilities import CHAT_BEAT, ChannelCapabilities
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.core.text import cut
from notifyflow.errors import Fault
from notifyflow.settings import Settings

_ARN = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:endpoint/[A-Z_]+/[\w.-]{1,256}/[0-9A-Za-z-]{1,64}")
_TITLE_LIMIT = 150
_TEXT_LIMIT = 400
_URL_LIMIT = 600
_APPLE = ("APNS", "APNS_SANDBOX")


class Sns(AwsProvider):
    """Publishes to devices."""

    name = "sns"
    setting_prefixes = ("AWS_", "SNS_")

    def __init__(self, settings: Settings, templates: Templates) -> None:
        super().__init__("sns", settings, SNS)
        self._templates = templates

    def send(self, message: OutboundMessage) -> Accepted:
        """Publish to one endpoint; see ``Provider.send``."""
        return self._client.submit(
            "publish",
            TargetArn=message.address,
            MessageStructure="json",
            Message=self.payload(message),
            MessageAttributes=_attributes(message.valid_for_s),
        )

    def payload(self, message: OutboundMessage) -> str:
        """Return the message: a payload for each platform, as JSON within JSON, below the 4 KB limit of APNs and FCM."""
        title = cut(self._templates.render("push/title.txt.jinja", message.content), _TITLE_LIMIT)
        text = cut(self._templates.render("push/text.txt.jinja", message.content), _TEXT_LIMIT)
        links = {"link": message.content.link, "url": message.content.url}
        data = {"attempt": message.attempt_id} | {name: url for name, url in links.items() if url and len(url) <= _URL_LIMIT}
        apple = {"aps": {"alert": {"title": title, "body": text}, "sound": "default"}, **data}
        google = {
            "fcmV1Message": {
                "message": {"notification": {"title": title, "body": text}, "data": data, "android": {"priority": "high"}}
            }
        }
        payloads: dict[str, Mapping[str, Any]] = {"GCM": google, **dict.fromkeys(_APPLE, apple)}
        return _json({"default": title, **{platform: _json(payload) for platform, payload in payloads.items()}})


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _attributes(valid_for_s: int | None) -> dict[str, dict[str, str]]:
    """Return the attributes that limit how long push services hold a message.

    SNS Developer Guide, "Using the Amazon SNS time to live message attribute"; FCM's has two names there, a new one and GCM's.
    """
    if valid_for_s is None:
        return {}
    platforms = ("FCM", "GCM", *_APPLE)
    return {f"AWS.SNS.MOBILE.{name}.TTL": {"DataType": "Number", "StringValue": str(max(0, valid_for_s))} for name in platforms}


class PushChannel(Channel):
    """Push messages to a device."""

    name = "push"
    capabilities = ChannelCapabilities(is_bundled=True, names=3, beat=CHAT_BEAT)
    provider_names = ("sns",)
    codes = (("SNS, for push", SNS), ("Failures of push over SNS", PUSH_FAILURES))

    @classmethod
    def from_settings(cls, settings: Settings) -> "PushChannel":
        """Build it; see ``Channel.from_settings``."""
        templates = Templates(settings.templates)
        faults = _faults(settings)
        return cls(() if faults else (Sns(settings, templates),), (*faults, *templates.faults("push")))

    def check_address(self, address: str) -> str:
        """Validate the ARN of a platform endpoint; see ``Channel.check_address``."""
        if not _ARN.fullmatch(address.strip()):
            raise ValueError("is not the ARN of an SNS platform endpoint (arn:aws:sns:…:endpoint/…)")
        return address.strip()


def _faults(settings: Settings) -> tuple[Fault, ...]:
    if not settings.sns_is_configured:
        return (
            Fault(
                "NOTIFYFLOW_SNS_IS_CONFIGURED", "is not true", "Set it to true, and AWS_REGION, to push over SNS", is_unset=True
            ),
        )
    return tuple(aws_faults(settings, "SNS"))
