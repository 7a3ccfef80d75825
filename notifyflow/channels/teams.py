"""The teams channel: an adaptive card to a Workflows URL ("When a Teams webhook request is received").

The URL is a secret. A 202 says that the workflow was started, not that the card was posted, so an accepted message stays SENT
(learn.microsoft.com, "Create incoming webhooks with Workflows for Microsoft Teams"). Office 365 connectors are retired, and not
supported.
"""

import json
from collections.abc import Collection, Iterator
from typing import Any

from notifyflow.channels.base import Accepted, Channel, Provider
from notifyflow.channels.http import Http, refusal
from notifyflow.channels.http.guard import Guard
from notifyflow.channels.tables import Row, Table, Verdict, table
from notifyflow.channels.templating import Templates
from notifyflow.core.capabilities import CHAT_BEAT, ChannelCapabilities
from notifyflow.core.messages import addresses as links
from notifyflow.core.messages.content import Content
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.core.text import cut
from notifyflow.settings import Settings

_SOURCE = "learn.microsoft.com, Azure Logic Apps and Power Automate, HTTP request trigger"
_HOSTS = (".logic.azure.com", ".api.powerplatform.com", ".logic.azure.us", ".api.powerplatform.us")
_TEXT_BYTES = 24_000
_TITLE_LIMIT = 400
# adaptivecards.io, Schema Explorer: ContainerStyle since 1.2; the colours are Teams' own, in its light, dark and contrast themes
_STYLES = {
    "critical": "attention",
    "error": "attention",
    "warning": "warning",
    "info": "accent",
    "acknowledged": "emphasis",
    "resolved": "good",
}

# The URL, with its key, belongs to one recipient, so its refusals do not affect others.
TEAMS: Table = table(
    Row("3xx", Verdict.PERMANENT, "the workflow's URL answers with a redirect, which is never followed", _SOURCE),
    Row("400", Verdict.OURS, "the workflow does not accept our card, or is disabled", _SOURCE, is_about_content=True),
    Row("401", Verdict.PERMANENT, "the URL's signature is not, or no longer, valid", _SOURCE),
    Row("403", Verdict.PERMANENT, "the workflow may not be started from outside", _SOURCE),
    Row("404", Verdict.PERMANENT, "the workflow does not exist", _SOURCE),
    Row("410", Verdict.PERMANENT, "the workflow is gone for good", "RFC 9110, HTTP Semantics, §15.5.11"),
)


class Teams(Provider):
    """Starts workflows."""

    name = "teams"
    is_bound_to_address = True

    def __init__(self, settings: Settings, templates: Templates, guard: Guard) -> None:
        self._templates = templates
        self._http = Http(settings, guard=guard)
        self.clients = (self._http,)

    def send(self, message: OutboundMessage) -> Accepted:
        """Post one card; see ``Provider.send``."""
        card = {
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": None,
            "content": self.card(message.content),
        }
        response = self._http.post(message.address, json={"type": "message", "attachments": [card]})
        if not response.is_success:
            raise refusal(response.status, TEAMS, retry_after_s=response.retry_after_s)
        return Accepted(provider_ref=response.headers.get("x-ms-workflow-run-id", ""))

    def card(self, content: Content) -> dict[str, Any]:
        """Return the card, of at most 28 KB: the title in the severity's colour, the buttons, then the text.

        Text is in text runs, where Teams interprets no Markdown and no mentions; only addresses that we link are links.
        """
        title = cut(self._templates.render("teams/title.txt.jinja", content), _TITLE_LIMIT)
        text = self._templates.render("teams/text.txt.jinja", content)
        head = {
            "type": "Container",
            "style": _STYLES[content.look.name],
            "bleed": True,
            "items": [_line([_run(title, size="Large", weight="Bolder")])],
        }
        actions = [
            {"type": "Action.OpenUrl", "title": words, "url": url}
            for words, url in ((content.action, content.link), ("Look at it", content.url))
            if url in content.web_addresses
        ]
        buttons = [{"type": "ActionSet", "actions": actions}] if actions else []
        return {
            "type": "AdaptiveCard",
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "version": "1.4",
            "body": [head, *buttons, *_lines(text, content.web_addresses)],
        }


def _lines(text: str, addresses: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield the lines that are not empty, until the card is full."""
    room = _TEXT_BYTES
    for line in filter(str.strip, text.splitlines()):
        block = _line([_link(part) if is_link else _run(part) for part, is_link in links.split(line, addresses)])
        room -= len(json.dumps(block, ensure_ascii=False).encode("utf-8", "replace"))
        if room < 0:
            yield _line([_run("…")])
            return
        yield block


def _line(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": runs}


def _run(text: str, **look: str) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **look}


def _link(url: str) -> dict[str, Any]:
    """Return a link (adaptivecards.io, Schema Explorer, TextRun: ``selectAction``, since 1.2)."""
    return {**_run(url, color="Accent"), "selectAction": {"type": "Action.OpenUrl", "url": url}}


class TeamsChannel(Channel):
    """Cards in Teams."""

    name = "teams"
    capabilities = ChannelCapabilities(gets_status_updates=True, is_bundled=True, beat=CHAT_BEAT, shows_without_receipt=True)
    provider_names = ("teams",)
    codes = (("Teams", TEAMS),)

    def __init__(self, settings: Settings) -> None:
        """Build it: a workflow's URL needs no settings."""
        templates = Templates(settings.templates)
        self._guard = Guard(hosts=_HOSTS, trusted_endpoints=settings.trusted_endpoints)
        super().__init__((Teams(settings, templates, self._guard),), templates.faults("teams"))

    @classmethod
    def from_settings(cls, settings: Settings) -> "TeamsChannel":
        """Build it; see ``Channel.from_settings``."""
        return cls(settings)

    def check_address(self, address: str) -> str:
        """Validate a workflow's URL; see ``Channel.check_address``."""
        self._guard.check(address.strip())
        return address.strip()
