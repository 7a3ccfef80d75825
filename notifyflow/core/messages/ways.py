"""Names channels, and the messages on them, as people do: mail, text, call.

Addresses, documents, metrics and settings keep the registered names: ``email``, ``sms``, ``voice``.
"""

from collections.abc import Collection, Mapping

from notifyflow.core.text import listed

_NOUNS: Mapping[str, str] = {"email": "mail", "sms": "text", "voice": "call"}
_NAMES: Mapping[str, str] = {"slack": "Slack", "teams": "Teams"}


def way(channel: str) -> str:
    """Return the short name of a channel, for labels and tables: ``text``, ``Slack``, ``pager``."""
    return _NOUNS.get(channel) or _NAMES.get(channel, channel)


def message(channel: str) -> str:
    """Return what a message on a channel is called: ``text``, ``Slack message``, ``pager message``."""
    return _NOUNS.get(channel) or f"{way(channel)} message"


def messages(channels: Collection[str]) -> str:
    """Return what messages on some channels are called: ``mail and text``."""
    return listed([message(channel) for channel in channels])
