"""The renderers of every channel as settings build them, and how to read what they make."""

import email
import email.policy
from datetime import UTC, datetime
from typing import Any

from notifyflow.channels.http.guard import Guard
from notifyflow.channels.mail import MailWriter, parse_sender
from notifyflow.channels.push import Sns
from notifyflow.channels.slack import Slack
from notifyflow.channels.sms import SnsSms, TwilioSms
from notifyflow.channels.teams import Teams
from notifyflow.channels.templating import Templates
from notifyflow.channels.voice import TwilioVoice
from notifyflow.core.messages.content import Content
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.settings import Settings

SETTINGS = Settings.from_variables(
    {
        "NOTIFYFLOW_TWILIO_ACCOUNT_SID": "AC0",
        "NOTIFYFLOW_TWILIO_AUTH_TOKEN": "t",
        "NOTIFYFLOW_AWS_REGION": "eu-central-1",
        "NOTIFYFLOW_PUBLIC_URL": "https://page.example.com/x?y=1&z=2",
    }
)
TEMPLATES = Templates()
MAIL = MailWriter(TEMPLATES, parse_sender("Pager, the loud <pager@example.com>"))
SMS = TwilioSms(SETTINGS, TEMPLATES, "+15005550006")
SNS_SMS = SnsSms(SETTINGS, TEMPLATES)
VOICE = TwilioVoice(SETTINGS, TEMPLATES, "+15005550006")
SLACK = Slack(SETTINGS, TEMPLATES, Guard(), None)
TEAMS = Teams(SETTINGS, TEMPLATES, Guard())
PUSH = Sns(SETTINGS, TEMPLATES)
AT = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)


def a_message(content: Content) -> OutboundMessage:
    return OutboundMessage(
        attempt_id="a1", notification_id="n1", incident_id="i1", address="ada@example.com", content=content, at=AT
    )


def mail_of(content: Content) -> tuple[str, str]:
    """Return the text and the HTML of a mail."""
    mail = email.message_from_bytes(MAIL.write(a_message(content)), policy=email.policy.default)
    text, html = (part.get_content().replace("\r\n", "\n") for part in mail.iter_parts())
    return text, html


def blocks_of(payload: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all blocks of a post to Slack."""
    (attachment,) = payload["attachments"]
    return [*payload["blocks"], *attachment["blocks"]]


def elements_of(payload: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all elements of the rich text of a post to Slack."""
    sections = [section for block in blocks_of(payload) if block["type"] == "rich_text" for section in block["elements"]]
    return [element for section in sections for element in section["elements"]]


def title_of(card: dict[str, Any]) -> str:
    """Return the title of a card."""
    return str(card["body"][0]["items"][0]["inlines"][0]["text"])
