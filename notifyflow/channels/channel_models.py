"""Models the channels for forecasts and rehearsals."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from notifyflow.channels.base import Channel
from notifyflow.channels.provider_protocols import reports

if TYPE_CHECKING:
    from notifyflow.core.upkeep.forecast import ChannelModel


def models_of(channels: Mapping[str, Channel]) -> "Mapping[str, ChannelModel]":
    """Return the model of each channel."""
    from notifyflow.core.upkeep.forecast import ChannelModel  # few processes forecast

    return {
        name: ChannelModel(
            providers=tuple(each.name for each in channel.providers),
            has_receipts=bool(channel.providers) and reports(channel.providers[0]),
            capabilities=channel.capabilities,
        )
        for name, channel in channels.items()
    }


def calling_of(channels: Mapping[str, Channel]) -> frozenset[str]:
    """Return the channels of calls."""
    return frozenset(name for name, channel in channels.items() if channel.capabilities.is_call)
