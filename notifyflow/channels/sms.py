"""The sms channel, over Twilio, over SNS, or over both: two segments, a third where the titles need it, and the link whole."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from notifyflow.channels.aws.client import AwsProvider, aws_faults
from notifyflow.channels.aws.codes import SNS_TEXTS
from notifyflow.channels.base import Accepted, Callback, CallbackResponse, ProviderCapabilities
from notifyflow.channels.phone import PhoneChannel
from notifyflow.channels.templating import Templates
from notifyflow.channels.twilio.account import TwilioProvider, accounts
from notifyflow.channels.twilio.codes import MESSAGE_STATUSES, TWILIO
from notifyflow.core.capabilities import ChannelCapabilities
from notifyflow.core.delivery.model import Receipt, Result
from notifyflow.core.messages.content import Content
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.core.messages.replies import HandledReply, Intent, Reply, read_text, write_response
from notifyflow.core.messages.segments import fit_first, fit_whole
from notifyflow.core.text import cut
from notifyflow.errors import RejectedCallback
from notifyflow.settings import Settings

_SEGMENTS = 2
_NOTICE_LIMIT = 16
# Twilio Messages resource, ValidityPeriod: 1 to 36,000 seconds, 36,000 by default
_VALID_S = range(1, 36_001)
# Twilio Messages resource, "Read multiple Message resources": filtered by To and From, the newest first. DateSent is not used: it
# filters by days only, and a queued text has none. Twilio's times are in whole seconds, and its clock may differ from ours.
_PAGE = 100
_CLOCKS_DIFFER_BY = timedelta(seconds=30)


class TwilioSms(TwilioProvider):
    """Sends texts."""

    _channel = "sms"

    @property
    def capabilities(self) -> ProviderCapabilities:
        """Replies come in if the number's webhook is our public URL."""
        has_replies = self._settings.twilio_sms_replies and self._public_url is not None
        return replace(super().capabilities, has_replies=has_replies)

    def send(self, message: OutboundMessage) -> Accepted:
        """Hand one text over; see ``Provider.send``."""
        sender = "messaging_service_sid" if self.sender.startswith("MG") else "from_"
        optional = {"status_callback": self._callback_url(message.attempt_id), "validity_period": _validity(message.valid_for_s)}
        present = {name: value for name, value in optional.items() if value is not None}
        sent = self._connected().messages.create(
            to=message.address, body=self.text(message.content), **{sender: self.sender}, **present
        )
        return Accepted(provider_ref=sent.sid)

    def find_sent_message(self, message: OutboundMessage) -> Receipt | None:
        """Find the text among those to the number since the attempt; see ``FindsSentMessages``."""
        sender = {} if self.sender.startswith("MG") else {"from_": self.sender}
        listed = self._connected().messages.list(to=message.address, limit=_PAGE, page_size=_PAGE, **sender)
        since = message.at - _CLOCKS_DIFFER_BY
        text = self.text(message.content)
        for sent in listed:
            if sent.date_created and sent.date_created >= since and _is_same(sent.body, text, message.content.link):
                return self._found(message.attempt_id, sent)
        return None

    def fetch_status(self, attempt_id: str, provider_ref: str) -> Receipt:
        """Fetch one text; see ``FetchesStatus``."""
        sent = self._connected().messages(provider_ref).fetch()
        return self._receipt(attempt_id, sent.sid, str(sent.status), MESSAGE_STATUSES, str(sent.error_code or ""))

    def _found(self, attempt_id: str, sent: Any) -> Receipt:
        """Read the status of a text in Twilio's list; even an unknown status means that Twilio has the text."""
        status = str(sent.status)
        receipt = self._receipt(attempt_id, sent.sid, status, MESSAGE_STATUSES, str(sent.error_code or ""))
        return replace(receipt, event_id=f"{sent.sid}:found:{attempt_id}:{status}", result=receipt.result or Result.ACCEPTED)

    def text(self, content: Content) -> str:
        """Write the text, the link whole at its end."""
        return _write(self._templates, content, stops_texts=True)

    def read_callback(self, callback: Callback) -> CallbackResponse:
        """Read a message's status; see ``ReadsCallbacks``."""
        form = self._verify(callback)
        sid, status = form.get("MessageSid", ""), form.get("MessageStatus", "")
        if not (sid and status):
            raise RejectedCallback(self.name, "it names no message or no status")
        return CallbackResponse(
            receipts=(self._receipt(callback.attempt_id, sid, status, MESSAGE_STATUSES, form.get("ErrorCode", "")),)
        )

    def read_reply(self, callback: Callback) -> Reply | None:
        """Read a text that came to our number (Twilio docs, "Twilio's request to your incoming message Webhook URL")."""
        form = self._verify(callback)
        sid, number = form.get("MessageSid", ""), form.get("From", "")
        if not (sid and number):
            raise RejectedCallback(self.name, "it names no message or no sender")
        if self.sender not in (form.get("To", ""), form.get("MessagingServiceSid", "")):
            return None  # another number of the account
        intent, code = _read(form.get("Body", ""), form.get("OptOutType", ""))
        return Reply(provider=self.name, event_id=f"{sid}:said", intent=intent, number=number, our_number=self.sender, code=code)

    def respond(self, handled: HandledReply) -> CallbackResponse:
        """Respond to a reply with a text (Twilio docs, "TwiML for Programmable Messaging")."""
        body = self._templates.render("sms/response.xml.jinja", None, text=write_response(handled))
        return CallbackResponse(receipts=(), content_type="text/xml; charset=utf-8", body=body)


def _read(body: str, opt_out_type: str) -> tuple[Intent, str]:
    """Read a text; Twilio's own interpretation takes precedence (Twilio docs, "Customize users' opt-in and opt-out experience").

    Twilio says ``START`` also for a plain "yes", which acknowledges unless the sender had opted out.
    """
    intent, code = read_text(body)
    if not opt_out_type or (opt_out_type == "START" and intent is Intent.YES):
        return intent, code
    return read_text(opt_out_type)


class SnsSms(AwsProvider):
    """Publishes texts (SNS Developer Guide, "Publishing SMS messages to a mobile phone").

    SNS reports results to CloudWatch only ("Monitoring SMS activity", where "Phone number is opted out"
    is one of the reasons): an accepted text stays SENT.
    """

    name = "sns"
    setting_prefixes = ("AWS_", "SNS_")

    def __init__(self, settings: Settings, templates: Templates) -> None:
        super().__init__("sns", settings, SNS_TEXTS)
        self._templates = templates
        attributes = {"SMSType": "Transactional", "SenderID": settings.sns_sms_sender_id}
        self._attributes = {
            f"AWS.SNS.SMS.{name}": {"DataType": "String", "StringValue": value} for name, value in attributes.items() if value
        }

    def send(self, message: OutboundMessage) -> Accepted:
        """Publish one text; see ``Provider.send``."""
        return self._client.submit(
            "publish", PhoneNumber=message.address, Message=self.text(message.content), MessageAttributes=self._attributes
        )

    def text(self, content: Content) -> str:
        """Write the text; see ``TwilioSms.text``."""
        return _write(self._templates, content, stops_texts=False)


def _write(templates: Templates, content: Content, *, stops_texts: bool) -> str:
    """Return the text. It says STOP if the provider honours it, as Twilio does for a number (Twilio docs, "Advanced Opt-Out")."""
    more = templates.render("sms/more.txt.jinja", content, stops_texts=stops_texts).splitlines()
    if content.bundled:
        return fit_whole(_bundles(templates, content), segments=_SEGMENTS + 1, more=more)
    texts = (templates.render("sms/text.txt.jinja", each) for each in _shorter(content))
    return fit_first(texts, content.title, content.link, segments=_SEGMENTS, more=more)


def _bundles(templates: Templates, content: Content) -> Iterator[tuple[str, str | None]]:
    """Yield a bundle's text with its link, then versions with fewer words, the last without the link if people can reply.

    None of them cuts a title or the reply: what a text names, a reply to it acknowledges.
    """
    name = "sms/bundle.txt.jinja"
    counted = replace(content, title=content.counted)
    for each in (content, counted):
        yield templates.render(name, each, is_short=False), content.link
    text = ""
    for each in _shorter(counted):
        text = templates.render(name, each, is_short=True)
        yield text, content.link
    if content.reply:
        yield text, None


def _shorter(content: Content) -> Iterator[Content]:
    """Yield the content, then versions with fewer words before the title."""
    yield content
    marked = replace(content, notice=cut(content.notice, _NOTICE_LIMIT))
    yield marked
    yield replace(marked, delayed="")
    yield replace(marked, delayed="", notice="")


def _is_same(body: str | None, text: str, link: str | None) -> bool:
    """Return whether a text is that of an attempt: it has the attempt's link or, without a link, the same words."""
    listed, sent = (body or "").split(), text.split()
    return link in listed if link in sent else listed == sent


def _validity(valid_for_s: int | None) -> int | None:
    return None if valid_for_s is None else min(max(valid_for_s, _VALID_S[0]), _VALID_S[-1])


class SmsChannel(PhoneChannel):
    """Texts to a phone."""

    name = "sms"
    capabilities = ChannelCapabilities(
        has_text_replies=True, hourly_cap=60, is_bundled=True, names=3, shows_without_receipt=True, how="by text"
    )
    provider_names = ("sns", "twilio", "twilio-b")
    codes = (("Twilio", TWILIO), ("SNS, for texts", SNS_TEXTS), ("Twilio's receipts of a text", MESSAGE_STATUSES))

    @classmethod
    def from_settings(cls, settings: Settings) -> "SmsChannel":
        """Build it; see ``Channel.from_settings``."""
        templates = Templates(settings.templates)
        of_twilio, faults = accounts(TwilioSms, settings, templates, "SMS_FROM", is_required=not settings.sns_sms)
        wrong = tuple(aws_faults(settings, "SNS")) if settings.sns_sms else ()
        of_sns = (SnsSms(settings, templates),) if settings.sns_sms and not wrong else ()
        return cls(
            (*of_twilio, *of_sns),
            (*faults, *wrong, *templates.faults("sms", text="", stops_texts=True, is_short=False)),
            settings.costly_numbers,
        )
