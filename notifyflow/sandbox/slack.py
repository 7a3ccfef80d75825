"""Slack: incoming webhooks, auth.test, chat.postMessage and chat.update, and buttons that are pressed.

Sources: Slack docs, "Sending messages using incoming webhooks", "auth.test", "chat.postMessage", "chat.update", "Rate limits",
"block_actions payload", "Verifying requests from Slack",
"Changes to errors for incoming webhooks" (2016-05-17).
"""

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import urlencode

from slack_sdk.signature import SignatureVerifier

from notifyflow.sandbox.courier import Post
from notifyflow.sandbox.http import HttpResponse, Request, as_json, read_object
from notifyflow.sandbox.inbox import Card, Inbox, Message, Piece
from notifyflow.sandbox.script import Kind, Reaction
from notifyflow.sandbox.stand_in import Arrival, Providers, StandIn, new_reference

BOT_TOKEN = "xoxb-sandbox"  # noqa: S105 - known to everybody
SIGNING_SECRET = "sandbox-signing-secret"  # noqa: S105
HOOKS = "/services/T00000000/B00000000/"
_API = "/api/"
# The status of each webhook error; all others are a 400.
_HOOK_STATUSES = {
    "action_prohibited": 403,
    "channel_not_found": 404,
    "no_service": 404,
    "no_team": 404,
    "channel_is_archived": 410,
    "rollup_error": 500,
    "ratelimited": 429,
}

_API_WORDS = {401: "invalid_auth", 403: "access_denied", 429: "ratelimited", 500: "internal_error"}
_HOOK_WORDS = {403: "action_prohibited", 404: "no_service", 410: "channel_is_archived", 429: "ratelimited", 500: "rollup_error"}


class SlackStandIn(StandIn):
    """Accepts incoming webhooks, and the bot's auth.test, chat.postMessage and chat.update."""

    name = "slack"
    channels = ("slack",)
    providers: ClassVar[Providers] = {"slack": {"slack": ()}}

    def __init__(self, inbox: Inbox, post: Post) -> None:
        self._signer = SignatureVerifier(SIGNING_SECRET)
        self._inbox = inbox
        self._post = post

    def settings(self, url: str) -> Mapping[str, str]:
        """Return the bot and its URL."""
        return {"SLACK_BOT_TOKEN": BOT_TOKEN, "SLACK_SIGNING_SECRET": SIGNING_SECRET, "SLACK_BASE_URL": url + _API}

    def addresses(self, url: str, person: int) -> Mapping[str, str]:
        """Return the URL of an incoming webhook; see ``StandIn.addresses``."""
        return {"slack": f"{url}{HOOKS}person-{person}"}

    def read(self, request: Request) -> Arrival | HttpResponse:
        """Read a post; a webhook's name is the last part of its path, a bot's address the ``channel``."""
        if request.method == "POST" and request.path.startswith(HOOKS):
            return _read_hook(request)
        methods = {"auth.test": _introduce, "chat.postMessage": _read_post, "chat.update": self._update}
        method = methods.get(request.path.removeprefix(_API))
        if request.method == "POST" and request.path.startswith(_API) and method is not None:
            if request.headers.get("authorization") != f"Bearer {BOT_TOKEN}":
                return _no("invalid_auth" if "authorization" in request.headers else "not_authed")
            return method(request)
        return HttpResponse(status=404, body="no_service") if not request.path.startswith(_API) else _no("unknown_method")

    def _update(self, request: Request) -> HttpResponse:
        """Edit a message that the bot posted."""
        post = read_object(request.body) or {}
        to, ts = str(post.get("channel", "")), str(post.get("ts", ""))
        arrival = _arrival(post, to, ts)
        if arrival is None:
            return _no("no_text")
        for message in self._inbox.messages(channel="slack", to=to, is_accepted=True):
            if ts and message.reference == ts:
                self._inbox.update(message.number, lambda known: replace(known, content=arrival.message.content, status="edited"))
                return as_json(200, {"ok": True, "channel": to, "ts": ts, "text": str(post.get("text", ""))})
        return _no("message_not_found")

    async def press(self, message: Message, url: str, *, button: str, user: str) -> int:
        """Press a button of a message, as a user; return the status of the response, or 0 without one.

        Raises:
            LookupError: When it has no such button.
        """
        pieces = message.content.pieces if isinstance(message.content, Card) else ()
        value = next((each.value for each in pieces if each.value and each.text == button), None)
        if value is None:
            raise LookupError(f"there is no button {button!r} that acts in place")
        action = {"type": "button", "action_id": button.lower(), "value": value, "action_ts": _new_ts()}
        payload = {
            "type": "block_actions",
            "user": {"id": user},
            "trigger_id": new_reference(),
            "container": {"type": "message", "channel_id": message.to, "message_ts": message.reference},
            "actions": [action],
        }
        body = urlencode({"payload": json.dumps(payload)})
        status, _ = await self._post(url, body, self.sign(body))
        return status or 0

    def sign(self, body: str) -> Mapping[str, str]:
        """Return the headers that sign a request as Slack does."""
        timestamp = str(int(self._signer.clock.now()))
        signature = self._signer.generate_signature(timestamp=timestamp, body=body) or ""
        return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": signature}

    def accept(self, arrival: Arrival) -> HttpResponse:
        """Respond ``ok``: as text to a webhook, as JSON with the message's ``ts`` to the bot."""
        if _is_hook(arrival):
            return HttpResponse(body="ok")
        return as_json(200, {"ok": True, "channel": arrival.message.to, "ts": arrival.message.reference, "message": {}})

    def refuse(self, arrival: Arrival, reaction: Reaction) -> HttpResponse:
        """Refuse with Slack's error; its Web API uses status 200, except for rate limits."""
        if reaction.kind is Kind.STATUS:
            status = int(reaction.code)
            words = _HOOK_WORDS if _is_hook(arrival) else _API_WORDS
            word = words.get(status, "invalid_payload" if status < 500 else "service_unavailable")
        else:
            word, status = reaction.code, _HOOK_STATUSES.get(reaction.code, 400)
        if _is_hook(arrival):
            return HttpResponse(status=status, body=word)
        status = status if reaction.kind is Kind.STATUS or word == "ratelimited" else 200
        return as_json(status, {"ok": False, "error": word})


def _introduce(request: Request) -> HttpResponse:
    """Say who the bot is."""
    del request
    who = {"url": "https://sandbox.slack.com/", "team": "sandbox", "user": "notifyflow"}
    return as_json(200, {"ok": True, **who, "team_id": "T00000000", "user_id": "U00000000", "bot_id": "B00000000"})


def _read_post(request: Request) -> Arrival | HttpResponse:
    post = read_object(request.body)
    if post is None:
        return _no("invalid_json")
    to = str(post.get("channel", ""))
    if not to:
        return _no("channel_not_found")
    return _arrival(post, to, _new_ts()) or _no("no_text")


def _no(word: str) -> HttpResponse:
    return as_json(200, {"ok": False, "error": word})


def _read_hook(request: Request) -> Arrival | HttpResponse:
    post = read_object(request.body)
    if post is None:
        return HttpResponse(status=400, body="invalid_payload")
    return _arrival(post, request.path.removeprefix(HOOKS)) or HttpResponse(status=400, body="no_text")


def _is_hook(arrival: Arrival) -> bool:
    """Return whether it came through a webhook, whose response has no ``ts``."""
    return not arrival.message.reference


def _new_ts() -> str:
    number = int(new_reference(), 16)
    return f"{number % 10**10:010d}.{number // 10**10 % 10**6:06d}"


def _arrival(post: Mapping[str, object], to: str, ts: str = "") -> Arrival | None:
    attachments = post.get("attachments")
    parts: list[Any] = [post, *attachments] if isinstance(attachments, list) else [post]
    pieces = tuple(piece for part in parts for piece in read_blocks(part.get("blocks") or []))
    summary = str(post.get("text", ""))
    if not summary and not pieces:
        return None
    metadata = post.get("metadata")
    payload = metadata.get("event_payload", {}) if isinstance(metadata, dict) else {}
    card = Card(summary=summary, pieces=pieces or (Piece(kind="text", text=summary),))
    attempt_id = str(payload.get("attempt", ""))
    return Arrival(message=Message(channel="slack", provider="slack", to=to, attempt_id=attempt_id, reference=ts, content=card))


def read_blocks(blocks: list[Any]) -> Iterator[Piece]:
    """Read Block Kit as its reader sees it (Slack docs, "Reference: blocks")."""
    for block in blocks:
        match block:
            case {"type": "header", "text": {"text": str(text)}}:
                yield Piece(kind="heading", text=text)
            case {"type": "divider"}:
                yield Piece(kind="divider")
            case {"type": "rich_text", "elements": list(elements)}:
                yield from (_read_rich(element) for element in elements)
            case {"type": "section"}:
                yield from _read_section(block)
            case {"type": "context", "elements": list(elements)}:
                yield Piece(kind="note", text=" · ".join(read_mrkdwn(str(element.get("text", ""))) for element in elements))
            case {"type": "actions", "elements": list(elements)}:
                yield from (_read_button(element) for element in elements)


def _read_rich(section: Mapping[str, Any]) -> Piece:
    elements = section.get("elements", ())
    is_bold = all(element.get("style", {}).get("bold") for element in elements)
    return Piece(
        kind="heading" if is_bold else "text",
        text="".join(str(element.get("text") or element.get("url", "")) for element in elements),
    )


def _read_section(block: Mapping[str, Any]) -> Iterator[Piece]:
    if "text" in block:
        yield Piece(kind="text", text=read_mrkdwn(block["text"]["text"]))
    for fact in block.get("fields", ()):
        title, _, value = read_mrkdwn(fact["text"]).partition("\n")
        yield Piece(kind="fact", title=title.strip("*:"), text=value)
    if "accessory" in block:
        yield _read_button(block["accessory"])


def read_mrkdwn(text: str) -> str:
    """Read Slack's markup: links as their label and URL, entities as their characters; ``*bold*`` stays."""
    labelled = re.sub(r"<(https?://[^|>]+)\|([^>]+)>", r"\2 \1", text)
    return html.unescape(re.sub(r"<(https?://[^>]+)>", r"\1", labelled))


def _read_button(element: Mapping[str, Any]) -> Piece:
    return Piece(
        kind="button", text=element.get("text", {}).get("text", ""), url=element.get("url", ""), value=element.get("value", "")
    )
