"""The slack channel: posts to a recipient's incoming webhook or, as a bot, to a channel or person.

Slack reports nothing back, so an accepted message stays SENT. With a signing secret, the bot's messages have a
button that acknowledges in place, otherwise it opens the link. They are edited once the incident is acknowledged.
"""

import re
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from notifyflow.channels.base import Accepted, Callback, Channel, Provider, ProviderCapabilities
from notifyflow.channels.http import Http, refusal
from notifyflow.channels.http.guard import Guard, endpoint_faults
from notifyflow.channels.slack.actions import ACKNOWLEDGE, read_action, value_of, verify
from notifyflow.channels.slack.codes import SLACK, WEBHOOK
from notifyflow.channels.templating import Templates
from notifyflow.core.capabilities import CHAT_BEAT, ChannelCapabilities
from notifyflow.core.delivery.model import Kind
from notifyflow.core.messages import addresses as links
from notifyflow.core.messages.content import Content
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.core.messages.replies import Reply
from notifyflow.core.text import find_character_end
from notifyflow.errors import RefusedUsError, UnknownOutcomeError
from notifyflow.settings import Settings

_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")
_ID = re.compile(r"[CDGUW][A-Z0-9]{2,}")
# docs.slack.dev, Block Kit: text object 3,000 characters, button's URL 3,000, 50 blocks a message; chat.postMessage: text 4,000
_TEXT_LIMIT = 3000
_URL_LIMIT = 3000
_SUMMARY_LIMIT = 1000
_SECTIONS = 5
_DEFINITE = (400, 403, 404, 410)  # with a word that is not in our table, these count as 400, a temporary refusal
_WORD = re.compile("[a-z]+(?:_[a-z]+)*")
_SIGN = re.compile(r"&(?:amp|lt|gt);|.", re.DOTALL)


class Slack(Provider):
    """Posts to webhooks and, with a token, as a bot."""

    name = "slack"
    is_bound_to_address = True
    setting_prefixes = ("SLACK_",)

    def __init__(self, settings: Settings, templates: Templates, guard: Guard, token: str | None) -> None:
        self._templates = templates
        self._webhooks = Http(settings, guard=guard)
        self._api = Http(settings)
        self.clients = (self._webhooks, self._api)
        self._token = token
        if token:
            self.libraries = ("notifyflow.channels.slack.client", "slack_sdk.signature")
        self._signing_secrets = settings.slack_signing_secret if token else ()
        self._base_url = settings.slack_base_url.rstrip("/") + "/"
        self._lock = threading.Lock()
        self._bot: Any = None

    @property
    def capabilities(self) -> ProviderCapabilities:
        """Replies come in if there is a signing secret to verify them with."""
        return ProviderCapabilities(has_replies=bool(self._signing_secrets))

    def send(self, message: OutboundMessage) -> Accepted:
        """Post one message; see ``Provider.send``."""
        if message.replaces and message.content.kind is Kind.STATUS_UPDATE:
            return self._edit_as_bot(message)
        if _ID.fullmatch(message.address):
            return self._post_as_bot(message, self.payload(message.content, acts_in_place=bool(self._signing_secrets)))
        return self._post_to_webhook(message, self.payload(message.content))

    def try_login(self) -> str:
        """Ask who the bot is (docs.slack.dev, auth.test); a webhook's URL has no login; see ``LogsIn``."""
        if not self._token:
            return ""
        self._connected().auth_test()
        return "the bot is logged in"

    def read_reply(self, callback: Callback) -> Reply | None:
        """Read a press of a button; see ``ReadsReplies``."""
        verify(self.name, self._signing_secrets, callback)
        return read_action(self.name, callback.body)

    def _post_to_webhook(self, message: OutboundMessage, payload: Mapping[str, Any]) -> Accepted:
        response = self._webhooks.post(message.address, json=payload)
        word = response.text.strip()
        if not response.is_success:
            is_strange = response.status in _DEFINITE and _WORD.fullmatch(word) and word not in WEBHOOK
            raise refusal(400 if is_strange else response.status, WEBHOOK, code=word, retry_after_s=response.retry_after_s)
        if word != "ok":
            raise UnknownOutcomeError("the webhook responded with something else than ok", code="garbage")
        return Accepted()

    def _post_as_bot(self, message: OutboundMessage, payload: Mapping[str, Any]) -> Accepted:
        metadata = {"event_type": "notifyflow", "event_payload": {"attempt": message.attempt_id}}
        response = self._connected().chat_postMessage(channel=message.address, metadata=metadata, **payload)
        return Accepted(provider_ref=f"{response.get('channel', '')}:{response.get('ts', '')}")

    def _edit_as_bot(self, message: OutboundMessage) -> Accepted:
        """Replace a page's text with the status update, and remove its buttons."""
        channel, _, ts = message.replaces.partition(":")
        payload = self.payload(replace(message.content, url=None))
        shown = {name: payload[name] for name in ("text", "blocks", "attachments")}  # what is not given, Slack keeps
        self._connected().chat_update(channel=channel, ts=ts, **shown)
        return Accepted(provider_ref=message.replaces)

    def _connected(self) -> Any:
        from notifyflow.channels.slack.client import OurWebClient

        if self._token is None:
            raise RefusedUsError("there is no bot that could post there (any more)", code="no_token")
        with self._lock:
            if self._bot is None:
                self._bot = OurWebClient(self._api, self._token, self._base_url)
            return self._bot

    def payload(self, content: Content, *, acts_in_place: bool = False) -> dict[str, Any]:
        """Return the payload: the title, then a part in the severity's colour that begins with the buttons.

        Text is sent as rich text, where nothing is parsed: markup and mentions in an incident stay text, and only addresses that
        we link are links (docs.slack.dev, "Rich text block"). Colour is a property of attachments only ("Secondary message
        attachments"), which have no other field beside blocks: Slack refuses some of them (slackapi/bolt-js#717). ``text`` is not
        shown beside blocks; it is the notification's.
        """
        summary = self._templates.render("slack/summary.mrkdwn.jinja", content)
        short = next(split(summary, limit=_SUMMARY_LIMIT), "notifyflow")
        title, text = self._blocks(content)
        buttons = list(_buttons(content, acts_in_place=acts_in_place))
        actions = [{"type": "actions", "elements": buttons}] if buttons else []
        coloured = [*actions, *text]
        attachments = [{"color": content.look.colour, "blocks": coloured}] if coloured else []  # empty ones are refused
        return {"text": short, "blocks": title, "attachments": attachments, "unfurl_links": False, "unfurl_media": False}

    def _blocks(self, content: Content) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the blocks of the title, and of the text; an operator's template in mrkdwn takes the place of both.

        There, values are escaped, and ``verbatim`` keeps Slack from turning plain names and URLs into links; links that the
        template writes as ``<url|text>`` are links all the same (docs.slack.dev, "Text object", "Formatting message text").
        """
        own = self._templates.render_own("slack/text.mrkdwn.jinja", content)
        if own:
            return [{"type": "section", "text": {"type": "mrkdwn", "text": part, "verbatim": True}} for part in split(own)], []
        title = next(split(self._templates.render("slack/title.txt.jinja", content)), content.title)
        text = self._templates.render("slack/text.txt.jinja", content)
        addresses = content.web_addresses
        return [_rich(title, bold=True)], [_rich(part, addresses) for part in split(text)]


def _rich(text: str, addresses: Collection[str] = (), *, bold: bool = False) -> dict[str, Any]:
    style = {"style": {"bold": True}} if bold else {}
    elements = [
        {"type": "link", "url": part} if is_link else {"type": "text", "text": part, **style}
        for part, is_link in links.split(text, addresses)
    ]
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": elements}]}


def split(text: str, *, limit: int = _TEXT_LIMIT) -> Iterator[str]:
    """Split escaped text into at most five parts of ``limit`` characters or less, at line ends if possible.

    Escapes and visible characters stay whole.
    """
    rest = text.strip()
    for left in reversed(range(_SECTIONS)):
        if len(rest) <= limit:
            yield from filter(None, (rest,))
            return
        room = _within(rest, find_character_end(rest, limit - 1)) or _within(rest, limit - 1)
        if (line_end := rest.rfind("\n", 1, room + 1)) > 0:
            room = line_end
        yield rest[:room].rstrip() + ("" if left else "…")
        rest = rest[room:].strip()


def _within(text: str, limit: int) -> int:
    """Return how many characters fit into the limit without splitting an escape."""
    kept = 0
    for sign in _SIGN.finditer(text, 0, limit + 5):
        if sign.end() > limit:
            break
        kept = sign.end()
    return kept


def _buttons(content: Content, *, acts_in_place: bool) -> Iterator[dict[str, Any]]:
    """Yield the buttons. That of a bundle opens the page of its link, which names what the message does not."""
    for name, words, url in ((ACKNOWLEDGE, content.action, content.link), ("look", "Look at it", content.url)):
        if not url or len(url) > _URL_LIMIT:
            continue
        value = value_of(content) if acts_in_place and name == ACKNOWLEDGE else None
        does = {"value": value} if value else {"url": url}
        style = {"style": "primary"} if name == ACKNOWLEDGE else {}
        yield {"type": "button", "action_id": name, "text": {"type": "plain_text", "text": words}, **style, **does}


class SlackChannel(Channel):
    """Messages in Slack."""

    name = "slack"
    capabilities = ChannelCapabilities(
        gets_status_updates=True,
        is_edited_in_place=True,
        is_bundled=True,
        beat=CHAT_BEAT,
        shows_without_receipt=True,
        how="in Slack",
    )
    provider_names = ("slack",)
    codes = (("Slack", SLACK), ("Slack's webhooks", WEBHOOK))

    def __init__(self, settings: Settings) -> None:
        """Build it: a webhook needs no settings, a bot needs its token."""
        templates = Templates(settings.templates)
        self._guard = Guard(hosts=_HOSTS, trusted_endpoints=settings.trusted_endpoints)
        faults = endpoint_faults("SLACK_BASE_URL", settings.slack_base_url, settings.trusted_endpoints)
        token = settings.slack_bot_token.get_secret_value() if settings.slack_bot_token and not faults else None
        self._has_bot = token is not None
        super().__init__((Slack(settings, templates, self._guard, token),), (*faults, *templates.faults("slack")))

    @classmethod
    def from_settings(cls, settings: Settings) -> "SlackChannel":
        """Build it; see ``Channel.from_settings``."""
        return cls(settings)

    def check_address(self, address: str) -> str:
        """Validate a webhook's URL, or the id of a channel or person; see ``Channel.check_address``."""
        address = address.strip()
        if _ID.fullmatch(address):
            if not self._has_bot:
                raise ValueError(
                    "is the id of a channel or person, and no bot token is set or usable (NOTIFYFLOW_SLACK_BOT_TOKEN)"
                )
            return address
        self._guard.check(address)
        return address
