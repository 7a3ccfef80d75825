"""The voice channel, over Twilio: the incident is said twice, and a key is gathered.

A call counts as delivered only when somebody presses a key: 1 acknowledges the incident, any other key
confirms that the call was heard. A call that was answered and hung up, or answered by a machine, reached nobody.
"""

from urllib.parse import urlsplit

from notifyflow.channels.base import Accepted, Callback, CallbackResponse
from notifyflow.channels.phone import PhoneChannel
from notifyflow.channels.templating import Templates
from notifyflow.channels.twilio.account import TwilioProvider, accounts
from notifyflow.channels.twilio.codes import CALL_STATUSES, TWILIO
from notifyflow.core.capabilities import ChannelCapabilities
from notifyflow.core.delivery.model import Evidence, Receipt, Result
from notifyflow.core.messages.content import Content
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.core.messages.replies import HandledReply
from notifyflow.core.messages.speech import sentences, stop_hint, write_key_response
from notifyflow.core.text import cut
from notifyflow.errors import RejectedCallback
from notifyflow.settings import Settings

# Twilio Calls resource, Twiml: 4,000 characters at most; markup and its escapes count, too
_SPEECH_LIMIT = 1000
_RING_S = 30  # most mailboxes answer after about that long, and a mailbox wakes nobody
_EVENTS = ["initiated", "ringing", "answered", "completed"]
_KEY = "/key"
_ACKNOWLEDGE = "1"


class TwilioVoice(TwilioProvider):
    """Makes calls."""

    _channel = "voice"

    def send(self, message: OutboundMessage) -> Accepted:
        """Start one call; see ``Provider.send``."""
        status_url = self._callback_url(message.attempt_id)
        callbacks = {"status_callback": status_url, "status_callback_event": _EVENTS} if status_url else {}
        twiml = self.twiml(message.content, self._callback_url(message.attempt_id, _KEY))
        call = self._connected().calls.create(to=message.address, from_=self.sender, twiml=twiml, timeout=_RING_S, **callbacks)
        return Accepted(provider_ref=call.sid)

    def fetch_status(self, attempt_id: str, provider_ref: str) -> Receipt:
        """Fetch one call; see ``FetchesStatus``."""
        call = self._connected().calls(provider_ref).fetch()
        return self._receipt(attempt_id, call.sid, str(call.status), CALL_STATUSES)

    def recall(self, attempt_id: str, provider_ref: str) -> None:
        """End a call that rings or is in progress (Twilio docs, "Call resource": Update a Call, Status)."""
        del attempt_id
        self._connected().calls(provider_ref).update(status="completed")

    def read_callback(self, callback: Callback) -> CallbackResponse:
        """Read a call's status or its key; see ``ReadsCallbacks``."""
        form = self._verify(callback)
        sid = form.get("CallSid", "")
        if not sid:
            raise RejectedCallback(self.name, "it names no call")
        if urlsplit(callback.path).path.endswith(_KEY):
            return self._read_key(callback, sid, form.get("Digits", ""))
        return CallbackResponse(receipts=(self._receipt(callback.attempt_id, sid, form.get("CallStatus", ""), CALL_STATUSES),))

    def twiml(self, content: Content, action_url: str | None) -> str:
        """Return the call's TwiML: it says the incident twice, and gathers a key if there is a URL to report it to."""
        speech = cut(" ".join(sentences(content)), _SPEECH_LIMIT)
        hint = stop_hint(content)
        return self._templates.render("voice/call.xml.jinja", content, speech=speech, stop_hint=hint, action_url=action_url)

    def _read_key(self, callback: Callback, sid: str, digits: str) -> CallbackResponse:
        if not digits:
            return self.respond(None)
        receipt = Receipt(
            provider=self.name,
            event_id=f"{sid}:key:{digits}",
            result=Result.DELIVERED,
            attempt_id=callback.attempt_id,
            provider_ref=sid,
            evidence=Evidence.HUMAN,
            code=f"key {digits}",
            reason="somebody pressed a key",
            is_acknowledgement=digits == _ACKNOWLEDGE,
            is_key_press=True,
        )
        return CallbackResponse(receipts=(receipt,))

    def respond(self, handled: HandledReply | None) -> CallbackResponse:
        """Return the spoken response to a key, or to no key (None); see ``Responds``."""
        body = self._templates.render("voice/key.xml.jinja", None, speech=write_key_response(handled))
        return CallbackResponse(receipts=(), content_type="text/xml; charset=utf-8", body=body)


class VoiceChannel(PhoneChannel):
    """Calls to a phone."""

    name = "voice"
    capabilities = ChannelCapabilities(is_call=True, hourly_cap=30)
    provider_names = ("twilio", "twilio-b")
    codes = (("Twilio", TWILIO), ("Twilio's receipts of a call", CALL_STATUSES))

    @classmethod
    def from_settings(cls, settings: Settings) -> "VoiceChannel":
        """Build it; see ``Channel.from_settings``."""
        templates = Templates(settings.templates)
        providers, faults = accounts(TwilioVoice, settings, templates, "VOICE_FROM")
        faults = (*faults, *templates.faults("voice", speech="", stop_hint="", action_url=None))
        return cls(providers, faults, settings.costly_numbers)
