"""Reads the requests of pings, which are those of Healthchecks' pinging API; pure.

A client of Healthchecks pings unchanged, with GET, HEAD or POST: ``/NAME``, ``/NAME/start``, ``/NAME/fail``, ``/NAME/log``,
``/NAME/3`` for an exit status or, as systemd has it, ``/NAME/KILL`` for a signal, and ``?rid=`` for a run
(healthchecks.io/docs/http_api, "Pinging API"; /docs/signaling_failures; /docs/measuring_script_run_time). A client that takes
nothing but a URL has the key in its path, in front of the name or instead of it, as with Healthchecks' ping key.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from notifyflow.core import text
from notifyflow.core.oncall.pings import OUTPUT_LIMIT, Signal

BODY_LIMIT_BYTES = 10_000
"""A larger body is ignored; the ping counts."""
_KEY = re.compile(r"nf_[^_/]+_.+", re.ASCII)
_STATUS = re.compile(r"\d{1,3}", re.ASCII)
_HIGHEST_STATUS = 255
_KILLED = re.compile(r"[A-Z][A-Z0-9+]{1,11}", re.ASCII)  # systemd.exec(5), $EXIT_STATUS: the signal that ended a service
_RUN = re.compile(r"[!-~]{1,64}", re.ASCII)
_SIGNALS = {"start": Signal.START, "fail": Signal.FAIL, "log": Signal.LOG}

PREVIEW_AGENTS = (
    "slackbot",  # and Slackbot-LinkExpanding, Slack-ImgProxy: api.slack.com/robots
    "slack-imgproxy",
    "skypeuripreview",  # Teams and Skype: learn.microsoft.com, "Azure Bot: link unfurling"
    "discordbot",  # discord.com/developers/docs/reference, "User Agent"
    "telegrambot",  # core.telegram.org/bots/webapps; sends "TelegramBot (like TwitterBot)"
    "twitterbot",  # developer.x.com, "Cards: URL crawling"; also sent by iMessage
    "facebookexternalhit",  # developers.facebook.com/docs/sharing/webmasters/web-crawlers; also sent by iMessage
    "facebot",
    "whatsapp/",  # faq.whatsapp.com, "How to preview links"
    "linkedinbot",  # linkedin.com, "Post Inspector"
    "mattermost-bot",  # docs.mattermost.com, "Link previews"
    "redditbot",
    "viber",
    "iframely",  # iframely.com/docs/about
)
"""Parts of the user agents that fetch the URLs in messages to show a preview: nobody's job has run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PingTarget:
    """What the path of a ping says.

    Attributes:
        name: The job's name; empty if the key in the path stands for it.
        exit_status: The exit status of a command that failed, or None.
    """

    name: str
    signal: Signal
    exit_status: int | None = None


def key_of(segments: Sequence[str]) -> str:
    """Return the API key in the path of a request, also of one that is no ping; empty without one."""
    return segments[0] if segments and _KEY.fullmatch(segments[0]) else ""


def read_target(segments: Sequence[str]) -> PingTarget | None:
    """Return what the path of a ping says, from its segments below ``/v1/heartbeats``; None if it is no ping."""
    key = key_of(segments)
    rest = [*segments[1:]] if key else [*segments]
    signal, exit_status = _signal(rest[-1], is_after_name=len(rest) > 1) if len(rest) > (not key) else (None, None)
    if signal is not None:
        rest.pop()
    if len(rest) > 1 or not (key or rest) or "" in rest:
        return None
    return PingTarget(name=rest[0] if rest else "", signal=signal or Signal.SUCCESS, exit_status=exit_status)


def _signal(word: str, *, is_after_name: bool) -> tuple[Signal | None, int | None]:
    if is_after_name and _KILLED.fullmatch(word):
        return Signal.FAIL, None
    if _STATUS.fullmatch(word) and int(word) <= _HIGHEST_STATUS:
        return (Signal.FAIL, int(word)) if int(word) else (Signal.SUCCESS, None)
    return _SIGNALS.get(word), None


def is_run_id(written: str) -> bool:
    """Return whether a text can identify a run."""
    return not written or _RUN.fullmatch(written) is not None


def is_preview(user_agent: str) -> bool:
    """Return whether a request comes from a program that shows previews of links."""
    agent = user_agent.casefold()
    return any(each in agent for each in PREVIEW_AGENTS)


def output(body: bytes) -> str:
    """Return the beginning of a body as text."""
    return text.beginning(text.paragraphs(body.decode("utf-8", "replace")), OUTPUT_LIMIT)
