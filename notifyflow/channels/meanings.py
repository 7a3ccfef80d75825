"""The meaning of a provider's code, from the tables of its channel."""

from collections.abc import Mapping

from notifyflow.channels.base import Channel
from notifyflow.channels.http import STATUSES
from notifyflow.core.insight.timeline import Explain


def meanings(channels: Mapping[str, Channel]) -> Explain:
    """Return a function that finds the meaning of a channel's code, in its tables or in HTTP's; empty if none has it."""
    tables = {
        name: {code: row.meaning for _, codes in reversed(channel.codes) for code, row in codes.items()}
        for name, channel in channels.items()
    }
    general = {code: row.meaning for code, row in STATUSES.items()}

    def meaning(channel: str, code: str) -> str:
        return tables.get(channel, {}).get(code) or general.get(code, "")

    return meaning
