"""The voice channel, over Twilio: an incident is said twice, several are said one after another, and keys are gathered.

A call counts as delivered only when somebody presses a key: 1 acknowledges what was said, 2 repeats it, any other key
confirms that it was heard. A call that was answered and hung up, or answered by a machine, reached nobody.

In a call about several incidents each title is a ``Gather`` of its own, whose URL says how many have been said or begun; the
signature covers it. Without a key a ``Gather`` goes on with the verb behind it (Twilio docs, "TwiML Voice: <Gather>", action and
timeout); its key replaces the rest of the document.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from notifyflow.channels.base import Accepted, Callback, CallbackResponse
from notifyflow.channels.phone import PhoneChannel
from notifyflow.channels.templating import Templates
from notifyflow.channels.twilio.account import TwilioProvider, accounts
from notifyflow.channels.twilio.codes import CALL_STATUSES, TWILIO
from notifyflow.core.capabilities import ChannelCapabilities
from notifyflow.core.delivery.model import Evidence, Receipt, Result
from notifyflow.core.messages import prompts
from notifyflow.core.messages.content import Content
from notifyflow.core.messages.keys import ACKNOWLEDGE, ALL, REPEAT, Key
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.core.messages.replies import HandledReply
from notifyflow.core.messages.speech import sentences, stop_hint, write_key_response
from notifyflow.core.text import cut
from notifyflow.errors import RejectedCallback
from notifyflow.settings import Settings

# Twilio Calls resource, Twiml: 4,000 characters at most; markup and its escapes count, too
_LIMIT = 4000
_SPEECH_LIMIT = 600  # 45 s with the words about the keys; said twice
_TIMES_ALONE = 2
_RING_S = 30  # most mailboxes answer after about that long, and a mailbox wakes nobody
_EVENTS = ["initiated", "ringing", "answered", "completed"]
_KEY = "/key"
_GOODBYE, _NO_KEY = "Goodbye.", "No key was pressed. Goodbye."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """The state of a call, as the URL of a key carries it.

    Attributes:
        titles: How many titles have been said or begun; None in a call about one incident.
        offers_all: Whether key 4 was offered.
        times: How often the call is being said, from 1.
    """

    titles: int | None = None
    offers_all: bool = False
    times: int = 1

    @property
    def query(self) -> str:
        """The query of the URL; empty at the first saying of a call about one incident."""
        values = {"at": self.titles, "all": 1 if self.offers_all else None, "times": self.times if self.times > 1 else None}
        query = urlencode({name: value for name, value in values.items() if value is not None})
        return f"?{query}" if query else ""


class TwilioVoice(TwilioProvider):
    """Makes calls."""

    _channel = "voice"

    def send(self, message: OutboundMessage) -> Accepted:
        """Start one call; see ``Provider.send``."""
        status_url = self._callback_url(message.attempt_id)
        callbacks = {"status_callback": status_url, "status_callback_event": _EVENTS} if status_url else {}
        twiml = self.twiml(message.content, message.attempt_id)
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

    def twiml(self, content: Content, attempt_id: str, *, times: int = 1) -> str:
        """Return the call's TwiML.

        It says one incident twice, or several one after another, and gathers keys if there is a URL to report them to. Where a
        long URL leaves no room for all titles, the last ones are left out; they are said first in the next call.
        """
        if not content.bundled:
            return self._say_one(content, attempt_id, times=times)
        document = ""
        for left_out in range(len(content.bundled)):
            named = content.bundled[: len(content.bundled) - left_out]
            shorter = replace(content, bundled=named, unnamed=content.unnamed + left_out)
            document = self._say_several(shorter, attempt_id, times=times)
            if len(document) <= _LIMIT:
                break
        return document

    def _say_one(self, content: Content, attempt_id: str, *, times: int) -> str:
        speech = cut(" ".join(sentences(content)), _SPEECH_LIMIT)
        action_url = self._callback_url(attempt_id, _KEY + _Said(times=times).query)
        values: Mapping[str, Any] = {"speech": speech, "stop_hint": stop_hint(content), "action_url": action_url}
        return self._templates.render("voice/call.xml.jinja", content, **values)

    def _say_several(self, content: Content, attempt_id: str, *, times: int, after: int = 0, response: str = "") -> str:
        def url(prompt: prompts.Prompt) -> str | None:
            said = _Said(titles=prompt.said, offers_all=prompt.offers_all, times=times)
            return self._callback_url(attempt_id, _KEY + said.query)

        values: Mapping[str, Any] = {
            "prompts": [(each, url(each)) for each in prompts.prompts(content, after=after)],
            "response": response,
            "goodbye": _GOODBYE if response or times > 1 or self._public_url is None else _NO_KEY,
        }
        return self._templates.render("voice/several.xml.jinja", content, **values)

    def _read_key(self, callback: Callback, sid: str, digits: str) -> CallbackResponse:
        if not digits:
            return self.respond(None)
        said = self._said(callback)
        key = Key(digit=digits, said=said.titles)
        more = [str(each) for each in (said.titles, said.times if said.times > 1 else None) if each is not None]
        receipt = Receipt(
            provider=self.name,
            event_id=":".join((sid, "key", digits, *more)),
            result=Result.DELIVERED,
            attempt_id=callback.attempt_id,
            provider_ref=sid,
            evidence=Evidence.HUMAN,
            code=key.code,
            reason="somebody pressed a key",
            is_acknowledgement=said.titles != 0 if digits == ACKNOWLEDGE else said.offers_all and digits == ALL,
            is_key_press=True,
        )
        return CallbackResponse(receipts=(receipt,))

    def _said(self, callback: Callback) -> _Said:
        """Read what the URL of a key says.

        Raises:
            RejectedCallback: When it is not one that ``twiml`` made.
        """
        query = dict(parse_qsl(urlsplit(callback.path).query, keep_blank_values=True))
        numbers = {name: int(value) for name, value in query.items() if value.isascii() and value.isdecimal() and len(value) < 4}
        if len(numbers) < len(query):
            raise RejectedCallback(self.name, "it does not say which key it was asked for")
        return _Said(titles=numbers.get("at"), offers_all=bool(numbers.get("all")), times=numbers.get("times", 1))

    def respond(self, handled: HandledReply | None) -> CallbackResponse:
        """Return the spoken response to a key, or to no key (None); see ``Responds``."""
        return _spoken(self._templates.render("voice/key.xml.jinja", None, speech=write_key_response(handled)))

    def respond_to_key(self, callback: Callback, handled: HandledReply) -> CallbackResponse:
        """Return the response to a key, and what the call says after it; see ``RespondsToKeys``."""
        said, content = self._said(callback), handled.content
        digits = dict(parse_qsl(callback.body.decode())).get("Digits", "")
        times, attempt_id = said.times, callback.attempt_id
        if content is None:
            return self.respond(handled)
        if digits == REPEAT and times < (prompts.TIMES if content.bundled else _TIMES_ALONE):
            return _spoken(self.twiml(content, attempt_id, times=times + 1))
        if said.titles is None or said.titles >= len(content.bundled) or (digits == ALL and said.offers_all):
            return self.respond(handled)
        response = write_key_response(handled)
        return _spoken(self._say_several(content, attempt_id, times=times, after=said.titles, response=response))


def _spoken(document: str) -> CallbackResponse:
    return CallbackResponse(receipts=(), content_type="text/xml; charset=utf-8", body=document)


class VoiceChannel(PhoneChannel):
    """Calls to a phone."""

    name = "voice"
    capabilities = ChannelCapabilities(is_call=True, hourly_cap=30, is_bundled=True, names=prompts.MOST)
    provider_names = ("twilio", "twilio-b")
    codes = (("Twilio", TWILIO), ("Twilio's receipts of a call", CALL_STATUSES))

    @classmethod
    def from_settings(cls, settings: Settings) -> "VoiceChannel":
        """Build it; see ``Channel.from_settings``."""
        templates = Templates(settings.templates)
        providers, faults = accounts(TwilioVoice, settings, templates, "VOICE_FROM")
        added: Mapping[str, Any] = {
            "speech": "",
            "stop_hint": "",
            "action_url": None,
            "prompts": (),
            "response": "",
            "goodbye": "",
        }
        faults = (*faults, *templates.faults("voice", **added))
        return cls(providers, faults, settings.costly_numbers)
