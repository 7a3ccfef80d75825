"""Twilio: Messages and Calls, with signed status callbacks a moment later.

Sources: Twilio docs, "Messages resource", "Outbound Message Status in Status Callbacks", "Call resource" (StatusCallbackEvent),
"TwiML Voice: <Gather>", "REST API: Error and Warning Dictionary", "Twilio's response" (the JSON of an exception).
"""

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate
from urllib.parse import urlsplit

from notifyflow.sandbox.courier import Courier
from notifyflow.sandbox.desk import Arrival, Desk, new_reference, retry_header
from notifyflow.sandbox.http import Answer, Form, Request, as_json
from notifyflow.sandbox.inbox import Call, Inbox, Message, Text
from notifyflow.sandbox.phone import Callee
from notifyflow.sandbox.script import Kind, Reaction

HEARD_KEY = "2"
_VERSION = "2010-04-01"
# The status and the code of refusals (Error and Warning Dictionary); every other code comes with a 400.
_STATUSES = {"20003": 401, "20404": 404, "20429": 429, "20500": 500, "20503": 503, "20005": 403, "20403": 403}
_CODES = {401: 20003, 403: 20403, 404: 20404, 429: 20429, 503: 20503}
# The event under which a call's status is reported; every final one is "completed" (Call resource, StatusCallbackEvent).
_CALL_EVENTS = {"initiated": "initiated", "ringing": "ringing", "in-progress": "answered"}


class TwilioDesk(Desk):
    """Takes text messages and calls, and says what became of them."""

    name = "twilio"

    def __init__(self, *, account_sid: str, auth_token: str, inbox: Inbox, receipts_after_s: float) -> None:
        """Take the account, and how long each status comes after the one before it, in seconds."""
        self._account = account_sid
        self._authorization = "Basic " + base64.b64encode(f"{account_sid}:{auth_token}".encode()).decode()
        self._courier = Courier(auth_token)
        self._inbox = inbox
        self._pause_s = receipts_after_s

    def read(self, request: Request) -> Arrival | Answer:
        """Read a request; messages can be created and looked up, calls too."""
        if request.headers.get("authorization") != self._authorization:
            return _no(401, 20003, "Authenticate")
        resource = request.path.removeprefix(f"/{_VERSION}/Accounts/{self._account}/").removesuffix(".json")
        match request.method, resource.split("/"):
            case "POST", ["Messages"]:
                return self._read_text(request)
            case "POST", ["Calls"]:
                return self._read_call(request)
            case "GET", ["Messages" | "Calls" as kind]:
                found = [
                    self._describe(message) for message in self._look_up(kind) if request.query.get("To") in {None, message.to}
                ]
                return as_json(
                    200, {kind.lower(): found, "page": 0, "page_size": 1000, "next_page_uri": None, "uri": request.path}
                )
            case "GET", ["Messages" | "Calls" as kind, sid]:
                found = [self._describe(message) for message in self._look_up(kind) if message.reference == sid]
                return as_json(200, found[0]) if found else _no(404, 20404, "The requested resource was not found")
        return _no(404, 20404, "The requested resource was not found")

    def _look_up(self, kind: str) -> tuple[Message, ...]:
        return self._inbox.messages(channel="sms" if kind == "Messages" else "voice", is_accepted=True)

    def _read_text(self, request: Request) -> Arrival | Answer:
        form = request.form()
        sender = form.last("From") or form.last("MessagingServiceSid")
        if not form.last("To"):
            return _no(400, 21604, "A 'To' phone number is required.")
        if not sender:
            return _no(400, 21603, "A 'From' phone number is required.")
        if not form.last("Body"):
            return _no(400, 21602, "Message body is required.")
        return _arrival(form, "sms", new_reference("SM"), Text(sender=sender, text=form.last("Body")))

    def _read_call(self, request: Request) -> Arrival | Answer:
        form = request.form()
        if not form.last("To"):
            return _no(400, 21201, "No 'To' number is specified")
        if not form.last("From"):
            return _no(400, 21213, "'From' phone number is required")
        if not form.last("Twiml") and not form.last("Url"):
            return _no(400, 21205, "Url parameter is required.")
        return _arrival(form, "voice", new_reference("CA"), Call(sender=form.last("From")))

    def accept(self, arrival: Arrival) -> Answer:
        """Answer 201 with the new resource, queued."""
        return as_json(201, self._describe(replace(arrival.message, status=_initial_status(arrival))))

    def refuse(self, arrival: Arrival, reaction: Reaction) -> Answer:
        """Refuse with Twilio's code, and the status that comes with it."""
        del arrival
        if reaction.kind is Kind.STATUS:
            status = int(reaction.code)
            code = _CODES.get(status, 20500 if status >= 500 else 20001)
        else:
            status, code = _STATUSES.get(reaction.code, 400), int(reaction.code)
        return _no(status, code, "Refused by the script.", **retry_header(reaction))

    def _describe(self, message: Message) -> dict[str, object]:
        resource = {
            "sid": message.reference,
            "account_sid": self._account,
            "api_version": _VERSION,
            "to": message.to,
            "from": getattr(message.content, "sender", ""),
            "status": message.status,
            "direction": "outbound-api",
            "date_created": formatdate(),
            "date_updated": formatdate(),
        }
        if isinstance(message.content, Text):
            resource |= {"body": message.content.text, "num_segments": "1", "error_code": None, "error_message": None}
        return {**resource}

    async def follow(self, arrival: Arrival, reaction: Reaction) -> None:
        """Carry a message to its end, calling back at each status."""
        if arrival.message.channel == "sms":
            await self._carry_text(arrival, reaction)
        else:
            await self._carry_call(arrival, reaction)

    async def _carry_text(self, arrival: Arrival, reaction: Reaction) -> None:
        if reaction.kind is Kind.RECEIPT and not reaction.code:
            return
        last = reaction.code if reaction.kind is Kind.RECEIPT else "delivered"
        on_the_way = () if last == "failed" else ("sent",)
        queued = ("queued",) if _initial_status(arrival) == "accepted" else ()
        for status in (*queued, *on_the_way, last):
            await asyncio.sleep(self._pause_s)
            error = {"ErrorCode": reaction.detail} if reaction.detail and status == last else {}
            await self._say(arrival, {"MessageStatus": status, "SmsStatus": status, **error}, status)

    async def _carry_call(self, arrival: Arrival, reaction: Reaction) -> None:
        does = reaction.code if reaction.kind is Kind.CALLEE else "key"
        await self._say_call(arrival, "initiated")
        await asyncio.sleep(self._pause_s)
        await self._say_call(arrival, "ringing")
        await asyncio.sleep(self._pause_s)
        match does:
            case "no-answer" | "busy" | "failed":
                await self._say_call(arrival, does)
            case _:
                answered_by = "machine_start" if does == "machine" else "human"
                extra = {"AnsweredBy": answered_by} if arrival.form.last("MachineDetection") else {}
                await self._say_call(arrival, "in-progress", extra)
                key = (reaction.detail or HEARD_KEY) if does == "key" else ""
                await self._talk(arrival, Callee(key=key, hangs_up=does == "hangs-up"), extra)
                await self._say_call(arrival, "completed", {"CallDuration": "7", **extra})

    async def _talk(self, arrival: Arrival, callee: Callee, extra: Mapping[str, str]) -> None:
        async def fetch(url: str, form: Mapping[str, str]) -> str | None:
            self._note(arrival, callee)
            return await self._courier.post(url, {**self._call_form(arrival, "in-progress"), **extra, **form})

        document, url = arrival.form.last("Twiml"), arrival.form.last("Url")
        await callee.listen(document or await fetch(url, {}) or "", url, fetch)
        self._note(arrival, callee)

    def _note(self, arrival: Arrival, callee: Callee) -> None:
        call = Call(sender=arrival.form.last("From"), said=callee.heard.said, key=callee.heard.key)
        self._inbox.update(arrival.message.number, lambda message: replace(message, content=call))

    def _call_form(self, arrival: Arrival, status: str) -> dict[str, str]:
        return {"CallSid": arrival.message.reference, "CallStatus": status, "Direction": "outbound-api", **self._parties(arrival)}

    def _parties(self, arrival: Arrival) -> dict[str, str]:
        return {"AccountSid": self._account, "ApiVersion": _VERSION, "To": arrival.message.to, "From": arrival.form.last("From")}

    async def _say_call(self, arrival: Arrival, status: str, extra: Mapping[str, str] | None = None) -> None:
        event = _CALL_EVENTS.get(status, "completed")
        wanted = {name for given in arrival.form.get("StatusCallbackEvent", ["completed"]) for name in given.split()}
        self._inbox.update(arrival.message.number, lambda message: replace(message, status=status))
        if event in wanted and arrival.form.last("StatusCallback"):
            await self._courier.post(arrival.form.last("StatusCallback"), {**self._call_form(arrival, status), **(extra or {})})

    async def _say(self, arrival: Arrival, form: Mapping[str, str], status: str) -> None:
        self._inbox.update(arrival.message.number, lambda message: replace(message, status=status))
        if arrival.form.last("StatusCallback"):
            sids = {"MessageSid": arrival.message.reference, "SmsSid": arrival.message.reference}
            await self._courier.post(arrival.form.last("StatusCallback"), {**sids, **self._parties(arrival), **form})


def _initial_status(arrival: Arrival) -> str:
    """Name the status that the answer itself tells, and for which nobody is called back."""
    return "accepted" if arrival.form.last("MessagingServiceSid") else "queued"


def _arrival(form: Form, channel: str, sid: str, content: Text | Call) -> Arrival:
    """Make the arrival; our attempt is the last part of the path at which it is reported on."""
    attempt_id = urlsplit(form.last("StatusCallback")).path.rpartition("/")[2]
    message = Message(
        channel=channel, provider="twilio", to=form.last("To"), attempt_id=attempt_id, reference=sid, content=content
    )
    return Arrival(message=message, form=form)


def _no(status: int, code: int, message: str, **headers: str) -> Answer:
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    return as_json(status, {"code": code, "message": message, "more_info": more_info, "status": status}, **headers)
