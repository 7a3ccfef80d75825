"""The slack channel: to an incoming webhook that the recipient gives, or to a channel or person as a bot.

Slack reports nothing back, so what it took stays SENT. The button opens the link to acknowledge; nothing is done in place.
"""

import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from notifyflow.channels.base import Accepted, Capabilities, Channel, Letter, Provider
from notifyflow.channels.guard import Guard, endpoint_faults
from notifyflow.channels.http import Http, refusal
from notifyflow.channels.slack_codes import WEBHOOK
from notifyflow.channels.templating import Templates
from notifyflow.core.content import Content
from notifyflow.errors import RefusedUsError, UnknownOutcomeError
from notifyflow.settings import Settings

_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")
_ID = re.compile(r"[CDGUW][A-Z0-9]{2,}")
# docs.slack.dev, Block Kit: text object 3,000 characters, button's URL 3,000, 50 blocks a message; chat.postMessage: text 4,000
_TEXT_LIMIT = 3000
_URL_LIMIT = 3000
_SUMMARY_LIMIT = 1000
_SECTIONS = 5
_ATOM = re.compile(r"&(?:amp|lt|gt);|.", re.DOTALL)


class Slack(Provider):
    """Posts to webhooks, and where there is a token also as a bot."""

    name = "slack"
    is_bound_to_address = True

    def __init__(self, settings: Settings, templates: Templates, guard: Guard, token: str | None) -> None:
        """Take the templates, what judges the webhooks' URLs, and the bot's token, where there is a bot."""
        self._templates = templates
        self._webhooks = Http(settings, guard=guard)
        self._api = Http(settings)
        self._token = token
        self._base_url = settings.slack_base_url.rstrip("/") + "/"
        self._lock = threading.Lock()
        self._bot: Any = None

    @property
    def capabilities(self) -> Capabilities:
        """It reports nothing, and cannot be asked."""
        return Capabilities()

    def send(self, letter: Letter) -> Accepted:
        """Post one message; see ``Provider.send``."""
        message = self.message(letter.content)
        return self._post_as_bot(letter, message) if _ID.fullmatch(letter.address) else self._post_to_webhook(letter, message)

    def close(self) -> None:
        """Let go of the connections."""
        self._webhooks.close()
        self._api.close()

    def _post_to_webhook(self, letter: Letter, message: Mapping[str, Any]) -> Accepted:
        answer = self._webhooks.post(letter.address, json=message)
        if not answer.is_success:
            raise refusal(answer.status, WEBHOOK, code=answer.text.strip(), retry_after_s=answer.retry_after_s)
        if answer.text.strip() != "ok":
            raise UnknownOutcomeError("the webhook answered with something else than ok", code="garbage")
        return Accepted()

    def _post_as_bot(self, letter: Letter, message: Mapping[str, Any]) -> Accepted:
        if self._token is None:
            raise RefusedUsError("there is no bot that could post there (any more)", code="no_token")
        metadata = {"event_type": "notifyflow", "event_payload": {"attempt": letter.attempt_id}}
        answer = self._connected(self._token).chat_postMessage(channel=letter.address, metadata=metadata, **message)
        return Accepted(provider_ref=f"{answer.get('channel', '')}:{answer.get('ts', '')}")

    def _connected(self, token: str) -> Any:
        from notifyflow.channels.slack_client import OurWebClient

        with self._lock:
            if self._bot is None:
                self._bot = OurWebClient(self._api, token, self._base_url)
            return self._bot

    def message(self, content: Content) -> dict[str, Any]:
        """Make the message: text in sections, and a button for each link.

        Whatever it is made of, ``<!channel>`` and its like stay text: the templates escape values, and ``verbatim`` keeps Slack
        from making links of names (docs.slack.dev, "Formatting message text").
        """
        text = self._templates.render("slack/text.mrkdwn.jinja", content)
        blocks: list[dict[str, Any]] = [
            {"type": "section", "text": {"type": "mrkdwn", "text": part, "verbatim": True}} for part in split(text)
        ]
        if buttons := list(_buttons(content)):
            blocks.append({"type": "actions", "elements": buttons})
        summary = self._templates.render("slack/summary.mrkdwn.jinja", content)
        short = next(split(summary, limit=_SUMMARY_LIMIT), "notifyflow")
        return {"text": short, "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def split(text: str, *, limit: int = _TEXT_LIMIT) -> Iterator[str]:
    """Split escaped text into at most five parts of ``limit`` characters or less, at line ends if possible; no escape is torn."""
    rest = text.strip()
    for left in reversed(range(_SECTIONS)):
        if len(rest) <= limit:
            yield from filter(None, (rest,))
            return
        room = _within(rest, limit - 1)
        if (line_end := rest.rfind("\n", 1, room + 1)) > 0:
            room = line_end
        yield rest[:room].rstrip() + ("" if left else "…")
        rest = rest[room:].strip()


def _within(text: str, limit: int) -> int:
    """Tell how many characters keep within the limit and tear no escape."""
    kept = 0
    for atom in _ATOM.finditer(text, 0, limit + 5):
        if atom.end() > limit:
            break
        kept = atom.end()
    return kept


def _buttons(content: Content) -> Iterator[dict[str, Any]]:
    for name, words, url in (("acknowledge", "Acknowledge", content.link), ("look", "Look at it", content.url)):
        if url and len(url) <= _URL_LIMIT:
            yield {"type": "button", "action_id": name, "text": {"type": "plain_text", "text": words}, "url": url}


class SlackChannel(Channel):
    """Messages in Slack."""

    name = "slack"

    def __init__(self, settings: Settings) -> None:
        """Build it: a webhook needs no settings, a bot its token."""
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
        """Judge a webhook's URL, or the id of a channel or person; see ``Channel.check_address``."""
        address = address.strip()
        if _ID.fullmatch(address):
            if not self._has_bot:
                raise ValueError(
                    "is the id of a channel or person, and no bot token is set or usable (NOTIFYFLOW_SLACK_BOT_TOKEN)"
                )
            return address
        self._guard.check(address)
        return address
