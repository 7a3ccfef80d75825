"""Twilio: Messages and Calls, with signed status callbacks a moment later.

Sources: Twilio docs, "REST API: Accounts", "Messages resource", "Outbound Message Status in Status Callbacks",
"Call resource" (StatusCallbackEvent),
"TwiML Voice: <Gather>", "REST API: Error and Warning Dictionary", "Twilio's response" (the JSON of an exception).
"""

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar
from urllib.parse import urlsplit

from notifyflow.sandbox.courier import Courier, Post, Reports
from notifyflow.sandbox.http import Form, HttpResponse, Request, as_json
from notifyflow.sandbox.inbox import Call, Inbox, Message, Text
from notifyflow.sandbox.phone import Callee, read_twiml
from notifyflow.sandbox.script import Kind, Reaction
from notifyflow.sandbox.stand_in import Arrival, Providers, StandIn, new_reference

ACCOUNT_SID = "AC" + "5a" * 16
SECOND_ACCOUNT_SID = "AC" + "5b" * 16
AUTH_TOKEN = "sandbox-auth-token"  # noqa: S105 - known to everybody
SMS_FROM, VOICE_FROM = "+15005550006", "+15005550007"
HEARD_KEY = "3"
_ACCOUNTS = {"twilio": ACCOUNT_SID, "twilio-b": SECOND_ACCOUNT_SID}
_POOL = "+15005550010"  # a number of a messaging service
_VERSION = "2010-04-01"
_SECOND_ACCOUNT = ("TWILIO_B_ACCOUNT_SID", "TWILIO_B_AUTH_TOKEN")
_PEOPLE = 25_000
# The status and the code of refusals (Error and Warning Dictionary); every other code comes with a 400.
_STATUSES = {"20003": 401, "20404": 404, "20429": 429, "20500": 500, "20503": 503, "20005": 403, "20403": 403}
_CODES = {401: 20003, 403: 20403, 404: 20404, 429: 20429, 503: 20503}
# The event under which a call's status is reported; every final one is "completed" (Call resource, StatusCallbackEvent).
_CALL_EVENTS = {"initiated": "initiated", "ringing": "ringing", "in-progress": "answered"}
_UNANSWERED = frozenset({"no-answer", "busy", "failed"})


class TwilioStandIn(StandIn):
    """Accepts text messages and calls, and reports their statuses."""

    name = "twilio"
    channels = ("sms", "voice")
    providers: ClassVar[Providers] = {
        "sms": {"twilio": ("TWILIO_SMS_FROM", "TWILIO_SMS_REPLIES"), "twilio-b": ("TWILIO_B_SMS_FROM", *_SECOND_ACCOUNT)},
        "voice": {"twilio": ("TWILIO_VOICE_FROM",), "twilio-b": ("TWILIO_B_VOICE_FROM", *_SECOND_ACCOUNT)},
    }

    def __init__(self, inbox: Inbox, receipts_after_s: float, ringing_s: float, post: Post) -> None:
        """Set the inbox, the seconds between two statuses and those that an unanswered call rings, and what posts them."""
        self._providers = {_authorization(sid): name for name, sid in _ACCOUNTS.items()}
        self._courier = Courier(AUTH_TOKEN, post)
        self._inbox = inbox
        self._pause_s = receipts_after_s
        self._ringing_s = ringing_s
        self._texts: dict[str, Arrival] = {}
        self._calls: dict[str, _Delivery] = {}

    def settings(self, url: str) -> Mapping[str, str]:
        """Return the account, its numbers and its URL."""
        return {
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO_SMS_FROM": SMS_FROM,
            "TWILIO_VOICE_FROM": VOICE_FROM,
            "TWILIO_BASE_URL": url,
            "TWILIO_SMS_REPLIES": "true",
        }

    def spares(self) -> Mapping[str, str]:
        """Return the settings of the second account, whose token is the same; see ``StandIn.spares``."""
        return {
            "TWILIO_B_ACCOUNT_SID": SECOND_ACCOUNT_SID,
            "TWILIO_B_AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO_B_SMS_FROM": SMS_FROM,
            "TWILIO_B_VOICE_FROM": VOICE_FROM,
        }

    def addresses(self, url: str, person: int) -> Mapping[str, str]:
        """Return a phone number; see ``StandIn.addresses``."""
        del url
        return dict.fromkeys(self.channels, f"+4930231{_PEOPLE + person}")

    def read(self, request: Request) -> Arrival | HttpResponse:
        """Read a request to create or look up messages or calls."""
        provider = self._providers.get(request.headers.get("authorization", ""))
        if provider is None:
            return _no(401, 20003, "Authenticate")
        path = request.path.removesuffix(".json")
        account = f"/{_VERSION}/Accounts/{_ACCOUNTS[provider]}"
        if (request.method, path) == ("GET", account):
            return as_json(200, {"sid": _ACCOUNTS[provider], "friendly_name": "sandbox", "status": "active", "type": "Full"})
        match request.method, path.removeprefix(account + "/").split("/"):
            case "POST", ["Messages"]:
                return self._read_text(request, provider)
            case "POST", ["Calls"]:
                return self._read_call(request, provider)
            case "POST", ["Calls", sid] if sid in self._calls:
                return self._end_call(sid, request.form().last("Status"))
            case "GET", ["Messages" | "Calls" as kind]:
                return self._list(kind, request)
            case "GET", ["Messages" | "Calls" as kind, sid]:
                found = [self._describe(message) for message in self._look_up(kind) if message.reference == sid]
                return as_json(200, found[0]) if found else _no(404, 20404, "The requested resource was not found")
        return _no(404, 20404, "The requested resource was not found")

    def _end_call(self, sid: str, status: str) -> HttpResponse:
        """End a call ("Update a Call resource": Status), unless it has ended."""
        if status not in ("completed", "canceled"):
            return _no(400, 21220, "Call is not in a state that can be changed so.")
        self._calls[sid].hang_up()
        (message,) = (each for each in self._look_up("Calls") if each.reference == sid)
        return as_json(200, self._describe(message))

    async def press(self, number: int, line: int, key: str) -> None:
        """Press a key of a call, as if it were at one of its lines.

        Raises:
            LookupError: When there is no such call, or no key is asked for at that line.
        """
        for message in self._look_up("Calls"):
            if message.number == number and isinstance(message.content, Call) and message.content.urls[line : line + 1] > ("",):
                await self._calls[message.reference].press(message.content.urls[line], key, message.content)
                return
        raise LookupError("no key is asked for there")

    async def reply(self, number: str, text: str) -> tuple[str, ...]:
        """Text back from a phone to the number that texted it last, as if that number's webhook were the one of its receipts.

        Returns:
            The text that the phone gets in response.

        Raises:
            LookupError: When the phone was not texted, or the text wanted no receipts.
        """
        arrival = self._texts.get(number)
        if arrival is None or not arrival.form.last("StatusCallback"):
            raise LookupError(f"no number that accepts replies has texted {number}")
        form, account = arrival.form, {"AccountSid": _account(arrival.message), "ApiVersion": _VERSION}
        url = form.last("StatusCallback").partition("#")[0].rpartition("/")[0]
        sids = dict.fromkeys(("MessageSid", "SmsSid", "SmsMessageSid"), new_reference("SM"))
        service = {"MessagingServiceSid": sid} if (sid := form.last("MessagingServiceSid")) else {}
        said = {"From": number, "To": form.last("From") or _POOL, "Body": text, "NumMedia": "0", "NumSegments": "1"}
        twiml = await self._courier.post(url, {**sids, **account, **service, **said})
        verbs = read_twiml(twiml) if twiml else ()
        return tuple(verb.text.strip() for verb in verbs or () if verb.name == "Message")

    def _list(self, kind: str, request: Request) -> HttpResponse:
        """Return accepted messages, the newest first, as one page ("Read multiple Message resources": To, From, PageSize)."""
        resources = [self._describe(message) for message in reversed(self._look_up(kind))]
        wanted = {name.lower(): request.query[name] for name in ("To", "From") if name in request.query}
        found = [each for each in resources if all(each[name] == value for name, value in wanted.items())]
        asked = request.query.get("PageSize", "")
        size = int(asked) if asked.isdigit() else 50
        page = {"page": 0, "page_size": size, "next_page_uri": None, "uri": request.path}
        return as_json(200, {kind.lower(): found[:size], **page})

    def _look_up(self, kind: str) -> tuple[Message, ...]:
        return self._inbox.messages(channel="sms" if kind == "Messages" else "voice", is_accepted=True)

    def _read_text(self, request: Request, provider: str) -> Arrival | HttpResponse:
        form = request.form()
        sender = form.last("From") or form.last("MessagingServiceSid")
        if not form.last("To"):
            return _no(400, 21604, "A 'To' phone number is required.")
        if not sender:
            return _no(400, 21603, "A 'From' phone number is required.")
        if not form.last("Body"):
            return _no(400, 21602, "Message body is required.")
        return _arrival(form, provider, "sms", new_reference("SM"), Text(sender=sender, text=form.last("Body")))

    def _read_call(self, request: Request, provider: str) -> Arrival | HttpResponse:
        form = request.form()
        if not form.last("To"):
            return _no(400, 21201, "No 'To' number is specified")
        if not form.last("From"):
            return _no(400, 21213, "'From' phone number is required")
        if not form.last("Twiml") and not form.last("Url"):
            return _no(400, 21205, "Url parameter is required.")
        return _arrival(form, provider, "voice", new_reference("CA"), Call(sender=form.last("From")))

    def accept(self, arrival: Arrival) -> HttpResponse:
        """Answer 201 with the new resource, queued."""
        return as_json(201, self._describe(replace(arrival.message, status=_initial_status(arrival))))

    def refuse(self, arrival: Arrival, reaction: Reaction) -> HttpResponse:
        """Refuse with Twilio's code, and the status that comes with it."""
        del arrival
        if reaction.kind is Kind.STATUS:
            status = int(reaction.code)
            code = _CODES.get(status, 20500 if status >= 500 else 20001)
        else:
            status, code = _STATUSES.get(reaction.code, 400), int(reaction.code)
        return _no(status, code, "Refused by the script.")

    def _describe(self, message: Message) -> dict[str, object]:
        resource: dict[str, object] = {
            "sid": message.reference,
            "account_sid": _account(message),
            "api_version": _VERSION,
            "to": message.to,
            "from": getattr(message.content, "sender", ""),
            "status": message.status,
            "direction": "outbound-api",
            "date_created": message.date,
            "date_updated": message.date,
        }
        if isinstance(message.content, Text):
            resource |= {"body": message.content.text, "num_segments": "1", "error_code": None, "error_message": None}
        return resource

    async def follow(self, arrival: Arrival, reaction: Reaction) -> None:
        """Carry a message to its end, calling back at each status."""
        delivery = _Delivery(arrival, self._inbox, self._courier, pause_s=self._pause_s, ringing_s=self._ringing_s)
        if arrival.message.channel == "sms":
            self._texts[arrival.message.to] = arrival
            await delivery.carry_text(reaction)
        else:
            self._calls[arrival.message.reference] = delivery
            await delivery.carry_call_or_hang_up(reaction)
        await delivery.reports.finish()
        if reaction.kind is Kind.REPLY:
            await self.reply(arrival.message.to, reaction.code)


class _Delivery:
    """The life of one text or call, and its reports."""

    def __init__(self, arrival: Arrival, inbox: Inbox, courier: Courier, *, pause_s: float, ringing_s: float) -> None:
        self._arrival = arrival
        self._number = arrival.message.number
        self._form = arrival.form
        self._inbox = inbox
        self._courier = courier
        self._pause_s = pause_s
        self._ringing_s = ringing_s
        self._is_hung_up = asyncio.Event()
        self._is_answered = False
        self._parties = {
            "AccountSid": _account(arrival.message),
            "ApiVersion": _VERSION,
            "To": arrival.message.to,
            "From": arrival.form.last("From"),
        }
        self.reports = Reports(courier, arrival.form.last("StatusCallback"))

    async def carry_text(self, reaction: Reaction) -> None:
        """Send a text, or not, and report its statuses."""
        if reaction.kind is Kind.RECEIPT and not reaction.code:
            return
        last = reaction.code if reaction.kind is Kind.RECEIPT else "delivered"
        queued = ("queued",) if _initial_status(self._arrival) == "accepted" else ()
        sent = () if last == "failed" else ("sent",)
        sids = dict.fromkeys(("MessageSid", "SmsSid"), self._arrival.message.reference)
        for status in (*queued, *sent, last):
            await asyncio.sleep(self._pause_s)
            self._become(status)
            error = {"ErrorCode": reaction.detail} if reaction.detail and status == last else {}
            self.reports.add({**sids, **self._parties, **dict.fromkeys(("MessageStatus", "SmsStatus"), status), **error})

    async def carry_call_or_hang_up(self, reaction: Reaction) -> None:
        """Ring, and play to the callee, until the call is ended from outside."""
        call = asyncio.get_running_loop().create_task(self.carry_call(reaction))
        end = asyncio.get_running_loop().create_task(self._is_hung_up.wait())
        try:
            await asyncio.wait((call, end), return_when=asyncio.FIRST_COMPLETED)
            if not call.done():
                self._tell_call("completed" if self._is_answered else "canceled")
        finally:
            call.cancel()
            end.cancel()

    def hang_up(self) -> None:
        """End the call."""
        self._is_hung_up.set()

    async def carry_call(self, reaction: Reaction) -> None:
        """Ring, and play to the callee."""
        does = reaction.code if reaction.kind is Kind.CALLEE else "key"
        self._tell_call("initiated")
        await asyncio.sleep(self._pause_s)
        self._tell_call("ringing")
        await asyncio.sleep(self._ringing_s if does == "no-answer" else self._pause_s)
        if does == "rings":
            await asyncio.get_running_loop().create_future()
        if does in _UNANSWERED:
            self._tell_call(does)
            return
        by = {"AnsweredBy": "machine_start" if does == "machine" else "human"} if self._form.last("MachineDetection") else {}
        self._is_answered = True
        self._tell_call("in-progress", by)
        key, _, at = (reaction.detail or HEARD_KEY).partition(" at ") if does == "key" else ("", "", reaction.detail)
        await self._talk(Callee(key=key, hangs_up=does == "hangs-up", at=int(at) if at else None), by)
        self._tell_call("completed", {"CallDuration": "7", **by})

    async def _talk(self, callee: Callee, by: Mapping[str, str]) -> None:
        async def fetch(url: str, form: Mapping[str, str]) -> str | None:
            self._note(callee)
            return await self._courier.post(url, {**self._call_form("in-progress"), **by, **form})

        document, url = self._form.last("Twiml"), self._form.last("Url")
        await callee.listen(document or await fetch(url, {}) or "", url, fetch)
        self._note(callee)

    async def press(self, url: str, key: str, heard: Call) -> None:
        """Press a key of a call that was played already, and hear what it says after that."""
        response = await self._courier.post(url, {**self._call_form("in-progress"), "Digits": key})
        callee = Callee()
        callee.said, callee.urls, callee.pressed = heard.said, heard.urls, heard.key + key
        await self._hear(callee, response or "", url)

    async def _hear(self, callee: Callee, document: str, url: str) -> None:
        async def fetch(url: str, form: Mapping[str, str]) -> str | None:
            return await self._courier.post(url, {**self._call_form("in-progress"), **form})

        await callee.listen(document, url, fetch)
        self._note(callee)

    def _note(self, callee: Callee) -> None:
        call = Call(sender=self._form.last("From"), said=callee.said, urls=callee.urls, key=callee.pressed)
        self._inbox.update(self._number, lambda message: replace(message, content=call))

    def _become(self, status: str) -> None:
        self._inbox.update(self._number, lambda message: replace(message, status=status))

    def _call_form(self, status: str) -> dict[str, str]:
        sid = self._arrival.message.reference
        return {"CallSid": sid, "CallStatus": status, "Direction": "outbound-api", **self._parties}

    def _tell_call(self, status: str, by: Mapping[str, str] | None = None) -> None:
        self._become(status)
        wanted = {name for given in self._form.get("StatusCallbackEvent", ["completed"]) for name in given.split()}
        if _CALL_EVENTS.get(status, "completed") in wanted:
            self.reports.add({**self._call_form(status), **(by or {})})


def _initial_status(arrival: Arrival) -> str:
    """Return the status that the response itself carries, for which there is no callback."""
    return "accepted" if arrival.form.last("MessagingServiceSid") else "queued"


def _authorization(sid: str) -> str:
    return "Basic " + base64.b64encode(f"{sid}:{AUTH_TOKEN}".encode()).decode()


def _account(message: Message) -> str:
    """Return the SID of the account that a message came over."""
    return _ACCOUNTS[message.provider]


def _arrival(form: Form, provider: str, channel: str, sid: str, content: Text | Call) -> Arrival:
    """Return the arrival; our attempt is the last part of the callback's path."""
    attempt_id = urlsplit(form.last("StatusCallback")).path.rpartition("/")[2]
    message = Message(
        channel=channel, provider=provider, to=form.last("To"), attempt_id=attempt_id, reference=sid, content=content
    )
    return Arrival(message=message, form=form)


def _no(status: int, code: int, message: str) -> HttpResponse:
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    return as_json(status, {"code": code, "message": message, "more_info": more_info, "status": status})
